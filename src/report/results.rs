//! The results of a suite: every number with its seeds, its statistics, and where it came from.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::SuiteKind;
use super::comparison::{Comparison, Comparisons, Values};
pub use super::quantity::{Quantity, QuantityDescription};
use super::replicates::{CellReplicates, Level, MethodReplicates, Replicates};
use super::summary::TraceSummary;
use crate::digest::Digest;
use crate::evaluation::robustness::is_negative_transfer;
use crate::evaluation::statistics::bootstrap::{Estimate, Interval, Seeds};
use crate::evaluation::statistics::{mean, sample_std};
use crate::map::Map;
use crate::terms::{Modality, Selection};

/// Describes a suite, for captions and for readers of `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteDescription {
    #[serde(rename = "type")]
    pub kind: SuiteKind,
    pub suite: String,
    /// What follows the suite's name on the command line, such as ` --subset 24`; may be empty.
    #[serde(default)]
    pub arguments: String,
    pub title: String,
    pub seeds: Vec<u64>,
    /// Which epoch's weights are evaluated.
    pub selection: String,
    /// Whether the test split selected it: then claims get no verdicts.
    #[serde(skip_serializing_if = "is_false", default)]
    pub selected_by_test: bool,
    pub optimizer: String,
    /// What a missing modality is.
    pub missing: String,
    /// What a noisy modality is.
    pub noisy: String,
    /// Missing ratios r in ascending order; the last one is 1.
    pub ratios: Vec<f64>,
    pub datasets: Vec<DatasetDescription>,
    pub methods: Vec<MethodDescription>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetDescription {
    /// Unique in the suite.
    pub name: String,
    /// The data it reads. Datasets of a suite may differ only in encoders or fusion.
    pub dataset: String,
    pub title: String,
    /// `accuracy` or `F1-macro`, in percent.
    pub metric: String,
    pub fusion: String,
    pub epochs: u32,
    pub encoders: String,
    /// The modalities that alone are at chance, by construction of the dataset.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub chance_alone: Vec<Modality>,
    /// Its encoders and fusion as figures name them, such as `ViT + BERT, joined by concatenation`.
    #[serde(default)]
    pub setting: String,
    /// The names of the methods that are trained on it.
    pub methods: Vec<String>,
    /// The selections of the epoch that are compared, the one that tables show first; empty if there is only that one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub selections: Vec<Selection>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodDescription {
    pub name: String,
    pub title: String,
    /// Where it was published.
    pub source: String,
    /// Whether it is the method that the paper proposes. Figures draw it as the strongest.
    #[serde(default)]
    pub proposed: bool,
    /// What it reads differently, if it is a method under another name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reading: Option<Reading>,
}

/// A reading of what the paper leaves open: a method with other settings, trained under a name of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The name of the method that it is a reading of.
    pub method: String,
    /// Its settings, as a suite writes them.
    pub settings: Vec<String>,
}

/// One training and its scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub dataset: String,
    pub method: String,
    pub seed: u64,
    pub outcome: Outcome,
}

