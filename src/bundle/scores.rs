//! Scores from predictions and labels, without tensors: an independent check of an evaluation.

use anyhow::{Context, ensure};
use safetensors::{Dtype, SafeTensors};

use crate::datasets::Sample;
use crate::evaluation::metrics::{f1_macro, f1_macro_of_classes};
use crate::steps::evaluate::{Level, Scores};
use crate::steps::prepare::About;
use crate::terms::{Metric, TaskKind};

/// Compares the score of each level with the one that follows from its predictions.
///
/// # Returns
/// A message for each level whose score differs.
///
/// # Errors
/// If a file is malformed, or scores, predictions and samples do not belong together.
pub fn differing(
    scores: &Scores,
    predictions: &[u8],
    about: &About,
    samples: &[Sample],
) -> anyhow::Result<Vec<String>> {
    let file = SafeTensors::deserialize(predictions).context("the predictions should be a safetensors file")?;
    ensure!(scores.samples == samples.len(), "{} scores for {} samples", scores.samples, samples.len());
    let mut differing = Vec::new();
    for level in &scores.levels {
        let name = name(level);
        let numbers = numbers(&file, &name)?;
        let found = score(about, samples, &numbers).with_context(|| format!("the predictions `{name}`"))?;
        // Sums have the same order as in the evaluation, so the numbers are equal to the bit.
        if found != level.score {
            differing.push(format!("`{name}` is {}, but its predictions give {found}", level.score));
        }
    }
    Ok(differing)
}

