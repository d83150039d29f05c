//! Scores of predictions, in percent; higher is better.

use tch::{Device, Kind, Tensor};

use crate::model::task::Task;
pub use crate::terms::Metric;

/// The task's score of logits [n, C] against labels as [`Task::labels`] gives them, in percent.
pub fn score(task: &Task, logits: &Tensor, labels: &Tensor) -> f64 {
    score_of_predictions(task, &task.predict(logits), labels)
}

/// The task's score of predictions as [`Task::predict`] gives them, in percent.
///
/// # Panics
/// If there are no samples.
pub fn score_of_predictions(task: &Task, predictions: &Tensor, labels: &Tensor) -> f64 {
    let truth = labels.to_kind(Kind::Int64).view_as(predictions);
    match task.metric {
        Metric::Accuracy => {
            let n = predictions.size()[0];
            assert!(n > 0, "a score of no samples");
            let hits = predictions.eq_tensor(&truth).sum(Kind::Int64).int64_value(&[]);
            100.0 * hits as f64 / n as f64
        }
        Metric::F1Macro if predictions.dim() == 1 => {
            let numbers = |classes: &Tensor| -> Vec<i64> {
                Vec::try_from(classes.to_device(Device::Cpu)).expect("a vector of int64")
            };
            f1_macro_of_classes(task.classes(), &numbers(predictions), &numbers(&truth))
        }
        Metric::F1Macro => {
            let counts = |both: Tensor| -> Vec<i64> {
                let sums = both.sum_dim_intlist([0].as_slice(), false, Kind::Int64).to_device(Device::Cpu);
                Vec::try_from(sums).expect("a vector of int64")
            };
            let positives = counts(truth.shallow_clone());
            let predicted = counts(predictions.shallow_clone());
            let hits = counts(predictions * &truth);
            f1_macro(&hits, &predicted, &positives)
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
    use crate::model::task::BinaryHead;
    use crate::terms::TaskKind;

    #[test]
    fn accuracy_counts_hits() {
        let task = Task::new(TaskKind::Multiclass, 3, BinaryHead::TwoLogits);
        let logits = Tensor::from_slice(&[9.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0]).view([4, 3]);
        let labels = Tensor::from_slice(&[0i64, 1, 2, 1]);
        assert_eq!(score(&task, &logits, &labels), 75.0);
    }

    /// By hand: label 0 has one hit, one false alarm, one miss (F1 ½); label 1 is perfect; label 2 never occurs and is
    /// never predicted (0 by our rule); label 3 is missed (0).
    #[test]
    fn f1_macro_is_the_mean_over_labels() {
        let task = Task::new(TaskKind::Multilabel, 4, BinaryHead::TwoLogits);
        let logits = Tensor::from_slice(&[1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0f64]);
        let labels = Tensor::from_slice(&[1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0f64]);
        assert_eq!(score(&task, &logits.view([3, 4]), &labels.view([3, 4])), 37.5);
    }

    #[test]
    fn a_single_logit_is_scored_by_accuracy() {
        let task = Task::new(TaskKind::Binary, 2, BinaryHead::SingleLogit);
        let labels = task.labels(&[vec![1], vec![0], vec![1], vec![0]], Kind::Float);
        let logits = Tensor::from_slice(&[2.0f32, -1.0, -3.0, -0.5]).view([4, 1]);
        assert_eq!(score(&task, &logits, &labels), 75.0);
    }

    /// By hand, of the truth 0 0 0 1 1 2 and the predictions 0 0 1 1 2 0: class 0 has two hits of three and a false alarm
    /// (F1 2/3), class 1 one hit of two and a false alarm (1/2), class 2 no hit (0); class 3 occurs in neither (0). Of the
    /// same numbers scikit-learn's `f1_score(average="macro", labels=[0, 1, 2, 3], zero_division=0)` makes 7/24.
    #[test]
    fn f1_macro_of_classes_is_the_mean_over_classes() {
        let task = Task::new(TaskKind::Multiclass, 4, BinaryHead::TwoLogits);
        let predictions = Tensor::from_slice(&[0i64, 0, 1, 1, 2, 0]);
        let labels = Tensor::from_slice(&[0i64, 0, 0, 1, 1, 2]);
        assert_eq!(score_of_predictions(&task, &predictions, &labels), 50.0);
        let task = task.scored_by(Metric::F1Macro);
        let found = score_of_predictions(&task, &predictions, &labels);
        assert!((found - 700.0 / 24.0).abs() < 1e-12, "{found}");
        // Both classes of a single logit count: its F1 is 1/2 for each.
        let task = Task::new(TaskKind::Binary, 2, BinaryHead::SingleLogit).scored_by(Metric::F1Macro);
        let labels = task.labels(&[vec![1], vec![0], vec![1], vec![0]], Kind::Float);
        let logits = Tensor::from_slice(&[2.0f32, -1.0, -3.0, 0.5]).view([4, 1]);
        assert_eq!(score(&task, &logits, &labels), 50.0);
    }
}
