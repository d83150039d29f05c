//! Verdicts in words: `claims.md`, the output of `seesaw claims`, and what the report shows.

use super::printed::PrintedOutcome;
use super::verdict::{NOT_JUDGED, probability, short};
use super::{Check, Judgement, Judgements};
use crate::evaluation::statistics::bootstrap::How;
use crate::report::escape::markdown;
use crate::report::words::{sentence, several};

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

    /// As Markdown: a table of verdicts, then the comparisons of each claim.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Claims: {}\n\n", markdown(&self.suite));
        text += &format!("{}\n\n", note(self));
        text += "| claim | where | verdict | because | the paper's own numbers |\n|---|---|---|---|---|\n";
        for claim in &self.claims {
            let cells = [&claim.says, &claim.at, claim.verdict_name(), &claim.because, &papers(claim)].map(markdown);
            text += &format!("| {} |\n", cells.join(" | "));
        }
        for claim in &self.claims {
            text += &format!("\n## {}\n\n{}\n", markdown(&claim.id), markdown(&claim.says));
            if !claim.comparisons.is_empty() {
                text += &format!("\n| {} |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n", COLUMNS.join(" | "));
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

    /// For a terminal: each verdict with its reason, and the comparisons that do not hold.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n{}\n", self.suite, self.about, self.how());
        for claim in &self.claims {
            text += &format!("\n{:<15} {} [{}]\n", claim.verdict_name(), claim.says, claim.at);
            if claim.verdict.is_some() {
                text += &format!("                {}\n", claim.because);
            }
            text += &format!("                the paper's own numbers: {}\n", papers(claim));
            for check in claim.comparisons.iter().filter(|check| !check.holds) {
                let [says, _, greater, smaller, difference, interval, p, ..] = row(check);
                text += &format!(
                    "                not {says}: {greater} against {smaller}, {difference} ({interval}), p {p}\n"
                );
            }
        }
        text
    }

    /// The tally: `1 reproduced, 5 undecided`, or that there are no verdicts.
    pub fn in_one_line(&self) -> String {
        match self.family {
            Some(_) => {
                let parts = self.tally().into_iter().map(|(verdict, n)| format!("{n} {}", verdict.name()));
                parts.collect::<Vec<_>>().join(", ")
            }
            None => NOT_JUDGED.to_owned(),
        }
    }

    /// How the verdicts were reached, or why there are none.
    fn how(&self) -> String {
        let Some(family) = &self.family else {
            return "A run on part of the data, or on imitations of data and weights, says nothing about these claims."
                .to_owned();
        };
        let standing: Vec<String> =
            self.standing.iter().map(|(papers, ours)| format!("{ours} stands for {papers}")).collect();
        let standing = if standing.is_empty() { String::new() } else { format!("Here {}. ", standing.join(", ")) };
        format!(
            "{standing}{}; significant below {} after {}; the smallest meaningful difference is {} points, or {} of a cosine.",
            several(self.seeds.len() as u64, "seed"),
            self.alpha,
            family,
            self.smallest_effect.points,
            self.smallest_effect.cosine
        )
    }
}

/// What the verdicts are about, and how they were reached.
pub(in crate::report) fn note(judged: &Judgements) -> String {
    match judged.family {
        Some(_) => format!("These verdicts are about {}. {}", judged.about, judged.how()),
        None => format!("{} {}", sentence(judged.about), judged.how()),
    }
}

/// Why a claim has its verdict, and what the paper prints about it: a sentence each.
pub(in crate::report) fn reasons(claim: &Judgement) -> Vec<String> {
    let mut reasons: Vec<String> = match (claim.verdict, claim.missing.is_empty()) {
        (None, _) => Vec::new(),
        (_, true) => vec![sentence(&claim.because)],
        (_, false) => claim.missing.iter().map(|cause| sentence(cause)).collect(),
    };
    reasons.push(format!("In the paper: {}; its own numbers: {}.", claim.at, papers(claim)));
    reasons.dedup();
    reasons
}

/// Whether the paper's own numbers satisfy a claim.
fn papers(claim: &Judgement) -> String {
    match claim.paper.outcome {
        PrintedOutcome::Satisfied => "satisfy it".to_owned(),
        PrintedOutcome::Violated => format!("do not satisfy it: not {}", claim.paper.details.join("; not ")),
        PrintedOutcome::NotTranscribed => "not transcribed".to_owned(),
    }
}

/// Why the claim cannot be checked in the paper's numbers.
fn unknown(claim: &Judgement) -> String {
    let of = match (claim.paper.details.len(), claim.comparisons.len() + claim.missing.len()) {
        (unknown, all) if unknown < all => format!("{unknown} of {all} comparisons"),
        _ => "this claim".to_owned(),
    };
    format!("the numbers of {} are not transcribed, so {of} cannot be checked in them", claim.at)
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
