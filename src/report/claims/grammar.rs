//! The grammar of `experiments/claims.toml`, and the comparisons that its claims consist of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::report::SuiteKind;
use crate::report::quantity::Quantity;
use crate::report::target;
use crate::report::words::capitalized;
use crate::{errors, settings};

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

/// The smallest meaningful difference: one that is certainly smaller reproduces no claim.
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
    /// The tables and figures that show it, by the names of their files: `table1`.
    #[serde(default)]
    pub shown: Vec<String>,
    /// The paper's names of the datasets that it is about; it has to hold on each of them.
    pub datasets: Vec<String>,
    pub predicate: Predicate,
}

/// What has to hold on each dataset of a claim.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Predicate {
    /// The method is better than each of the others in each of the quantities.
    Best { method: String, quantities: Vec<Quantity>, among: Option<Vec<String>> },
    /// None of the method's impaired scores is above its full one.
    NoNegativeTransfer { method: String },
    /// The mean cosine between the gradients of image and text is higher with than without (Figure 7).
    RaisesMeanCosine { with: String, without: String },
    /// ΔGap grows with the missing ratio (Figure 4): it is larger at the last ratio than at the first one above 0, and the
    /// least-squares slope over these ratios is above 0.
    GrowsWithRatio { methods: Vec<String> },
}

/// One comparison of a claim: on a dataset, `greater` is above `smaller`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// The paper's name of the dataset.
    pub dataset: String,
    pub greater: Side,
    /// None: 0.
    pub smaller: Option<Side>,
    /// Whether equality is enough.
    pub or_equal: bool,
}

/// What is measured of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub method: String,
    pub measure: Measure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// At missing ratio 1.
    Quantity(Quantity),
    /// The mean cosine between the gradients of image and text.
    MeanCosine,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = match self.measure {
            Measure::Quantity(quantity) => quantity.name(),
            Measure::MeanCosine => "mean cosine",
        };
        write!(f, "{measure} of {}", self.method)
    }
}

impl Assertion {
    /// What it measures: one side, or two.
    fn sides(&self) -> impl Iterator<Item = &Side> {
        [Some(&self.greater), self.smaller.as_ref()].into_iter().flatten()
    }

    /// In words: `full of balgrad > full of agm on food101`, with the dataset's name there.
    pub fn on(&self, dataset: &str) -> String {
        let sign = if self.or_equal { "≥" } else { ">" };
        let smaller = self.smaller.as_ref().map_or_else(|| "0".to_owned(), Side::to_string);
        format!("{} {sign} {smaller} on {dataset}", self.greater)
    }
}

impl Measure {
    /// As sentences call it.
    pub fn title(self) -> &'static str {
        match self {
            Measure::Quantity(quantity) => quantity.title(),
            Measure::MeanCosine => "mean cosine between the gradients",
        }
    }

    /// A sentence that says what it is.
    fn definition(self) -> String {
        let meaning = match self {
            Measure::Quantity(quantity) => format!("{}, in {}", quantity.meaning(), quantity.unit()),
            Measure::MeanCosine => {
                "over all steps, of the updates of the embedding layers or of the task loss's gradients at \
                                    the embeddings"
                    .to_owned()
            }
        };
        format!("{}: {meaning}.", capitalized(self.title()))
    }
}

impl Claim {
    /// The claim's comparisons, dataset by dataset. `compared` are the methods of a `best` without `among`.
    pub fn assertions(&self, compared: &[String]) -> Vec<Assertion> {
        self.datasets.iter().flat_map(|dataset| self.predicate.assertions(dataset, compared)).collect()
    }

    /// What the claim measures, a sentence each.
    pub fn definitions(&self, compared: &[String]) -> Vec<String> {
        let mut definitions: Vec<String> = Vec::new();
        for definition in
            self.assertions(compared).iter().flat_map(Assertion::sides).map(|side| side.measure.definition())
        {
            if !definitions.contains(&definition) {
                definitions.push(definition);
            }
        }
        definitions
    }
}

