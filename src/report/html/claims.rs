//! Verdicts as the page shows them.

use super::{Claim, Claims};
use crate::report::claims::text::{COLUMNS, papers, row};
use crate::report::claims::{Judgement, Judgements};

impl From<&Judgements> for Claims {
    fn from(judged: &Judgements) -> Self {
        Claims {
            note: format!("These verdicts are about {}. {}", judged.about, judged.how()),
            claims: judged.claims.iter().map(claim).collect(),
        }
    }
}

fn claim(judged: &Judgement) -> Claim {
    // Why a claim was not run is what is missing, a line each.
    let mut lines: Vec<String> = match judged.missing.is_empty() {
        true => vec![sentence(&judged.because)],
        false => judged.missing.iter().map(|missing| sentence(missing)).collect(),
    };
    lines.push(format!("In the paper: {}; its own numbers: {}.", judged.at, papers(judged)));
    lines.retain(|line| !line.is_empty());
    lines.dedup();
    Claim {
        id: judged.id.clone(),
        text: judged.says.clone(),
        verdict: judged.verdict.name().to_owned(),
        lines,
        columns: COLUMNS.map(str::to_owned).into(),
        numbers: judged.comparisons.iter().map(|check| row(check).into()).collect(),
    }
}

/// With a capital in front and a full stop behind.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let Some(first) = letters.next() else { return String::new() };
    first.to_uppercase().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::reference::Reference;
    use crate::report::results::{DatasetDescription, collect};
    use crate::report::samples::description;
    use crate::report::{SuiteKind, claims};

    /// Every claim of the committed file is shown with its verdict, even when nothing was run.
    #[test]
    fn every_claim_is_shown() {
        let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let stated = claims::Claims::load(&experiments).unwrap();
        let mut suite = description(SuiteKind::Paper, &[1]);
        let food = DatasetDescription { name: "food101".into(), ..suite.datasets[0].clone() };
        suite.datasets = vec![food];
        let results = collect(suite, &[]).unwrap();
        let judged = claims::judge(&stated, &results, &Reference::load(&experiments).unwrap()).unwrap();
        let shown = Claims::from(&judged);
        assert_eq!(shown.claims.len(), stated.claims.len());
        for claim in &shown.claims {
            assert_eq!(claim.verdict, "not run", "{claim:?}");
            assert!(claim.lines.iter().any(|line| line.starts_with("In the paper: ")), "{claim:?}");
            assert!(claim.numbers.iter().all(|row| row.len() == claim.columns.len()));
        }
        assert_eq!(sentence("all hold"), "All hold.");
        assert_eq!(sentence(""), "");
    }
}