impl Cell {
    fn trace(&self) -> Option<&TraceSummary> {
        match &self.outcome {
            Outcome::Scored(scores) => scores.trace.as_ref(),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Scored(CellScores),
    Failed { cause: String },
    NotRun { cause: String },
}

/// Scores in percent.
#[derive(Clone, Debug, PartialEq)]
pub struct CellScores {
    /// The score at each level; NaN where its evaluation gave none.
    pub levels: Vec<(Level, f64)>,
    /// The summary of its training; `None` without a trace.
    pub trace: Option<TraceSummary>,
    pub provenance: Provenance,
}

impl CellScores {
    /// The value of a quantity, at a missing ratio where it has one.
    fn quantity(&self, quantity: Quantity, ratio: f64, ratios: &[f64]) -> Option<f64> {
        if quantity == Quantity::Conflict {
            return self.trace.as_ref().and_then(|trace| trace.conflict);
        }
        let score = |level: Level| Some(self.levels.iter().find(|(known, _)| *known == level)?.1);
        let scores: Vec<f64> = quantity.levels(ratio, ratios)?.into_iter().map(score).collect::<Option<_>>()?;
        Some(quantity.from(&scores, ratios))
    }
}

/// Where a cell's scores came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Step → its key in the store.
    pub keys: Map<Digest>,
    /// Input → SHA-256 of its content.
    pub inputs: Map<Digest>,
    /// For a method whose options were swept: the candidates with their scores on the validation split, and the chosen
    /// one, as the choosing step wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub choice: Option<Box<serde_json::Value>>,
    /// The kinds of processors behind its scores, in the words of `seesaw explain`; empty if one kind computed everything.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub computed_by: BTreeSet<String>,
}

/// One number of the suite: a quantity of a method on a dataset, over the seeds. Avg and ΔGap are formed per seed and
/// then averaged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Number {
    pub dataset: String,
    pub method: String,
    pub quantity: Quantity,
    /// The missing ratio r, for quantities of missing modalities.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ratio: Option<f64>,
    /// The mean over the seeds that gave a number.
    pub mean: Option<f64>,
    /// Their sample standard deviation; `None` for fewer than two.
    pub std: Option<f64>,
    /// The 95 % interval over seeds and, if they were resampled, test samples; `None` for fewer than two seeds.
    pub interval: Option<Interval>,
    /// The standard error behind the interval, its degrees of freedom, and the part that is due to the choice of test
    /// samples: see [`crate::evaluation::statistics::bootstrap`].
    #[serde(default)]
    pub error: Option<f64>,
    #[serde(default)]
    pub df: Option<f64>,
    #[serde(default)]
    pub sample_error: Option<f64>,
    /// How many seeds gave a number.
    pub n: usize,
    /// The mean lies above the mean of the full score.
    pub negative_transfer: bool,
    pub seeds: Vec<SeedValue>,
}

impl Number {
    /// The values of the seeds that have one.
    pub(super) fn values(&self) -> Values {
        self.seeds.iter().filter_map(|seed| Some((seed.seed, seed.value.number()?))).collect()
    }

    /// Adds the uncertainty of the mean.
    fn add(&mut self, estimate: &Estimate) {
        // A percentage lies between 0 and 100, however wide few seeds make the interval.
        let bounded = |interval: Interval| match self.quantity.is_percentage() {
            true => Interval { low: interval.low.max(0.0), high: interval.high.min(100.0), ..interval },
            false => interval,
        };
        self.interval = estimate.interval.map(bounded);
        (self.error, self.df, self.sample_error) = (estimate.error, estimate.df, estimate.sample_error);
    }

    /// The mean with its uncertainty; `None` if no seed gave a number.
    pub fn estimate(&self) -> Option<Estimate> {
        let Number { mean, std, interval, error, df, sample_error, n, .. } = self;
        Some(Estimate {
            n: *n,
            mean: (*mean)?,
            std: *std,
            error: *error,
            df: *df,
            sample_error: *sample_error,
            interval: *interval,
        })
    }
}

/// The number of one seed, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedValue {
    pub seed: u64,
    #[serde(flatten)]
    pub value: Status,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    Value { value: f64 },
    NotANumber,
    Failed { cause: String },
    NotRun { cause: String },
}

impl Status {
    pub fn number(&self) -> Option<f64> {
        match self {
            Status::Value { value } => Some(*value),
            _ => None,
        }
    }

    /// How a seed without a number ended; none for a number.
    pub(in crate::report) fn in_a_word(&self) -> Option<&'static str> {
        match self {
            Status::Value { .. } => None,
            Status::NotANumber => Some("not a number"),
            Status::Failed { .. } => Some("failed"),
            Status::NotRun { .. } => Some("not run"),
        }
    }

    /// Why there is no number.
    pub(in crate::report) fn cause(&self) -> Option<String> {
        let one_line = |cause: &str| cause.lines().next().unwrap_or_default().to_owned();
        match self {
            Status::Value { .. } => None,
            Status::NotANumber => Some("the score is not a number".to_owned()),
            Status::Failed { cause } => Some(format!("failed: {}", one_line(cause))),
            Status::NotRun { cause } => Some(format!("not run: {}", one_line(cause))),
        }
    }
}

