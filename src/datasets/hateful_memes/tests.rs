use super::*;
use crate::testing::{read_zips, tar_gz};

fn line(id: u32, label: Option<u32>, text: &str) -> String {
    let label = label.map_or(String::new(), |label| format!("\"label\": {label}, "));
    format!("{{\"id\": {id}, \"img\": \"img/{id:05}.png\", {label}\"text\": {}}}\n", serde_json::json!(text))
}

fn read(members: &[(&str, &[u8])], options: &str) -> anyhow::Result<Dataset> {
    read_zips("hateful-memes", options, &[(ARCHIVE, members)])
}

#[test]
fn phase_2_is_read_with_its_pictures_in_an_archive_of_their_own() {
    let train =
        line(1, Some(0), "one") + &line(2, Some(1), "two") + &line(3, Some(1), " ") + &line(9, Some(0), "no picture");
    let (dev, test) = (line(4, Some(1), "four"), line(5, Some(0), "five") + &line(1, Some(0), "one"));
    let images = [1, 2, 3, 4, 5].map(|id| format!("img/{id:05}.png"));
    let images = tar_gz(&images.each_ref().map(|name| (name.as_str(), b"png".as_slice())));
    let members: [(&str, &[u8]); 5] = [
        ("data/train.jsonl", train.as_bytes()),
        ("data/dev_seen.jsonl", dev.as_bytes()),
        ("data/dev_unseen.jsonl", dev.as_bytes()),
        ("data/test_seen.jsonl", test.as_bytes()),
        ("data/img.tar.gz", &images),
    ];
    let members: Vec<(&str, &[u8])> =
        members.into_iter().chain([("__MACOSX/data/train.jsonl", b"x".as_slice())]).collect();
    let dataset = read(&members, "").unwrap();
    insta::assert_debug_snapshot!(dataset);
    let error = read(&members, "test = \"test_unseen\"").unwrap_err().to_string();
    assert!(error.contains("should hold test_unseen.jsonl; it holds the lists dev_seen, dev_unseen"), "{error}");
}

#[test]
fn phase_1_has_other_names_and_no_test_labels() {
    let (train, dev) = (line(1, Some(0), "one"), line(2, Some(1), "two"));
    let test = line(3, None, "three");
    let members: [(&str, &[u8]); 6] = [
        ("train.jsonl", train.as_bytes()),
        ("dev.jsonl", dev.as_bytes()),
        ("test.jsonl", test.as_bytes()),
        ("img/00001.png", b"png"),
        ("img/00002.png", b"png"),
        ("img/00003.png", b"png"),
    ];
    let error = read(&members, "").unwrap_err();
    assert!(error.to_string().starts_with("test.jsonl in hateful_memes.zip has no labels"), "{error:#}");
    let mut labelled = members;
    let test = line(3, Some(1), "three");
    labelled[2].1 = test.as_bytes();
    let dataset = read(&labelled, "").unwrap();
    assert_eq!(dataset.splits[&Split::Val].texts, ["two"]);
    assert_eq!(dataset.splits[&Split::Test].pictures[0].member, "img/00003.png");
}

#[test]
fn splits_that_share_samples_are_refused() {
    for options in ["test = \"dev_seen\"", "validation = \"dev_seen\"\ntest = \"dev_unseen\""] {
        let error = read(&[], options).unwrap_err().to_string();
        assert!(error.contains("should not share samples"), "{error}");
    }
    let twice: [(&str, &[u8]); 2] = [("a/train.jsonl", b""), ("b/train.jsonl", b"")];
    assert!(format!("{:#}", read(&twice, "").unwrap_err()).contains("two lists train.jsonl"));
}

/// A line of other types, without a text or cut short costs itself alone; a list of nothing else is another list.
#[test]
fn lines_that_cannot_be_read_are_counted() {
    let good = |id: u32| line(id, Some(id % 2), "text");
    let faulty = good(1).replace("\"label\": 1", "\"label\": \"1\"")
        + "\n"
        + &good(2)
        + &good(3).replace("\"text\"}", "null}")
        + &good(4)[..20]
        + "\r\n"
        + &good(5);
    let (dev, test) = (good(6), good(7) + "{}\n");
    let names: Vec<String> = (1..8).map(|id| format!("img/{id:05}.png")).collect();
    let mut members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"png".as_slice())).collect();
    members.extend([("dev.jsonl", dev.as_bytes()), ("test.jsonl", test.as_bytes()), ("dev_unseen.jsonl", b"{}\n")]);
    let with = |train: &[u8]| read(&[members.as_slice(), &[("data/train.jsonl", train)]].concat(), "");
    let dataset = with(faulty.as_bytes()).unwrap();
    assert_eq!(dataset.splits[&Split::Train].ids(), ["2", "5"]);
    let dropped = [("row that is not JSON", 1), ("row with a missing or wrong field", 3)];
    assert_eq!(dataset.dropped, dropped.map(|(reason, n)| (reason.to_owned(), n)).into());
    assert_eq!((dataset.found["train"], dataset.found["test"]), (2, 1));
    let error = with(b"\n{\"id\": 1}\n").unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains("data/train.jsonl in hateful_memes.zip: none of its rows can be read"), "{message}");
    assert!(message.ends_with("line 2: missing field `img`"), "{message}");
    assert!(errors::hint_of(&error).unwrap().contains("each line should be `{"));
}
