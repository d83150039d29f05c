use super::*;
use crate::testing::read_zips;

const HEADER: &str = ",image_name,text_ocr,text_corrected,humour,sarcasm,offensive,motivational,overall_sentiment\n";
const FUNNY: &str = "funny,general,slight,motivational";

fn read(members: &[(&str, &[u8])], options: &str) -> anyhow::Result<Dataset> {
    read_zips("memotion", options, &[(ARCHIVE, members)])
}

/// A list, and a picture for each of these names.
fn with(rows: &str, pictures: &[&str], options: &str) -> anyhow::Result<Dataset> {
    let list = format!("{HEADER}{rows}");
    let names: Vec<String> = pictures.iter().map(|name| format!("memotion_dataset_7k/images/{name}")).collect();
    let mut members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"jpg".as_slice())).collect();
    members.push(("memotion_dataset_7k/labels.csv", list.as_bytes()));
    members.push(("memotion_dataset_7k/reference.csv", b"image_name\n"));
    members.push(("__MACOSX/memotion_dataset_7k/labels.csv", b"x"));
    read(&members, options)
}

/// id → (text, class), of all splits.
fn all(dataset: &Dataset) -> BTreeMap<&str, (&str, u32)> {
    let mut all = BTreeMap::new();
    for data in dataset.splits.values() {
        for sample in &data.samples {
            all.insert(sample.id.as_str(), (data.texts[sample.text].as_str(), sample.labels[0]));
        }
    }
    all
}

/// Mixed endings and case, a title over two lines, a missing correction, and everything that can be wrong with a row.
#[test]
fn memes_are_read_and_their_faults_are_counted() {
    let rows = format!(
        "0,image_1.jpg,OCR ONE,\"one, \"\"two\"\"\nthree\",{FUNNY},very_positive\n\
         1,image_2.JPEG,OCR TWO,,{FUNNY},negative\n\
         2,image_3.png,, ,{FUNNY},neutral\n\
         3,image_4.jpg,four,four,{FUNNY},neutral\n\
         4,image_5.JPG,five,five,{FUNNY},\n\
         5,image_1.jpg,again,again,{FUNNY},neutral\n\
         6,image_6.jpg,six,caf\u{e9} six,{FUNNY},very_negative\n"
    );
    let pictures = ["image_1.jpg", "image_2.JPEG", "image_3.png", "image_5.JPG", "image_6.JPG", "image_7.png"];
    let dataset = with(&rows, &pictures, "").unwrap();
    insta::assert_debug_snapshot!(dataset);
    let ocr = with(&rows, &pictures, "text = \"ocr\"").unwrap();
    assert_eq!(all(&ocr)["image_1.jpg"].0, "OCR ONE");
}

/// Every label of every question has the class that the shared task merges it into.
#[test]
fn labels_are_merged_as_in_the_shared_task() {
    let answers = [
        ["not_funny", "not_sarcastic", "not_offensive", "not_motivational", "very_negative"],
        ["funny", "general", "slight", "motivational", "negative"],
        ["very_funny", "twisted_meaning", "very_offensive", "motivational", "neutral"],
        ["hilarious", "very_twisted", "hateful_offensive", "not_motivational", "positive"],
        ["hilarious", "very_twisted", "hateful_offensive", "not_motivational", "very_positive"],
    ];
    let rows: String = answers
        .iter()
        .enumerate()
        .map(|(i, answers)| format!("{i},image_{i}.jpg,text,text {i},{}\n", answers.join(",")))
        .collect();
    let pictures: Vec<String> = (0..5).map(|i| format!("image_{i}.jpg")).collect();
    let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
    for (task, expected) in [
        ("sentiment", [0, 0, 1, 2, 2]),
        ("humour", [0, 1, 1, 1, 1]),
        ("sarcasm", [0, 1, 1, 1, 1]),
        ("offensive", [0, 1, 1, 1, 1]),
        ("motivational", [0, 1, 1, 0, 0]),
    ] {
        let dataset = with(&rows, &pictures, &format!("task = \"{task}\"")).unwrap();
        let found: Vec<u32> = all(&dataset).values().map(|(_, class)| *class).collect();
        assert_eq!(found, expected, "{task}");
        assert_eq!(dataset.classes.len() as u32, expected.iter().max().unwrap() + 1);
        assert_eq!(dataset.task, TaskKind::Multiclass);
    }
}

