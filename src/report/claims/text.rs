//! Verdicts in words: `claims.md`, the output of `seesaw claims`, and what the report shows.

use super::printed::PrintedOutcome;
use super::verdict::{NotJudged, probability, short};
use super::{Check, Judgement, Judgements, Verdict};
use crate::evaluation::statistics::bootstrap::How;
use crate::report::escape::markdown;
use crate::report::words::{capitalized, sentence, several};

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
        text += &format!("{}\n\n{}\n\n", self.answer(), note(self));
        text += "| claim | where | verdict | because | the paper's own numbers |\n|---|---|---|---|---|\n";
        for claim in &self.claims {
            let cells = [&claim.says, &claim.at, claim.verdict_name(), &claim.because, &papers(claim)].map(markdown);
            text += &format!("| {} |\n", cells.join(" | "));
        }
        for claim in &self.claims {
            text += &format!("\n## {}\n\n{}\n", markdown(&claim.id), markdown(&claim.says));
            for line in claim.defined.iter().cloned().chain(statistics(claim)) {
                text += &format!("\n{}\n", markdown(&line));
            }
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
        let mut text = format!("{}: {}\n{}\n", self.suite, self.answer(), note(self));
        for claim in &self.claims {
            text += &format!("\n{:<15} {} [{}]\n", claim.verdict_name(), claim.says, claim.at);
            let because = claim.verdict.map(|_| claim.because.clone());
            for line in [because, Some(papers(claim)), statistics(claim)].into_iter().flatten() {
                text += &format!("                {line}\n");
            }
            for check in claim.comparisons.iter().filter(|check| !check.holds) {
                let [words, _, greater, smaller, difference, interval, p, ..] = row(check);
                text += &format!(
                    "                not so: {words}: {greater} against {smaller}, {difference} ({interval}), p {p}\n"
                );
            }
        }
        text
    }

    /// The answer in a sentence: `The paper holds on 3 of 9 claims: 3 are reproduced, 6 are undecided.`
    pub fn answer(&self) -> String {
        if let Some(why) = self.not_judged {
            return sentence(why.name());
        }
        let tally = self.tally();
        let of = |verdict| tally.iter().find(|(known, _)| *known == verdict).map_or(0, |(_, n)| *n);
        let (all, held) = (self.claims.len(), of(Verdict::Reproduced));
        let tested = all - of(Verdict::NotRun);
        let hold = if held == 1 { "holds" } else { "hold" };
        let verb = |n: usize| if n == 1 { "is" } else { "are" };
        let parts = tally.iter().map(|(verdict, n)| format!("{n} {} {}", verb(*n), verdict.name()));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let claims = match (tested, self.standing.is_empty()) {
            (0, _) => return format!("Nothing can be said yet: the numbers of all {all} claims are missing."),
            (tested, true) if tested < all => {
                format!("So far, the paper holds on {held} of the {tested} claims that could be tested")
            }
            (_, true) => format!("The paper holds on {held} of {all} claims"),
            (tested, false) if tested < all => {
                format!("On other datasets, {held} of the {tested} claims that could be tested {hold}")
            }
            (_, false) => format!("On other datasets, {held} of the paper's {all} claims {hold}"),
        };
        format!("{claims}: {parts}.")
    }

    /// The tally: `1 reproduced, 5 undecided`, or that there are no verdicts.
    pub fn in_one_line(&self) -> String {
        let parts = self.tally().into_iter().map(|(verdict, n)| format!("{n} {}", verdict.name()));
        self.not_judged.map_or_else(|| parts.collect::<Vec<_>>().join(", "), |why| why.name().to_owned())
    }

    /// How the verdicts were reached, or why there are none.
    fn how(&self) -> String {
        let (Some(family), None) = (&self.family, self.not_judged) else {
            return self.not_judged.map_or("", NotJudged::explained).to_owned();
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
        (_, true) => vec![claim.because.clone()],
        (_, false) => claim.missing.iter().map(|cause| sentence(cause)).collect(),
    };
    reasons.push(format!("In the paper: {}. {}", claim.at, papers(claim)));
    reasons.dedup();
    reasons
}

/// Whether the paper's own numbers satisfy a claim.
fn papers(claim: &Judgement) -> String {
    match claim.paper.outcome {
        PrintedOutcome::Satisfied => "The paper's numbers support this.".to_owned(),
        PrintedOutcome::Violated => {
            let details = claim.paper.details.join("; nor that ");
            format!("The paper's own numbers do not support this. It is not so that {details}.")
        }
        PrintedOutcome::NotTranscribed => "The paper's numbers for this are not transcribed.".to_owned(),
    }
}

/// The tests behind a verdict; none where nothing was tested.
pub(in crate::report) fn statistics(claim: &Judgement) -> Option<String> {
    let of = |p: Option<f64>, corrected: Option<f64>| {
        p.zip(corrected)
            .map(|(p, corrected)| format!("p {} after correction, p {} before", probability(corrected), probability(p)))
    };
    let mut text = of(claim.p, claim.p_corrected)?;
    if let Some(small) = of(claim.p_small, claim.p_small_corrected) {
        text += &format!("; of a meaningful difference after all: {small}");
    }
    Some(sentence(&text).replacen('P', "p", 1))
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
        capitalized(&check.words),
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
