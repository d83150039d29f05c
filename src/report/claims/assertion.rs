//! The comparisons that a claim is made of.

use std::fmt;

use super::grammar::{Claim, Predicate};
use crate::report::quantity::Quantity;

/// On a dataset, `greater` − `smaller` lies above a margin.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// The paper's name of the dataset.
    pub dataset: String,
    pub greater: Side,
    /// None: 0.
    pub smaller: Option<Side>,
    pub margin: f64,
    /// Whether the margin itself will do.
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

/// How ΔGap grows with the missing ratio.
const GROWTH: Measure = Measure::Quantity(Quantity::MissingGapGrowth);

/// A claim's comparisons, dataset by dataset.
pub fn of(claim: &Claim, compared: &[String]) -> Vec<Assertion> {
    claim.datasets.iter().flat_map(|dataset| on(dataset, &claim.predicate, compared)).collect()
}

fn on(dataset: &str, predicate: &Predicate, compared: &[String]) -> Vec<Assertion> {
    let assertion = |greater: Side, smaller: Side| Assertion {
        dataset: dataset.to_owned(),
        greater,
        smaller: Some(smaller),
        margin: 0.0,
        or_equal: false,
    };
    let side = |method: &String, measure: Measure| Side { method: method.clone(), measure };
    let others = |method: &String, among: &Option<Vec<String>>| -> Vec<String> {
        among.as_deref().unwrap_or(compared).iter().filter(|other| *other != method).cloned().collect()
    };
    match predicate {
        Predicate::Lowest { method, quantity, among } => {
            let measure = Measure::Quantity(*quantity);
            others(method, among).iter().map(|other| assertion(side(other, measure), side(method, measure))).collect()
        }
        Predicate::Highest { method, quantity, among } => {
            let measure = Measure::Quantity(*quantity);
            others(method, among).iter().map(|other| assertion(side(method, measure), side(other, measure))).collect()
        }
        Predicate::Compare { greater, smaller, quantity, margin } => {
            let measure = Measure::Quantity(*quantity);
            vec![Assertion { margin: *margin, ..assertion(side(greater, measure), side(smaller, measure)) }]
        }
        Predicate::NoNegativeTransfer { method } => {
            let of = |quantity| side(method, Measure::Quantity(quantity));
            let impaired = Quantity::ALL.into_iter().filter(|quantity| quantity.can_be_negative_transfer());
            let not_above = |quantity| Assertion { or_equal: true, ..assertion(of(Quantity::Full), of(quantity)) };
            impaired.map(not_above).collect()
        }
        Predicate::BothBeatEach { method, parts, quantities } => {
            let pairs = quantities.iter().flat_map(|quantity| parts.iter().map(move |part| (*quantity, part)));
            let better = |(quantity, part): (Quantity, &String)| {
                let [both, one] = [method, part].map(|method| side(method, Measure::Quantity(quantity)));
                if quantity.higher_is_better() { assertion(both, one) } else { assertion(one, both) }
            };
            pairs.map(better).collect()
        }
        Predicate::RaisesMeanCosine { with, without } => {
            vec![assertion(side(with, Measure::MeanCosine), side(without, Measure::MeanCosine))]
        }
        Predicate::GrowsWithRatio { methods } => {
            let grows = |method| Assertion {
                dataset: dataset.to_owned(),
                greater: side(method, GROWTH),
                smaller: None,
                margin: 0.0,
                or_equal: false,
            };
            methods.iter().map(grows).collect()
        }
        Predicate::LeastGrowth { method, among } => {
            let measure = GROWTH;
            others(method, among).iter().map(|other| assertion(side(other, measure), side(method, measure))).collect()
        }
        Predicate::ConflictsFall { with, without } => {
            let measure = Measure::Quantity(Quantity::Conflict);
            vec![assertion(side(without, measure), side(with, measure))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::claims::grammar::Claims;

    fn told(predicate: &str) -> Vec<String> {
        let text = format!(
            "version = 1\ncompared = [\"a\", \"b\"]\nsmallest-effect = {{ points = 1, cosine = 1 }}\n[[claims]]\nid = \"x\"\n\
             says = \"\"\nat = \"\"\ndatasets = [\"d\"]\npredicate = {{ {predicate} }}\n"
        );
        let file = Claims::parse(&text).unwrap();
        let told = |one: Assertion| match (&one.smaller, one.or_equal) {
            (Some(smaller), false) => format!("{} > {smaller} + {}", one.greater, one.margin),
            (Some(smaller), true) => format!("{} ≥ {smaller}", one.greater),
            (None, _) => format!("{} > 0", one.greater),
        };
        of(&file.claims[0], &file.compared).into_iter().map(told).collect()
    }

    #[test]
    fn every_predicate_is_comparisons() {
        let full = |sides: &str| sides.replace('Q', "full of");
        assert_eq!(
            told(r#"kind = "lowest", method = "m", quantity = "full""#),
            [full("Q a > Q m + 0"), full("Q b > Q m + 0")]
        );
        assert_eq!(told(r#"kind = "highest", method = "a", quantity = "full""#), [full("Q a > Q b + 0")]);
        assert_eq!(
            told(r#"kind = "highest", method = "m", quantity = "full", among = ["z"]"#),
            [full("Q m > Q z + 0")]
        );
        assert_eq!(
            told(r#"kind = "compare", greater = "a", smaller = "b", quantity = "full", margin = 2.5"#),
            [full("Q a > Q b + 2.5")]
        );
        assert_eq!(
            told(r#"kind = "no-negative-transfer", method = "m""#),
            ["missing-image", "missing-text", "noisy-image", "noisy-text"].map(|q| format!("full of m ≥ {q} of m"))
        );
        assert_eq!(
            told(r#"kind = "both-beat-each", method = "m", parts = ["p", "q"], quantities = ["full", "noisy-gap"]"#),
            [
                "full of m > full of p + 0",
                "full of m > full of q + 0",
                "noisy-gap of p > noisy-gap of m + 0",
                "noisy-gap of q > noisy-gap of m + 0",
            ]
        );
        assert_eq!(
            told(r#"kind = "raises-mean-cosine", with = "m", without = "n""#),
            ["mean cosine of m > mean cosine of n + 0"]
        );
        assert_eq!(told(r#"kind = "grows-with-ratio", methods = ["m"]"#), ["missing-gap-growth of m > 0"]);
        assert_eq!(told(r#"kind = "least-growth", method = "m""#).len(), 2);
        assert_eq!(
            told(r#"kind = "conflicts-fall", with = "m", without = "n""#),
            ["conflict of n > conflict of m + 0"]
        );
    }
}
