//! Figure 7: how the cosine between the gradients of image and text is distributed over all steps and seeds, a panel per
//! dataset, of two methods: without and with projection.

use plotters::element::Text;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Figure;
use super::axis::{Axis, ceiling, minus};
use super::curves::{place, traces};
use super::frame::Frame;
use super::legend::{Entry, Sample};
use super::notes::Gaps;
use super::page::{self, PANEL, Page, Panel, Row};
use super::pen::{Area, Drawn, Pen, font, px};
use crate::report::results::{DatasetDescription, MethodDescription, Results};
use crate::report::summary::{BINS, Cosine, CosineSummary};

/// The axis shows at least so many bins.
const FEWEST: usize = 12;
/// How much of a panel the labels of the means take.
const LABELS: f64 = 0.24;

/// Draws the figure for the two methods of the results: the first without, the second with projection.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    page::figure(results, &page(results))
}

/// The steps of all seeds of a method on a dataset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pooled {
    pub column: Cosine,
    /// Over all steps where the cosine is defined.
    pub mean: f64,
    /// Per bin, the share of these steps in percent.
    pub shares: Vec<f64>,
}

pub(super) fn page(results: &Results) -> Page<'_> {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let mut notes = Vec::new();
    let mut pooled: Vec<Vec<Option<Pooled>>> = Vec::new();
    for dataset in &suite.datasets {
        let of = |method| pool(results, dataset, method, &mut gaps, &mut notes);
        pooled.push(suite.methods.iter().map(of).collect());
    }
    let used: std::collections::BTreeSet<Cosine> = pooled.iter().flatten().flatten().map(|p| p.column).collect();
    let (first, last) = shown_bins(pooled.iter().flatten().flatten());
    let entry = |(at, method): (usize, &MethodDescription)| Entry {
        title: method.title.clone(),
        pen: pen(at),
        sample: Sample::Outline,
    };
    let legend = suite.methods.iter().enumerate().map(entry).collect();
    for (dataset, found) in suite.datasets.iter().zip(&pooled) {
        notes.extend(remark(dataset, found, used.len() > 1));
    }
    let titles: Vec<&str> = suite.methods.iter().map(|method| method.title.as_str()).collect();
    let meanings: Vec<&str> = used.iter().map(|cosine| cosine.meaning()).collect();
    let compared = if meanings.is_empty() { String::new() } else { format!(", here {}", meanings.join(", or ")) };
    let pooled_over = match suite.seeds.len() {
        0 | 1 => "all steps of one seed".to_owned(),
        n => format!("all steps of {n} seeds"),
    };
    let panels = suite.datasets.iter().zip(pooled).enumerate();
    let panels = panels.map(|(at, (dataset, found))| panel(dataset, found, (first, last), at == 0)).collect();
    let mut all_notes = gaps.lines();
    all_notes.extend(notes);
    Page {
        subtitle: format!(
            "Cosine between the gradients of image and text{compared}: {}. Histograms over {pooled_over}; upright lines: \
             means; {}.",
            titles.join(" (without projection) and ") + " (with projection)",
            suite.optimizer
        ),
        rows: vec![Row { heading: String::new(), panels, legend }],
        notes: all_notes,
    }
}

/// The pen of the first and of the second method.
fn pen(method: usize) -> Pen {
    // Where the two are the same, the first is seen between the second one's dashes.
    if method == 0 { Pen::of(1).solid() } else { Pen::of(0).dashed(0) }
}

/// Pools a method's cosines on a dataset; what is left out is noted.
fn pool(
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
    // One kind of cosine is pooled; the preferred one that any seed has.
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
            gaps.add(&of, seed, None, &format!("its trace holds another cosine than `{}`", column.column()));
            continue;
        }
        counts.iter_mut().zip(&cosine.histogram).for_each(|(count, more)| *count = count.saturating_add(*more));
        let steps: u64 = cosine.histogram.iter().fold(0, |sum, more| sum.saturating_add(*more));
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

/// What a reader has to know about a dataset's cosines beside the numbers.
fn remark(dataset: &DatasetDescription, found: &[Option<Pooled>], mixed: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let columns: Vec<Cosine> = found.iter().flatten().map(|pooled| pooled.column).collect();
    let Some(first) = columns.first() else { return notes };
    if columns.iter().any(|column| column != first) {
        notes.push(format!(
            "{}: the methods' cosines are of different gradients and cannot be compared.",
            dataset.title
        ));
    } else if mixed {
        notes.push(format!("{}: cosine of {}.", dataset.title, first.meaning()));
    }
    if columns.contains(&Cosine::Embedding) && dataset.fusion == "addition" {
        notes.push(format!("{}: with addition both embeddings have one gradient, so the cosine is 1.", dataset.title));
    }
    notes
}

