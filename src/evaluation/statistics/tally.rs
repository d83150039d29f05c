//! Scores of resampled test samples, from weighted counts.
//!
//! A resampled test split is the split with a weight per sample: how often its group was drawn. A group is what enters a
//! test split together: a single sample, or several of the same thing, which are not independent evidence (cluster
//! bootstrap: Field and Welsh 2007, "Bootstrapping clustered data"). A score needs nothing but sums of weights over lists
//! of samples: the hits, the predicted and the positive ones.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::evaluation::metrics::f1_macro;
use crate::interrupt::Interrupt;
use crate::random::Stream;
use crate::terms::Metric;

/// A list of samples per class or label.
type Lists = Vec<Vec<u32>>;

/// The labels of the test samples.
#[derive(Clone, Debug)]
pub struct Truth {
    pub metric: Metric,
    /// Per sample: its class (one number), or its labels, possibly none.
    labels: Vec<Vec<u32>>,
    positives: Lists,
    /// Per sample, the number of its group.
    groups: Vec<u32>,
    /// The number of groups.
    units: u64,
}

/// The predictions of a model, compared with the truth.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Samples of a class or label that are predicted as such.
    hits: Lists,
    /// Samples that are predicted as such.
    predicted: Lists,
}

impl Truth {
    /// The labels of each sample, each below `classes`; every sample is a group by itself.
    ///
    /// # Errors
    /// If there are no samples, or a label is out of range.
    pub fn new(metric: Metric, classes: usize, labels: Vec<Vec<u32>>) -> anyhow::Result<Self> {
        anyhow::ensure!(!labels.is_empty(), "there are no test samples to resample");
        let positives = lists(classes, &labels)?;
        let groups: Vec<u32> = (0u32..).take(labels.len()).collect();
        Ok(Truth { metric, positives, units: groups.len() as u64, groups, labels })
    }

    /// The same samples in groups: samples with the same name belong together.
    ///
    /// # Panics
    /// If the number of names is not that of samples.
    pub fn grouped<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let mut groups = Vec::with_capacity(self.labels.len());
        for name in names {
            let next = numbers.len() as u32;
            groups.push(*numbers.entry(name).or_insert(next));
        }
        assert_eq!(groups.len(), self.labels.len(), "a name per sample");
        Truth { units: numbers.len() as u64, groups, ..self }
    }

    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// Counts predictions: the class (one number), or the labels, of each sample.
    ///
    /// # Errors
    /// If they are for another number of samples, or a label is out of range.
    pub fn tally(&self, predictions: &[Vec<u32>]) -> anyhow::Result<Tally> {
        let (expected, found) = (self.labels.len(), predictions.len());
        anyhow::ensure!(found == expected, "expected predictions for {expected} test samples, found {found}");
        let predicted = lists(self.positives.len(), predictions)?;
        let is_hit = |class: usize, sample: &&u32| self.labels[**sample as usize].contains(&(class as u32));
        let hits = predicted.iter().enumerate();
        let hits = hits.map(|(class, list)| list.iter().filter(|sample| is_hit(class, sample)).copied().collect());
        Ok(Tally { hits: hits.collect(), predicted })
    }

    /// The scores of each tally in percent: first of the split as it is, then of `resamples` resamples of it. A resample
    /// depends on its number and on the number of groups alone, so all models see the same ones.
    ///
    /// # Errors
    /// If the run was interrupted.
    pub fn scores(&self, tallies: &[Tally], resamples: u32, interrupt: &Interrupt) -> anyhow::Result<Vec<Vec<f64>>> {
        let scored: Vec<Vec<f64>> = (0..=resamples)
            .into_par_iter()
            .map(|resample| {
                interrupt.check()?;
                let weights = self.weights(u64::from(resample));
                let positives = sums(&self.positives, &weights);
                let drawn: i64 = weights.iter().copied().map(i64::from).sum();
                Ok(tallies.iter().map(|tally| self.score(tally, &weights, &positives, drawn)).collect())
            })
            .collect::<anyhow::Result<_>>()?;
        Ok((0..tallies.len()).map(|tally| scored.iter().map(|scores| scores[tally]).collect()).collect())
    }

    /// How often each sample was drawn. The 0th resample is the split as it is.
    fn weights(&self, resample: u64) -> Vec<u32> {
        if resample == 0 {
            return vec![1; self.samples()];
        }
        let mut drawn = vec![0; self.units as usize];
        let mut stream = Stream::new(resample, &["bootstrap", "test samples"]);
        for _ in 0..self.units {
            drawn[stream.below(self.units) as usize] += 1;
        }
        self.groups.iter().map(|&group| drawn[group as usize]).collect()
    }

    /// `drawn` is the number of drawn samples: groups differ in size.
    fn score(&self, tally: &Tally, weights: &[u32], positives: &[i64], drawn: i64) -> f64 {
        let hits = sums(&tally.hits, weights);
        match self.metric {
            Metric::Accuracy => 100.0 * hits.iter().sum::<i64>() as f64 / drawn as f64,
            Metric::F1Macro => f1_macro(&hits, &sums(&tally.predicted, weights), positives),
        }
    }
}

