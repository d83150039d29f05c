//! Figure 7: how the cosine between the gradients of image and text is distributed over all steps and seeds, a panel
//! per dataset, of two methods: without and with projection.

use std::collections::BTreeSet;

use super::chart::{Axis, Chart, Entry, Mark, Panel, Pen, Row, Sample, ceiling, minus};
use super::figure6::traces;
use super::gaps::{Gaps, place};
use super::titles;
use crate::report::results::{DatasetDescription, MethodDescription, Results};
use crate::report::summary::{BINS, Cosine, CosineSummary};

/// The axis shows at least and, if they are wide enough, at most this many bins.
const FEWEST: usize = 16;
const MOST: usize = 40;

/// The steps of all seeds of a method on a dataset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pooled {
    pub column: Cosine,
    /// Over all steps in which the cosine is defined.
    pub mean: f64,
    /// The share of these steps in each bin, in percent.
    pub shares: Vec<f64>,
}

/// The chart of the two methods of the results.
pub fn chart(results: &Results) -> Chart {
    let suite = &results.suite;
    let (mut gaps, mut notes) = (Gaps::new(suite), Vec::new());
    let mut pooled: Vec<Vec<Option<Pooled>>> = Vec::new();
    for dataset in &suite.datasets {
        let of = |method| pool(results, dataset, method, &mut gaps, &mut notes);
        pooled.push(suite.methods.iter().map(of).collect());
    }
    let used: BTreeSet<Cosine> = pooled.iter().flatten().flatten().map(|pooled| pooled.column).collect();
    let bins = shown_bins(pooled.iter().flatten().flatten());
    let mut panels = Vec::new();
    for (dataset, found) in suite.datasets.iter().zip(&pooled) {
        panels.push(panel((dataset, &suite.methods), found, bins, panels.is_empty()));
        notes.extend(remarks(dataset, found, used.len() > 1));
    }
    let mut legend = Entry::of_methods(suite, Sample::Area);
    legend.iter_mut().enumerate().for_each(|(at, entry)| entry.pen = pen(at));
    let meanings: Vec<&str> = used.iter().map(|cosine| cosine.meaning()).collect();
    let compared: Vec<String> =
        (!meanings.is_empty()).then(|| format!("gradients of {}", meanings.join(", or "))).into_iter().collect();
    let seeds = match suite.seeds.len() {
        0 | 1 => "one seed".to_owned(),
        n => format!("{n} seeds"),
    };
    Chart {
        caption: format!(
            "Cosine between the gradients of image and text, without projection and with it: {}",
            titles(results, " and ")
        ),
        reading: format!("Histograms over all steps of {seeds}; upright lines are means, with their values above."),
        made: [compared, vec![suite.optimizer.clone()]].concat(),
        rows: vec![Row { heading: String::new(), panels, legend }],
        notes: [gaps.lines(), notes].concat(),
    }
}

/// The pen of the first and of the second method. Where the two coincide, the first is visible between the second's
/// dashes.
fn pen(method: usize) -> Pen {
    if method == 0 { Pen::TEXT } else { Pen { dash: Pen::IMAGE_ABOVE.dash, ..Pen::IMAGE } }
}

/// Pools a method's cosines on a dataset. Notes what is left out.
pub(super) fn pool(
    results: &Results,
    dataset: &DatasetDescription,
    method: &MethodDescription,
    gaps: &mut Gaps<'_>,
    notes: &mut Vec<String>,
) -> Option<Pooled> {
    let of = place(dataset, method);
    let mut cosines: Vec<(u64, &CosineSummary)> = Vec::new();
    for (seed, trace) in traces(results, dataset, method, gaps) {
        match &trace.cosine {
            Some(cosine) if cosine.histogram.len() == BINS => cosines.push((seed, cosine)),
            Some(_) => gaps.add(&of, seed, None, "its histogram has another number of bins"),
            None => gaps.add(&of, seed, None, "its trace holds no cosine between the gradients of image and text"),
        }
    }
    // Only one kind of cosine is pooled: the preferred one that any seed has.
    let column = cosines.iter().filter(|(_, cosine)| cosine.mean.is_some()).map(|(_, cosine)| cosine.column).min();
    let Some(column) = column else {
        let undefined = "the cosine is undefined in all steps: a gradient is 0";
        cosines.iter().for_each(|(seed, _)| gaps.add(&of, *seed, None, undefined));
        return None;
    };
    let (mut sum, mut defined, mut undefined) = (0.0, 0u64, 0u64);
    let mut counts = vec![0u64; BINS];
    for (seed, cosine) in cosines {
        if cosine.column != column {
            gaps.add(&of, seed, None, &format!("its trace holds another cosine than `{}`", column.name()));
            continue;
        }
        counts.iter_mut().zip(&cosine.histogram).for_each(|(count, more)| *count = count.saturating_add(*more));
        let steps = cosine.histogram.iter().fold(0u64, |sum, more| sum.saturating_add(*more));
        sum += cosine.mean.unwrap_or(0.0) * steps as f64;
        defined = defined.saturating_add(steps);
        undefined = undefined.saturating_add(cosine.undefined as u64);
    }
    if undefined > 0 {
        let all = defined.saturating_add(undefined);
        notes.push(format!("{of}: {undefined} of {all} steps are left out, in which the cosine is undefined."));
    }
    let total = (defined as f64).max(1.0);
    let shares = counts.iter().map(|&count| 100.0 * count as f64 / total).collect();
    Some(Pooled { column, mean: sum / total, shares })
}

