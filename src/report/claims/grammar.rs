//! The grammar of `experiments/claims.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::assertion::Assertion;
use crate::errors;
use crate::report::SuiteKind;
use crate::report::quantity::Quantity;

/// The file's name in the folder of experiments.
pub const FILE: &str = "claims.toml";

/// What the paper claims, as the file writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Claims {
    /// The version of this grammar: 1.
    pub version: u32,
    /// The methods that a claim compares with, unless it says `among`.
    pub compared: Vec<String>,
    pub smallest_effect: SmallestEffect,
    /// Suites in which other datasets stand for the paper's.
    #[serde(default)]
    pub suites: BTreeMap<String, Mapping>,
    pub claims: Vec<Claim>,
}

/// The smallest difference worth the name: what is surely smaller is no reproduction of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallestEffect {
    /// Of scores, gaps, shares, and of gaps per unit of the missing ratio, in percentage points.
    pub points: f64,
    /// Of cosines.
    pub cosine: f64,
}

/// A suite in which other datasets stand for the paper's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The paper's dataset → the suite's.
    pub datasets: BTreeMap<String, String>,
}

/// A claim of the paper.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Claim {
    /// Unique in the file.
    pub id: String,
    /// In our words.
    pub says: String,
    /// Where the paper says or shows it.
    pub at: String,
    /// The paper's names of the datasets that it is about; it has to hold on each of them.
    pub datasets: Vec<String>,
    pub predicate: Predicate,
}

/// What has to hold on each dataset of a claim.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Predicate {
    /// The method's quantity is lower than that of each of the others.
    Lowest { method: String, quantity: Quantity, among: Option<Vec<String>> },
    /// The method's quantity is higher than that of each of the others.
    Highest { method: String, quantity: Quantity, among: Option<Vec<String>> },
    /// The quantity of one method lies above that of another by more than a margin.
    Compare {
        greater: String,
        smaller: String,
        quantity: Quantity,
        #[serde(default)]
        margin: f64,
    },
    /// None of the method's impaired scores lies above its full one.
    NoNegativeTransfer { method: String },
    /// The method is better than each of its parts alone in each of the quantities.
    BothBeatEach { method: String, parts: Vec<String>, quantities: Vec<Quantity> },
    /// The mean cosine between the gradients of image and text is higher with than without (Figure 7).
    RaisesMeanCosine { with: String, without: String },
    /// ΔGap grows with the missing ratio (Figure 4): per seed, its least-squares slope over the ratios is above 0.
    GrowsWithRatio { methods: Vec<String> },
    /// The slope of the method's ΔGap is smaller than that of each of the others (Figure 4).
    LeastGrowth { method: String, among: Option<Vec<String>> },
    /// The share of steps with conflicting gradients is lower with than without (Table 3).
    ConflictsFall { with: String, without: String },
}

impl Claims {
    /// Reads and checks the file in the folder of experiments.
    ///
    /// # Errors
    /// A usage error that names the file, the place, what was expected and what was found.
    pub fn load(experiments: &Path) -> anyhow::Result<Self> {
        let path = experiments.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Claims::parse(&text).map_err(|error| {
            errors::usage(format!("{}: {error:#}", path.display()), "the head of the file describes its grammar")
        })
    }

