//! Random numbers: one independent stream per purpose, the same on every machine.
//!
//! A stream is ChaCha8, keyed by the SHA-256 of (seed, purpose). It does not depend on the time, on threads, or on draws for
//! another purpose. All draws are made on the CPU, so that runs on a CPU and a GPU start alike.

mod lanes;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

pub use lanes::NormalLanes;

/// A stream of random numbers for one purpose.
pub struct Stream {
    generator: ChaCha8Rng,
    /// The second value of the last Box–Muller pair.
    spare: Option<f64>,
}

impl Stream {
    /// The stream for `purpose` under `seed`. The parts of a purpose are length-prefixed before they are hashed, so
    /// that `["ab", "c"]` and `["a", "bc"]` are different purposes.
    pub fn new(seed: u64, purpose: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"seesaw random stream 1\n");
        hash.update(seed.to_le_bytes());
        for part in purpose {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Stream { generator: ChaCha8Rng::from_seed(hash.finalize().into()), spare: None }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Uniform in [0, 1), with 53 random bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in 0..n, without bias (Lemire's multiplication with rejection).
    ///
    /// # Panics
    /// If `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "a draw below 0");
        let reject_under = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            if product as u64 >= reject_under {
                return (product >> 64) as u64;
            }
        }
    }

    /// Standard normal (Box–Muller).
    #[inline]
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Fills a slice with standard normal numbers in single precision, for millions of pixels: the inverse of the normal
    /// distribution function at a 32-bit uniform number (Acklam's rational approximation, relative error 1.15e-9), so
    /// |x| < 6.4. It takes 4 random bytes a value, and in all but the outer 5 %, which are computed apart, neither a
    /// logarithm nor a root.
    pub fn fill_normal_f32(&mut self, values: &mut [f32]) {
        const AT_ONCE: usize = 64;
        let mut drawn = [0u32; AT_ONCE];
        let mut uniforms = [0.0; AT_ONCE];
        for chunk in values.chunks_mut(AT_ONCE) {
            drawn[..chunk.len()].iter_mut().for_each(|bits| *bits = self.generator.next_u32());
            for (uniform, bits) in uniforms.iter_mut().zip(drawn) {
                // In (0, 1), symmetric about ½.
                *uniform = (f64::from(bits) + 0.5) * (1.0 / 4_294_967_296.0);
            }
            chunk.iter_mut().zip(&uniforms).for_each(|(value, &p)| *value = central_quantile(p) as f32);
            for (value, &p) in chunk.iter_mut().zip(&uniforms) {
                if !CENTRAL.contains(&p) {
                    *value = inverse_normal(p) as f32;
                }
            }
        }
    }

    /// A random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// Where [`central_quantile`] holds.
const CENTRAL: std::ops::RangeInclusive<f64> = 0.02425..=1.0 - 0.02425;

#[inline]
fn horner<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    let mut sum = 0.0;
    for c in coefficients {
        sum = sum * x + c;
    }
    sum
}

/// The quantile function of the standard normal distribution. Source: P. J. Acklam, "An algorithm for computing the
/// inverse normal cumulative distribution function".
#[inline]
fn inverse_normal(p: f64) -> f64 {
    if p < *CENTRAL.start() {
        lower_quantile(p)
    } else if p > *CENTRAL.end() {
        -lower_quantile(1.0 - p)
    } else {
        central_quantile(p)
    }
}

#[inline]
fn central_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] =
        [-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1];
    let q = p - 0.5;
    let r = q * q;
    horner(A, r) * q / (horner(B, r) * r + 1.0)
}

#[inline]
fn lower_quantile(p: f64) -> f64 {
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
    let q = (-2.0 * p.ln()).sqrt();
    horner(C, q) / (horner(D, q) * q + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles from tables of the normal distribution.
    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (p, x) in [(0.5, 0.0), (0.975, 1.959963984540054), (0.01, -2.326347874040841), (1e-6, -4.753424308822899)] {
            assert!((inverse_normal(p) - x).abs() < 1e-7, "{p}");
            assert!((inverse_normal(1.0 - p) + x).abs() < 1e-7, "{p}");
        }
    }

    /// Each number is the quantile of its own 32 bits, whatever the length and whatever was drawn before. See
    /// [`the_streams_never_change`] for the first ones: all noise on pictures depends on these.
    #[test]
    fn fast_normal_numbers_never_change() {
        let (mut values, mut bits) = (Stream::new(7, &["golden"]), Stream::new(7, &["golden"]));
        for length in [4, 0, 1, 63, 64, 65, 5000] {
            let mut filled = vec![0.0; length];
            values.fill_normal_f32(&mut filled);
            if length == 4 {
                assert_eq!(format!("{filled:?}"), "[0.81752545, -1.1767675, 1.5835401, 0.7868008]");
            }
            let one = |_| inverse_normal((f64::from(bits.generator.next_u32()) + 0.5) / 4_294_967_296.0) as f32;
            assert_eq!(filled, (0..length).map(one).collect::<Vec<_>>(), "{length}");
        }
    }

    /// Mean, variance and tails of the fast normal numbers.
    #[test]
    fn fast_normal_numbers_are_normal() {
        let mut stream = Stream::new(4, &["fast"]);
        let n = 400_000;
        let mut values = vec![0.0; n];
        stream.fill_normal_f32(&mut values);
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let share = |test: &dyn Fn(f64) -> bool| values.iter().filter(|&&x| test(x)).count() as f64 / n as f64;
        assert!((values.iter().sum::<f64>() / n as f64).abs() < 0.008);
        assert!((values.iter().map(|x| x * x).sum::<f64>() / n as f64 - 1.0).abs() < 0.012);
        assert!((share(&|x| x > 1.959963984540054) - 0.025).abs() < 0.0015);
        assert!((share(&|x| x < -2.5758293035489) - 0.005).abs() < 0.0007);
        assert!((share(&|x| x.abs() < 0.6744897501960817) - 0.5).abs() < 0.005);
    }

    /// Every initial weight, shuffle and mask of every result depends on these values. If this fails, stored results
    /// can no longer be reproduced: undo the change, or raise the recipe version of every step that draws.
    #[test]
    fn the_streams_never_change() {
        let mut stream = Stream::new(7, &["golden"]);
        let bits: Vec<u64> = (0..2).map(|_| stream.bits()).collect();
        let values = (bits, stream.uniform(), stream.below(1000), stream.normal());
        assert_eq!(
            format!("{values:?}"),
            "([2207045501953391340, 14467795398749548532], 0.8087696532424, 471, -1.4101954056496202)"
        );
    }

    #[test]
    fn purposes_do_not_run_together() {
        assert_ne!(Stream::new(0, &["ab", "c"]).bits(), Stream::new(0, &["a", "bc"]).bits());
        assert_ne!(Stream::new(0, &["a"]).bits(), Stream::new(1, &["a"]).bits());
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(1, &["moments"]);
        let n = 100_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let normal: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let uniform: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
        assert!(mean(&normal).abs() < 0.02);
        assert!((mean(&normal.iter().map(|x| x * x).collect::<Vec<_>>()) - 1.0).abs() < 0.02);
        assert!((mean(&uniform) - 0.5).abs() < 0.01);
        let mut counts = [0; 6];
        (0..n).for_each(|_| counts[stream.below(6) as usize] += 1);
        assert!(counts.iter().all(|&c| (c as f64 / n as f64 - 1.0 / 6.0).abs() < 0.01));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(3, &["shuffle"]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
