//! Scores of predictions, in percent; higher is better.

use tch::{Device, Kind, Tensor};

use crate::terms::Metric;

/// The score of predictions, in percent: class numbers below `classes`, int64 `[n]`, or a 0 or 1 for each label, int64
/// [n, C]. The labels hold the same numbers in any kind and shape.
///
/// # Panics
/// If there are no samples.
pub fn score(metric: Metric, classes: usize, predictions: &Tensor, labels: &Tensor) -> f64 {
    let truth = labels.to_kind(Kind::Int64).view_as(predictions);
    let numbers =
        |tensor: &Tensor| -> Vec<i64> { Vec::try_from(tensor.to_device(Device::Cpu)).expect("a vector of int64") };
    match metric {
        Metric::Accuracy => {
            let n = predictions.size()[0];
            assert!(n > 0, "a score of no samples");
            let hits = predictions.eq_tensor(&truth).sum(Kind::Int64).int64_value(&[]);
            100.0 * hits as f64 / n as f64
        }
        Metric::F1Macro if predictions.dim() == 1 => {
            f1_macro_of_classes(classes, &numbers(predictions), &numbers(&truth))
        }
        Metric::F1Macro => {
            let counts = |of: &Tensor| numbers(&of.sum_dim_intlist([0].as_slice(), false, Kind::Int64));
            f1_macro(&counts(&(predictions * &truth)), &counts(predictions), &counts(&truth))
        }
    }
}

/// F1-macro in percent of class numbers, which are below `classes`: each class against the others.
///
/// # Panics
/// If there are no samples, or a number is not below `classes`.
pub fn f1_macro_of_classes(classes: usize, predicted: &[i64], truth: &[i64]) -> f64 {
    assert!(!truth.is_empty(), "a score of no samples");
    let count = |numbers: &mut dyn Iterator<Item = i64>| {
        let mut counts = vec![0; classes];
        numbers.for_each(|class| counts[class as usize] += 1);
        counts
    };
    let hits = predicted.iter().zip(truth).filter(|(predicted, truth)| predicted == truth);
    let hits = count(&mut hits.map(|(_, &truth)| truth));
    f1_macro(&hits, &count(&mut predicted.iter().copied()), &count(&mut truth.iter().copied()))
}

/// F1-macro in percent from counts per label: true positives, predicted positives, positives.
#[inline]
pub fn f1_macro(hits: &[i64], predicted: &[i64], positives: &[i64]) -> f64 {
    let f1 = |((&hits, &predicted), &positives): ((&i64, &i64), &i64)| match predicted + positives {
        0 => 0.0,
        both => 2.0 * hits as f64 / both as f64,
    };
    let sum: f64 = hits.iter().zip(predicted).zip(positives).map(f1).sum();
    100.0 * sum / hits.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(numbers: &[i64]) -> Tensor {
        Tensor::from_slice(numbers)
    }

    #[test]
    fn accuracy_counts_hits() {
        assert_eq!(score(Metric::Accuracy, 3, &tensor(&[0, 1, 2, 0]), &tensor(&[0, 1, 2, 1])), 75.0);
        // The labels of a single logit have another kind and shape.
        let labels = tensor(&[1, 0, 1, 0]).to_kind(Kind::Float).view([4, 1]);
        assert_eq!(score(Metric::Accuracy, 2, &tensor(&[1, 0, 0, 0]), &labels), 75.0);
        assert_eq!(score(Metric::F1Macro, 2, &tensor(&[1, 0, 0, 1]), &labels), 50.0);
    }

    /// By hand: label 0 has one hit, one false alarm, one miss (F1 ½); label 1 is perfect; label 2 never occurs and is
    /// never predicted (0 by our rule); label 3 is missed (0).
    #[test]
    fn f1_macro_is_the_mean_over_labels() {
        let predictions = tensor(&[1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).view([3, 4]);
        let labels = tensor(&[1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0]).to_kind(Kind::Float).view([3, 4]);
        assert_eq!(score(Metric::F1Macro, 4, &predictions, &labels), 37.5);
    }

    /// By hand, of the truth 0 0 0 1 1 2 and the predictions 0 0 1 1 2 0: class 0 has two hits of three and a false alarm
    /// (F1 2/3), class 1 one hit of two and a false alarm (1/2), class 2 no hit (0); class 3 occurs in neither (0).
    /// scikit-learn's `f1_score(average="macro", labels=[0, 1, 2, 3], zero_division=0)` gives 7/24, too.
    #[test]
    fn f1_macro_of_classes_is_the_mean_over_classes() {
        let (predictions, labels) = (tensor(&[0, 0, 1, 1, 2, 0]), tensor(&[0, 0, 0, 1, 1, 2]));
        assert_eq!(score(Metric::Accuracy, 4, &predictions, &labels), 50.0);
        let found = score(Metric::F1Macro, 4, &predictions, &labels);
        assert!((found - 700.0 / 24.0).abs() < 1e-12, "{found}");
    }
}
