//! Adam's update of one parameter in one pass over memory.
//!
//! The update is bound by memory: as a chain of tensor operations it reads and writes the parameter, its gradient and
//! both moments some twenty times, here seven times. Every element goes through the same additions, multiplications,
//! divisions and square roots, each rounded as IEEE 754 says and none of them fused, so that the width of the vector
//! unit changes no bit.

use tch::{Device, Kind, Tensor};

use crate::model::gradient::inner;

/// What is the same for all elements of one step. The update, element by element:
///
/// ```text
/// g ← g + λ p;   m ← m + (1 − β₁)(g − m);   v ← v + (1 − β₂)(g² − v)
/// p ← p − η √c₂/c₁ · m / (√v + ε √c₂)        with c_i = 1 − β_iᵗ
/// ```
///
/// which is Kingma & Ba's m̂/(√v̂ + ε) with m̂ = m/c₁ and v̂ = v/c₂.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors {
    /// λ
    pub weight_decay: f64,
    /// 1 − β₁
    pub first: f64,
    /// 1 − β₂
    pub second: f64,
    /// η √c₂/c₁
    pub rate: f64,
    /// ε √c₂
    pub epsilon: f64,
}

/// Moves `value` and both moments. Gives the gradient's sum of squares, without dimensions, which costs nothing on the way.
///
/// # Panics
/// If the tensors differ in size, kind or device: a mistake in a method.
pub(super) fn update(
    value: &mut Tensor,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    factors: &Factors,
) -> Tensor {
    for other in [gradient, &*first, &*second] {
        assert_eq!(
            (other.size(), other.kind(), other.device()),
            (value.size(), value.kind(), value.device()),
            "a gradient that does not fit its parameter"
        );
    }
    let ours = value.device() == Device::Cpu && [&*value, &*first, &*second].iter().all(|t| t.is_contiguous());
    match value.kind() {
        Kind::Float if ours => in_one_pass::<f32>(value, gradient, first, second, factors),
        Kind::Double if ours => in_one_pass::<f64>(value, gradient, first, second, factors),
        _ => by_tensors(value, gradient, first, second, factors),
    }
}

/// The same by tensor operations, for other devices.
fn by_tensors(
    value: &mut Tensor,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    factors: &Factors,
) -> Tensor {
    let Factors { weight_decay, first: to_first, second: to_second, rate, epsilon } = *factors;
    let square = inner(gradient, gradient);
    let gradient = gradient + &*value * weight_decay;
    let _ = first.lerp_(&gradient, to_first);
    let _ = second.lerp_(&gradient.square(), to_second);
    let denominator = second.sqrt().g_add_scalar_(epsilon);
    let _ = value.addcdiv_(&(&*first * -rate), &denominator);
    square
}

fn in_one_pass<T: Element>(
    value: &mut Tensor,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    factors: &Factors,
) -> Tensor {
    let gradient = gradient.contiguous();
    let places = [&*value, &gradient, &*first, &*second].map(|tensor| tensor.data_ptr() as usize);
    let bytes = value.numel() * size_of::<T>();
    for (i, a) in places.iter().enumerate() {
        let apart = places[..i].iter().all(|b| a.abs_diff(*b) >= bytes);
        assert!(apart, "a parameter, its gradient and its moments should not share memory");
    }
    if bytes == 0 {
        return gradient.sum(None);
    }
    // Safety: all four are contiguous tensors of T on the CPU with as many elements (checked by the caller), they do
    // not overlap (checked above), and nothing else touches them while they are borrowed here.
    let (values, gradients, first, second) = unsafe {
        (slice_mut::<T>(value), &*slice_mut::<T>(&mut gradient.shallow_clone()), slice_mut(first), slice_mut(second))
    };
    Tensor::from(T::run(values, gradients, first, second, factors)).to_kind(gradient.kind())
}

/// # Safety
/// The tensor has to be contiguous, on the CPU, of elements T, not empty, and no other slice may overlap it.
unsafe fn slice_mut<'a, T>(tensor: &mut Tensor) -> &'a mut [T] {
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) }
}

/// f32 or f64.
trait Element: Sized {
    /// Gives the gradient's sum of squares.
    fn run(value: &mut [Self], gradient: &[Self], first: &mut [Self], second: &mut [Self], factors: &Factors) -> f64;
}

/// Elements at once: each has a sum of squares of its own, so that sums need no fixed order within a vector.
const AT_ONCE: usize = 16;
/// Elements whose squares are summed in the elements' own precision before they are added in float64.
const BLOCK: usize = 64 * AT_ONCE;