impl Predicate {
    fn assertions(&self, dataset: &str, compared: &[String]) -> Vec<Assertion> {
        let side = |method: &String, measure| Side { method: method.clone(), measure };
        let assertion =
            |greater, smaller, or_equal| Assertion { dataset: dataset.to_owned(), greater, smaller, or_equal };
        match self {
            Predicate::Best { method, quantities, among } => {
                let others = among.as_deref().unwrap_or(compared).iter().filter(|other| *other != method);
                let pairs = quantities.iter().flat_map(|quantity| others.clone().map(move |other| (*quantity, other)));
                let better = |(quantity, other): (Quantity, &String)| {
                    let [best, other] = [method, other].map(|method| side(method, Measure::Quantity(quantity)));
                    let (greater, smaller) = if quantity.higher_is_better() { (best, other) } else { (other, best) };
                    assertion(greater, Some(smaller), false)
                };
                pairs.map(better).collect()
            }
            Predicate::NoNegativeTransfer { method } => {
                let of = |quantity| side(method, Measure::Quantity(quantity));
                let impaired = Quantity::ALL.into_iter().filter(|quantity| quantity.can_be_negative_transfer());
                impaired.map(|quantity| assertion(of(Quantity::Full), Some(of(quantity)), true)).collect()
            }
            Predicate::RaisesMeanCosine { with, without } => {
                let [with, without] = [with, without].map(|method| side(method, Measure::MeanCosine));
                vec![assertion(with, Some(without), false)]
            }
            Predicate::GrowsWithRatio { methods } => {
                let both = [Quantity::MissingGapGrowth, Quantity::MissingGapTrend].map(Measure::Quantity);
                let of = |method| both.map(|measure| assertion(side(method, measure), None, false));
                methods.iter().flat_map(of).collect()
            }
        }
    }
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
        let file: Claims = settings::from_toml(text).map_err(anyhow::Error::msg)?;
        ensure!(file.version == 1, "`version` should be 1, found {}", file.version);
        let SmallestEffect { points, cosine } = file.smallest_effect;
        ensure!(
            points > 0.0 && cosine > 0.0 && points.is_finite() && cosine.is_finite(),
            "`smallest-effect` should be above 0"
        );
        for (at, claim) in file.claims.iter().enumerate() {
            let id = &claim.id;
            ensure!(file.claims[..at].iter().all(|other| other.id != *id), "two claims have the id `{id}`");
            for name in &claim.shown {
                target::find(name).with_context(|| format!("claim `{id}`: `shown`"))?;
            }
            ensure!(!claim.datasets.is_empty(), "claim `{id}`: `datasets` should name at least one");
            let assertions = claim.assertions(&file.compared);
            ensure!(!assertions.is_empty(), "claim `{id}`: it compares nothing");
        }
        Ok(file)
    }

    /// Checks that all methods and datasets are known: a typo would look like a claim that was not run.
    ///
    /// # Errors
    /// A usage error that names the claim, the unknown name and a near one.
    pub fn check_names(&self, methods: &BTreeSet<String>, datasets: &BTreeSet<String>) -> anyhow::Result<()> {
        let check = |place: &str, what: &str, name: &str, known: &BTreeSet<String>| {
            if known.contains(name) {
                return Ok(());
            }
            let message = format!("experiments/{FILE}: {place}: there is no {what} `{name}`");
            Err(errors::unknown(message, name, known.iter().map(String::as_str)))
        };
        self.compared.iter().try_for_each(|name| check("`compared`", "method", name, methods))?;
        for (suite, mapping) in &self.suites {
            let names = mapping.datasets.iter().flat_map(|(papers, ours)| [papers, ours]);
            names.into_iter().try_for_each(|name| check(&format!("[suites.{suite}]"), "dataset", name, datasets))?;
        }
        for claim in &self.claims {
            let place = format!("claim `{}`", claim.id);
            claim.datasets.iter().try_for_each(|name| check(&place, "dataset", name, datasets))?;
            for side in claim.assertions(&self.compared).iter().flat_map(Assertion::sides) {
                check(&place, "method", &side.method, methods)?;
            }
        }
        Ok(())
    }

    /// Which dataset of a suite stands for which of the paper's; none for suites of the paper itself, where each stands for
    /// itself.
    ///
    /// # Errors
    /// A usage error if the suite is not the paper's and has no mapping.
    pub fn mapping(&self, suite: &str, kind: SuiteKind) -> anyhow::Result<Option<&Mapping>> {
        let mapping = self.suites.get(suite);
        if mapping.is_none() && kind == SuiteKind::Smoke {
            return Err(errors::usage(
                format!("there are no claims about the suite `{suite}`: its datasets are not the paper's"),
                format!("map the paper's datasets to those of the suite in experiments/{FILE}, as [suites.{suite}]"),
            ));
        }
        Ok(mapping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed file with one change.
    fn changed(from: &str, to: &str) -> anyhow::Result<Claims> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(FILE);
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(from), "{from}");
        Claims::parse(&text.replacen(from, to, 1))
    }

    fn comparisons(predicate: &str) -> Vec<String> {
        let text = format!(
            "version = 1\ncompared = [\"a\", \"b\"]\nsmallest-effect = {{ points = 1, cosine = 1 }}\n[[claims]]\nid = \"x\"\n\
             says = \"\"\nat = \"\"\ndatasets = [\"d\"]\npredicate = {{ {predicate} }}\n"
        );
        let file = Claims::parse(&text).unwrap();
        file.claims[0].assertions(&file.compared).iter().map(|one| one.on("d")).collect()
    }

    #[test]
    fn every_predicate_is_comparisons() {
        assert_eq!(
            comparisons(r#"kind = "best", method = "m", quantities = ["conflict"]"#),
            ["conflict of a > conflict of m on d", "conflict of b > conflict of m on d"]
        );
        assert_eq!(
            comparisons(r#"kind = "best", method = "a", quantities = ["full"]"#),
            ["full of a > full of b on d"]
        );
        assert_eq!(
            comparisons(r#"kind = "best", method = "m", among = ["p", "q"], quantities = ["full", "noisy-gap"]"#),
            [
                "full of m > full of p on d",
                "full of m > full of q on d",
                "noisy-gap of p > noisy-gap of m on d",
                "noisy-gap of q > noisy-gap of m on d",
            ]
        );
        assert_eq!(
            comparisons(r#"kind = "no-negative-transfer", method = "m""#),
            ["missing-image", "missing-text", "noisy-image", "noisy-text"]
                .map(|q| format!("full of m ≥ {q} of m on d"))
        );
        assert_eq!(
            comparisons(r#"kind = "raises-mean-cosine", with = "m", without = "n""#),
            ["mean cosine of m > mean cosine of n on d"]
        );
        assert_eq!(
            comparisons(r#"kind = "grows-with-ratio", methods = ["m"]"#),
            ["missing-gap-growth of m > 0 on d", "missing-gap-trend of m > 0 on d"]
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
        let methods =
            set(&["baseline", "mslr", "ogm-ge", "agm", "balgrad", "balgrad-reweighting", "balgrad-projection"]);
        let datasets = set(&["food101", "hateful-memes", "mm-imdb", "emoji-subgroup", "emoji-match", "emoji-words"]);
        changed("", "").unwrap().check_names(&methods, &datasets).unwrap();
        for (from, to, expected) in [
            ("\"agm\"", "\"agmm\"", "there is no method `agmm`"),
            (
                "datasets = [\"food101\"]",
                "datasets = [\"food10\"]",
                "claim `both-parts-beat-each`: there is no dataset `food10`",
            ),
            ("\"emoji-match\"", "\"emoji-mtch\"", "[suites.smoke]: there is no dataset `emoji-mtch`"),
        ] {
            let error = changed(from, to).unwrap().check_names(&methods, &datasets).unwrap_err();
            assert!(error.to_string().contains(expected), "{to}: {error}");
            assert!(errors::hint_of(&error).unwrap().starts_with("did you mean"), "{error:?}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for (from, to, expected) in [
            ("version = 1", "version = 2", "`version` should be 1, found 2"),
            ("kind = \"best\"", "kind = \"least\"", "unknown variant `least`"),
            ("quantities = [\"missing-gap\"]", "quantities = [\"gap\"]", "unknown variant `gap`"),
            ("kind = \"best\",", "kind = \"best\", margin = 1,", "unknown field `margin`"),
            (
                "id = \"no-negative-transfer\"",
                "id = \"lowest-missing-gap\"",
                "two claims have the id `lowest-missing-gap`",
            ),
            ("datasets = [\"food101\"]", "datasets = []", "claim `both-parts-beat-each`: `datasets` should name"),
            ("among = [\"balgrad-reweighting\", \"balgrad-projection\"]", "among = []", "it compares nothing"),
            ("shown = [\"table1\"]", "shown = [\"table9\"]", "claim `lowest-missing-gap`: `shown`: there is no table"),
            ("points = 0.5", "points = 0", "`smallest-effect` should be above 0"),
            ("[suites.smoke]", "[suites.smoke]\nlabel = 1", "unknown field `label`"),
        ] {
            let error = format!("{:#}", changed(from, to).unwrap_err());
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
