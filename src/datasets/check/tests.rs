use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use image::{ImageFormat, RgbImage};

use super::super::collect::Collector;
use super::*;
use crate::progress::Silent;
use crate::terms::{Split, TaskKind};
use crate::testing::{tar_gz, zip};

fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    RgbImage::from_pixel(9, 7, image::Rgb([1, 2, 3])).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

/// A dataset of one sample per member, and one more that shares the first picture.
fn dataset(members: &[&str]) -> Dataset {
    let mut collector = Collector::default();
    for (i, member) in members.iter().chain(members.first()).enumerate() {
        let picture = Picture { archive: "a".into(), member: (*member).into() };
        collector.push(Split::Train, format!("{i}"), &picture, &format!("text {i}"), vec![0]);
    }
    collector.into_dataset(TaskKind::Multiclass, vec!["class".into()])
}

fn checked(path: PathBuf, dataset: &mut Dataset, pack: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    let archives = Archives([("a".to_owned(), path)].into());
    let decoding = Decoding::PILLOW;
    let looking = Looking { decoding, subset: None, pack, interrupt, progress: &Silent, threads: 2 };
    check_pictures(dataset, &archives, &looking)
}

/// Counts what was looked at, and in how many rounds.
#[derive(Default)]
struct Counting {
    rounds: AtomicU64,
    looked: AtomicU64,
}

impl Progress for Counting {
    fn begin(&self, _total: Option<u64>, _unit: Unit) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    fn advance(&self, n: u64) {
        self.looked.fetch_add(n, Ordering::Relaxed);
    }

    fn note(&self, _message: &str) {}
}

/// Bad pictures are left out with their samples, in an archive that is read in place and in one that is copied from.
#[test]
fn bad_pictures_cost_their_samples_alone() {
    let (good, folder) = (png(), tempfile::tempdir().unwrap());
    let cut = &good[..good.len() - 20];
    let members: [(&str, &[u8]); 5] = [
        ("b/good.png", &good),
        ("a/cut.png", cut),
        ("c/empty.jpg", b""),
        ("c/page.jpg", b"<html></html>"),
        ("d/too.jpg", &good),
    ];
    let names = members.map(|(name, _)| name);
    let dropped = [("picture: cut short", 1), ("picture: empty file", 1), ("picture: not a picture", 1)];
    for (file, in_place) in [("archive.zip", true), ("archive.tar.gz", false)] {
        let path = folder.path().join(file);
        if in_place {
            zip(&path, &members)
        } else {
            std::fs::write(&path, tar_gz(&members)).unwrap()
        }
        let (mut data, pack) = (dataset(&names), folder.path().join(format!("{file}.pack")));
        checked(path, &mut data, &pack, &Interrupt::default()).unwrap();
        assert_eq!(data.dropped, dropped.map(|(reason, n)| (reason.to_owned(), n)).into(), "{file}");
        let train = &data.splits[&Split::Train];
        assert_eq!(train.ids(), ["0", "4", "5"]);
        assert_eq!(train.texts, ["text 0", "text 4", "text 5"]);
        let archive = if in_place { "a" } else { PACK };
        let picture = |member: &str| Picture { archive: archive.into(), member: member.into() };
        assert_eq!(train.pictures, [picture("b/good.png"), picture("d/too.jpg")]);
        let mut copies = ZipReader::open(&pack).unwrap();
        let copied: &[&str] = if in_place { &[] } else { &["b/good.png", "d/too.jpg"] };
        assert_eq!(copies.names(), copied);
        if !in_place {
            assert_eq!(copies.read("b/good.png").unwrap(), good);
        }
    }
}

/// A picture that decodes, and that some encoders could not prepare, costs its sample and no run.
#[test]
fn a_line_is_left_out() {
    let (good, folder, mut line) = (png(), tempfile::tempdir().unwrap(), Vec::new());
    RgbImage::new(60_000, 1).write_to(&mut Cursor::new(&mut line), ImageFormat::Png).unwrap();
    let path = folder.path().join("archive.zip");
    zip(&path, &[("good.png", &good), ("line.png", &line)]);
    let mut data = dataset(&["good.png", "line.png"]);
    checked(path, &mut data, &folder.path().join("pack"), &Interrupt::default()).unwrap();
    assert_eq!(data.dropped, [("picture: one side more than 1000 times the other".to_owned(), 1)].into());
    assert_eq!(data.splits[&Split::Train].pictures.len(), 1);
}

