//! Figure 2, of one method: (a) its score with both modalities and with each alone; (b) the losses of the image head
//! and the text head per epoch, a panel per dataset.

use super::chart::{Chart, Entry, Panel, Pen, Row, Sample, bars};
use super::figure6::{MODALITIES, loss_panel, losses};
use super::gaps::{Gaps, place};
use super::{spread, titles, weights};
use crate::report::results::{MethodDescription, Quantity, Results, Status};

/// The bars of a dataset. The image alone is what remains when the text is missing.
const BARS: [(&str, Quantity, Pen); 3] = [
    ("full", Quantity::Full, Pen::BOTH),
    ("image only", Quantity::MissingText, Pen::IMAGE),
    ("text only", Quantity::MissingImage, Pen::TEXT),
];

/// The chart of the one method of the results.
pub fn chart(results: &Results) -> Chart {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let mut rows = Vec::new();
    for method in &suite.methods {
        rows.push(Row {
            heading: "(a) Test scores with both modalities and with one alone".into(),
            panels: vec![scores(results, method, &mut gaps)],
            legend: BARS.map(|(title, _, pen)| Entry::new(title, pen, Sample::Bar)).to_vec(),
        });
        let mut panels = Vec::new();
        for dataset in &suite.datasets {
            let curves = losses(results, dataset, method, &mut gaps);
            let curve = |((title, _, pen), points): (&(&str, _, _), _)| ((*title).to_owned(), (*pen, points));
            let curves = MODALITIES.iter().zip(curves).map(curve).collect();
            panels.push(loss_panel(dataset, curves, panels.is_empty()));
        }
        rows.push(Row {
            heading: "(b) Training losses of the heads of one modality".into(),
            panels,
            legend: MODALITIES.map(|(title, _, pen)| Entry::new(title, pen, Sample::Line)).to_vec(),
        });
    }
    Chart {
        caption: format!("{}: each modality alone, and the losses of each modality", titles(results, ", ")),
        reading: spread(suite.seeds.len(), "error bars and bands"),
        made: vec![weights(results), suite.optimizer.clone(), suite.missing.clone()],
        rows,
        notes: gaps.lines(),
    }
}

fn scores(results: &Results, method: &MethodDescription, gaps: &mut Gaps<'_>) -> Panel {
    let datasets: Vec<_> = results.suite.datasets.iter().collect();
    bars(&datasets, &BARS.map(|(title, _, pen)| (pen, title)), "score (percent)", |dataset, at| {
        let (of, (title, quantity, _)) = (place(dataset, method), BARS[at]);
        let number = results.number(&dataset.name, &method.name, quantity, None);
        match number {
            None => gaps.add_number(&of, None, None),
            Some(number) => number.seeds.iter().for_each(|seed| match &seed.value {
                // Only this bar is affected; a training that failed or did not run is missing in all three.
                Status::NotANumber => gaps.add_seed(&format!("{of} ({title})"), seed, None),
                _ => gaps.add_seed(&of, seed, None),
            }),
        }
        number
    })
}