/// The version of the layout of [`Results`].
pub const SCHEMA: u32 = 5;

/// All results of a suite: the content of `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of this layout, [`SCHEMA`].
    pub schema: u32,
    #[serde(flatten)]
    pub suite: SuiteDescription,
    pub estimator: String,
    pub quantities: Vec<QuantityDescription>,
    pub numbers: Vec<Number>,
    /// Differences between methods, and their significance.
    pub comparisons: Comparisons,
    /// How each cell was trained.
    pub cells: Vec<CellRecord>,
    /// The numbers of other selections of the epoch. No claim, comparison or mark uses them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub other_selections: Vec<OtherSelection>,
}

/// The numbers of another selection of the epoch, from the same trainings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherSelection {
    pub selection: Selection,
    /// The same in words.
    pub description: String,
    /// Intervals are over seeds alone; missing ratios are 1.
    pub numbers: Vec<Number>,
    pub cells: Vec<SelectedCell>,
}

/// The epoch that another selection kept of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectedCell {
    pub dataset: String,
    pub method: String,
    pub seed: u64,
    /// Counted from 1.
    pub epoch: u32,
    /// The score in percent by which it was selected; none for the last epoch.
    pub score: Option<f64>,
    pub provenance: Provenance,
}

/// How a cell was trained, and where its scores came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    pub dataset: String,
    pub method: String,
    pub seed: u64,
    pub trace: Option<TraceSummary>,
    pub provenance: Provenance,
}

/// Collects cells whose predictions were not resampled; see [`collect_with`].
///
/// # Errors
/// See [`collect_with`].
pub fn collect<'a>(suite: SuiteDescription, cells: impl Into<Cow<'a, [Cell]>>) -> anyhow::Result<Results> {
    collect_with(suite, cells, &Replicates::default())
}

/// Collects cells into results, in the order of the suite's datasets, methods and seeds. A cell that is not given
/// counts as not run.
///
/// # Errors
/// If a cell is not part of the suite or given twice, since its scores would be dropped silently; if resampled scores
/// do not match the scores.
pub fn collect_with<'a>(
    suite: SuiteDescription,
    cells: impl Into<Cow<'a, [Cell]>>,
    replicates: &Replicates,
) -> anyhow::Result<Results> {
    let cells = cells.into();
    check(&suite, &cells)?;
    let outcomes: BTreeMap<(&str, &str, u64), &Outcome> =
        cells.iter().map(|cell| ((&*cell.dataset, &*cell.method, cell.seed), &cell.outcome)).collect();
    let (mut numbers, mut pairs) = (Vec::new(), Vec::new());
    for dataset in &suite.datasets {
        let first = numbers.len();
        for method in suite.methods.iter().filter(|method| dataset.methods.contains(&method.name)) {
            let of = |seed: &u64| (*seed, outcomes.get(&(&*dataset.name, &*method.name, *seed)).copied());
            let mine: Vec<(u64, Option<&Outcome>)> = suite.seeds.iter().map(of).collect();
            // Any trace of a method shows whether it has KL gradients that can conflict.
            let has_conflicts = || {
                let mut traces = cells.iter().filter(|cell| cell.method == method.name).filter_map(Cell::trace);
                traces.any(|trace| trace.conflict.is_some())
            };
            let mut full = None;
            for quantity in Quantity::ALL {
                let ratios = match quantity {
                    Quantity::Conflict if !has_conflicts() => vec![],
                    quantity if quantity != Quantity::Conflict && quantity.levels(1.0, &suite.ratios).is_none() => {
                        vec![]
                    }
                    quantity if quantity.is_missing() => suite.ratios.iter().copied().map(Some).collect(),
                    _ => vec![None],
                };
                for ratio in ratios {
                    let mut number = number((&dataset.name, &method.name), quantity, ratio, &mine, &suite.ratios);
                    let full = *full.get_or_insert(number.mean);
                    number.negative_transfer = quantity.can_be_negative_transfer()
                        && number.mean.zip(full).is_some_and(|(impaired, full)| is_negative_transfer(impaired, full));
                    numbers.push(number);
                }
            }
        }
        pairs.extend(compared(&mut numbers[first..], &suite.ratios, replicates)?);
    }
    let record = |Cell { dataset, method, seed, outcome }: Cell| match outcome {
        Outcome::Scored(CellScores { trace, provenance, .. }) => {
            Some(CellRecord { dataset, method, seed, trace, provenance })
        }
        _ => None,
    };
    Ok(Results {
        schema: SCHEMA,
        estimator: "mean ± sample standard deviation over seeds; Avg and ΔGap are formed per seed".into(),
        quantities: Quantity::ALL.map(QuantityDescription::from).to_vec(),
        comparisons: Comparisons::of(pairs),
        numbers,
        cells: cells.into_owned().into_iter().filter_map(record).collect(),
        other_selections: Vec::new(),
        suite,
    })
}

