//! What the paper makes of scores under an impairment of the image and of the text.

/// Avg: the mean of the score with impaired image and the score with impaired text, in percent; higher is better.
pub fn average(image: f64, text: f64) -> f64 {
    (image + text) / 2.0
}

/// ΔGap: their absolute difference, in percentage points; lower is better.
pub fn gap(image: f64, text: f64) -> f64 {
    (image - text).abs()
}

/// Negative transfer: the model does better without the modality (or with noise on it) than with it.
pub fn is_negative_transfer(impaired: f64, full: f64) -> bool {
    impaired > full
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 1 of the paper, UPMC Food-101, BalGrad, missing; and its marked negative transfer.
    #[test]
    fn the_papers_own_rows_follow() {
        assert!((average(25.49, 65.03) - 45.26).abs() < 1e-9);
        assert!((gap(25.49, 65.03) - 39.54).abs() < 1e-9);
        assert!(is_negative_transfer(66.83, 66.70));
        assert!(!is_negative_transfer(65.86, 67.35));
    }
}