/// Of each class a tenth is for validation and a tenth for testing, whatever the order of the rows; another seed draws
/// others.
#[test]
fn splits_are_drawn_by_class() {
    let class = |i: usize| ["neutral", "positive", "negative", "positive", "very_positive"][i % 5];
    let rows = |order: &mut dyn Iterator<Item = usize>| -> String {
        order.map(|i| format!("{i},image_{i}.jpg,text,text {i},{FUNNY},{}\n", class(i))).collect()
    };
    let pictures: Vec<String> = (0..200).map(|i| format!("image_{i}.jpg")).collect();
    let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let ids = |dataset: &Dataset, split: Split| -> BTreeSet<String> {
        dataset.splits[&split].samples.iter().map(|sample| sample.id.clone()).collect()
    };
    let forward = with(&rows(&mut (0..200)), &pictures, "").unwrap();
    for (split, each) in [(Split::Train, [32, 32, 96]), (Split::Val, [4, 4, 12]), (Split::Test, [4, 4, 12])] {
        let count = |class| forward.splits[&split].samples.iter().filter(|sample| sample.labels == [class]).count();
        assert_eq!([0, 1, 2].map(count), each, "{split:?}");
    }
    let backward = with(&rows(&mut (0..200).rev()), &pictures, "").unwrap();
    let other = with(&rows(&mut (0..200)), &pictures, "split-seed = 1").unwrap();
    for split in Split::ALL {
        assert_eq!(ids(&forward, split), ids(&backward, split));
        assert_ne!(ids(&forward, split), ids(&other, split));
    }
    let half = with(&rows(&mut (0..200)), &pictures, "test-percent = 50\nvalidation-percent = 25").unwrap();
    assert_eq!(Split::ALL.map(|split| half.splits[&split].samples.len()), [50, 50, 100]);
}

/// A row with other columns costs itself alone.
#[test]
fn a_row_that_cannot_be_read_is_counted() {
    let rows = format!("0,image_1.jpg,a,b, c,{FUNNY},neutral\n1,image_2.jpg,a,a,{FUNNY},neutral\n");
    let dataset = with(&rows, &["image_1.jpg", "image_2.jpg"], "").unwrap();
    assert_eq!(all(&dataset), [("image_2.jpg", ("a", 1))].into());
    assert_eq!(dataset.dropped, [("row with another number of columns".to_owned(), 1)].into());
    assert_eq!(dataset.found["rows"], 1);
}

#[test]
fn what_is_no_memotion_is_refused() {
    let (short, row) = (format!("{HEADER}0,image_1.jpg,a\n"), format!("{HEADER}0,image_1.jpg,a,a,{FUNNY},neutral\n"));
    let none = "labels.csv: none of its rows can be read; line 2: expected 9 columns, found 3";
    for (files, list, part) in [
        (&["images/image_1.jpg"][..], "jpg", "memotion.zip holds no `labels.csv`"),
        (&["labels.csv"], "image_name,text_ocr\n", "labels.csv: expected a column `text_corrected`, found: image_name"),
        (&["labels.csv"], &short, none),
        (&["labels.csv"], HEADER, "the list has no rows"),
        (&["a/labels.csv", "b/labels.csv"], "", "labels.csv"),
        (&["a/labels.csv", "b/labels.csv"], &row, "two lists labels.csv"),
    ] {
        let members: Vec<(&str, &[u8])> = files.iter().map(|file| (*file, list.as_bytes())).collect();
        let message = format!("{:#}", read(&members, "").unwrap_err());
        assert!(message.contains(part), "{message}");
    }
    for (options, part) in [
        ("task = \"irony\"", "irony"),
        ("test-percent = 0", "`test-percent` should be between 1 and 50"),
        ("test-percent = 50\nvalidation-percent = 50", "should leave something for training"),
    ] {
        let message = read(&[], options).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

/// A folder that a person packed has no folder around it.
#[test]
fn the_unpacked_folder_will_do() {
    let list = format!("{HEADER}0,image_1.jpg,a,a,{FUNNY},neutral\n");
    let members: [(&str, &[u8]); 2] = [("images/image_1.jpg", b"jpg"), ("labels.csv", list.as_bytes())];
    assert_eq!(all(&read(&members, "").unwrap()), [("image_1.jpg", ("a", 1))].into());
}
