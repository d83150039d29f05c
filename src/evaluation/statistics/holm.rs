//! Correction for multiple comparisons.

/// Holm's step-down correction (Holm 1979, "A simple sequentially rejective multiple test procedure"): of m p-values in
/// increasing order, the i-th is multiplied by m − i + 1, is never below its predecessor, and never above 1. Rejecting what
/// is below α keeps the probability of any false alarm in the family below α, even for dependent tests. NaN stays NaN and
/// counts as part of the family.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![f64::NAN; p.len()];
    let mut highest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        if p[at].is_nan() {
            continue;
        }
        highest = highest.max(p[at] * (p.len() - rank) as f64).min(1.0);
        corrected[at] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Holm's procedure by hand: 0.01·4, max(0.04, 0.02·3), max(0.06, 0.03·2), max(0.06, 0.04·1).
    #[test]
    fn four_tests_by_hand() {
        let corrected = holm(&[0.04, 0.01, 0.03, 0.02]);
        let expected = [0.06, 0.04, 0.06, 0.06];
        assert!(
            corrected.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15),
            "{corrected:?}"
        );
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
        assert_eq!(holm(&[]), [0.0; 0]);
        let with_nan = holm(&[f64::NAN, 0.01]);
        assert!(with_nan[0].is_nan() && with_nan[1] == 0.02);
    }

    proptest! {
        /// The order of the p-values stays, none falls, and none rises beyond Bonferroni's correction.
        #[test]
        fn corrected_values_keep_their_order(p in prop::collection::vec(0.0..=1.0f64, 1..40)) {
            let corrected = holm(&p);
            for i in 0..p.len() {
                prop_assert!(corrected[i] >= p[i] && corrected[i] <= (p[i] * p.len() as f64).min(1.0));
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || corrected[i] <= corrected[j]);
                }
            }
        }
    }
}
