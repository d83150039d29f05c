use std::path::PathBuf;

use super::*;
use crate::terms::Split;
use crate::testing::{read_dataset, zip};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn archives(&self) -> Archives {
        Archives([ARCHIVE, MAP_SPLIT, QMF_DEV].map(|name| (name.to_owned(), self.file(name))).into())
    }

    fn read(&self, options: &str) -> anyhow::Result<Dataset> {
        read_dataset("food101", options, &self.archives())
    }
}

const TRAIN: &str = "tacos_1.jpg,\"Fish tacos, \"\"Baja\"\" style\",tacos\ntacos_2.jpg,More tacos,tacos\n\
    apple_pie_7.jpg,,apple_pie\napple_pie_8.jpg,Pie,apple_pie\ngone_1.jpg,Nothing,tacos\ntacos_2.jpg,Again,tacos\n\
    apple_pie_9-2.jpg,Caf\u{e9} pie,tacos\n";

/// Kaggle's layout with the faults that it has.
fn kaggle(train: &str) -> Place {
    let place = Place::new();
    let tacos = ["1", "2", "3"].map(|n| format!("images/train/tacos/tacos_{n}.jpg"));
    let pies = ["train/apple_pie/apple_pie_7", "train/apple_pie/apple_pie_8", "train/apple_pie/apple_pie_9-2"];
    let pies = pies.into_iter().chain(["test/apple_pie/apple_pie_1"]).map(|name| format!("images/{name}.jpg"));
    let names: Vec<String> = tacos.into_iter().chain(pies).collect();
    let mut members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"jpg".as_slice())).collect();
    members.push(("texts/train_titles.csv", train.as_bytes()));
    members.push(("texts/test_titles.csv", b"apple_pie_1.jpg,A pie,apple_pie\n"));
    zip(&place.file(ARCHIVE), &members);
    place
}

/// A class without a picture in the test split counts as the smallest there.
#[test]
fn kaggles_copy_is_read_and_its_faults_are_counted() {
    let dataset = kaggle(TRAIN).read("validation-percent = 1").unwrap();
    insta::assert_debug_snapshot!(dataset);
}

#[test]
fn a_header_that_a_user_added_is_no_row() {
    let plain = kaggle(TRAIN).read("").unwrap();
    assert_eq!(kaggle(&format!("Image_path,text,label\n{TRAIN}")).read("").unwrap(), plain);
}

/// Rows with a column too many or too few cost themselves alone; a list of nothing else is another list.
#[test]
fn rows_that_cannot_be_read_are_counted() {
    let (plain, faulty) = (kaggle(TRAIN).read("").unwrap(), format!("tacos_1.jpg,Fish, tacos,tacos\n{TRAIN}x\n"));
    let dataset = kaggle(&faulty).read("").unwrap();
    assert_eq!((&dataset.splits, &dataset.found), (&plain.splits, &plain.found));
    assert_eq!(dataset.dropped["row with another number of columns"], 2);
    let error = kaggle("tacos_1.jpg,tacos\n,,,,\n").read("").unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains("texts/train_titles.csv: none of its rows can be read; line 1"), "{message}");
    assert!(message.contains("expected 3 columns, found 2"), "{message}");
    assert!(errors::hint_of(&error).unwrap().contains("correct the list"));
}

#[test]
fn the_validation_split_is_drawn_or_listed() {
    let place = kaggle(TRAIN);
    let half = |seed: u64| place.read(&format!("validation-percent = 50\nvalidation-seed = {seed}")).unwrap();
    let drawn = half(0);
    assert_eq!(drawn, half(0));
    assert!((1..8).any(|seed| half(seed) != drawn));
    let (train, val) = (drawn.splits[&Split::Train].ids().len(), drawn.splits[&Split::Val].ids().len());
    assert_eq!(train + val, 3);
    std::fs::write(place.file(MAP_SPLIT), r#"{"train": [], "val": ["tacos_2.jpg"], "test": []}"#).unwrap();
    let map = place.read("validation = \"map\"").unwrap();
    assert_eq!(map.splits[&Split::Val].ids(), ["tacos_2.jpg"]);
    let line = r#"{"id": "x", "label": "tacos", "text": "t", "img": "images/train/tacos/tacos_1.jpg"}"#;
    std::fs::write(place.file(QMF_DEV), format!("{line}\n")).unwrap();
    let qmf = place.read("validation = \"qmf\"").unwrap();
    assert_eq!(qmf.splits[&Split::Val].ids(), ["tacos_1.jpg"]);
    let reader = super::super::reader("food101").unwrap();
    let options = reader.options(toml::from_str("validation = \"map\"").unwrap()).unwrap();
    assert_eq!(reader.needs(&options), [ARCHIVE, MAP_SPLIT]);
}

#[test]
fn the_official_layout_has_pages() {
    let place = Place::new();
    let long = "é".repeat(MOST_CHARACTERS + 5);
    zip(
        &place.file(ARCHIVE),
        &[
            ("UPMC_Food101/images/train/tacos/tacos_1.jpg", b"jpg"),
            ("UPMC_Food101/images/test/tacos/tacos_2.jpg", b"jpg"),
            ("UPMC_Food101/texts_txt/tacos/tacos_1.txt", long.as_bytes()),
            ("UPMC_Food101/texts_txt/tacos/tacos_2.txt", b"A page \xFF of tacos"),
        ],
    );
    let dataset = place.read("text = \"page\"").unwrap();
    assert_eq!(dataset.splits[&Split::Test].texts, ["A page \u{FFFD} of tacos"]);
    let train = dataset.splits.get(&Split::Train).or(dataset.splits.get(&Split::Val)).unwrap();
    assert_eq!(train.texts[0].chars().count(), MOST_CHARACTERS);
    assert_eq!(dataset.found["official train pictures"], 1);
    let error = place.read("").unwrap_err();
    assert!(errors::hint_of(&error).unwrap().contains("`text = \"page\"`"), "{error:#}");
    let error = kaggle(TRAIN).read("text = \"page\"").unwrap_err().to_string();
    assert!(error.contains("no texts of the kind `page`"), "{error}");
}

#[test]
fn another_archive_is_refused() {
    let place = Place::new();
    zip(&place.file(ARCHIVE), &[("food-101/images/tacos/1.jpg", b"jpg")]);
    let error = place.read("").unwrap_err().to_string();
    assert!(error.contains("holds no `images/train/CLASS/FILE`"), "{error}");
    let error = place.read("validation-percent = 0").unwrap_err().to_string();
    assert!(error.contains("`validation-percent` should be between 1 and 50"), "{error}");
    assert!(place.read("txt = \"page\"").unwrap_err().to_string().contains("unknown field `txt`"));
}