macro_rules! element {
    ($float:ident) => {
        impl Element for $float {
            fn run(
                value: &mut [Self],
                gradient: &[Self],
                first: &mut [Self],
                second: &mut [Self],
                factors: &Factors,
            ) -> f64 {
                #[inline(always)]
                fn each(p: &mut [$float], g: &[$float], m: &mut [$float], v: &mut [$float], factors: &Factors) -> f64 {
                    // Loops rather than closures: those are compiled for the narrow unit.
                    let mut sum = 0.0;
                    for (((p, g), m), v) in
                        p.chunks_mut(BLOCK).zip(g.chunks(BLOCK)).zip(m.chunks_mut(BLOCK)).zip(v.chunks_mut(BLOCK))
                    {
                        sum += block(p, g, m, v, factors);
                    }
                    sum
                }
                #[inline(always)]
                fn block(p: &mut [$float], g: &[$float], m: &mut [$float], v: &mut [$float], factors: &Factors) -> f64 {
                    // A block stays in the innermost cache between the two loops.
                    let sum = sum_of_squares(g);
                    let decay = factors.weight_decay as $float;
                    let (to_first, to_second) = (factors.first as $float, factors.second as $float);
                    let (rate, epsilon) = (factors.rate as $float, factors.epsilon as $float);
                    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                        let g = *g + decay * *p;
                        *m += to_first * (g - *m);
                        *v += to_second * (g * g - *v);
                        *p -= rate * *m / (v.sqrt() + epsilon);
                    }
                    sum
                }
                #[inline(always)]
                fn sum_of_squares(g: &[$float]) -> f64 {
                    let mut squares = [0.0; AT_ONCE];
                    let (whole, rest) = g.as_chunks::<AT_ONCE>();
                    for g in whole {
                        for i in 0..AT_ONCE {
                            squares[i] += g[i] * g[i];
                        }
                    }
                    let mut sum = 0.0;
                    for square in squares {
                        sum += f64::from(square);
                    }
                    for g in rest {
                        sum += f64::from(g * g);
                    }
                    sum
                }
                // The same loop, compiled for eight floats at once.
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2")]
                fn wide(p: &mut [$float], g: &[$float], m: &mut [$float], v: &mut [$float], factors: &Factors) -> f64 {
                    each(p, g, m, v, factors)
                }
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    // Safety: this processor has AVX2.
                    return unsafe { wide(value, gradient, first, second, factors) };
                }
                each(value, gradient, first, second, factors)
            }
        }
    };
}

element!(f32);
element!(f64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn random(size: &[i64], purpose: &str, kind: Kind) -> Tensor {
        let mut stream = Stream::new(4, &["adam test", purpose]);
        let values: Vec<f64> = (0..size.iter().product()).map(|_| stream.normal()).collect();
        Tensor::from_slice(&values).view(size).to_kind(kind)
    }

    const FACTORS: Factors = Factors { weight_decay: 0.03, first: 0.1, second: 0.001, rate: 0.02, epsilon: 1e-8 };

    /// The pass in memory gives what tensor operations give, for gradients in any layout, up to rounding.
    #[test]
    fn one_pass_is_the_chain_of_operations() {
        for (kind, tolerance) in [(Kind::Float, 1e-6), (Kind::Double, 1e-15)] {
            // 17 × 13 elements: not a multiple of any vector's width.
            let start = || {
                let moments = [random(&[17, 13], "m", kind), random(&[17, 13], "v", kind).abs()];
                (random(&[17, 13], "p", kind), moments)
            };
            let gradient = random(&[13, 17], "g", kind).tr();
            let (mut value, [mut first, mut second]) = start();
            let (mut value2, [mut first2, mut second2]) = start();
            for _ in 0..3 {
                let square = update(&mut value, &gradient, &mut first, &mut second, &FACTORS);
                let square2 = by_tensors(&mut value2, &gradient, &mut first2, &mut second2, &FACTORS);
                let difference = ((&square - &square2) / square2).abs().double_value(&[]);
                assert!(square.kind() == kind && difference <= tolerance, "{kind:?}: {difference:e}");
            }
            for (a, b) in [(&value, &value2), (&first, &first2), (&second, &second2)] {
                let difference = (a - b).abs().max().double_value(&[]);
                assert!(difference <= tolerance, "{kind:?}: {difference:e}");
            }
            assert!((value - start().0).abs().max().double_value(&[]) > 1e-3);
        }
    }

    /// Each element's bits depend on that element alone, not on where it stands or on how many there are.
    #[test]
    fn an_element_does_not_depend_on_its_place() {
        let all = ["p", "g", "m", "v"].map(|name| random(&[67], name, Kind::Float).abs());
        let moved = |from: i64, length: i64| -> Vec<f32> {
            let [mut p, g, mut m, mut v] = all.each_ref().map(|t| t.narrow(0, from, length).copy());
            let _ = update(&mut p, &g, &mut m, &mut v, &FACTORS);
            Vec::try_from(p).unwrap()
        };
        let together = moved(0, 67);
        for place in 0..67 {
            assert_eq!(moved(place, 1)[0].to_bits(), together[place as usize].to_bits());
        }
        assert!(moved(0, 0).is_empty());
    }

    #[test]
    #[should_panic(expected = "should not share memory")]
    fn a_gradient_that_is_the_parameter_is_refused() {
        let [mut p, mut m, mut v] = ["p", "m", "v"].map(|name| random(&[8], name, Kind::Float));
        let g = p.shallow_clone();
        let _ = update(&mut p, &g, &mut m, &mut v, &FACTORS);
    }
}
