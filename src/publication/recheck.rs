//! `recheck.json`: what came of training finished cells of a suite again, the last time that somebody did.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::Finished;
use super::record::rfc3339;
use crate::digest::Digest;
use crate::errors;
use crate::report::html::Fact;
use crate::report::results::{Quantity, Results};
use crate::report::words;
use crate::steps::Step;
use crate::store::{Processor, Store};

/// The version of the layout of [`Recheck`].
pub const SCHEMA: u32 = 1;

/// The file's name under `out/SUITE/`.
pub const FILE: &str = "recheck.json";

/// Cells that were trained again, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recheck {
    pub schema: u32,
    /// When it ended, in seconds since 1970 (UTC).
    pub finished: u64,
    /// What trained them again.
    pub computed_by: Processor,
    pub cells: Vec<Cell>,
}

/// A cell that was trained and evaluated again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The label of its training, or of the choice among its trainings.
    pub step: String,
    /// The recorded weights that it was compared with.
    pub weights: Digest,
    pub outcome: Outcome,
}

/// What came of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything has the same bits as before.
    SameBits,
    /// Something has not.
    OtherBits {
        /// The largest difference of a score in percentage points, if the scores could be compared.
        points: Option<f64>,
    },
    /// It could not be trained or evaluated again.
    Failed,
}

impl Recheck {
    /// Writes it to the folder of a suite.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, store: &Store, out: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        store.write_file(&out.join(FILE), json.as_bytes())
    }

    /// Reads it from the folder of a suite; `None` if no cell was ever trained again. `again` is the command that writes it.
    ///
    /// # Errors
    /// If the file cannot be read, is malformed or has another layout.
    fn read(out: &Path, again: &str) -> anyhow::Result<Option<Self>> {
        let path = out.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let what = match serde_json::from_slice::<Recheck>(&bytes) {
            Ok(found) if found.schema == SCHEMA => return Ok(Some(found)),
            Ok(found) => format!("it has the layout {}, expected {SCHEMA}", found.schema),
            Err(error) => format!("malformed: {error}"),
        };
        Err(errors::failed(format!("{}: {what}", path.display()), format!("run `{again}` again, or remove the file")))
    }
}

/// The last recheck in a sentence; `None` if there was none of what the results are made of now.
///
/// # Errors
/// If `recheck.json` cannot be read, is malformed or has another layout.
pub fn fact(finished: &Finished, results: &Results) -> anyhow::Result<Option<Fact>> {
    let planned = &finished.run.planned;
    let again = finished.run.project.command("recheck", &planned.suite);
    let Some(mut last) = Recheck::read(&planned.out, &again)? else { return Ok(None) };
    let weights = |cell: &Cell| {
        let action = finished.action(planned.graph.find(&cell.step)?)?;
        Some(action.outputs.get("weights")?.sha256)
    };
    last.cells.retain(|cell| weights(cell) == Some(cell.weights));
    let spread = |cell: &Cell| {
        let (dataset, method) = match &planned.graph.node(planned.graph.find(&cell.step)?).step {
            Step::Train(train) => (&*train.dataset, &*train.name),
            Step::Choose(choose) => (choose.dataset.as_str(), choose.name.as_str()),
            _ => return None,
        };
        results.number(dataset, method, Quantity::Full, None)?.std
    };
    Ok((!last.cells.is_empty()).then(|| Fact::new("Last recheck", sentence(&last, spread))))
}

