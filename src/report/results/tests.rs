use super::*;
use crate::report::samples::{ablation, cells, description, difficult};

/// Numbers exist at every missing ratio; by default they are those at ratio 1.
#[test]
fn numbers_have_a_ratio() {
    let results = difficult(SuiteKind::Smoke);
    let mean = |ratio| results.number("words", "baseline", Quantity::MissingText, ratio).unwrap().mean;
    assert_eq!([None, Some(0.0), Some(0.5), Some(1.0)].map(mean), [Some(30.0), Some(60.0), Some(45.0), Some(30.0)]);
}

/// Conflicts exist for the methods whose traces have them, and for these also where a training failed.
#[test]
fn conflicts_exist_where_traces_have_them() {
    let results = ablation(SuiteKind::Smoke);
    let get = |dataset, method| results.number(dataset, method, Quantity::Conflict, None);
    assert!(get("emoji-subgroup", "baseline").is_none());
    let number = get("emoji-words", "balgrad").unwrap();
    assert_eq!(number.n, 4);
    assert!(matches!(&number.seeds[3].value, Status::Failed { cause } if cause.contains("step 712")));
    let record = results.cell("emoji-words", "balgrad", 3).unwrap();
    let conflict = record.trace.as_ref().unwrap().conflict.unwrap();
    assert_eq!(number.seeds[2].value, Status::Value { value: conflict });
    assert!(results.cell("emoji-words", "balgrad", 4).is_none());
}

/// Selecting and reordering methods keeps every number and every trace.
#[test]
fn selecting_methods_changes_no_number() {
    let all = ablation(SuiteKind::Smoke);
    let some = all.of_methods(&["balgrad", "baseline"]).unwrap();
    let names: Vec<&str> = some.suite.methods.iter().map(|method| method.name.as_str()).collect();
    assert_eq!(names, ["balgrad", "baseline"]);
    assert!(some.numbers.iter().all(|number| all.numbers.contains(number)));
    assert_eq!(some.numbers.iter().filter(|number| number.quantity == Quantity::Full).count(), 6);
    assert_eq!((all.cells.len(), some.cells.len()), (59, 29));
}

#[test]
fn results_survive_their_file() {
    let results = ablation(SuiteKind::Paper);
    assert!(results.cells.iter().all(|cell| cell.trace.is_some()));
    assert_eq!(serde_json::from_str::<Results>(&serde_json::to_string(&results).unwrap()).unwrap(), results);
    let results = difficult(SuiteKind::Paper);
    let text = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
    assert!(text.starts_with(r#"{"schema":5,"type":"paper","suite":"example""#), "{text}");
}

/// Unexpected and repeated scores are an error; they are not dropped.
#[test]
fn unexpected_cells_are_refused() {
    let suite = description(SuiteKind::Smoke, &[1, 2]);
    let mut twice = cells();
    twice.push(twice[0].clone());
    let message = collect(suite.clone(), &twice).unwrap_err().to_string();
    assert_eq!(message, "the suite example has two scores of the cell food_101 & more × baseline × seed 1");
    let mut unknown = cells();
    unknown[0].seed = 7;
    let message = collect(suite, &unknown).unwrap_err().to_string();
    assert!(message.contains("no cell food_101 & more × baseline × seed 7"), "{message}");
}

/// It is not 0.
#[test]
fn a_cell_without_scores_is_not_run() {
    let results = collect(description(SuiteKind::Smoke, &[1]), &[]).unwrap();
    let full = results.number("words", "balgrad", Quantity::Full, None).unwrap();
    assert_eq!((full.mean, full.std, full.n), (None, None, 0));
    assert!(matches!(full.seeds[0].value, Status::NotRun { .. }));
}