/// The samples of each class or label.
fn lists(classes: usize, labels: &[Vec<u32>]) -> anyhow::Result<Lists> {
    let mut lists = vec![Vec::new(); classes];
    for (sample, labels) in (0u32..).zip(labels) {
        for &label in labels {
            let list = lists.get_mut(label as usize);
            list.ok_or_else(|| {
                anyhow::anyhow!("test sample {sample}: expected a label below {classes}, found {label}")
            })?
            .push(sample);
        }
    }
    Ok(lists)
}

/// The sum of weights over each list.
fn sums(lists: &Lists, weights: &[u32]) -> Vec<i64> {
    let sum = |list: &Vec<u32>| list.iter().map(|&sample| i64::from(weights[sample as usize])).sum();
    lists.iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::statistics::{mean, sample_std};

    fn one(labels: &[u32]) -> Vec<Vec<u32>> {
        labels.iter().map(|&label| vec![label]).collect()
    }

    fn scores(truth: &Truth, predictions: &[Vec<u32>], resamples: u32) -> Vec<f64> {
        let tally = truth.tally(predictions).unwrap();
        truth.scores(&[tally], resamples, &Interrupt::default()).unwrap().remove(0)
    }

    /// Accuracy of a resample is the share of hits among what was drawn: of one sample it is that of the split; of many
    /// its mean and spread are those of a binomial.
    #[test]
    fn resampled_accuracy_is_binomial() {
        let truth = Truth::new(Metric::Accuracy, 3, one(&[2])).unwrap();
        assert_eq!(scores(&truth, &one(&[2]), 3), [100.0; 4]);
        let labels: Vec<u32> = (0..100).map(|i| i % 3).collect();
        let predicted: Vec<u32> = (0..100).map(|i| if i < 70 { i % 3 } else { (i + 1) % 3 }).collect();
        let truth = Truth::new(Metric::Accuracy, 3, one(&labels)).unwrap();
        let scores = scores(&truth, &one(&predicted), 4000);
        assert_eq!((scores[0], scores.len()), (70.0, 4001));
        let (mean, std) = (mean(&scores[1..]).unwrap(), sample_std(&scores[1..]).unwrap());
        assert!((mean - 70.0).abs() < 0.3, "{mean}");
        assert!((std - (0.7f64 * 0.3).sqrt() * 10.0).abs() < 0.15, "{std}");
    }

    /// As they are, the samples score what the metric scores: label 0 has one hit, one false alarm, one miss (F1 ½);
    /// label 1 is perfect; label 2 never occurs and is never predicted; label 3 is missed.
    #[test]
    fn f1_is_that_of_the_metric() {
        let truth = Truth::new(Metric::F1Macro, 4, vec![vec![0, 1, 3], vec![], vec![0]]).unwrap();
        assert_eq!(scores(&truth, &[vec![0, 1], vec![0], vec![]], 1)[0], 37.5);
    }

    /// Each resample is a score that some multiset of samples has: here, by brute force over all of them.
    #[test]
    fn resampled_f1_is_a_score_of_a_multiset() {
        let labels = [vec![0], vec![1], vec![0, 1]];
        let predicted = [vec![0], vec![0], vec![1]];
        let f1 = |draws: [usize; 3]| {
            let count = |test: &dyn Fn(usize, u32) -> bool| -> Vec<i64> {
                [0, 1].map(|label| draws.iter().filter(|&&i| test(i, label)).count() as i64).to_vec()
            };
            let hits = count(&|i, label| labels[i].contains(&label) && predicted[i].contains(&label));
            f1_macro(
                &hits,
                &count(&|i, label| predicted[i].contains(&label)),
                &count(&|i, label| labels[i].contains(&label)),
            )
        };
        let possible: Vec<f64> = (0..27).map(|i| f1([i % 3, i / 3 % 3, i / 9])).collect();
        let expected = possible.iter().sum::<f64>() / 27.0;
        let truth = Truth::new(Metric::F1Macro, 2, labels.to_vec()).unwrap();
        let scores = scores(&truth, &predicted, 9000);
        assert!(scores.iter().all(|score| possible.iter().any(|other| (score - other).abs() < 1e-9)));
        let mean = mean(&scores[1..]).unwrap();
        assert!((mean - expected).abs() < 1.0, "{mean}, expected {expected}");
    }

    /// Samples of a group come together: what is right in one of two and wrong in the other half of each group has no
    /// spread, and what groups have in common spreads like so many groups. Groups of different sizes are drawn whole.
    #[test]
    fn groups_are_drawn_whole() {
        let names: Vec<String> = (0..200).map(|i| format!("{}", i / 2)).collect();
        let grouped = |labels: &[u32], names: &[String]| {
            let truth = Truth::new(Metric::Accuracy, 2, one(labels)).unwrap();
            truth.grouped(names.iter().map(String::as_str))
        };
        let std = |scores: &[f64]| sample_std(&scores[1..]).unwrap();
        let truth = grouped(&[0; 200], &names);
        let within: Vec<u32> = (0..200).map(|i| i % 2).collect();
        assert!(scores(&truth, &one(&within), 50).iter().all(|score| *score == 50.0));
        let between: Vec<u32> = (0..200).map(|i| i / 2 % 2).collect();
        let scored = scores(&truth, &one(&between), 4000);
        assert_eq!(scored[0], 50.0);
        // Of 100 groups: √(0.25/100) is 5 %; of 200 samples it would be 3.5 %.
        assert!((std(&scored) - 5.0).abs() < 0.25, "{}", std(&scored));
        // One group of one sample that is right, one of three that are wrong: 100, 25 or 0 percent.
        let truth = grouped(&[0; 4], &["a", "b", "b", "b"].map(str::to_owned));
        let scored = scores(&truth, &one(&[0, 1, 1, 1]), 400);
        assert_eq!(scored[0], 25.0);
        assert!([0.0, 25.0, 100.0].iter().all(|possible| scored[1..].contains(possible)), "{scored:?}");
        assert!(scored.iter().all(|score| [0.0, 25.0, 100.0].contains(score)));
    }

    /// The same draws for every model, whatever else is scored, whatever the number of threads and of resamples.
    #[test]
    fn resamples_depend_on_nothing_else() {
        let labels: Vec<u32> = (0..50).map(|i| i % 2).collect();
        let truth = Truth::new(Metric::Accuracy, 2, one(&labels)).unwrap();
        let models: Vec<Tally> = (0..3u32)
            .map(|shift| truth.tally(&one(&labels.iter().map(|l| (l + shift) % 2).collect::<Vec<_>>())).unwrap())
            .collect();
        let all = truth.scores(&models, 20, &Interrupt::default()).unwrap();
        assert_eq!(all[0], all[2]);
        assert_ne!(all[0], all[1]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = pool.install(|| truth.scores(&models[1..2], 33, &Interrupt::default()).unwrap());
        assert_eq!(alone[0][..21], all[1]);
    }

    #[test]
    fn misfits_are_refused() {
        let error = |result: anyhow::Result<Tally>| result.unwrap_err().to_string();
        let truth = Truth::new(Metric::Accuracy, 2, one(&[0, 1])).unwrap();
        assert_eq!(error(truth.tally(&one(&[0]))), "expected predictions for 2 test samples, found 1");
        assert_eq!(error(truth.tally(&one(&[0, 2]))), "test sample 1: expected a label below 2, found 2");
        assert!(Truth::new(Metric::Accuracy, 2, Vec::new()).is_err());
        let stop = Interrupt::default();
        stop.raise();
        assert!(truth.scores(&[], 5, &stop).is_err());
    }
}