/// `spread` is the standard deviation of a cell's full score over its seeds.
fn sentence(last: &Recheck, spread: impl Fn(&Cell) -> Option<f64>) -> String {
    let cells = &last.cells;
    let count = |is: fn(&Outcome) -> bool| cells.iter().filter(|cell| is(&cell.outcome)).count();
    let (same, failed) = (count(|is| matches!(is, Outcome::SameBits)), count(|is| matches!(is, Outcome::Failed)));
    let when = rfc3339(last.finished).replace('T', " ").replace('Z', " UTC");
    let all = words::several(cells.len() as u64, "cell");
    let mut text = match (cells.len(), same) {
        (1, 1) => format!("{when}: {all} trained again, with the same bits"),
        (n, same) if n == same => format!("{when}: {all} trained again, all with the same bits"),
        (_, 0) => format!("{when}: {all} trained again, none with the same bits"),
        (_, same) => format!("{when}: {all} trained again, {same} with the same bits"),
    };
    let points = |cell: &Cell| match cell.outcome {
        Outcome::OtherBits { points } => points,
        Outcome::SameBits | Outcome::Failed => None,
    };
    let apart = cells.iter().filter_map(|cell| Some((points(cell)?, cell)));
    if let Some((points, cell)) = apart.max_by(|(one, _), (other, _)| one.total_cmp(other)) {
        text += &format!("; scores differ by at most {points:.2} points ({})", cell.step);
        if let Some(spread) = spread(cell) {
            text += &format!(", and the full scores of that method spread by {spread:.2} over the seeds");
        }
    }
    if failed > 0 {
        text += &format!("; {failed} could not be trained again");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(step: &str, outcome: Outcome) -> Cell {
        Cell { step: step.into(), weights: Digest::of(b"w"), outcome }
    }

    fn said(outcomes: &[Outcome]) -> String {
        let cells = (1..).zip(outcomes).map(|(seed, outcome)| cell(&format!("seed {seed}"), *outcome)).collect();
        let computed_by = Processor::default();
        let last = Recheck { schema: SCHEMA, finished: 1_750_000_000, computed_by, cells };
        let text = sentence(&last, |cell| (cell.step == "seed 2").then_some(1.234));
        text.strip_prefix("2025-06-15 15:06:40 UTC: ").unwrap().to_owned()
    }

    /// The largest difference stands beside the spread of the cell that it belongs to.
    #[test]
    fn a_recheck_is_told_in_a_sentence() {
        let other = |points| Outcome::OtherBits { points };
        assert_eq!(said(&[Outcome::SameBits]), "1 cell trained again, with the same bits");
        assert_eq!(said(&[Outcome::SameBits; 3]), "3 cells trained again, all with the same bits");
        assert_eq!(
            said(&[other(Some(0.1)), other(Some(0.256)), Outcome::SameBits, Outcome::Failed]),
            "4 cells trained again, 1 with the same bits; scores differ by at most 0.26 points (seed 2), and the full scores \
             of that method spread by 1.23 over the seeds; 1 could not be trained again"
        );
        assert_eq!(
            said(&[other(Some(0.0))]),
            "1 cell trained again, none with the same bits; scores differ by at most 0.00 points (seed 1)"
        );
        assert_eq!(said(&[other(None)]), "1 cell trained again, none with the same bits");
    }

    /// What was written is read; a file of another layout or none is an error that says what to do.
    #[test]
    fn a_recheck_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        store.prepare().unwrap();
        let read = || Recheck::read(folder.path(), "seesaw recheck smoke");
        assert_eq!(read().unwrap(), None);
        let cells = vec![cell("one", Outcome::SameBits), cell("two", Outcome::OtherBits { points: Some(0.5) })];
        let last = Recheck { schema: SCHEMA, finished: 1, computed_by: Processor::default(), cells };
        last.write(&store, folder.path()).unwrap();
        assert_eq!(read().unwrap(), Some(last.clone()));
        Recheck { schema: 2, ..last }.write(&store, folder.path()).unwrap();
        for (text, why) in [(None, "it has the layout 2, expected 1"), (Some("{}"), "malformed: missing field")] {
            text.into_iter().for_each(|text| std::fs::write(folder.path().join(FILE), text).unwrap());
            let error = read().unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert!(errors::hint_of(&error).unwrap().contains("`seesaw recheck smoke`"), "{error}");
        }
    }
}