/// The first and last bin that all panels show: those that hold a step, one more on each side, and not too few.
fn shown_bins<'a>(pooled: impl Iterator<Item = &'a Pooled>) -> (usize, usize) {
    let filled = pooled.flat_map(|pooled| pooled.shares.iter().enumerate().filter(|(_, share)| **share > 0.0));
    let (mut first, mut last) = filled.fold((BINS, 0), |(low, high), (bin, _)| (low.min(bin), high.max(bin)));
    if first > last {
        return (0, BINS - 1);
    }
    (first, last) = (first.saturating_sub(1), (last + 1).min(BINS - 1));
    while last - first + 1 < FEWEST {
        (first, last) = (first.saturating_sub(1), (last + 1).min(BINS - 1));
    }
    (first, last)
}

/// Where a bin begins.
fn edge(bin: usize) -> f64 {
    2.0 * bin as f64 / BINS as f64 - 1.0
}

fn panel(
    dataset: &DatasetDescription,
    found: Vec<Option<Pooled>>,
    (first, last): (usize, usize),
    leftmost: bool,
) -> Panel<'_> {
    let highest = found.iter().flatten().flat_map(|pooled| pooled.shares.iter().copied()).fold(0.0, f64::max);
    let top = ceiling(highest / (1.0 - LABELS) / 1.05);
    let mut y = Axis::new((0.0, top), 5, if leftmost { "share of steps (percent)" } else { "" });
    // The room for labels is above what a share can be.
    y.ticks.retain(|(share, _)| *share <= 100.0);
    Panel {
        title: dataset.title.clone(),
        width: PANEL.0,
        x: Axis::new((edge(first), edge(last + 1)), 5, "cosine similarity"),
        y,
        draw: Box::new(move |area, frame| {
            if found.iter().all(Option::is_none) {
                return frame.say(area, "no cosines: see the note below");
            }
            let found = || found.iter().enumerate().filter_map(|(at, pooled)| Some((at, pooled.as_ref()?)));
            for (at, pooled) in found() {
                let outline: Vec<(i32, i32)> = (first..=last)
                    .flat_map(|bin| [(bin, bin), (bin + 1, bin)])
                    .map(|(side, bin)| frame.place(edge(side), pooled.shares.get(bin).copied().unwrap_or(0.0)))
                    .collect();
                let ends = [frame.place(edge(first), 0.0), frame.place(edge(last + 1), 0.0)];
                let closed = [&ends[..1], &outline, &ends[1..]].concat();
                pen(at).band(area, closed.clone())?;
                pen(at).line(area, &closed)?;
            }
            found().enumerate().try_for_each(|(row, (at, pooled))| mean(area, frame, (row, at), pooled.mean))
        }),
    }
}