/// Adds the uncertainty of their means to the numbers of a dataset, and compares them: any two methods in a quantity, and a
/// method's full score with its impaired ones, at missing ratio 1.
fn compared(numbers: &mut [Number], ratios: &[f64], replicates: &Replicates) -> anyhow::Result<Vec<Comparison>> {
    let is_compared = |one: &Number, other: &Number| {
        let of_full = one.quantity == Quantity::Full && other.quantity.can_be_negative_transfer();
        [one, other].iter().all(|number| number.ratio.is_none_or(|ratio| ratio == 1.0))
            && if one.method == other.method { of_full } else { one.quantity == other.quantity }
    };
    let places = 0..numbers.len();
    let mut pairs: Vec<([usize; 2], Seeds)> = places
        .clone()
        .flat_map(|one| (one + 1..places.end).map(move |other| [one, other]))
        .filter(|[one, other]| is_compared(&numbers[*one], &numbers[*other]))
        .map(|pair| (pair, Seeds::default()))
        .collect();
    let resampled: Vec<_> = numbers.iter().map(|number| resamples(number, ratios, replicates)).collect();
    let mut alone = vec![Seeds::default(); numbers.len()];
    for seed in 0..numbers.first().map_or(0, |number| number.seeds.len()) {
        let mut known = BTreeMap::new();
        let mut values: Vec<Option<Vec<f64>>> = Vec::new();
        for (number, (resampled, sum)) in numbers.iter().zip(resampled.iter().zip(&mut alone)) {
            let it = &number.seeds[seed];
            let of_seed = match (it.value.number(), resampled) {
                (None, _) => None,
                (Some(value), None) => Some(vec![value]),
                (Some(value), Some((levels, of_method))) => {
                    if !known.contains_key(&number.method) {
                        let place = || format!("the resampled scores of {} on {}", number.method, number.dataset);
                        known.insert(&number.method, of_method.read(it.seed).with_context(place)?);
                    }
                    Some(of_resamples(number, (it.seed, value), levels, &known[&number.method], ratios)?)
                }
            };
            if let Some(values) = &of_seed {
                sum.add(values);
            }
            values.push(of_seed);
        }
        for ([one, other], sum) in &mut pairs {
            if let (Some(one), Some(other)) = (&values[*one], &values[*other]) {
                sum.add(&one.iter().zip(other).map(|(one, other)| one - other).collect::<Vec<f64>>());
            }
        }
    }
    let compared = |([one, other], differences): &([usize; 2], Seeds)| {
        let sides = [one, other].map(|&at| (&*numbers[at].method, numbers[at].quantity));
        Some(Comparison::of(&numbers[*one].dataset, sides, &differences.estimate()?))
    };
    let compared = pairs.iter().filter_map(compared).collect();
    for (number, values) in numbers.iter_mut().zip(&alone) {
        if let Some(estimate) = values.estimate() {
            number.add(&estimate);
        }
    }
    Ok(compared)
}

