//! Sample results for tests.

use super::SuiteKind;
use super::comparison::Comparison;
use super::replicates::Level;
use super::results::{
    Cell, CellScores, DatasetDescription, MethodDescription, Outcome, Provenance, Results, SuiteDescription, collect,
    collect_other,
};
use super::summary::{BINS, Cosine, CosineSummary, TraceSummary};
use crate::digest::Digest;
use crate::terms::{Modality, Selection};

fn method(name: &str, title: &str) -> MethodDescription {
    MethodDescription {
        name: name.into(),
        title: title.into(),
        source: "here".into(),
        proposed: title == "BalGrad",
        reading: None,
    }
}

pub fn description(kind: SuiteKind, seeds: &[u64]) -> SuiteDescription {
    let dataset = |name: &str, metric: &str| DatasetDescription {
        name: name.into(),
        dataset: name.into(),
        title: name.into(),
        metric: metric.into(),
        fusion: "concat".into(),
        epochs: 20,
        encoders: "lite0, minilm".into(),
        chance_alone: Vec::new(),
        setting: "Lite0 + MiniLM, joined by concatenation".into(),
        methods: ["baseline", "balgrad", "broken"].map(str::to_owned).to_vec(),
        selections: Vec::new(),
    };
    SuiteDescription {
        kind,
        suite: "example".into(),
        arguments: String::new(),
        title: "An example".into(),
        seeds: seeds.to_vec(),
        selection: "last epoch".into(),
        selected_by_test: false,
        optimizer: "Adam, learning rate 0.001".into(),
        missing: "missing modalities are the feature vector 0".into(),
        noisy: "noisy images have noise, noisy texts lack characters".into(),
        ratios: vec![0.0, 0.5, 1.0],
        datasets: vec![dataset("food_101 & more", "accuracy"), dataset("words", "F1-macro")],
        methods: vec![method("baseline", "Baseline"), method("balgrad", "BalGrad"), method("broken", "Broken")],
    }
}

/// Compiles a LaTeX file of a folder; the log, or none where pdflatex is not installed. CI installs it.
pub fn pdflatex(folder: &std::path::Path, file: &str) -> Option<String> {
    let arguments = ["-interaction=nonstopmode", "-halt-on-error", file];
    let Ok(run) = std::process::Command::new("pdflatex").args(arguments).current_dir(folder).output() else {
        assert!(std::env::var_os("CI").is_none(), "CI installs pdflatex");
        // Not captured, unlike the output of a passing test.
        let skipped = format!("SKIPPED: pdflatex is not installed, so {file} was not compiled\n");
        std::io::Write::write_all(&mut std::io::stderr(), skipped.as_bytes()).unwrap();
        return None;
    };
    let log = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{log}");
    assert!(folder.join(file).with_extension("pdf").exists());
    Some(log)
}

/// Trains all methods on all datasets.
fn train_all(suite: &mut SuiteDescription) {
    let methods: Vec<String> = suite.methods.iter().map(|method| method.name.clone()).collect();
    suite.datasets.iter_mut().for_each(|dataset| dataset.methods.clone_from(&methods));
}

pub fn scored(full: f64, image: f64, text: f64) -> Outcome {
    outcome(&[0.0, 0.5, 1.0], |level| match level {
        Level::Full => full,
        Level::Missing(Modality::Image, 1.0) => image,
        Level::Missing(Modality::Text, 1.0) => text,
        Level::Missing(Modality::Image, ratio) => full + ratio * (image - full),
        Level::Missing(Modality::Text, ratio) => full + ratio * (text - full),
        Level::Noisy(Modality::Image) => image + 5.0,
        Level::Noisy(Modality::Text) => text + 5.0,
    })
}

/// Scores at these missing ratios.
fn outcome(ratios: &[f64], score: impl Fn(Level) -> f64) -> Outcome {
    let provenance = Provenance {
        keys: [("train".to_owned(), Digest::of(b"train"))].into_iter().collect(),
        inputs: [("weights".to_owned(), Digest::of(b"weights"))].into_iter().collect(),
        choice: None,
        computed_by: [].into(),
    };
    Outcome::Scored(CellScores {
        levels: Level::all(ratios).into_iter().map(|level| (level, score(level))).collect(),
        trace: None,
        provenance,
    })
}

/// The same scores without one of them.
pub fn without(mut outcome: Outcome, level: Level) -> Outcome {
    if let Outcome::Scored(scores) = &mut outcome {
        scores.levels.iter_mut().filter(|(known, _)| *known == level).for_each(|(_, score)| *score = f64::NAN);
    }
    outcome
}

impl Results {
    /// Restricts the results to these datasets and methods, in this order: what a table or figure of them would be made of.
    pub fn restricted(&self, datasets: &[&str], methods: &[&str]) -> anyhow::Result<Results> {
        let [datasets, methods] =
            [datasets, methods].map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut results =
            Results { suite: self.suite.restricted(&datasets, &methods)?.without_choices(), ..self.clone() };
        let shown = |pair: &Comparison| {
            datasets.contains(&pair.dataset) && methods.contains(&pair.method) && methods.contains(&pair.other)
        };
        results.comparisons.pairs.retain(shown);
        results.comparisons.correct();
        results.numbers.retain(|number| datasets.contains(&number.dataset) && methods.contains(&number.method));
        results.cells.retain(|cell| datasets.contains(&cell.dataset) && methods.contains(&cell.method));
        results.other_selections.clear();
        Ok(results)
    }

