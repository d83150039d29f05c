//! Scores of resampled test samples, from counts with weights.
//!
//! A resampled test split is the split with a weight per sample: how often its group was drawn. A group is what comes into a
//! test split together: a sample by itself, or several of the same thing, which are no independent evidence (cluster
//! bootstrap: Field and Welsh 2007, "Bootstrapping clustered data"). A score needs sums of weights
//! over lists of samples only (who was hit, who was predicted, who is positive), for several resamples at once.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::evaluation::metrics::f1_macro;
use crate::interrupt::Interrupt;
use crate::random::Stream;
use crate::terms::Metric;

/// Resamples that are summed at once.
const LANES: usize = 8;

/// Weights of each sample, one per lane.
type Weights = Vec<[u32; LANES]>;

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
    /// How many groups.
    units: u64,
}

/// What a model predicted, counted against the truth.
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
    /// If there are no samples, or a label is out of range: names it.
    pub fn new(metric: Metric, classes: usize, labels: Vec<Vec<u32>>) -> anyhow::Result<Self> {
        anyhow::ensure!(!labels.is_empty(), "there are no test samples to resample");
        let positives = lists(classes, &labels)?;
        let groups: Vec<u32> = (0u32..).take(labels.len()).collect();
        Ok(Truth { metric, positives, units: groups.len() as u64, groups, labels })
    }

    /// The same samples in groups: samples with the same name come together.
    ///
    /// # Panics
    /// If there are not as many names as samples.
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

    /// The scores of each tally in percent: first of the split as it is, then of so many resamples of it. The resamples
    /// depend on their number and on the number of groups alone, so that they are the same for all models.
    ///
    /// # Errors
    /// If a stop was asked for.
    pub fn scores(&self, tallies: &[Tally], resamples: u32, interrupt: &Interrupt) -> anyhow::Result<Vec<Vec<f64>>> {
        let blocks = (resamples as usize + 1).div_ceil(LANES);
        let scored: Vec<Vec<[f64; LANES]>> = (0..blocks)
            .into_par_iter()
            .map(|block| {
                interrupt.check()?;
                let weights = self.weights(block);
                let positives = sums(&self.positives, &weights);
                let total = sum(0..self.samples() as u32, &weights);
                Ok(tallies.iter().map(|tally| self.score(tally, &weights, &positives, total)).collect())
            })
            .collect::<anyhow::Result<_>>()?;
        let of = |row: usize| {
            scored.iter().flat_map(move |block| block[row]).take(resamples as usize + 1).collect::<Vec<f64>>()
        };
        Ok((0..tallies.len()).map(of).collect())
    }

    /// The weights of some neighbouring resamples. The 0th one is the split as it is.
    fn weights(&self, block: usize) -> Weights {
        let mut drawn = vec![[0; LANES]; self.units as usize];
        for lane in 0..LANES {
            let resample = (block * LANES + lane) as u64;
            if resample == 0 {
                drawn.iter_mut().for_each(|weight| weight[lane] = 1);
                continue;
            }
            let mut stream = Stream::new(resample, &["bootstrap", "test samples"]);
            for _ in 0..self.units {
                drawn[stream.below(self.units) as usize][lane] += 1;
            }
        }
        self.groups.iter().map(|&group| drawn[group as usize]).collect()
    }

    /// `total` is how many samples were drawn: groups differ in size.
    fn score(&self, tally: &Tally, weights: &Weights, positives: &[[u32; LANES]], total: [u32; LANES]) -> [f64; LANES] {
        let hits = sums(&tally.hits, weights);
        match self.metric {
            Metric::Accuracy => std::array::from_fn(|lane| {
                let hits: u64 = hits.iter().map(|class| u64::from(class[lane])).sum();
                100.0 * hits as f64 / f64::from(total[lane])
            }),
            Metric::F1Macro => {
                let predicted = sums(&tally.predicted, weights);
                std::array::from_fn(|lane| {
                    let [hits, predicted, positives] = [&hits[..], &predicted, positives]
                        .map(|counts| counts.iter().map(|class| i64::from(class[lane])).collect::<Vec<i64>>());
                    f1_macro(&hits, &predicted, &positives)
                })
            }
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
fn sums(lists: &Lists, weights: &Weights) -> Vec<[u32; LANES]> {
    lists.iter().map(|list| sum(list.iter().copied(), weights)).collect()
}

fn sum(list: impl IntoIterator<Item = u32>, weights: &Weights) -> [u32; LANES] {
    let mut sum = [0; LANES];
    for sample in list {
        let weight = &weights[sample as usize];
        (0..LANES).for_each(|lane| sum[lane] += weight[lane]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mean = crate::evaluation::statistics::mean(&scores[1..]).unwrap();
        let std = crate::evaluation::statistics::sample_std(&scores[1..]).unwrap();
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
        let mean = crate::evaluation::statistics::mean(&scores[1..]).unwrap();
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
        let std = |scores: &[f64]| crate::evaluation::statistics::sample_std(&scores[1..]).unwrap();
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
    fn what_does_not_fit_is_told() {
        let told = |result: anyhow::Result<Tally>| result.unwrap_err().to_string();
        let truth = Truth::new(Metric::Accuracy, 2, one(&[0, 1])).unwrap();
        assert_eq!(told(truth.tally(&one(&[0]))), "expected predictions for 2 test samples, found 1");
        assert_eq!(told(truth.tally(&one(&[0, 2]))), "test sample 1: expected a label below 2, found 2");
        assert!(Truth::new(Metric::Accuracy, 2, Vec::new()).is_err());
        let stop = Interrupt::default();
        stop.raise();
        assert!(truth.scores(&[], 5, &stop).is_err());
    }
}