/// The upright line of a mean, and its label in a row at the panel's upper left.
fn mean(area: &Area<'_>, frame: &Frame, (row, method): (usize, usize), mean: f64) -> Drawn {
    let pen = pen(method);
    let (x, _) = frame.place(mean, 0.0);
    let labels = frame.top + (f64::from(frame.bottom - frame.top) * LABELS) as i32;
    pen.line(area, &[(x, frame.bottom), (x, labels)])?;
    let y = frame.top + px(12) + row as i32 * px(18);
    let left = frame.left + px(10);
    pen.line(area, &[(left, y), (left + px(30), y)])?;
    let style = font(12).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(format!("mean {}", minus(mean, 3)), (left + px(38), y), style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::figure::tests::told;
    use crate::report::results::{Cell, Outcome, collect};
    use crate::report::samples::{ablation, description, scored};
    use crate::report::summary::TraceSummary;

    /// Column, mean, undefined steps, (bin, steps).
    type Seed<'a> = (Cosine, Option<f64>, usize, &'a [(usize, u64)]);

    /// Results of the baseline on words with these cosines, seed by seed.
    fn results(seeds: &[Seed<'_>]) -> Results {
        let numbers: Vec<u64> = (1..).take(seeds.len()).collect();
        let suite = description(SuiteKind::Smoke, &numbers);
        let cells = numbers.iter().zip(seeds).map(|(&seed, &(column, mean, undefined, bins))| {
            let mut histogram = vec![0; BINS];
            bins.iter().for_each(|&(bin, steps)| histogram[bin] = steps);
            let mut outcome = scored(50.0, 20.0, 40.0);
            if let Outcome::Scored(scores) = &mut outcome {
                let cosine = Some(CosineSummary { column, mean, undefined, histogram });
                scores.trace = Some(TraceSummary { steps: 20, conflict: None, cosine, losses: Default::default() });
            }
            Cell { dataset: "words".into(), method: "baseline".into(), seed, outcome }
        });
        collect(suite, &cells.collect::<Vec<_>>()).unwrap()
    }

    fn pooled(results: &Results) -> (Option<Pooled>, Vec<String>) {
        let (mut gaps, mut notes) = (Gaps::new(&results.suite), Vec::new());
        let found = pool(results, &results.suite.datasets[1], &results.suite.methods[0], &mut gaps, &mut notes);
        (found, gaps.lines().into_iter().chain(notes).collect())
    }

    /// Every step counts the same, whichever seed it is of; steps without a cosine count nowhere and are told.
    #[test]
    fn steps_of_all_seeds_are_pooled() {
        let results = results(&[
            (Cosine::Update, Some(0.5), 2, &[(20, 3), (39, 3)]),
            (Cosine::Update, Some(-0.5), 0, &[(20, 2)]),
        ]);
        let (found, notes) = pooled(&results);
        let found = found.unwrap();
        assert_eq!((found.column, found.mean), (Cosine::Update, 0.25));
        assert_eq!((found.shares[20], found.shares[39], found.shares.iter().sum::<f64>()), (62.5, 37.5, 100.0));
        assert_eq!(notes, ["Baseline on words: 2 of 10 steps are left out, in which the cosine is undefined."]);
    }

    #[test]
    fn cosines_of_two_kinds_are_not_pooled() {
        let (found, notes) = pooled(&results(&[
            (Cosine::Embedding, Some(0.5), 0, &[(30, 4)]),
            (Cosine::Update, Some(0.1), 0, &[(22, 4)]),
        ]));
        assert_eq!(found.map(|pooled| (pooled.column, pooled.mean)), Some((Cosine::Update, 0.1)));
        assert_eq!(
            notes,
            ["Left out: Baseline on words, seed 1: its trace holds another cosine than `cos_update_v_l`"]
        );
        let (found, notes) = pooled(&results(&[(Cosine::Update, None, 4, &[])]));
        assert_eq!(found, None);
        assert_eq!(notes, ["Left out: Baseline on words: the cosine is undefined in all steps: a gradient is 0"]);
    }

    #[test]
    fn the_axis_shows_what_is_there() {
        let bins = |filled: &[usize]| {
            let mut shares = vec![0.0; BINS];
            filled.iter().for_each(|&bin| shares[bin] = 1.0);
            shown_bins([Pooled { column: Cosine::Update, mean: 0.0, shares }].iter())
        };
        assert_eq!(bins(&[]), (0, 39));
        assert_eq!(bins(&[0, 39]), (0, 39));
        assert_eq!(bins(&[5, 30]), (4, 31));
        assert_eq!(bins(&[20]), (14, 26));
        assert_eq!(bins(&[39]), (28, 39));
        assert_eq!((edge(0), edge(20), edge(40)), (-1.0, 0.0, 1.0));
    }

    /// Under the title stands which gradients are compared, in each panel both means.
    #[test]
    fn what_is_compared_is_told() {
        let mut results = ablation(SuiteKind::Smoke);
        let methods = ["balgrad-reweighting", "balgrad"];
        let words = told(page, &results, &methods);
        for part in [
            "here the updates of the image and the text embedding layer (h_v, h_l): BalGrad w/o projection",
            "mean 0.030 BalGrad w/o projection BalGrad Left out",
            "mean 0.090 mean 0.230 Emoji match",
            "Histograms over all steps of 5 seeds",
            "Left out: BalGrad on Emoji words, seed 4: failed: balgrad: `loss_v` is NaN at step 712 (epoch 9)",
        ] {
            assert!(words.contains(part), "{part}\n{words}");
        }
        for cell in results.cells.iter_mut().filter(|cell| cell.dataset == "emoji-words") {
            cell.trace.iter_mut().flat_map(|trace| &mut trace.cosine).for_each(|c| c.column = Cosine::Embedding);
        }
        results.suite.datasets[2].fusion = "addition".into();
        let words = told(page, &results, &methods);
        for part in [
            "(h_v, h_l), or the task loss's gradients at the image and the text embedding (z_v, z_l): BalGrad",
            "Emoji words: cosine of the task loss's gradients",
            "Emoji words: with addition both embeddings have one gradient, so the cosine is 1.",
        ] {
            assert!(words.contains(part), "{part}\n{words}");
        }
        results.cells.iter_mut().flat_map(|cell| &mut cell.trace).for_each(|trace| trace.cosine = None);
        let words = told(page, &results, &methods);
        assert!(words.contains("its trace holds no cosine between the gradients of image and text"), "{words}");
    }
}
