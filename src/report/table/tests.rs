use super::cell::shown;
use super::*;
use crate::report::SuiteKind;
use crate::report::results::{Cell, collect};
use crate::report::samples::{ablation, description, difficult, scored};
use crate::terms::Modality;

fn find<'a>(table: &'a Table, dataset: &str, method: &str, quantity: Quantity) -> &'a TableCell {
    table.cells().find(|c| c.dataset == dataset && c.method == method && c.quantity == quantity).unwrap()
}

/// 62.125 is shown as 62.12: it ties with 62.12 and not with 62.13, however halves are rounded elsewhere.
#[test]
fn equal_text_is_a_tie() {
    for (full, expected) in [
        ([62.125, 62.13, 62.12], [("62.12", false, true), ("62.13", true, false), ("62.12", false, true)]),
        ([62.1249, 62.1201, 10.0], [("62.12", true, false), ("62.12", true, false), ("10.00", false, true)]),
        // All equal: none is best.
        ([50.0, 50.001, 50.0], [("50.00", false, false), ("50.00", false, false), ("50.00", false, false)]),
        ([f64::NAN, 1.0, 2.0], [("NaN", false, false), ("1.00", false, true), ("2.00", true, false)]),
    ] {
        let suite = description(SuiteKind::Smoke, &[1]);
        let cells = suite.methods.iter().zip(full).map(|(method, full)| Cell {
            dataset: "words".into(),
            method: method.name.clone(),
            seed: 1,
            outcome: scored(full, 10.0, 10.0),
        });
        let table = table1(&collect(suite.clone(), cells.collect::<Vec<_>>()).unwrap());
        let words = table.rows[0].cells.iter().filter(|cell| cell.dataset == "words");
        let found: Vec<_> = words.map(|cell| (cell.text.as_str(), cell.best, cell.second)).collect();
        assert_eq!(found, expected);
    }
}

/// Where a modality alone is at chance by construction, the ranked gaps with a missing modality say so; gaps on other
/// datasets, and other quantities, do not.
#[test]
fn a_gap_to_chance_is_marked() {
    let mut results = ablation(SuiteKind::Smoke);
    results.suite.datasets[1].chance_alone = vec![Modality::Image];
    for table in [table1(&results), table2(&results), table3(&results)] {
        let marked: Vec<&TableCell> = table.cells().filter(|cell| cell.note.contains("by construction")).collect();
        assert!(!marked.is_empty());
        for cell in table.cells() {
            let ranked = (cell.best || cell.second) && cell.quantity == Quantity::MissingGap;
            assert_eq!(marked.contains(&cell), ranked && cell.dataset == "emoji-match", "{cell:?}");
        }
        let note = &table.footnotes[marked[0].notes[0] - 1];
        assert!(note.starts_with("on Emoji match the image alone is at chance"), "{note}");
    }
}

/// A number that the results do not hold still has its cell.
#[test]
fn columns_never_shift() {
    let mut results = difficult(SuiteKind::Smoke);
    results.numbers.retain(|number| number.method != "baseline" && number.quantity != Quantity::NoisyGap);
    let table = table1(&results);
    for row in &table.rows {
        let methods: Vec<&str> = row.cells.iter().map(|cell| cell.method.as_str()).collect();
        assert_eq!(methods, ["baseline", "balgrad", "broken", "baseline", "balgrad", "broken"]);
    }
    let absent = find(&table, "words", "baseline", Quantity::Full);
    assert_eq!((absent.text.as_str(), absent.status), ("—", "not-run"));
    assert_eq!(table.footnotes[absent.notes[0] - 1], "not run: the results hold no full");
}

/// A gap that is a rounding error has no sign.
#[test]
fn zero_has_no_sign() {
    assert_eq!([0.0, -0.0, -0.001, 0.004, -0.01].map(shown), ["0.00", "0.00", "0.00", "0.00", "-0.01"]);
}

/// A method without KL gradients has no conflicts; a method whose trainings all failed says so.
#[test]
fn a_missing_conflict_has_a_cause() {
    let table = table3(&ablation(SuiteKind::Smoke).of_methods(&["baseline", "balgrad"]).unwrap());
    let none = find(&table, "emoji-subgroup", "baseline", Quantity::Conflict);
    assert_eq!((none.text.as_str(), none.status, none.best), ("—", "none", false));
    assert_eq!(none.note, "this method has no KL gradient to conflict with");
    assert!(!find(&table, "emoji-subgroup", "balgrad", Quantity::Conflict).best, "there is nothing to compare it with");
    let table = table3(&difficult(SuiteKind::Smoke).of_methods(&["balgrad", "broken"]).unwrap());
    let untraced = find(&table, "food_101 & more", "balgrad", Quantity::Conflict);
    assert_eq!((untraced.status, untraced.note.as_str()), ("not-run", "not run: its trainings have no trace"));
    let failed = find(&table, "food_101 & more", "broken", Quantity::Conflict);
    assert_eq!((failed.text.as_str(), failed.status), ("failed", "failed"));
    assert_eq!(find(&table, "words", "broken", Quantity::Conflict).status, "not-run");
}

/// Methods are ranked among those that the table shows, in its order.
#[test]
fn a_table_ranks_what_it_shows() {
    let results = ablation(SuiteKind::Smoke);
    assert!(find(&table2(&results), "emoji-subgroup", "balgrad", Quantity::Full).best);
    let fewer = table2(&results.of_methods(&["balgrad-projection", "baseline"]).unwrap());
    assert!(find(&fewer, "emoji-subgroup", "balgrad-projection", Quantity::Full).best);
    assert!(find(&fewer, "emoji-subgroup", "baseline", Quantity::Full).second);
    assert_eq!(fewer.groups[0].columns, ["BalGrad w/o reweighting", "Baseline"]);
}

/// Results of several kinds of processors say so below the table, and of each number in the CSV; those of one kind do not.
#[test]
fn several_kinds_of_processors_are_told() {
    let mut results = difficult(SuiteKind::Smoke);
    let told = |results: &Results| {
        let table = table1(results);
        let found: Vec<String> = table.details.iter().filter(|text| text.starts_with("Computed on")).cloned().collect();
        (found, table.cells().filter(|cell| cell.note.contains("training")).count(), table)
    };
    let plain = told(&results);
    assert_eq!((plain.0.len(), plain.1), (0, 0));
    let all = results.cells.len();
    assert!(all > 2);
    results.cells.iter_mut().for_each(|cell| cell.provenance.computed_by = ["avx2, fma".to_owned()].into());
    assert_eq!(told(&results).2, plain.2);
    results.cells[0].provenance.computed_by.insert("avx512f".into());
    let (details, notes, table) = told(&results);
    let expected = format!(
        "Computed on 2 kinds of processors: {} trainings with \"avx2, fma\"; 1 training with \"avx2, fma\" and \"avx512f\". The last \
         bits of results may differ.",
        all - 1
    );
    assert_eq!(details, [expected]);
    let trained =
        |cell: &&TableCell| results.cells.iter().any(|of| (&of.dataset, &of.method) == (&cell.dataset, &cell.method));
    assert_eq!(notes, table.cells().filter(trained).count());
    let first = &results.cells[0];
    assert!(
        find(&table, &first.dataset, &first.method, Quantity::Full)
            .note
            .contains(r#"1 training with "avx2, fma" and "avx512f""#)
    );
    // What stands beside the paper's numbers loses only what explains its marks.
    assert!(table.details.last().unwrap().starts_with('†'));
}
