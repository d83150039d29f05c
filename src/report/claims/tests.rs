use std::path::Path;

use super::printed::PrintedOutcome;
use super::*;
use crate::report::reference::committed;
use crate::report::results::{Cell, Outcome, collect};
use crate::report::samples::{ablation, realistic, scored};

fn file() -> Claims {
    Claims::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")).unwrap()
}

/// One claim: the method `balgrad` has the higher full score than `baseline` on a dataset.
fn one_claim() -> Claims {
    Claims::parse(
        r#"
        version = 1
        compared = ["baseline"]
        smallest-effect = { points = 0.5, cosine = 0.01 }
        [suites.example]
        datasets = { food101 = "emoji-subgroup" }
        [[claims]]
        id = "higher"
        says = "BalGrad is better."
        at = "Table 1"
        datasets = ["food101"]
        predicate = { kind = "best", method = "balgrad", quantities = ["full"] }
        "#,
    )
    .unwrap()
}

/// Results in which BalGrad's full score lies above the baseline's by these, one seed each.
fn leads(leads: &[f64]) -> Results {
    let mut suite = realistic(SuiteKind::Smoke, 2).suite;
    suite.datasets.truncate(1);
    suite.seeds = (1..=leads.len() as u64).collect();
    suite.methods[1].name = "balgrad".into();
    suite.datasets[0].methods = vec!["baseline".into(), "balgrad".into()];
    suite.ratios = vec![0.0, 0.5, 1.0];
    let mut cells = Vec::new();
    for (&seed, lead) in suite.seeds.iter().zip(leads) {
        for (method, more) in [("baseline", 0.0), ("balgrad", *lead)] {
            let outcome = match more.is_nan() {
                true => Outcome::Failed { cause: "loss_T is NaN".into() },
                false => scored(50.0 + seed as f64 + more, 20.0, 30.0),
            };
            cells.push(Cell { dataset: suite.datasets[0].name.clone(), method: method.into(), seed, outcome });
        }
    }
    collect(suite, &cells).unwrap()
}

fn judged(differences: &[f64]) -> Judgement {
    judge(&one_claim(), &leads(differences), &committed()).unwrap().claims.remove(0)
}

/// Each verdict, with the differences that lead to it.
#[test]
fn the_five_verdicts() {
    for (differences, verdict, because) in [
        (&[3.0, 3.2, 2.9, 3.1, 3.0][..], Verdict::Reproduced, "The comparison holds, significantly."),
        (
            &[-3.0, -3.2, -2.9, -3.1, -3.0],
            Verdict::Contradicted,
            "The comparison goes the other way, significantly: it is not so that MSLR has a higher full score than Baseline on Emoji subgroup; the difference is -3.04",
        ),
        // Surely negative, and by too little to matter.
        (&[-0.2, -0.21, -0.19, -0.2, -0.22], Verdict::NotReproduced, "too small to matter (below 0.5)."),
        // Surely smaller than half a point, and not surely negative.
        (
            &[0.1, -0.2, -0.1, 0.15, -0.1],
            Verdict::NotReproduced,
            "a difference is surely too small to matter (below 0.5)",
        ),
        (&[4.0, -1.0, 3.0, -2.0, 2.0], Verdict::Undecided, "The comparison holds, but not significantly."),
        (&[-4.0, 1.0, -3.0, 2.0, -2.0], Verdict::Undecided, "The comparison goes the other way, not significantly."),
        (&[3.0, 3.1], Verdict::Undecided, "The comparison holds, but 2 seeds are too few for a test, which needs 3."),
        (&[3.0], Verdict::Undecided, "but 1 seed is too few"),
        (&[-9.0, -9.1], Verdict::Undecided, "The comparison goes the other way, but 2 seeds are too few"),
        (&[3.0, 3.0, 3.0], Verdict::Undecided, "but without variation there is no test."),
        (&[0.0, 0.0, 0.0], Verdict::Undecided, "The comparison does not hold"),
        (&[f64::NAN, f64::NAN, f64::NAN], Verdict::NotRun, "Full of balgrad on emoji-subgroup: failed: loss_T is NaN"),
    ] {
        let found = judged(differences);
        assert_eq!(found.verdict, Some(verdict), "{differences:?}: {}", found.because);
        assert!(found.because.contains(because), "{differences:?}: {}", found.because);
    }
}

/// The power calculation names a number where one would do, and none for a claim that is decided.
#[test]
fn undecided_says_how_many_seeds() {
    let needed = |differences: &[f64]| judged(differences).seeds_needed;
    assert!(matches!(needed(&[4.0, -1.0, 3.0, -2.0, 2.0]), Some(SeedsNeeded::About(n)) if (10..60).contains(&n)));
    assert_eq!(needed(&[40.0, -40.0, 40.1, -40.0, 0.0]), Some(SeedsNeeded::MoreThan(1000)));
    assert_eq!(needed(&[3.0, 3.2, 2.9, 3.1, 3.0]), None);
    assert_eq!(needed(&[3.0, 3.0, 3.0]), None);
    let because = judged(&[4.0, -1.0, 3.0, -2.0, 2.0]).because;
    assert!(because.contains("seeds would suffice for differences of this size."), "{because}");
}