/// Collects the cells of another selection on the datasets that have it.
///
/// # Errors
/// See [`collect_with`].
pub fn collect_other(
    suite: &SuiteDescription,
    selection: Selection,
    cells: &[Cell],
    selected: Vec<SelectedCell>,
) -> anyhow::Result<OtherSelection> {
    let mut part = suite.clone();
    part.datasets.retain(|dataset| dataset.has_other(selection));
    let mut numbers = collect(part, cells)?.numbers;
    // What the training did does not depend on the epoch that is kept of it.
    numbers.retain(|number| number.quantity != Quantity::Conflict && number.ratio.is_none_or(|ratio| ratio == 1.0));
    Ok(OtherSelection { selection, description: selection.description(), numbers, cells: selected })
}

impl DatasetDescription {
    /// Whether this selection is compared with the one that tables show.
    pub fn has_other(&self, selection: Selection) -> bool {
        self.selections.iter().skip(1).any(|other| *other == selection)
    }
}

/// The levels that a number is computed from and the resamples of its method, if every one of its seeds has them.
fn resamples<'a>(
    number: &Number,
    ratios: &[f64],
    replicates: &'a Replicates,
) -> Option<(Vec<Level>, &'a MethodReplicates)> {
    let levels = number.quantity.levels(number.ratio.unwrap_or(1.0), ratios)?;
    let of_method = replicates.get(&(number.dataset.clone(), number.method.clone()))?;
    number.values().iter().all(|(seed, _)| of_method.has(*seed, &levels)).then_some((levels, of_method))
}

/// The values of a number for a seed: as it is, then of each resample.
///
/// # Errors
/// If the first differs from the score of the evaluation: the predictions do not belong to the scores.
fn of_resamples(
    Number { dataset, method, quantity, .. }: &Number,
    (seed, value): (u64, f64),
    levels: &[Level],
    cell: &CellReplicates,
    ratios: &[f64],
) -> anyhow::Result<Vec<f64>> {
    let scores: Vec<&Vec<f64>> = levels.iter().map(|level| &cell[&level.to_string()]).collect();
    let at =
        |resample: usize| quantity.from(&scores.iter().map(|scores| scores[resample]).collect::<Vec<f64>>(), ratios);
    let all: Vec<f64> = (0..scores[0].len()).map(at).collect();
    ensure!(
        (all[0] - value).abs() < 1e-9,
        "{dataset} × {method} × seed {seed}: the predictions give {} for {}, the scores say {value}",
        all[0],
        quantity.name(),
    );
    Ok(all)
}

fn check(suite: &SuiteDescription, cells: &[Cell]) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for Cell { dataset, method, seed, outcome: _ } in cells {
        let cell = format!("{dataset} × {method} × seed {seed}");
        let known = suite.datasets.iter().any(|known| known.name == *dataset && known.methods.contains(method))
            && suite.methods.iter().any(|known| known.name == *method)
            && suite.seeds.contains(seed);
        ensure!(known, "the suite {} has no cell {cell}, but there are scores of it", suite.suite);
        ensure!(seen.insert((dataset, method, seed)), "the suite {} has two scores of the cell {cell}", suite.suite);
    }
    Ok(())
}

fn number(
    (dataset, method): (&str, &str),
    quantity: Quantity,
    ratio: Option<f64>,
    cells: &[(u64, Option<&Outcome>)],
    ratios: &[f64],
) -> Number {
    let status = |outcome: Option<&Outcome>| match outcome {
        None => Status::NotRun { cause: "the suite has no such cell".into() },
        Some(Outcome::Failed { cause }) => Status::Failed { cause: cause.clone() },
        Some(Outcome::NotRun { cause }) => Status::NotRun { cause: cause.clone() },
        Some(Outcome::Scored(scores)) => match scores.quantity(quantity, ratio.unwrap_or(1.0), ratios) {
            Some(value) if value.is_finite() => Status::Value { value },
            Some(_) => Status::NotANumber,
            None => Status::NotRun { cause: quantity.absence().into() },
        },
    };
    let seeds: Vec<SeedValue> =
        cells.iter().map(|&(seed, outcome)| SeedValue { seed, value: status(outcome) }).collect();
    let values: Vec<f64> = seeds.iter().filter_map(|seed| seed.value.number()).collect();
    Number {
        dataset: dataset.into(),
        method: method.into(),
        quantity,
        ratio,
        mean: mean(&values),
        std: sample_std(&values),
        n: values.len(),
        seeds,
        ..Number::default()
    }
}

