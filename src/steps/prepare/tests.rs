use super::*;
use crate::datasets::{mm_imdb, reader};

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect()
}

fn step(name: &str, subset: Option<u32>, expected: &[(&str, u64)]) -> Prepare {
    let reader = reader(name).unwrap();
    let options = reader.options(toml::Table::new()).unwrap();
    Prepare { counts: counts(expected), ..Prepare::new(name, reader, options, subset) }
}

fn about(samples: [usize; 3], found: &[(&str, u64)]) -> About {
    let samples = Split::ALL.map(|split| split.name().to_owned()).into_iter().zip(samples).collect();
    let task = TaskKind::Multiclass;
    About { task, metric: None, classes: vec![], samples, dropped: counts(&[("blank", 2)]), found: counts(found) }
}

fn accept(step: &Prepare, about: &About) -> Result<(), String> {
    let bytes = serde_json::to_vec(about).unwrap();
    step.accept(&|name| {
        assert_eq!(name, "about");
        Ok(bytes.clone())
    })
    .map_err(|error| format!("{error:#}"))
}

/// Expected counts change no key, so that suites with different expectations share a prepared dataset.
#[test]
fn expectations_are_no_part_of_the_key() {
    let list = |step: &Prepare| {
        let mut list = Ingredients::default();
        step.ingredients(&mut list);
        list.key()
    };
    for name in ["memotion", "emoji-match"] {
        assert_eq!(list(&step(name, None, &[])), list(&step(name, None, &[("train", 5)])), "{name}");
        assert_ne!(list(&step(name, None, &[])), list(&step(name, Some(5), &[])), "{name}");
    }
}

/// With pictures from the wild, what was found is compared; else the samples, up to the size of the subset.
#[test]
fn counts_are_compared_with_the_expected_ones() {
    let found = about([7, 1, 1], &[("rows", 10), ("remark", 3)]);
    accept(&step("memotion", None, &[("rows", 10), ("other", 7)]), &found).unwrap();
    accept(&step("memotion", None, &[]), &found).unwrap();
    let error = accept(&step("memotion", Some(2), &[("rows", 11)]), &found).unwrap_err();
    assert_eq!(
        error,
        "the archives of memotion do not hold what its manifest expects: rows: expected 11, found 10; left out: \
         {\"blank\": 2}"
    );
    let expected = [("train", 7), ("val", 1), ("test", 1)];
    accept(&step("emoji-match", None, &expected), &about([7, 1, 1], &[])).unwrap();
    accept(&step("emoji-match", Some(5), &expected), &about([5, 1, 1], &[])).unwrap();
    let error = accept(&step("emoji-match", Some(5), &expected), &about([4, 1, 1], &[])).unwrap_err();
    assert!(error.contains("train: expected 5, found 4"), "{error}");
    let error = accept(&step("emoji-match", None, &expected), &about([7, 0, 1], &[])).unwrap_err();
    assert!(error.contains("val: expected 1, found 0"), "{error}");
}

/// If the user may replace archives, an error that they may have caused says how; others do not.
#[test]
fn errors_say_how_to_replace_open_archives() {
    let open = Prepare { open: Some("memotion".into()), ..step("memotion", None, &[("rows", 11)]) };
    let bytes = serde_json::to_vec(&about([7, 1, 1], &[("rows", 10)])).unwrap();
    let hint = |step: &Prepare| {
        let error = step.accept(&|_| Ok(bytes.clone())).unwrap_err();
        errors::hint_of(&error).unwrap().to_owned()
    };
    let relock = hint(&open);
    assert!(
        relock.contains("`counts = \"report\"`") && relock.contains("`seesaw fetch --relock memotion`"),
        "{relock}"
    );
    assert!(!hint(&step("memotion", None, &[("rows", 11)])).contains("--relock"));
    let described = |error: anyhow::Error| {
        let error = open.with_relock_hint(error.context("memotion.zip"));
        (format!("{error:#}"), errors::hint_of(&error).unwrap_or_default().to_owned())
    };
    let (message, hint) = described(errors::failed("`a` is cut short", "get it again"));
    assert_eq!(message, "memotion.zip: `a` is cut short");
    assert!(hint.starts_with("get it again; or to use another file") && hint.contains("--relock memotion"), "{hint}");
    assert!(described(anyhow::anyhow!("the list has no column")).1.starts_with("to use another file"));
    assert_eq!(described(errors::interrupted()).1, "");
    assert_eq!(described(std::io::Error::from_raw_os_error(libc::EIO).into()).1, "");
}

/// The metric is written only if it is not the usual one of the task.
#[test]
fn an_unusual_metric_is_written() {
    let plain = about([1, 1, 1], &[]);
    assert_eq!(plain.metric(), Metric::Accuracy);
    let text = serde_json::to_string(&plain).unwrap();
    assert!(text.starts_with("{\"task\":\"multiclass\",\"classes\":[],\"samples\""), "{text}");
    let scored = About { metric: Some(Metric::F1Macro), ..plain };
    let text = serde_json::to_string(&scored).unwrap();
    assert!(text.contains("\"metric\":\"f1-macro\""), "{text}");
    assert_eq!(serde_json::from_str::<About>(&text).unwrap().metric(), Metric::F1Macro);
    assert_eq!(reader("memotion").unwrap().metric, Metric::F1Macro);
    assert!(["food101", "cub-200-2011"].iter().all(|name| reader(name).unwrap().metric == Metric::Accuracy));
}

/// MM-IMDb's genres are the manifest's, in the order of their totals.
#[test]
fn genres_are_those_of_the_manifest() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests");
    let manifest = crate::manifests::Manifest::load(&folder.join("mm-imdb.json")).unwrap();
    let counts = &manifest.counts["mm-imdb"];
    let total =
        |genre: &str| ["train", "dev", "test"].map(|part| counts[&format!("{part} {genre}")]).iter().sum::<u64>();
    assert!(mm_imdb::GENRES.is_sorted_by_key(|genre| std::cmp::Reverse(total(genre))));
    assert_eq!(counts.len(), 3 + 3 * mm_imdb::GENRES.len());
}