/// Numbers that are missing for one cause are one line, by datasets.
#[test]
fn causes_are_listed_once() {
    let of = |side: &str, dataset: &str, cause: &str| Missing {
        of: Some((side.to_owned(), dataset.to_owned())),
        cause: cause.to_owned(),
    };
    let network = "not run: no network\nhint: try again";
    let all = [
        of("full of agm", "food101", network),
        of("full of mslr", "food101", network),
        of("full of agm", "mm-imdb", network),
        Missing::plain("the suite has no dataset `x`".into()),
        Missing::plain("the suite has no dataset `x`".into()),
        of("full of agm", "cub", "failed: loss_T is NaN"),
    ];
    assert_eq!(
        grouped(&all),
        [
            "food101, mm-imdb: not run: no network",
            "the suite has no dataset `x`",
            "full of agm on cub: failed: loss_T is NaN",
        ]
    );
}

/// One seed that failed leaves the others; a claim is about those that both sides have.
#[test]
fn failed_seeds_are_left_out() {
    let found = judged(&[3.0, f64::NAN, 2.9, 3.1, 3.0]);
    assert_eq!((found.verdict, found.comparisons[0].n), (Some(Verdict::Reproduced), 4));
}

/// The paper's own numbers: the claim that BalGrad's gap is smaller than the baseline's does not hold on MM-IMDb (0.45
/// against 1.34), in both tables; what neither table prints is unknown.
#[test]
fn claims_are_checked_in_the_papers_own_numbers() {
    let file = file();
    let says = |id: &str| {
        let claim = file.claims.iter().find(|claim| claim.id == id).unwrap();
        printed::check(&claim.assertions(&file.compared), &committed(), |one| one.on(&one.dataset))
    };
    for id in ["lowest-missing-gap", "highest-noisy-average", "no-negative-transfer", "both-parts-beat-each"] {
        assert_eq!(says(id), printed::Printed { outcome: PrintedOutcome::Satisfied, details: Vec::new() }, "{id}");
    }
    let bias = says("alleviates-bias");
    assert_eq!(bias.outcome, PrintedOutcome::Violated);
    assert_eq!(
        bias.details,
        [
            "missing-gap of baseline > missing-gap of balgrad on mm-imdb: 0.45 against 1.34 (Table 1)",
            "missing-gap of baseline > missing-gap of balgrad on mm-imdb: 0.45 against 1.34 (Table 2)",
        ]
    );
    for id in ["projection-raises-cosine", "projection-lowers-conflicts", "gap-grows-with-ratio", "gap-grows-least"] {
        assert_eq!(says(id).outcome, PrintedOutcome::NotTranscribed, "{id}");
    }
}

