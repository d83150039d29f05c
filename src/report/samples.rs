//! Sample results for tests.

use std::collections::BTreeMap;

use super::SuiteKind;
use super::results::{
    Cell, CellScores, DatasetDescription, MethodDescription, MissingLevel, NoisyScores, Outcome, Provenance, Results,
    SuiteDescription, collect,
};
use super::summary::{BINS, Cosine, CosineSummary, TraceSummary};

pub fn description(kind: SuiteKind, seeds: &[u64]) -> SuiteDescription {
    let dataset = |name: &str, metric: &str| DatasetDescription {
        name: name.into(),
        dataset: name.into(),
        title: name.into(),
        metric: metric.into(),
        fusion: "concat".into(),
        epochs: 20,
        encoders: "lite0-minilm".into(),
        methods: ["baseline", "balgrad", "broken"].map(str::to_owned).to_vec(),
    };
    let method =
        |name: &str, title: &str| MethodDescription { name: name.into(), title: title.into(), source: "here".into() };
    SuiteDescription {
        kind,
        suite: "example".into(),
        arguments: String::new(),
        title: "An example".into(),
        seeds: seeds.to_vec(),
        selection: "last epoch".into(),
        optimizer: "Adam, learning rate 0.001".into(),
        missing: "missing modalities are the feature vector 0".into(),
        noisy: "noisy images have noise, noisy texts lack characters".into(),
        ratios: vec![0.0, 0.5, 1.0],
        datasets: vec![dataset("food_101 & more", "accuracy"), dataset("words", "F1-macro")],
        methods: vec![method("baseline", "Baseline"), method("balgrad", "BalGrad"), method("broken", "Broken")],
    }
}

/// Trains all methods on all datasets.
fn train_all(suite: &mut SuiteDescription) {
    let methods: Vec<String> = suite.methods.iter().map(|method| method.name.clone()).collect();
    suite.datasets.iter_mut().for_each(|dataset| dataset.methods.clone_from(&methods));
}

pub fn scored(full: f64, image: f64, text: f64) -> Outcome {
    let level = |ratio: f64| MissingLevel {
        ratio,
        image: if ratio == 1.0 { image } else { full + ratio * (image - full) },
        text: if ratio == 1.0 { text } else { full + ratio * (text - full) },
    };
    let provenance = Provenance {
        keys: [("train".to_owned(), "abc".to_owned())].into(),
        inputs: [("weights".to_owned(), "def".to_owned())].into(),
        choice: None,
    };
    Outcome::Scored(CellScores {
        full,
        missing: [0.0, 0.5, 1.0].map(level).to_vec(),
        noisy: NoisyScores { image: image + 5.0, text: text + 5.0 },
        trace: None,
        provenance,
    })
}

fn without_noisy_text(mut outcome: Outcome) -> Outcome {
    if let Outcome::Scored(scores) = &mut outcome {
        scores.noisy.text = f64::NAN;
    }
    outcome
}

impl Results {
    /// Restricts the results to these methods, on all datasets.
    pub fn of_methods(&self, methods: &[String]) -> anyhow::Result<Results> {
        let datasets: Vec<String> = self.suite.datasets.iter().map(|dataset| dataset.name.clone()).collect();
        self.restricted(&datasets, methods)
    }
}

/// The results of [`cells`].
pub fn difficult(kind: SuiteKind) -> Results {
    collect(description(kind, &[1, 2]), &cells()).unwrap()
}

/// Cells with everything that can happen: values, a true zero, a NaN in all seeds and in one, a failed seed, a method
/// that did not run.
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut push = |dataset: &str, method: &str, seed: u64, outcome: Outcome| {
        cells.push(Cell { dataset: dataset.into(), method: method.into(), seed, outcome });
    };
    let diverged = || Outcome::Failed { cause: "loss_T is NaN at step 7_000 (epoch 2)".into() };
    for seed in [1, 2] {
        let shift = seed as f64;
        push("food_101 & more", "baseline", seed, scored(50.0 + shift, 20.0 + shift, 40.0));
        push("food_101 & more", "balgrad", seed, scored(55.0, 30.0 + shift, 56.0));
        push("words", "baseline", seed, without_noisy_text(scored(60.0, 0.0, 30.0)));
        push("words", "balgrad", seed, if seed == 1 { scored(f64::NAN, 10.0, 20.0) } else { diverged() });
        push("food_101 & more", "broken", seed, diverged());
        push("words", "broken", seed, Outcome::NotRun { cause: "`fetch words.zip` failed: no network".into() });
    }
    cells
}

