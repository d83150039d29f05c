//! Statistics over seeds and test samples: means, intervals, paired comparisons and their correction.
//!
//! [`tally`] scores resampled test samples, [`bootstrap`] turns the scores into means with intervals, [`paired`] tests
//! differences, [`agreement`] compares a number with a printed one, [`holm`] corrects for many tests, and [`student`] is the t
//! distribution.

pub mod agreement;
pub mod bootstrap;
pub mod holm;
pub mod paired;
pub mod student;
pub mod tally;

/// The mean; none of no values, NaN if a value is NaN.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (divisor n − 1); none for fewer than two values.
pub fn sample_std(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_samples_by_hand() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[2.0, 4.0]), Some(3.0));
        assert_eq!(sample_std(&[2.0]), None);
        assert_eq!(sample_std(&[2.0, 4.0]), Some(2.0f64.sqrt()));
        assert!(mean(&[1.0, f64::NAN]).unwrap().is_nan());
    }
}