/// The committed claims on the offline suite: labelled as what they are, every claim with a verdict and its numbers.
#[test]
fn claims_run_on_another_suite() {
    let mut results = realistic(SuiteKind::Smoke, 5);
    results.suite.suite = "smoke".into();
    let judged = judge(&file(), &results, &committed()).unwrap();
    assert!(judged.about.starts_with("generality, not the paper's claims"));
    let of = |id: &str| judged.claims.iter().find(|claim| claim.id == id).unwrap();
    // ΔGap falls from method to method by 2.5 points on the first two datasets.
    let lowest = of("lowest-missing-gap");
    assert_eq!((lowest.comparisons.len(), lowest.comparisons.iter().all(|check| check.holds)), (8, true));
    assert_ne!(lowest.verdict, Some(Verdict::NotRun));
    assert_eq!(of("both-parts-beat-each").verdict, Some(Verdict::NotRun));
    assert!(
        of("both-parts-beat-each").because.contains("The suite does not train balgrad-reweighting on emoji-subgroup")
    );
    assert_eq!(of("projection-raises-cosine").verdict, Some(Verdict::NotRun));
    let tested = judged.claims.iter().filter(|claim| claim.p.is_some()).count();
    assert!(judged.family.as_ref().unwrap().contains(&format!("the {tested} claims")));
    for claim in judged.claims.iter().filter(|claim| claim.p.is_some()) {
        assert!(claim.p_corrected >= claim.p && !claim.because.is_empty());
    }
    let (markdown, text) = (judged.markdown(), judged.text());
    for shown in [&markdown, &text] {
        for part in [
            "generality",
            "BalGrad has no negative transfer",
            "not run",
            "not transcribed",
            "do not support this",
            "On other datasets, ",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    assert!(!markdown.contains("NaN") && !text.contains("NaN"));
    for claim in &judged.claims {
        assert!(text::reasons(claim).last().unwrap().starts_with("In the paper: "), "{claim:?}");
    }
}

/// Claims about traces and about the parts alone, on results that have them.
#[test]
fn claims_about_traces_are_measured() {
    let mut results = ablation(SuiteKind::Smoke);
    results.suite.suite = "smoke".into();
    let judged = judge(&file(), &results, &committed()).unwrap();
    let of = |id: &str| judged.claims.iter().find(|claim| claim.id == id).unwrap();
    // In the samples cosines rise by exactly the same in each seed: nothing to test against.
    let cosine = of("projection-raises-cosine");
    assert!(cosine.comparisons.iter().all(|check| check.holds && (check.excess - 0.14).abs() < 1e-9), "{cosine:?}");
    let conflicts = of("projection-lowers-conflicts");
    assert!(conflicts.comparisons.iter().all(|check| check.holds), "{conflicts:?}");
    assert_eq!(of("both-parts-beat-each").comparisons.len(), 6);
}

/// A suite that is neither the paper's nor mapped is refused.
#[test]
fn only_suites_that_claims_are_about() {
    let results = realistic(SuiteKind::Smoke, 5);
    let error = judge(&file(), &results, &committed()).unwrap_err();
    assert_eq!(crate::errors::class_of(&error), crate::errors::Class::Usage);
    assert!(crate::errors::hint_of(&error).unwrap().contains("[suites.example]"));
}

/// A trial gets no verdicts, however clear its numbers are, nor does a suite whose epochs the test split selects: their claims
/// are listed as not judged, with nothing measured.
#[test]
fn some_suites_are_not_judged() {
    let of = |kind, selected_by_test| {
        let mut results = leads(&[-3.0, -3.2, -2.9, -3.1, -3.0]);
        (results.suite.kind, results.suite.selected_by_test) = (kind, selected_by_test);
        judge(&one_claim(), &results, &committed()).unwrap()
    };
    assert_eq!(of(SuiteKind::Smoke, false).tally(), [(Verdict::Contradicted, 1)]);
    for (suite, why) in [
        (of(SuiteKind::Trial, false), "trial: not judged"),
        (of(SuiteKind::Trial, true), "trial: not judged"),
        (of(SuiteKind::Smoke, true), "selected by the test split: not judged"),
    ] {
        assert_eq!((suite.about, suite.tally(), &suite.family), (why, vec![], &None));
        let claim = &suite.claims[0];
        assert_eq!((claim.verdict, claim.p, claim.comparisons.len()), (None, None, 0));
        let [json, markdown] = suite.files().unwrap().map(|bytes| String::from_utf8(bytes).unwrap());
        for shown in [json, markdown, suite.text(), suite.in_one_line()] {
            assert!(shown.contains(why), "{shown}");
            for verdict in Verdict::ALL {
                assert!(!shown.contains(verdict.name()), "{}: {shown}", verdict.name());
            }
        }
    }
}

/// The answer is one sentence: of the paper's own suite, of one on other datasets, and of one whose numbers are missing.
#[test]
fn the_answer_is_a_sentence() {
    let answer = |kind, differences: &[f64]| {
        let (mut claims, mut results) = (one_claim(), leads(differences));
        results.suite.kind = kind;
        if kind == SuiteKind::Paper {
            claims.suites.clear();
            results.suite.datasets[0].name = "food101".into();
            results.numbers.iter_mut().for_each(|number| number.dataset = "food101".into());
            results.comparisons.pairs.iter_mut().for_each(|pair| pair.dataset = "food101".into());
        }
        judge(&claims, &results, &committed()).unwrap().answer()
    };
    let (sure, missing) = (&[3.0, 3.2, 2.9, 3.1, 3.0], &[f64::NAN; 3]);
    for (kind, differences, expected) in [
        (SuiteKind::Paper, &sure[..], "The paper holds on 1 of 1 claims: 1 is reproduced."),
        (SuiteKind::Smoke, sure, "On other datasets, 1 of the paper's 1 claims holds: 1 is reproduced."),
        (SuiteKind::Paper, missing, "Nothing can be said yet: the numbers of all 1 claims are missing."),
        (SuiteKind::Trial, sure, "Trial: not judged."),
    ] {
        assert_eq!(answer(kind, differences), expected);
    }
}

/// A comparison of the paper's own suite has the paper's difference beside it; on other datasets there is none.
#[test]
fn the_papers_difference_stands_beside() {
    let full = |method: &str| grammar::Side {
        method: method.into(),
        measure: grammar::Measure::Quantity(crate::report::quantity::Quantity::Full),
    };
    let assertion = grammar::Assertion {
        dataset: "food101".into(),
        greater: full("balgrad"),
        smaller: Some(full("baseline")),
        or_equal: false,
    };
    // 80.32 against 76.01 in Table 1.
    assert_eq!(printed::difference(&assertion, &committed()), Some(4.31));
    assert_eq!(judged(&[3.0, 3.2, 2.9]).comparisons[0].printed, None);
}
