use super::*;
use crate::report::reference::committed;

/// Every finding in the paper's tables 1 and 2, each checked by hand: Table 1 prints 57.58 and Table 2 prints 57.48 for
/// BalGrad on Hateful Memes without text, and Avg and ΔGap follow; MSLR on Hateful Memes scores 66.04 without the image
/// and 65.58 with it, without a mark.
#[test]
fn the_papers_findings_are_these() {
    let audit = audit(&committed());
    let found: Vec<String> = audit
        .findings
        .iter()
        .map(|finding| {
            let Finding { kind, place: Place { table, row, dataset, method, printed }, against, note: _ } = finding;
            format!("{}: {table} {} {dataset} {method} {printed}, {against}", kind.title(), row.name())
        })
        .collect();
    assert_eq!(
        found,
        [
            "unmarked negative transfer: table1 missing-image hateful-memes mslr 66.04, 65.58 (full)",
            "two tables: table2 missing-text hateful-memes balgrad 57.48, 57.58 (table1)",
            "two tables: table2 missing-avg hateful-memes balgrad 61.67, 61.72 (table1)",
            "two tables: table2 missing-gap hateful-memes balgrad 8.38, 8.28 (table1)",
        ]
    );
    let follows: Vec<bool> = audit.findings[1..].iter().map(|finding| finding.note.contains("follows")).collect();
    assert_eq!(follows, [false, true, true]);
    assert_eq!(audit.checked, Checked { cells: 195, averages: 42, gaps: 42, shared: 30, impaired: 84 });
    // 17 averages end in half a hundredth; the paper rounds all of them up, and no gap needs rounding.
    assert_eq!(audit.rounding.len(), 17);
    assert!(audit.rounding.iter().all(|one| (one.place.printed.value() - one.recomputed - 0.005).abs() < 1e-9));
    assert_eq!(audit.not_transcribed.len(), 10);
}

/// The best by the numbers in three rows: BalGrad, another method, and two methods that share it.
#[test]
fn the_best_are_found_by_the_numbers() {
    let audit = audit(&committed());
    let of = |row, dataset: &str| {
        let found =
            audit.rankings.iter().find(|one| (one.table, one.row, one.dataset.as_str()) == ("table1", row, dataset));
        let Ranking { best, second, .. } = found.unwrap();
        (best.join("="), second.join("="))
    };
    assert_eq!(of(Quantity::MissingGap, "hateful-memes"), ("balgrad".into(), "baseline".into()));
    assert_eq!(of(Quantity::MissingAvg, "hateful-memes"), ("ogm-ge".into(), "balgrad".into()));
    assert_eq!(of(Quantity::Full, "mm-imdb"), ("baseline=mslr".into(), "agm".into()));
    assert_eq!(audit.rankings.len(), 9 * 3 + 5 * 3);
}

fn reference(table1: &str, table2: &str) -> Reference {
    Reference::parse(&format!(
        r#"{{"source": "", "paper": {{"title": "T", "authors": [], "venue": "V", "pages": "", "anthology_id": "",
        "arxiv": ""}}, "units": {{}}, "row_meaning": "", "table1": {table1}, "table2": {table2},
        "not_transcribed": {{}}}}"#
    ))
    .unwrap()
}

fn rows(image: f64, text: f64, avg: f64, gap: f64) -> String {
    format!(
        r#"{{"rows": {{"full": {{"d": {{"m": 50}}}}, "noisy-image": {{"d": {{"m": {image}}}}}, "noisy-text": {{"d":
        {{"m": {text}}}}}, "noisy-avg": {{"d": {{"m": {avg}}}}}, "noisy-gap": {{"d": {{"m": {gap}}}}}}},
        "marked_negative_transfer": [["noisy-image", "d", "m"]]}}"#
    )
}

/// A hundredth is rounding, for Avg and for ΔGap; more is a finding. A mark needs a reason.
#[test]
fn rounding_ends_at_a_hundredth() {
    // 20.01 and 30.02: 25.015 and 10.01.
    let kinds = |avg, gap| {
        let audit = audit(&reference(&rows(20.01, 30.02, avg, gap), r#"{"rows": {}}"#));
        let kinds: Vec<String> = audit
            .findings
            .iter()
            .map(|one| format!("{} {} {}", one.kind.title(), one.place.row.name(), one.against))
            .collect();
        (kinds, audit.rounding.len())
    };
    let mark = "marked without negative transfer noisy-image 50.00 (full)".to_owned();
    assert_eq!(kinds(25.02, 10.01), (vec![mark.clone()], 1));
    assert_eq!(kinds(25.01, 10.02), (vec![mark.clone()], 2));
    let (found, rounded) = kinds(25.03, 10.03);
    assert_eq!(rounded, 0);
    assert_eq!(found, ["arithmetic noisy-avg 25.015".to_owned(), "arithmetic noisy-gap 10.01".to_owned(), mark]);
}

/// A derived number that differs between tables although its rows do not is not explained by them.
#[test]
fn a_difference_that_does_not_follow_has_its_own_note() {
    let audit = audit(&reference(&rows(60.0, 30.0, 45.0, 30.0), &rows(60.0, 30.0, 45.1, 30.0)));
    let notes: Vec<(&str, &str)> = audit.findings.iter().map(|one| (one.kind.title(), one.note.as_str())).collect();
    assert_eq!(
        notes,
        [("arithmetic", "its rows give 45.00; rounding explains at most 0.01"), ("two tables", "the same cell"),]
    );
    assert!(audit.text().contains("table2 noisy-avg d m"), "{}", audit.text());
}
