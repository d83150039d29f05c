//! The paper's own numbers: `experiments/reference.json`, to the two decimals that the paper prints.
//!
//! They are shown beside ours, audited, and compared with ours and with the claims; no number of ours is computed from them.

mod ordered;
mod printed;

use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

pub use ordered::Ordered;
pub use printed::Printed;

use super::quantity::Quantity;
use crate::digest::Digest;
use crate::errors;

/// The file's name in the folder of experiments.
pub const FILE: &str = "reference.json";

/// The content of the file. Any cell may be absent or `null`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The SHA-256 of the file.
    #[serde(skip, default = "of_nothing")]
    pub sha256: Digest,
    /// Where the numbers were taken from.
    pub source: String,
    pub paper: Paper,
    /// Rows → their unit, for readers of the file.
    pub units: Ordered<String, String>,
    /// What the rows' names mean, for readers of the file.
    pub row_meaning: String,
    pub table1: Option<PrintedTable>,
    pub table2: Option<PrintedTable>,
    pub table3: Option<PrintedTable>,
    pub table4: Option<PrintedTable>,
    pub table5: Option<PrintedTable>,
    /// Tables and figures whose numbers are not in this file → what they show.
    pub not_transcribed: Ordered<String, String>,
}

/// Until the file is known.
fn of_nothing() -> Digest {
    Digest::of(b"")
}

/// The paper, as it is cited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    pub title: String,
    pub authors: Vec<String>,
    pub venue: String,
    pub pages: String,
    pub anthology_id: String,
    pub arxiv: String,
}

/// A dataset → a method → a printed number.
pub type PrintedRow = Ordered<String, Ordered<String, Option<Printed>>>;

/// One of the paper's tables.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrintedTable {
    pub rows: Ordered<Quantity, PrintedRow>,
    /// The cells that the paper marks as negative transfer: row, dataset, method.
    #[serde(default)]
    pub marked_negative_transfer: Vec<(Quantity, String, String)>,
}

/// A cell of a printed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintedCell<'a> {
    pub quantity: Quantity,
    pub dataset: &'a str,
    pub method: &'a str,
    pub number: Printed,
}

impl PrintedTable {
    pub fn get(&self, quantity: Quantity, dataset: &str, method: &str) -> Option<Printed> {
        *self.rows.get(&quantity)?.get(dataset)?.get(method)?
    }

    /// Every number, in the file's order.
    pub fn cells(&self) -> impl Iterator<Item = PrintedCell<'_>> {
        self.rows.0.iter().flat_map(|(quantity, row)| {
            row.0.iter().flat_map(move |(dataset, methods)| {
                methods.0.iter().filter_map(move |(method, number)| {
                    Some(PrintedCell { quantity: *quantity, dataset, method, number: (*number)? })
                })
            })
        })
    }

    pub fn is_marked(&self, quantity: Quantity, dataset: &str, method: &str) -> bool {
        self.marked_negative_transfer.iter().any(|(row, on, of)| *row == quantity && on == dataset && of == method)
    }

    pub fn has_dataset(&self, dataset: &str) -> bool {
        self.rows.0.iter().any(|(_, row)| row.get(dataset).is_some())
    }
}

impl Reference {
    /// Reads and checks the file in the folder of experiments.
    ///
    /// # Errors
    /// A usage error that names the file, the place in it, what was expected and what was found.
    pub fn load(experiments: &Path) -> anyhow::Result<Self> {
        let path = experiments.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Reference::parse(&text).map_err(|error| {
            errors::usage(
                format!("{}: {error:#}", path.display()),
                "the file has the numbers that the paper prints; `git checkout` restores the project's own",
            )
        })
    }

    /// Checks the file's text.
    ///
    /// # Errors
    /// See [`Reference::load`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let reference: Reference = serde_json::from_str(text)?;
        let reference = Reference { sha256: Digest::of(text.as_bytes()), ..reference };
        for (name, table) in reference.tables() {
            ensure!(
                reference.not_transcribed.get(name).is_none(),
                "`not_transcribed` names `{name}`, which is in the file"
            );
            for (quantity, dataset, method) in &table.marked_negative_transfer {
                ensure!(
                    quantity.can_be_negative_transfer() && table.get(*quantity, dataset, method).is_some(),
                    "{name}: `marked_negative_transfer` names {}, {dataset}, {method}, which is not an impaired score \
                     of the table",
                    quantity.name()
                );
            }
        }
        Ok(reference)
    }

    /// The transcribed tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, &PrintedTable)> {
        let Reference { table1, table2, table3, table4, table5, .. } = self;
        let all = [("table1", table1), ("table2", table2), ("table3", table3), ("table4", table4), ("table5", table5)];
        all.into_iter().filter_map(|(name, table)| Some((name, table.as_ref()?)))
    }

    /// A table by name.
    ///
    /// # Errors
    /// If it is not transcribed: says what it shows.
    pub fn table(&self, name: &str) -> Result<&PrintedTable, String> {
        self.tables().find(|(known, _)| *known == name).map(|(_, table)| table).ok_or_else(|| {
            let shows = self.not_transcribed.get(name).map_or(String::new(), |shows| format!(" ({shows})"));
            format!("the paper's {name} is not transcribed{shows}")
        })
    }
}