/// What a reader has to know about a dataset's cosines besides the numbers.
fn remarks(dataset: &DatasetDescription, found: &[Option<Pooled>], mixed: bool) -> Vec<String> {
    let columns: BTreeSet<Cosine> = found.iter().flatten().map(|pooled| pooled.column).collect();
    let kinds = match columns.first() {
        Some(_) if columns.len() > 1 => {
            Some("the methods' cosines are of different gradients and cannot be compared.".into())
        }
        Some(cosine) if mixed => Some(format!("cosine of {}.", cosine.meaning())),
        _ => None,
    };
    let same = columns.contains(&Cosine::Embedding) && dataset.fusion == "addition";
    let same = same.then(|| "with addition both embeddings have one gradient, so the cosine is 1.".to_owned());
    kinds.into_iter().chain(same).map(|remark: String| format!("{}: {remark}", dataset.title)).collect()
}

/// The bins that all panels show, and how many of the counted ones a drawn one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Of the drawn bins.
    pub first: usize,
    pub last: usize,
    pub merged: usize,
}

/// The narrowest bins of which at most [`MOST`] hold all steps, with one more on each side, and at least [`FEWEST`].
pub(super) fn shown_bins<'a>(pooled: impl Iterator<Item = &'a Pooled>) -> Shown {
    let filled = pooled.flat_map(|pooled| pooled.shares.iter().enumerate().filter(|(_, share)| **share > 0.0));
    let (low, high) = filled.fold((BINS, 0), |(low, high), (bin, _)| (low.min(bin), high.max(bin)));
    let (low, high) = if low > high { (0, BINS - 1) } else { (low, high) };
    // Zero is the end of a bin of each width.
    let fits = |&merged: &usize| high / merged - low / merged < MOST - 1;
    let merged = [1, 2, 4, 5].into_iter().find(fits).unwrap_or(5);
    let most = BINS / merged - 1;
    let wider = |(first, last): (usize, usize)| (first.saturating_sub(1), (last + 1).min(most));
    let (mut first, mut last) = wider((low / merged, high / merged));
    while last - first + 1 < FEWEST {
        (first, last) = wider((first, last));
    }
    Shown { first, last, merged }
}

impl Shown {
    /// Where a bin begins.
    fn edge(self, bin: usize) -> f64 {
        2.0 * (bin * self.merged) as f64 / BINS as f64 - 1.0
    }

    /// The share of steps in a bin.
    fn share(self, pooled: &Pooled, bin: usize) -> f64 {
        pooled.shares.iter().skip(bin * self.merged).take(self.merged).sum()
    }
}

fn panel(
    (dataset, methods): (&DatasetDescription, &[MethodDescription]),
    found: &[Option<Pooled>],
    shown: Shown,
    leftmost: bool,
) -> Panel {
    let Shown { first, last, merged: _ } = shown;
    let edge = |bin: usize| shown.edge(bin);
    let shares = |pooled| (first..=last).map(move |bin| shown.share(pooled, bin));
    let highest = found.iter().flatten().flat_map(shares).fold(0.0, f64::max);
    let y = Axis::new((0.0, ceiling(highest)), 4, if leftmost { "share of steps (percent)" } else { "" });
    let drawn = || found.iter().enumerate().filter_map(|(at, pooled)| Some((pen(at), pooled.as_ref()?)));
    let area = |(pen, pooled): (Pen, &Pooled)| {
        let top = |bin: usize| [edge(bin), edge(bin + 1)].map(|x| (x, shown.share(pooled, bin)));
        let outline =
            [(edge(first), 0.0)].into_iter().chain((first..=last).flat_map(top)).chain([(edge(last + 1), 0.0)]);
        Mark::Area { pen, outline: outline.collect() }
    };
    let mean = |(pen, pooled): (Pen, &Pooled)| Mark::Upright { pen, x: pooled.mean };
    let key = |(at, pooled): (usize, &Option<Pooled>)| {
        Some((pen(at), format!("{}: {}", methods.get(at)?.title, minus(pooled.as_ref()?.mean, 3))))
    };
    let keys = found.iter().enumerate().filter_map(key).collect();
    let mut marks: Vec<Mark> = drawn().map(area).chain(drawn().map(mean)).collect();
    if marks.is_empty() {
        marks.push(Mark::Message("no cosines: see the notes".into()));
    }
    Panel {
        title: dataset.title.clone(),
        keys,
        span: 1,
        x: Axis::new((edge(first), edge(last + 1)), 4, "cosine similarity"),
        y,
        marks,
    }
}
