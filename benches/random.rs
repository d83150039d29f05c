//! How fast noise for gradients is drawn: `cargo bench --bench random`.
//!
//! [`NormalLanes`] against the general [`Stream`], both adding a million normal numbers to as many values on one core; of
//! several rounds the fastest counts.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use seesaw::random::{NormalLanes, Stream};

const VALUES: usize = 1 << 20;

fn main() {
    let mut values = vec![0f32; VALUES];
    let mut stream = Stream::new(0, &["bench"]);
    let mut drawn = vec![0f32; VALUES];
    let plain = fastest(|| {
        stream.fill_normal_f32(&mut drawn);
        black_box(&mut values).iter_mut().zip(&drawn).for_each(|(value, ξ)| *value += 0.1 * ξ);
    });
    let mut lanes = NormalLanes::new(0, &["bench"]);
    let wide = fastest(|| lanes.disturb(black_box(&mut values), 1.0, 0.1));
    for (name, time) in [("Stream", plain), ("NormalLanes", wide)] {
        println!("{name:<12} {:.2} ns a value", time.as_secs_f64() * 1e9 / VALUES as f64);
    }
    println!("NormalLanes is {:.1} times as fast", plain.as_secs_f64() / wide.as_secs_f64());
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
    }
    best
}