/// Results of a realistic size: three datasets, six missing ratios, five seeds, up to seven methods.
pub fn realistic(kind: SuiteKind, methods: usize) -> Results {
    let mut suite = description(kind, &[1, 2, 3, 4, 5]);
    suite.title = "Smoke run on the emoji benchmark".into();
    suite.noisy =
        "noisy images have Gaussian noise of standard deviation 0.5 on the normalised pixels, noisy texts each \
                   character deleted with probability 0.2"
            .into();
    suite.ratios = vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    let dataset = |name: &str, title: &str, metric: &str| DatasetDescription {
        name: name.into(),
        title: title.into(),
        metric: metric.into(),
        ..suite.datasets[0].clone()
    };
    suite.datasets = vec![
        dataset("emoji-subgroup", "Emoji subgroup", "accuracy"),
        dataset("emoji-match", "Emoji match", "accuracy"),
        dataset("emoji-words", "Emoji words", "F1-macro"),
    ];
    let names = ["Baseline", "MSLR", "OGM-GE", "AGM", "BalGrad", "BalGrad w/o projection", "BalGrad w/o KL"];
    let method = |title: &&str| MethodDescription {
        name: title.to_lowercase().replace(' ', "-"),
        title: (*title).into(),
        source: String::new(),
    };
    suite.methods = names[..methods].iter().map(method).collect();
    train_all(&mut suite);
    let mut cells = Vec::new();
    for (d, dataset) in suite.datasets.iter().enumerate() {
        for (m, method) in suite.methods.iter().enumerate() {
            for &seed in &suite.seeds {
                // What varies between seeds, without a generator: a fixed sequence in [-1, 1].
                let noise = ((seed * 7919 + (d * 31 + m * 17) as u64) as f64).sin();
                let (d, m) = (d as f64, m as f64);
                let full = 78.0 - 11.0 * d + 0.8 * m + 0.6 * noise;
                let (image, text) = (22.0 + 9.0 * d + 2.0 * m + noise, 61.0 - 8.0 * d - 0.5 * m - 2.0 * noise);
                let mut outcome = scored(full, image, text);
                if let Outcome::Scored(scores) = &mut outcome {
                    let level = |&ratio: &f64| MissingLevel {
                        ratio,
                        image: full + ratio.powf(1.4) * (image - full),
                        text: full + ratio.powf(1.1) * (text - full),
                    };
                    scores.missing = suite.ratios.iter().map(level).collect();
                }
                cells.push(Cell { dataset: dataset.name.clone(), method: method.name.clone(), seed, outcome });
            }
        }
    }
    collect(suite, &cells).unwrap()
}

/// The summary of a made-up trace: losses that fall over the epochs, cosines around a mean.
pub fn trace(epochs: u32, conflict: Option<f64>, mean: f64, level: f64) -> TraceSummary {
    let curve =
        |start: f64, rate: f64| (0..epochs).map(|epoch| level + start * (-rate * f64::from(epoch)).exp()).collect();
    let weight = |bin: usize| {
        let at = (2.0 * bin as f64 + 1.0) / BINS as f64 - 1.0;
        (400.0 * (-((at - mean) / 0.12).powi(2)).exp()) as u64
    };
    let losses = [("loss_T", 3.0, 0.35), ("loss_v", 2.6, 0.12), ("loss_l", 2.8, 0.3)];
    TraceSummary {
        steps: 100 * epochs as usize,
        conflict,
        cosine: Some(CosineSummary {
            column: Cosine::Update,
            mean: Some(mean),
            undefined: 0,
            histogram: (0..BINS).map(weight).collect(),
        }),
        losses: losses.map(|(name, start, rate)| (name.to_owned(), curve(start, rate))).into(),
    }
}

/// Results with traces: three datasets, five seeds, the baseline (without heads) and three kinds of BalGrad; one cell
/// failed.
pub fn ablation(kind: SuiteKind) -> Results {
    let mut results = realistic(kind, 2);
    let methods = ["Baseline", "BalGrad w/o projection", "BalGrad w/o reweighting", "BalGrad"];
    let names = ["baseline", "balgrad-reweighting", "balgrad-projection", "balgrad"];
    let method = |(name, title): (&str, &str)| MethodDescription {
        name: name.into(),
        title: title.into(),
        source: String::new(),
    };
    results.suite.methods = names.into_iter().zip(methods).map(method).collect();
    train_all(&mut results.suite);
    results.suite.datasets[1].epochs = 10;
    let mut cells = Vec::new();
    for (d, dataset) in results.suite.datasets.iter().enumerate() {
        for (m, method) in names.into_iter().enumerate() {
            for seed in 1..=5 {
                let noise = ((seed * 7919 + (d * 31 + m * 17) as u64) as f64).sin();
                let (at, of) = (d as f64, m as f64);
                let mut outcome =
                    scored(70.0 - 9.0 * at + of + noise, 30.0 + 3.0 * of + noise, 55.0 - 8.0 * at - 2.0 * noise);
                if let Outcome::Scored(scores) = &mut outcome {
                    let conflict = (m > 0).then_some(42.0 - 6.0 * of + 3.0 * noise);
                    let mut trace =
                        trace(dataset.epochs, conflict, 0.02 + 0.07 * of - 0.1 * at, 0.4 + 0.1 * of + 0.08 * noise);
                    if m == 0 {
                        trace.losses = BTreeMap::from([("loss_T".to_owned(), trace.losses["loss_T"].clone())]);
                    }
                    scores.trace = Some(trace);
                }
                if (d, m, seed) == (2, 3, 4) {
                    outcome = Outcome::Failed { cause: "balgrad: `loss_v` is NaN at step 712 (epoch 9)".into() };
                }
                cells.push(Cell { dataset: dataset.name.clone(), method: method.into(), seed, outcome });
            }
        }
    }
    results.suite.ratios = vec![0.0, 0.5, 1.0];
    collect(results.suite, &cells).unwrap()
}