impl SuiteDescription {
    /// A command on this suite, such as `seesaw run paper --subset 24`.
    pub fn command(&self, verb: &str) -> String {
        format!("seesaw {verb} {}{}", self.suite, self.arguments)
    }

    pub fn dataset(&self, name: &str) -> Option<&DatasetDescription> {
        self.datasets.iter().find(|dataset| dataset.name == name)
    }

    pub fn method(&self, name: &str) -> Option<&MethodDescription> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// The title of the method with a name; the name if the suite has no such method.
    pub fn method_title<'a>(&'a self, name: &'a str) -> &'a str {
        self.method(name).map_or(name, |method| &method.title)
    }

    /// The title of the dataset with a name, as [`Self::title_of`]; the name if the suite has no such dataset.
    pub fn dataset_title(&self, name: &str) -> String {
        self.dataset(name).map_or_else(|| name.to_owned(), |dataset| self.title_of(dataset))
    }

    /// The title of a dataset, with its name if another dataset of the suite has the same title.
    pub fn title_of(&self, dataset: &DatasetDescription) -> String {
        match self.datasets.iter().filter(|other| other.title == dataset.title).count() {
            0 | 1 => dataset.title.clone(),
            _ => format!("{} ({})", dataset.title, dataset.name),
        }
    }

    /// The same suite without what only the list of choices and the comparison of selections show: for tables and figures.
    pub fn without_choices(mut self) -> Self {
        self.datasets.iter_mut().for_each(|dataset| dataset.selections.clear());
        self.methods.iter_mut().for_each(|method| method.reading = None);
        self
    }

    /// Restricts the suite to these datasets and methods, in this order.
    ///
    /// # Errors
    /// If the suite has no such dataset or method.
    pub fn restricted(&self, datasets: &[String], methods: &[String]) -> anyhow::Result<SuiteDescription> {
        let method =
            |name: &String| self.method(name).cloned().with_context(|| format!("the results hold no method `{name}`"));
        let dataset = |name: &String| {
            let mut dataset =
                self.dataset(name).cloned().with_context(|| format!("the results hold no dataset `{name}`"))?;
            dataset.methods.retain(|trained| methods.contains(trained));
            anyhow::Ok(dataset)
        };
        Ok(SuiteDescription {
            methods: methods.iter().map(method).collect::<anyhow::Result<_>>()?,
            datasets: datasets.iter().map(dataset).collect::<anyhow::Result<_>>()?,
            ..self.clone()
        })
    }
}

impl Results {
    /// The record of a cell; `None` if it has no scores.
    pub fn cell(&self, dataset: &str, method: &str, seed: u64) -> Option<&CellRecord> {
        self.cells.iter().find(|cell| cell.dataset == dataset && cell.method == method && cell.seed == seed)
    }

    /// The number of a method on a dataset with one of the selections that are compared there; quantities of missing
    /// modalities are at ratio 1.
    pub fn selected(
        &self,
        selection: Selection,
        dataset: &DatasetDescription,
        of: (&str, Quantity),
    ) -> Option<&Number> {
        let (method, quantity) = of;
        let numbers = match dataset.selections.first() == Some(&selection) {
            true => &self.numbers,
            false => &self.other_selections.iter().find(|other| other.selection == selection)?.numbers,
        };
        find(numbers, (&dataset.name, method, quantity), None)
    }

    /// The number of a method on a dataset; quantities of missing modalities are at ratio 1 by default.
    pub fn number(&self, dataset: &str, method: &str, quantity: Quantity, ratio: Option<f64>) -> Option<&Number> {
        find(&self.numbers, (dataset, method, quantity), ratio)
    }
}

fn find<'a>(numbers: &'a [Number], of: (&str, &str, Quantity), ratio: Option<f64>) -> Option<&'a Number> {
    let ratio = of.2.is_missing().then(|| ratio.unwrap_or(1.0));
    let is_it = |number: &&Number| {
        (number.dataset.as_str(), number.method.as_str(), number.quantity) == of && number.ratio == ratio
    };
    numbers.iter().find(is_it)
}

#[cfg(test)]
mod tests;