    /// Restricts the results to these methods, on all datasets.
    pub fn of_methods(&self, methods: &[&str]) -> anyhow::Result<Results> {
        let datasets: Vec<&str> = self.suite.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
        self.restricted(&datasets, methods)
    }
}

/// The results of [`cells`].
pub fn difficult(kind: SuiteKind) -> Results {
    collect(description(kind, &[1, 2]), cells()).unwrap()
}

/// The results of [`cells`], of whose first dataset another selection is known: two points above the suite's in every score.
pub fn compared(kind: SuiteKind) -> Results {
    let (mut suite, mut cells) = (description(kind, &[1, 2]), cells());
    suite.datasets[0].selections = vec![Selection::Last, Selection::BestTest];
    let mut results = collect(suite, &cells).unwrap();
    cells.retain(|cell| cell.dataset == results.suite.datasets[0].name);
    for cell in &mut cells {
        if let Outcome::Scored(scores) = &mut cell.outcome {
            scores.levels.iter_mut().for_each(|(_, score)| *score += 2.0);
        }
    }
    results.other_selections = vec![collect_other(&results.suite, Selection::BestTest, &cells, Vec::new()).unwrap()];
    results
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
        push("words", "baseline", seed, without(scored(60.0, 0.0, 30.0), Level::Noisy(Modality::Text)));
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
    suite.methods =
        names[..methods].iter().map(|title| method(&title.to_lowercase().replace(' ', "-"), title)).collect();
    train_all(&mut suite);
    let cells = train(&suite, |(d, m), _, noise| {
        let (d, m) = (d as f64, m as f64);
        let full = 78.0 - 11.0 * d + 0.8 * m + 0.6 * noise;
        let (image, text) = (22.0 + 9.0 * d + 2.0 * m + noise, 61.0 - 8.0 * d - 0.5 * m - 2.0 * noise);
        outcome(&suite.ratios, |level| match level {
            Level::Full => full,
            Level::Missing(Modality::Image, ratio) => full + ratio.powf(1.4) * (image - full),
            Level::Missing(Modality::Text, ratio) => full + ratio.powf(1.1) * (text - full),
            Level::Noisy(Modality::Image) => image + 5.0,
            Level::Noisy(Modality::Text) => text + 5.0,
        })
    });
    collect(suite, &cells).unwrap()
}

/// A cell per dataset, method and seed. `outcome` is given the positions of dataset and method, the seed, and what varies
/// between seeds, without a generator: a fixed sequence in [-1, 1].
fn train(suite: &SuiteDescription, outcome: impl Fn((usize, usize), u64, f64) -> Outcome) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (d, dataset) in suite.datasets.iter().enumerate() {
        for (m, method) in suite.methods.iter().enumerate() {
            for &seed in &suite.seeds {
                let noise = ((seed * 7919 + (d * 31 + m * 17) as u64) as f64).sin();
                let outcome = outcome((d, m), seed, noise);
                cells.push(Cell { dataset: dataset.name.clone(), method: method.name.clone(), seed, outcome });
            }
        }
    }
    cells
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
        losses: losses.map(|(name, start, rate)| (name.to_owned(), curve(start, rate))).into_iter().collect(),
    }
}

/// Results with traces: three datasets, five seeds, the baseline (without heads) and three kinds of BalGrad; one cell
/// failed.
pub fn ablation(kind: SuiteKind) -> Results {
    let mut results = realistic(kind, 2);
    let methods = ["Baseline", "BalGrad w/o projection", "BalGrad w/o reweighting", "BalGrad"];
    let names = ["baseline", "balgrad-reweighting", "balgrad-projection", "balgrad"];
    results.suite.methods = names.into_iter().zip(methods).map(|(name, title)| method(name, title)).collect();
    train_all(&mut results.suite);
    results.suite.datasets[1].epochs = 10;
    results.suite.ratios = vec![0.0, 0.5, 1.0];
    let cells = train(&results.suite, |(d, m), seed, noise| {
        if (d, m, seed) == (2, 3, 4) {
            return Outcome::Failed { cause: "balgrad: `loss_v` is NaN at step 712 (epoch 9)".into() };
        }
        let (at, of) = (d as f64, m as f64);
        let mut outcome = scored(70.0 - 9.0 * at + of + noise, 30.0 + 3.0 * of + noise, 55.0 - 8.0 * at - 2.0 * noise);
        if let Outcome::Scored(scores) = &mut outcome {
            let conflict = (m > 0).then_some(42.0 - 6.0 * of + 3.0 * noise);
            let epochs = results.suite.datasets[d].epochs;
            let mut trace = trace(epochs, conflict, 0.02 + 0.07 * of - 0.1 * at, 0.4 + 0.1 * of + 0.08 * noise);
            if m == 0 {
                trace.losses.retain(|name, _| name == "loss_T");
            }
            scores.trace = Some(trace);
        }
        outcome
    });
    collect(results.suite, &cells).unwrap()
}