    /// Checks the file's text.
    ///
    /// # Errors
    /// See [`Claims::load`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Claims = toml::from_str(text)?;
        ensure!(file.version == 1, "`version` should be 1, found {}", file.version);
        let SmallestEffect { points, cosine } = file.smallest_effect;
        ensure!(
            points > 0.0 && cosine > 0.0 && points.is_finite() && cosine.is_finite(),
            "`smallest-effect` should be above 0"
        );
        for (at, claim) in file.claims.iter().enumerate() {
            let id = &claim.id;
            ensure!(file.claims[..at].iter().all(|other| other.id != *id), "two claims have the id `{id}`");
            ensure!(!claim.datasets.is_empty(), "claim `{id}`: `datasets` should name at least one");
            let assertions = super::assertion::of(claim, &file.compared);
            ensure!(!assertions.is_empty(), "claim `{id}`: it compares nothing");
        }
        Ok(file)
    }

    /// Looks whether all methods and datasets are known, so that a slip of the pen is no claim that was never run.
    ///
    /// # Errors
    /// A usage error that names the claim, the name and those that are near.
    pub fn check_names(&self, methods: &BTreeSet<String>, datasets: &BTreeSet<String>) -> anyhow::Result<()> {
        let check = |place: &str, what: &str, name: &str, known: &BTreeSet<String>| {
            if known.contains(name) {
                return Ok(());
            }
            let near = errors::nearest(name, known.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            Err(errors::usage(
                format!("experiments/{FILE}: {place}: there is no {what} `{name}`"),
                format!("{near}Known: {}", known.join(", ")),
            ))
        };
        self.compared.iter().try_for_each(|name| check("`compared`", "method", name, methods))?;
        for (suite, mapping) in &self.suites {
            let names = mapping.datasets.iter().flat_map(|(papers, ours)| [papers, ours]);
            names.into_iter().try_for_each(|name| check(&format!("[suites.{suite}]"), "dataset", name, datasets))?;
        }
        for claim in &self.claims {
            let place = format!("claim `{}`", claim.id);
            claim.datasets.iter().try_for_each(|name| check(&place, "dataset", name, datasets))?;
            for Assertion { greater, smaller, .. } in super::assertion::of(claim, &self.compared) {
                for side in [Some(greater), smaller].into_iter().flatten() {
                    check(&place, "method", &side.method, methods)?;
                }
            }
        }
        Ok(())
    }

    /// Which dataset of a suite stands for which of the paper's; none if the suite is one of the paper's own, where each
    /// stands for itself.
    ///
    /// # Errors
    /// A usage error if the suite is not the paper's, and nothing says which datasets stand for the paper's.
    pub fn mapping(&self, suite: &str, kind: SuiteKind) -> anyhow::Result<Option<&Mapping>> {
        let mapping = self.suites.get(suite);
        if mapping.is_none() && kind == SuiteKind::Smoke {
            return Err(errors::usage(
                format!("no claims are made about the suite `{suite}`: its datasets are not the paper's"),
                format!("say in experiments/{FILE} which of its datasets stand for the paper's, as [suites.{suite}]"),
            ));
        }
        Ok(mapping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(FILE)).unwrap()
    }

    #[test]
    fn unknown_names_are_told() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
        let methods =
            set(&["baseline", "mslr", "ogm-ge", "agm", "balgrad", "balgrad-reweighting", "balgrad-projection"]);
        let datasets = set(&["food101", "hateful-memes", "mm-imdb", "emoji-subgroup", "emoji-match", "emoji-words"]);
        Claims::parse(&committed()).unwrap().check_names(&methods, &datasets).unwrap();
        for (from, to, told) in [
            ("\"agm\"", "\"agmm\"", "there is no method `agmm`"),
            (
                "datasets = [\"food101\"]",
                "datasets = [\"food10\"]",
                "claim `both-parts-beat-each`: there is no dataset `food10`",
            ),
            ("\"emoji-match\"", "\"emoji-mtch\"", "[suites.smoke]: there is no dataset `emoji-mtch`"),
        ] {
            let text = committed();
            assert!(text.contains(from), "{from}");
            let error =
                Claims::parse(&text.replacen(from, to, 1)).unwrap().check_names(&methods, &datasets).unwrap_err();
            assert!(error.to_string().contains(told), "{to}: {error}");
            assert!(errors::hint_of(&error).unwrap().starts_with("did you mean"), "{error:?}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        Claims::parse(&committed()).unwrap();
        for (from, to, told) in [
            ("version = 1", "version = 2", "`version` should be 1, found 2"),
            ("kind = \"lowest\"", "kind = \"least\"", "unknown variant `least`"),
            ("quantity = \"missing-gap\" }", "quantity = \"gap\" }", "unknown variant `gap`"),
            ("kind = \"lowest\",", "kind = \"lowest\", margin = 1,", "unknown field `margin`"),
            (
                "id = \"no-negative-transfer\"",
                "id = \"lowest-missing-gap\"",
                "two claims have the id `lowest-missing-gap`",
            ),
            ("datasets = [\"food101\"]", "datasets = []", "claim `both-parts-beat-each`: `datasets` should name"),
            ("parts = [\"balgrad-reweighting\", \"balgrad-projection\"]", "parts = []", "it compares nothing"),
            ("points = 0.5", "points = 0", "`smallest-effect` should be above 0"),
            ("[suites.smoke]", "[suites.smoke]\nlabel = 1", "unknown field `label`"),
        ] {
            let text = committed();
            assert!(text.contains(from), "{from}");
            let error = format!("{:#}", Claims::parse(&text.replacen(from, to, 1)).unwrap_err());
            assert!(error.contains(told), "{to}: {error}");
        }
    }
}