#[cfg(test)]
pub(in crate::report) fn committed() -> Reference {
    Reference::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some cells of both tables.
    #[test]
    fn the_committed_file_holds_what_the_paper_prints() {
        let reference = committed();
        let get = |table, quantity, dataset, method| {
            reference.table(table).unwrap().get(quantity, dataset, method).map(|number| number.to_string())
        };
        assert_eq!(get("table1", Quantity::Full, "food101", "balgrad").as_deref(), Some("80.32"));
        assert_eq!(get("table1", Quantity::MissingText, "hateful-memes", "balgrad").as_deref(), Some("57.58"));
        assert_eq!(get("table2", Quantity::MissingText, "hateful-memes", "balgrad").as_deref(), Some("57.48"));
        assert_eq!(get("table1", Quantity::NoisyAvg, "food101", "agm").as_deref(), Some("67.00"));
        assert_eq!(get("table2", Quantity::NoisyAvg, "food101", "balgrad"), None);
        let (one, two) = (reference.table("table1").unwrap(), reference.table("table2").unwrap());
        assert_eq!((one.cells().count(), two.cells().count()), (9 * 3 * 5, 5 * 3 * 4));
        assert!(one.is_marked(Quantity::MissingImage, "hateful-memes", "agm"));
        assert_eq!(
            reference.table("table4").unwrap_err(),
            "the paper's table4 is not transcribed (Memotion: full, missing image, missing text, avg, gap for the five \
             methods)"
        );
        assert_eq!(reference.table("table7").unwrap_err(), "the paper's table7 is not transcribed");
    }

    fn text(table1: &str, more: &str) -> String {
        format!(
            r#"{{"source": "", "paper": {{"title": "", "authors": [], "venue": "", "pages": "", "anthology_id": "",
            "arxiv": ""}}, "units": {{}}, "row_meaning": "", "table1": {table1}, "not_transcribed": {{}}{more}}}"#
        )
    }

    #[test]
    fn any_cell_may_be_absent() {
        let table = r#"{"rows": {"full": {"food101": {"balgrad": null, "agm": 78.9}}}}"#;
        let reference = Reference::parse(&text(table, "")).unwrap();
        let table = reference.table("table1").unwrap();
        assert_eq!(table.get(Quantity::Full, "food101", "balgrad"), None);
        assert_eq!(table.get(Quantity::Full, "food101", "agm"), Some(Printed { hundredths: 7890 }));
        assert_eq!(table.get(Quantity::NoisyGap, "food101", "agm"), None);
        assert_eq!(table.cells().count(), 1);
    }

    #[test]
    fn wrong_content_is_refused() {
        let row = |row: &str| format!(r#"{{"rows": {{"full": {row}}}}}"#);
        for (table, more, expected) in [
            (row(r#"{"food101": {"agm": 78.931}}"#), "", "expected a number of at most two decimals, found 78.931"),
            (row(r#"{"food101": {"agm": 789}}"#), "", "expected a number from 0 to 100, found 789"),
            (row(r#"{"food101": {"agm": 1, "agm": 2}}"#), "", "\"agm\" appears twice"),
            (r#"{"rows": {"half": {}}}"#.to_owned(), "", "unknown variant `half`"),
            (r#"{"rows": {}, "column": 1}"#.to_owned(), "", "unknown field `column`"),
            (row("{}"), r#", "table9": 1"#, "unknown field `table9`"),
            (
                r#"{"rows": {}, "marked_negative_transfer": [["missing-image", "food101", "agm"]]}"#.to_owned(),
                "",
                "table1: `marked_negative_transfer` names missing-image, food101, agm, which is not an impaired score",
            ),
        ] {
            let error = format!("{:#}", Reference::parse(&text(&table, more)).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
        let twice = text(&row("{}"), "").replace(r#""not_transcribed": {}"#, r#""not_transcribed": {"table1": ""}"#);
        let error = Reference::parse(&twice).unwrap_err().to_string();
        assert_eq!(error, "`not_transcribed` names `table1`, which is in the file");
    }
}
