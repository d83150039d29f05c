//! Student's t distribution.
//!
//! Results are compared bit by bit, and the crate `statrs` gives other last bits of probabilities (a relative error of about
//! 1e-12) and quantiles that are right to about seven digits only, so this is our own.
//!
//! The distribution function of t is a regularised incomplete beta function, evaluated by its continued fraction with
//! Lentz's algorithm; sources: Press et al., "Numerical Recipes", 3rd edition, sections 6.1 and 6.4; Lanczos's
//! approximation of ln Γ with the coefficients of P. Godfrey (g = 7, n = 9).

use std::f64::consts::PI;

/// ln Γ(x) for x > 0, to about 1e-14.
pub fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let series = |sum: f64, (at, c): (usize, &f64)| sum + c / (x + at as f64);
    let sum = COEFFICIENTS.iter().enumerate().skip(1).fold(COEFFICIENTS[0], series);
    let t = x + G + 0.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularised incomplete beta function I_x(a, b), a and b > 0, x in [0, 1].
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    // The fraction converges fast below the mean of the distribution; above it, the mirrored one does.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function (Numerical Recipes, equation 6.4.5).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for m in 1..1000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut last = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            last = c * d;
            value *= last;
        }
        if (last - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The probability that |T| is at least `t` for Student's t with `df` > 0 degrees of freedom: the two-sided p of a t.
/// NaN of a NaN.
pub fn two_sided_p(t: f64, df: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    if t.is_infinite() {
        return 0.0;
    }
    incomplete_beta(df / 2.0, 0.5, df / (df + t * t))
}

/// The distribution function of Student's t with `df` > 0 degrees of freedom.
pub fn t_cdf(t: f64, df: f64) -> f64 {
    let tail = two_sided_p(t, df) / 2.0;
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The value t that |T| exceeds with probability `alpha` (two-sided), for Student's t with `df` > 0 degrees of freedom;
/// infinite for an alpha of 0.
pub fn two_sided_t(alpha: f64, df: f64) -> f64 {
    if alpha <= 0.0 {
        return f64::INFINITY;
    }
    // Doubled until it is beyond, then bisected to the last bit.
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided_p(high, df) > alpha {
        (low, high) = (high, 2.0 * high);
        if high > 1e300 {
            return f64::INFINITY;
        }
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if two_sided_p(middle, df) > alpha { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The factor that makes Cohen's d of `df` degrees of freedom unbiased (Hedges 1981): Γ(df/2) / (√(df/2)
/// Γ((df − 1)/2)); for df ≥ 2.
pub fn small_sample_correction(df: f64) -> f64 {
    (ln_gamma(df / 2.0) - ln_gamma((df - 1.0) / 2.0)).exp() / (df / 2.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that the absolute value of a standard normal number exceeds with probability 0.05.
    const Z_TWO_SIDED_5_PERCENT: f64 = 1.959_963_984_540_054;

    /// The value below which a standard normal number lies with probability 0.8.
    const Z_80_PERCENT: f64 = 0.841_621_233_572_914_3;

    /// Critical values from the t table of every textbook, and of the normal distribution.
    #[test]
    fn quantiles_are_those_of_tables() {
        for (alpha, df, t) in [
            (0.05, 1.0, 12.706_204_736_432_1),
            (0.05, 2.0, 4.302_652_729_696_14),
            (0.05, 4.0, 2.776_445_105_197_79),
            (0.01, 4.0, 4.604_094_871_415_9),
            (0.001, 4.0, 8.610_301_581_379_28),
            (0.05, 9.0, 2.262_157_162_740_99),
            (0.10, 30.0, 1.697_260_886_593_9),
            (0.05, 120.0, 1.979_930_405_052_78),
        ] {
            let found = two_sided_t(alpha, df);
            assert!((found / t - 1.0).abs() < 1e-9, "t({alpha}, {df}) = {found}, expected {t}");
        }
        // Of many degrees of freedom, t is nearly normal: z + (z³ + z)/(4 df) + ….
        let z = Z_TWO_SIDED_5_PERCENT;
        assert!((two_sided_t(0.05, 1e5) - z - (z.powi(3) + z) / 4e5).abs() < 1e-9);
        let z = Z_80_PERCENT;
        assert!((two_sided_t(0.4, 1e5) - z - (z.powi(3) + z) / 4e5).abs() < 1e-9);
        assert_eq!(two_sided_t(0.0, 4.0), f64::INFINITY);
    }

    /// With one and two degrees of freedom the distribution function has a closed form.
    #[test]
    fn probabilities_are_those_of_closed_forms() {
        for t in [-30.0, -2.5, -1.0, -0.1, 0.0, 0.3, 1.0, 4.0, 1000.0f64] {
            let cauchy = 0.5 + t.atan() / PI;
            assert!((t_cdf(t, 1.0) - cauchy).abs() < 1e-13, "{t}");
            let two = 0.5 + t / (2.0 * (2.0 + t * t).sqrt());
            assert!((t_cdf(t, 2.0) - two).abs() < 1e-13, "{t}");
        }
        assert_eq!(two_sided_p(0.0, 4.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY, 4.0), 0.0);
        assert!(two_sided_p(f64::NAN, 4.0).is_nan());
    }

    #[test]
    fn gamma_is_that_of_factorials_and_halves() {
        for (x, gamma) in
            [(1.0, 1.0), (2.0, 1.0), (5.0, 24.0), (0.5, PI.sqrt()), (1.5, PI.sqrt() / 2.0), (11.0, 3_628_800.0f64)]
        {
            assert!((ln_gamma(x) - gamma.ln()).abs() < 1e-13, "{x}");
        }
    }

    /// Hedges's exact correction; 1 − 3/(4 df − 1) is its usual approximation.
    #[test]
    fn few_seeds_exaggerate_effects() {
        assert!((small_sample_correction(2.0) - 1.0 / PI.sqrt()).abs() < 1e-12);
        assert!((small_sample_correction(4.0) - 0.797_884_560_802_865).abs() < 1e-12);
        assert!((small_sample_correction(50.0) - (1.0 - 3.0 / 199.0)).abs() < 1e-4);
    }
}
