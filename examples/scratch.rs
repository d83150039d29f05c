use std::time::Instant;
use tch::{Device, Kind, Tensor};
fn t<R>(name: &str, mut f: impl FnMut() -> R) {
    let mut best = f64::MAX;
    for _ in 0..300 {
        let s = Instant::now();
        let r = f();
        best = best.min(s.elapsed().as_secs_f64());
        drop(r);
    }
    println!("{name:<40} {:.1} µs", best * 1e6);
}
fn main() {
    tch::set_num_threads(1);
    let _g = tch::no_grad_guard();
    let o = (Kind::Float, Device::Cpu);
    let r = |a: i64, b: i64| Tensor::randn([a, b], o);
    let (x, w, d, b) = (r(64, 768), r(512, 768), r(64, 512), r(1, 512).view(-1));
    t("linear 64x768->512", || x.linear(&w, Some(&b)));
    let wt = w.tr().contiguous();
    t("addmm contiguous wt", || b.addmm(&x, &wt));
    t("W xT", || w.mm(&x.tr()));
    t("dT x", || d.tr().mm(&x));
    t("x xT", || x.mm(&x.tr()));
    t("d dT", || d.mm(&d.tr()));
    let (v, g) = (r(101, 512), r(64, 101));
    t("head fwd", || d.linear(&v, Some::<&Tensor>(&r(1, 101).view(-1))));
    t("head back", || g.mm(&v));
    t("head grad", || g.tr().mm(&d));
    let z = d.relu();
    let m = z.gt(0.0);
    let mf = m.to_kind(Kind::Float);
    t("gt", || z.gt(0.0));
    t("mul bool", || &d * &m);
    t("mul float", || &d * &mf);
    t("threshold_backward", || z.threshold_backward(&d, 0.0));
    t("relu", || d.relu());
    t("scalar op", || &b.get(0) + 1.0);
    let one = b.get(0);
    t("0-dim add", || &one + &one);
    t("sum dim0", || d.sum_dim_intlist([0].as_slice(), false, None));
    let ones = Tensor::ones([1, 64], o);
    t("sum dim0 by mm", || ones.mm(&d));
    t("cat", || Tensor::cat(&[&d, &d], 1));
    t("log_softmax", || g.log_softmax(-1, None));
    t("exp", || g.exp());
    t("sum all 64x64", || r(64, 64).sum(None));
    t("index_select", || x.index_select(0, &Tensor::arange(64, (Kind::Int64, Device::Cpu))));
    // adam
    let (mut p, gr, mut mm, mut vv) = (r(512, 768), r(512, 768), r(512, 768), r(512, 768).abs());
    t("adam tch", || {
        let _ = mm.lerp_(&gr, 0.1);
        let _ = vv.lerp_(&gr.square(), 0.001);
        let den = vv.sqrt().g_add_scalar_(1e-8);
        let s = &mm * -1e-3;
        let _ = p.addcdiv_(&s, &den);
    });
    let sl = |t: &Tensor| unsafe { std::slice::from_raw_parts_mut(t.data_ptr() as *mut f32, t.numel()) };
    let (ps, gs, ms, vs) = (sl(&p), sl(&gr), sl(&mm), sl(&vv));
    t("adam rust", || k(ps, gs, ms, vs, 0.1, 0.001, 1e-3, 1e-8));
    t("adam rust avx2", || unsafe { k2(ps, gs, ms, vs, 0.1, 0.001, 1e-3, 1e-8) });
    t("adam chunks", || {
        let n = p.numel() as i64;
        let c = 1 << 14;
        let (p, gr, mm, vv) = (p.view(-1), gr.view(-1), mm.view(-1), vv.view(-1));
        for s in (0..n).step_by(c as usize) {
            let l = c.min(n - s);
            let (mut p, gr, mut mm, mut vv) =
                (p.narrow(0, s, l), gr.narrow(0, s, l), mm.narrow(0, s, l), vv.narrow(0, s, l));
            let _ = mm.lerp_(&gr, 0.1);
            let _ = vv.lerp_(&gr.square(), 0.001);
            let den = vv.sqrt().g_add_scalar_(1e-8);
            let s = &mm * -1e-3;
            let _ = p.addcdiv_(&s, &den);
        }
    });
}
#[inline(always)]
fn kk(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], b1: f32, b2: f32, lr: f32, eps: f32) {
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m += b1 * (g - *m);
        *v += b2 * (g * g - *v);
        *p -= lr * *m / (v.sqrt() + eps);
    }
}
#[inline(never)]
fn k(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], b1: f32, b2: f32, lr: f32, eps: f32) {
    kk(p, g, m, v, b1, b2, lr, eps)
}
#[target_feature(enable = "avx2")]
unsafe fn k2(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], b1: f32, b2: f32, lr: f32, eps: f32) {
    kk(p, g, m, v, b1, b2, lr, eps)
}