/// A subset has as many good samples as are wanted, by class, and no picture is looked at that need not be.
#[test]
fn a_subset_has_as_many_good_samples_as_are_wanted() {
    let (good, folder) = (png(), tempfile::tempdir().unwrap());
    let names: Vec<String> = (0..400).map(|i| format!("{i}.png")).collect();
    for (file, bad, n, expected, rounds, looked) in [
        ("some.zip", 3, 20, [10, 10], 2..=9, 20..=90),
        ("some.tar.gz", 3, 20, [10, 10], 2..=9, 20..=90),
        ("none.tar.gz", 1, 20, [0, 0], 2..=9, 400..=400),
        ("few.zip", 3, 1000, [133, 133], 1..=1, 400..=400),
        ("all.tar.gz", 1000, 20, [10, 10], 1..=2, 20..=22),
    ] {
        // Every third picture, or each, or the first alone is bad.
        let bytes = |i: usize| if i.is_multiple_of(bad) { &b"bad"[..] } else { &good };
        let members: Vec<(&str, &[u8])> = names.iter().enumerate().map(|(i, name)| (name.as_str(), bytes(i))).collect();
        let path = folder.path().join(file);
        if file.ends_with("zip") {
            zip(&path, &members);
        } else {
            std::fs::write(&path, tar_gz(&members)).unwrap();
        }
        let mut collector = Collector::default();
        for (i, name) in names.iter().enumerate() {
            let picture = Picture { archive: "a".into(), member: name.clone() };
            collector.push(Split::Train, name.clone(), &picture, name, vec![u32::from(i >= 200)]);
        }
        let mut data = collector.into_dataset(TaskKind::Multiclass, Vec::new());
        let (archives, counting) = (Archives([("a".to_owned(), path)].into()), Counting::default());
        let (pack, interrupt) = (folder.path().join("pack"), Interrupt::default());
        let looking = Looking {
            decoding: Decoding::PILLOW,
            subset: Some(n),
            pack: &pack,
            interrupt: &interrupt,
            progress: &counting,
            threads: 2,
        };
        check_pictures(&mut data, &archives, &looking).unwrap();
        let samples = &data.splits[&Split::Train].samples;
        let count = |class: u32| samples.iter().filter(|sample| sample.labels == [class]).count();
        assert_eq!([0, 1].map(count), expected, "{file}");
        let (in_rounds, in_all) = (counting.rounds.into_inner(), counting.looked.into_inner());
        assert!(
            rounds.contains(&in_rounds) && looked.contains(&in_all),
            "{file}: {in_rounds} rounds, {in_all} pictures"
        );
        for picture in &data.splits[&Split::Train].pictures {
            let archive = if file.ends_with("zip") { "a" } else { PACK };
            assert_eq!(picture.archive, archive, "{file}");
        }
    }
}

/// A member whose checksum is wrong counts as a bad picture.
#[test]
fn a_damaged_member_is_left_out() {
    let (good, folder) = (png(), tempfile::tempdir().unwrap());
    let path = folder.path().join("archive.zip");
    zip(&path, &[("one.png", &good), ("two.png", &good)]);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(good.len()).position(|window| window == good).unwrap();
    bytes[place + 40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut data = dataset(&["one.png", "two.png"]);
    checked(path, &mut data, &folder.path().join("pack"), &Interrupt::default()).unwrap();
    assert_eq!(data.dropped, [("picture: damaged in the archive".to_owned(), 2)].into());
    assert_eq!(data.splits[&Split::Train].pictures.len(), 1);
}

/// What a failing disk hides is not taken for a bad picture, which would be remembered; neither is a password.
#[test]
fn a_failing_disk_is_no_damage() {
    let damage = |error: std::io::Error| is_damage(&anyhow::Error::new(error).context("cannot read `a`"));
    assert!(damage(std::io::Error::new(std::io::ErrorKind::InvalidData, "Invalid checksum")));
    assert!(!damage(std::io::Error::from_raw_os_error(libc::EIO)));
    assert!(!is_damage(&crate::errors::failed("is locked with a password", "unpack it with the password")));
    assert!(!is_damage(&crate::errors::interrupted()));
}

#[test]
fn a_stop_is_heard() {
    let (good, folder) = (png(), tempfile::tempdir().unwrap());
    let path = folder.path().join("archive.zip");
    zip(&path, &[("one.png", &good)]);
    let interrupt = Interrupt::default();
    interrupt.raise();
    let stopped = checked(path, &mut dataset(&["one.png"]), &folder.path().join("pack"), &interrupt).unwrap_err();
    assert_eq!(crate::errors::class_of(&stopped), crate::errors::Class::Interrupted);
}
