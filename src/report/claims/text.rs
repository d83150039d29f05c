//! Verdicts for people: `claims.md`, and what `seesaw claims` prints.

use super::printed::PrintedOutcome;
use super::verdict::{probability, short};
use super::{Check, Judgement, Judgements};
use crate::evaluation::statistics::bootstrap::How;
use crate::report::escape::markdown;
use crate::report::html::words::several;

impl Judgements {
    /// The content of `claims.json` and `claims.md`.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn files(&self) -> anyhow::Result<[Vec<u8>; 2]> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok([json, self.markdown().into_bytes()])
    }

    /// As Markdown: a table of verdicts, then the comparisons behind each.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Claims: {}\n\n", markdown(&self.suite));
        text += &format!("These verdicts are about {}. {}\n\n", self.about, self.how());
        text += "| claim | where | verdict | because | the paper's own numbers |\n|---|---|---|---|---|\n";
        for claim in &self.claims {
            let cells = [&claim.says, &claim.at, claim.verdict.name(), &claim.because, &papers(claim)].map(markdown);
            text += &format!("| {} |\n", cells.join(" | "));
        }
        for claim in &self.claims {
            text += &format!("\n## {}\n\n{}\n", markdown(&claim.id), markdown(&claim.says));
            if !claim.comparisons.is_empty() {
                text += "\n| comparison | holds | greater | smaller | difference | 95 % | p | d | seeds |\n\
                         |---|---|---:|---:|---:|---:|---:|---:|---:|\n";
            }
            for check in &claim.comparisons {
                text += &format!("| {} |\n", row(check).map(|cell| markdown(&cell)).join(" | "));
            }
            match claim.paper.outcome {
                PrintedOutcome::Satisfied => {}
                PrintedOutcome::Violated => {
                    for detail in &claim.paper.details {
                        text += &format!("\nThe paper: its printed numbers do not satisfy {}.\n", markdown(detail));
                    }
                }
                PrintedOutcome::NotTranscribed => text += &format!("\nThe paper: {}.\n", markdown(&unknown(claim))),
            }
        }
        text
    }

    /// For a terminal: a verdict with its reason per claim, and the comparisons that do not hold.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n{}\n", self.suite, self.about, self.how());
        for claim in &self.claims {
            text += &format!("\n{:<15} {} [{}]\n", claim.verdict.name(), claim.says, claim.at);
            text += &format!(
                "                {}\n                the paper's own numbers: {}\n",
                claim.because,
                papers(claim)
            );
            for check in claim.comparisons.iter().filter(|check| !check.holds) {
                let [says, _, greater, smaller, difference, interval, p, ..] = row(check);
                text += &format!(
                    "                not {says}: {greater} against {smaller}, {difference} ({interval}), p {p}\n"
                );
            }
        }
        text
    }

    /// How the verdicts came about.
    pub(in crate::report) fn how(&self) -> String {
        let standing: Vec<String> =
            self.standing.iter().map(|(papers, ours)| format!("{ours} stands for {papers}")).collect();
        let standing = if standing.is_empty() { String::new() } else { format!("Here {}. ", standing.join(", ")) };
        format!(
            "{standing}{}; significant below {} after {}; the smallest difference worth the name is {} points, {} of a cosine.",
            several(self.seeds.len() as u64, "seed"),
            self.alpha,
            self.family,
            self.smallest_effect.points,
            self.smallest_effect.cosine
        )
    }
}

/// Whether the paper's own numbers satisfy a claim.
pub(in crate::report) fn papers(claim: &Judgement) -> String {
    match claim.paper.outcome {
        PrintedOutcome::Satisfied => "satisfy it".to_owned(),
        PrintedOutcome::Violated => format!("do not satisfy it: not {}", claim.paper.details.join("; not ")),
        PrintedOutcome::NotTranscribed => "not transcribed".to_owned(),
    }
}

/// That the paper's numbers cannot be looked at.
fn unknown(claim: &Judgement) -> String {
    let of = match (claim.paper.details.len(), claim.comparisons.len() + claim.missing.len()) {
        (unknown, all) if unknown < all => format!("{unknown} of {all} comparisons"),
        _ => "this claim".to_owned(),
    };
    format!("the numbers of {} are not transcribed, so that {of} cannot be checked in them", claim.at)
}

/// What the cells of [`row`] are.
pub(in crate::report) const COLUMNS: [&str; 9] =
    ["comparison", "holds", "greater", "smaller", "difference", "95 %", "p", "d", "seeds"];

/// A comparison's cells.
pub(in crate::report) fn row(check: &Check) -> [String; 9] {
    let optional = |number: Option<f64>| number.map_or("—".to_owned(), short);
    let how = |how| match how {
        How::Bootstrap => "",
        How::TOverSeeds => ", over seeds alone",
    };
    [
        check.says.clone(),
        if check.holds { "yes" } else { "no" }.to_owned(),
        short(check.greater),
        check.smaller.map_or("0".to_owned(), short),
        short(check.excess),
        check.interval.map_or("—".to_owned(), |i| format!("{} to {}{}", short(i.low), short(i.high), how(i.how))),
        check.p.map_or("—".to_owned(), |p| probability(p).trim_start_matches("= ").to_owned()),
        optional(check.effect),
        check.n.to_string(),
    ]
}