/// The name of a level's predictions.
fn name(level: &Level) -> String {
    match (level.modality, level.ratio) {
        (None, _) => "full".to_owned(),
        (Some(modality), Some(ratio)) => format!("missing {} {ratio}", modality.name()),
        (Some(modality), None) => format!("noisy {}", modality.name()),
    }
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> anyhow::Result<Vec<i64>> {
    let view = file.tensor(name).with_context(|| format!("there are no predictions `{name}`"))?;
    match view.dtype() {
        Dtype::U8 => Ok(view.data().iter().map(|&number| i64::from(number)).collect()),
        Dtype::I32 => {
            let numbers = view.data().as_chunks().0;
            Ok(numbers.iter().map(|&bytes| i64::from(i32::from_le_bytes(bytes))).collect())
        }
        other => anyhow::bail!("the predictions `{name}` should be uint8 or int32, are {other:?}"),
    }
}

/// In percent.
fn score(about: &About, samples: &[Sample], predictions: &[i64]) -> anyhow::Result<f64> {
    let one_each = || {
        ensure!(predictions.len() == samples.len(), "{} for {} samples", predictions.len(), samples.len());
        Ok(())
    };
    match about.metric() {
        Metric::Accuracy => {
            one_each()?;
            let is_hit = |(sample, predicted): &(&Sample, &i64)| {
                sample.labels.first().map(|&l| i64::from(l)) == Some(**predicted)
            };
            let hits = samples.iter().zip(predictions).filter(is_hit).count();
            Ok(100.0 * hits as f64 / samples.len() as f64)
        }
        Metric::F1Macro if about.task != TaskKind::Multilabel => {
            one_each()?;
            let classes = about.classes.len();
            let truth = samples.iter().map(|sample| sample.labels.first().map(|&label| i64::from(label)));
            let truth: Vec<i64> = truth.collect::<Option<_>>().context("a sample has no class")?;
            let is_class = |number: &i64| (0..classes as i64).contains(number);
            ensure!(predictions.iter().chain(&truth).all(is_class), "a class should be below {classes}");
            ensure!(!truth.is_empty(), "there are no samples");
            Ok(f1_macro_of_classes(classes, predictions, &truth))
        }
        Metric::F1Macro => {
            let labels = about.classes.len();
            ensure!(predictions.len() == samples.len() * labels, "{} of {labels} labels", predictions.len());
            let [mut hits, mut predicted, mut positives] = [(); 3].map(|()| vec![0i64; labels]);
            for (sample, row) in samples.iter().zip(predictions.chunks_exact(labels)) {
                for (label, &on) in row.iter().enumerate() {
                    let truth = sample.labels.contains(&(label as u32));
                    predicted[label] += on;
                    positives[label] += i64::from(truth);
                    hits[label] += if truth { on } else { 0 };
                }
            }
            Ok(f1_macro(&hits, &predicted, &positives))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::tensor::TensorView;

    use super::*;
    use crate::terms::Modality;

    fn sample(labels: &[u32]) -> Sample {
        Sample { id: String::new(), picture: 0, text: 0, labels: labels.to_vec() }
    }

    fn about(task: TaskKind, classes: usize) -> About {
        let classes = (0..classes).map(|class| class.to_string()).collect();
        About {
            task,
            classes,
            samples: BTreeMap::new(),
            dropped: BTreeMap::new(),
            found: BTreeMap::new(),
            metric: None,
        }
    }

    fn file(name: &str, kind: Dtype, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
        safetensors::serialize([(name, TensorView::new(kind, shape.to_vec(), bytes).unwrap())], None).unwrap()
    }

    fn scores(modality: Option<Modality>, ratio: Option<f64>, samples: usize, score: f64) -> Scores {
        Scores { metric: String::new(), samples, levels: vec![Level { modality, ratio, impaired: 0, score }] }
    }

    #[test]
    fn accuracy_is_counted_again() {
        let about = about(TaskKind::Multiclass, 3);
        let samples = [sample(&[0]), sample(&[1]), sample(&[2]), sample(&[1])];
        let predictions = file("full", Dtype::U8, &[4], &[0, 1, 2, 0]);
        assert_eq!(differing(&scores(None, None, 4, 75.0), &predictions, &about, &samples).unwrap(), [""; 0]);
        let found = differing(&scores(None, None, 4, 76.0), &predictions, &about, &samples).unwrap();
        assert_eq!(found, ["`full` is 76, but its predictions give 75"]);
        assert!(differing(&scores(None, None, 3, 75.0), &predictions, &about, &samples[..3]).is_err());
        assert!(differing(&scores(Some(Modality::Text), None, 4, 75.0), &predictions, &about, &samples).is_err());
    }

    /// The example of the metric's own test: ½, 1, 0 and 0.
    #[test]
    fn f1_macro_is_counted_again() {
        let about = about(TaskKind::Multilabel, 4);
        let samples = [sample(&[0, 1, 3]), sample(&[]), sample(&[0])];
        let bytes: Vec<u8> = [1i32, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let predictions = file("missing image 0.5", Dtype::I32, &[3, 4], &bytes);
        let scores = scores(Some(Modality::Image), Some(0.5), 3, 37.5);
        assert_eq!(differing(&scores, &predictions, &about, &samples).unwrap(), [""; 0]);
    }

    /// The second example of the metric's own test, with classes; an unknown class is an error.
    #[test]
    fn f1_macro_of_classes_is_counted_again() {
        let about = About { metric: Some(Metric::F1Macro), ..about(TaskKind::Multiclass, 4) };
        let samples = [0, 0, 0, 1, 1, 2].map(|class| sample(&[class]));
        let found = |bytes: &[u8], score: f64| {
            let predictions = file("full", Dtype::U8, &[6], bytes);
            differing(&scores(None, None, 6, score), &predictions, &about, &samples)
        };
        let score = 100.0 * (2.0 * 2.0 / 6.0 + 2.0 / 4.0) / 4.0;
        assert_eq!(found(&[0, 0, 1, 1, 2, 0], score).unwrap(), [""; 0]);
        assert_eq!(found(&[0, 0, 1, 1, 2, 0], 50.0).unwrap().len(), 1);
        assert!(found(&[0, 0, 1, 1, 2, 4], score).is_err());
    }
}
