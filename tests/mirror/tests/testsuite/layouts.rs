//! The files of the smallest mirror, laid out like the real ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use seesaw::archives::Archive;
use seesaw::datasets::mm_imdb::GENRES;
use seesaw::digest::Digest;
use seesaw::interrupt::Interrupt;
use seesaw::manifests::Manifest;
use seesaw::pictures::decode_over_white;
use seesaw_mirror::{SAMPLES, make};
use serde_json::Value;

use crate::{MIRROR, archive, counts, manifests};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(archive(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All members of an archive and of the archives inside it.
fn members(name: &str) -> BTreeMap<String, Vec<u8>> {
    let mut members = BTreeMap::new();
    let archive = Archive::open(&archive(name)).unwrap();
    archive
        .walk(&Interrupt::default(), &mut |entry, content| {
            members.insert(entry.name.clone(), content.read_all(1 << 30)?);
            Ok(())
        })
        .unwrap();
    members
}

fn count(name: &str, what: &str) -> u64 {
    *counts(name).get(what).unwrap_or_else(|| panic!("{name} has no count of {what}"))
}

/// Every file is what its manifest says, and every manifest is that of the project except for files and counts.
#[test]
fn manifests_describe_the_files() {
    let all = manifests();
    assert_eq!(all.len(), 12);
    for mut manifest in all {
        let name = manifest["name"].as_str().unwrap().to_owned();
        let path = project().join(format!("{name}.json"));
        let committed = Manifest::load(&path).unwrap();
        for archive in manifest["archives"].as_array_mut().unwrap() {
            let file = archive["name"].as_str().unwrap().to_owned();
            let (sha256, size) = Digest::of_file(&crate::archive(&file)).unwrap();
            assert_eq!(
                (archive["sha256"].as_str().unwrap(), archive["size"].as_u64()),
                (&*sha256.to_string(), Some(size))
            );
            assert_eq!(archive["sources"][0]["urls"][0], format!("archives/{file}"));
            archive["sources"][0]["urls"][0] = format!("https://example.org/archives/{file}").into();
        }
        let made = Manifest::parse(&name, manifest.to_string().as_bytes()).unwrap();
        let names = |manifest: &Manifest| manifest.archives.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&made), names(&committed));
        assert_eq!(
            (made.kind, &made.datasets, &made.licence),
            (committed.kind, &committed.datasets, &committed.licence)
        );
        let what = |manifest: &Manifest| -> Vec<String> {
            manifest.counts.values().flat_map(|counts| counts.keys().cloned()).filter(|key| key != "dev").collect()
        };
        assert_eq!(what(&made), what(&committed), "{name}: all that the committed manifest counts");
    }
    let listed: usize = fs::read_dir(MIRROR.path().join("archives")).unwrap().count();
    assert_eq!(
        listed,
        manifests().iter().map(|manifest| manifest["archives"].as_array().unwrap().len()).sum::<usize>()
    );
}

/// The same seed and number of samples give the same bytes of every file, others give other samples.
#[test]
fn a_seed_decides_every_byte() {
    let digests = |folder: &Path| -> BTreeMap<String, Digest> {
        let files = fs::read_dir(folder.join("archives")).unwrap().map(|entry| entry.unwrap().path());
        let named = |path: PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, Digest::of_file(&path).unwrap().0)
        };
        files.map(named).collect()
    };
    let first = digests(MIRROR.path());
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), *SAMPLES.start() + 40, 1).unwrap();
    let other = digests(folder.path());
    assert_eq!(first.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for name in ["upmcfood101.zip", "hateful_memes.zip", "mmimdb.tar.gz", "memotion.zip", "CUB_200_2011.tgz"] {
        assert_ne!(first[name], other[name], "{name}");
    }
    // The first one again, over the other one.
    make(folder.path(), *SAMPLES.start(), 0).unwrap();
    assert_eq!(digests(folder.path()), first);
    let list = |folder: &Path| fs::read(folder.join("manifests.json")).unwrap();
    assert_eq!(list(folder.path()), list(MIRROR.path()));
}

#[test]
fn too_few_samples_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = make(folder.path(), *SAMPLES.start() - 1, 0).unwrap_err();
    assert_eq!(seesaw::errors::class_of(&error), seesaw::errors::Class::Usage);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written");
}

/// The layout of Kaggle's copy, with its faults.
#[test]
fn food101_is_laid_out_like_the_real_one() {
    let all = members("upmcfood101.zip");
    let mut broken = Vec::new();
    let mut files = BTreeMap::new();
    for (name, bytes) in all.iter().filter(|(name, _)| name.starts_with("images/")) {
        let parts: Vec<&str> = name.split('/').collect();
        let [_, part @ ("train" | "test"), class, file] = parts[..] else { panic!("{name}") };
        assert!(file.starts_with(&format!("{class}_")) && file.ends_with(".jpg"), "{name}");
        assert!(files.insert(file.to_owned(), (part, class)).is_none(), "{file} is in both parts");
        // Decoders differ in what they make of a picture that is cut short.
        let cut = bytes.starts_with(&[0xFF, 0xD8]) && !bytes.ends_with(&[0xFF, 0xD9]);
        match bytes.is_empty() || cut {
            true => broken.push(bytes.len()),
            false => drop(decode_over_white(bytes).unwrap_or_else(|error| panic!("{name}: {error:#}"))),
        }
    }
    broken.sort_unstable();
    assert!(broken.len() == 2 && broken[0] == 0 && broken[1] > 100, "one empty, one cut short: {broken:?}");
    let starting = |head: &[u8]| all.values().filter(|bytes| bytes.starts_with(head)).count();
    assert_eq!((starting(b"\x89PNG"), starting(b"GIF8")), (1, 1), "named .jpg");
    let pictures = |part: &str| files.values().filter(|(of, _)| *of == part).count() as u64;
    let classes: std::collections::BTreeSet<&str> = files.values().map(|(_, class)| *class).collect();
    assert_eq!(count("food101", "train pictures"), pictures("train"));
    assert_eq!(count("food101", "test pictures"), pictures("test"));
    assert_eq!(count("food101", "classes"), classes.len() as u64);
    let (mut without_picture, mut blank, mut quoted) = (0, 0, 0);
    for part in ["train", "test"] {
        let text = String::from_utf8(all[&format!("texts/{part}_titles.csv")].clone()).unwrap();
        assert_eq!(count("food101", &format!("{part} rows")), text.lines().count() as u64);
        for line in text.lines() {
            let (file, rest) = line.split_once(',').unwrap();
            let (title, class) = rest.rsplit_once(',').unwrap();
            match files.remove(file) {
                Some((of, folder)) => assert_eq!((of, folder), (part, class)),
                None => without_picture += 1,
            }
            blank += u32::from(title.is_empty());
            quoted += u32::from(title.starts_with('"') && title.ends_with('"'));
            assert_eq!(title.contains([',', '"']), title.starts_with('"'), "{line}");
        }
    }
    assert_eq!((without_picture, blank, files.len()), (1, 1, 1), "one picture is left without a row");
    assert!(quoted > 0);
}

/// The committed validation splits of others: file names of MAP, JSON lines of QMF, the same tenth of the training
/// pictures in both.
#[test]
fn food101_has_the_validation_splits_of_others() {
    let split: BTreeMap<String, Vec<String>> = serde_json::from_slice(&bytes("food101.map.split.json")).unwrap();
    assert_eq!(split.keys().collect::<Vec<_>>(), ["test", "train", "val"]);
    assert_eq!((split["train"].len() + split["val"].len()) as u64, count("food101", "train pictures"));
    assert_eq!(split["test"].len() as u64, count("food101", "test pictures"));
    let all = members("upmcfood101.zip");
    let lines = String::from_utf8(bytes("food101.qmf.dev.jsonl")).unwrap();
    let mut files = Vec::new();
    for line in lines.lines() {
        let line: BTreeMap<String, String> = serde_json::from_str(line).unwrap();
        let (class, file) = line["img"].strip_prefix("images/train/").unwrap().split_once('/').unwrap();
        assert!(all.contains_key(&line["img"]), "{}", line["img"]);
        assert_eq!((line["label"].as_str(), line["id"].as_str()), (class, format!("{class}_{file}").as_str()));
        files.push(file.to_owned());
    }
    assert_eq!(files, split["val"]);
    assert!(!files.is_empty());
}

#[test]
fn hateful_memes_are_laid_out_like_the_real_ones() {
    let all = members("hateful_memes.zip");
    let mut lists: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut labels = [0; 2];
    let mut used = std::collections::BTreeSet::new();
    for list in ["train", "dev_seen", "dev_unseen", "test_seen", "test_unseen"] {
        let text = std::str::from_utf8(&all[&format!("data/{list}.jsonl")]).unwrap();
        assert_eq!(count("hateful-memes", list), text.lines().count() as u64);
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let id = line["id"].as_u64().unwrap();
            assert_eq!(line["img"], format!("img/{id:05}.png"));
            assert!(!line["text"].as_str().unwrap().is_empty());
            labels[line["label"].as_u64().unwrap() as usize] += 1;
            let picture = format!("data/img.tar.gz/img/{id:05}.png");
            assert!(all[&picture].starts_with(b"\x89PNG"), "{picture}");
            decode_over_white(&all[&picture]).unwrap();
            used.insert(picture);
            lists.entry(list).or_default().push(id);
        }
    }
    let shared = lists["dev_seen"].iter().filter(|id| lists["dev_unseen"].contains(id)).count();
    assert!(2 * shared > lists["dev_seen"].len() && shared < lists["dev_seen"].len(), "{shared}");
    let distinct: std::collections::BTreeSet<&u64> = lists.values().flatten().collect();
    assert_eq!(distinct.len() + shared, lists.values().map(Vec::len).sum::<usize>(), "no other overlap");
    assert_eq!(used.len(), all.keys().filter(|name| name.ends_with(".png")).count());
    assert!(labels.iter().all(|count| 3 * count > labels[0] + labels[1]), "{labels:?}");
}

#[test]
fn mm_imdb_is_laid_out_like_the_real_one() {
    let all = members("mmimdb.tar.gz");
    let splits: BTreeMap<String, Vec<String>> = serde_json::from_slice(&all["mmimdb/split.json"]).unwrap();
    assert_eq!(splits.keys().collect::<Vec<_>>(), ["dev", "test", "train"]);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut plots = std::collections::BTreeSet::new();
    let (mut named, mut other_genres) = (0, 0);
    for (split, ids) in &splits {
        counts.insert(split.clone(), ids.len() as u64);
        for id in ids {
            assert!(id.len() == 7 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
            decode_over_white(&all[&format!("mmimdb/dataset/{id}.jpeg")]).unwrap();
            let film: Value = serde_json::from_slice(&all[&format!("mmimdb/dataset/{id}.json")]).unwrap();
            for genre in film["genres"].as_array().unwrap() {
                let genre = genre.as_str().unwrap();
                match GENRES.contains(&genre) {
                    true => *counts.entry(format!("{split} {genre}")).or_default() += 1,
                    false => other_genres += 1,
                }
            }
            let of_film = film["plot"].as_array().unwrap();
            plots.insert(of_film.len());
            named += of_film.iter().filter(|plot| plot.as_str().unwrap().contains("::")).count();
        }
    }
    assert_eq!(plots.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(named > 0 && other_genres > 0);
    let ids: usize = splits.values().map(Vec::len).sum();
    assert_eq!(all.len(), 2 * ids + 1, "a description and a poster of every film, and the splits");
    assert_eq!(counts.len(), 3 + 3 * 23, "every genre in every split");
    counts.iter().for_each(|(what, n)| assert_eq!(count("mm-imdb", what), *n, "{what}"));
}

#[test]
fn memotion_is_laid_out_like_the_real_one() {
    let all = members("memotion.zip");
    let text = std::str::from_utf8(&all["memotion_dataset_7k/labels.csv"]).unwrap();
    assert!(
        text.starts_with(
            ",image_name,text_ocr,text_corrected,humour,sarcasm,offensive,motivational,overall_sentiment\n"
        )
    );
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(count("memotion", "rows"), rows.len() as u64);
    assert_eq!(count("memotion", "pictures"), all.len() as u64 - 1);
    let mut endings = std::collections::BTreeSet::new();
    let mut sentiments = std::collections::BTreeSet::new();
    let mut lost = 0;
    for row in &rows {
        let (name, ending) = row[1].rsplit_once('.').unwrap();
        assert!(name.starts_with("image_"));
        endings.insert(ending.to_owned());
        sentiments.insert(row[8].to_owned());
        lost += u32::from(!all.contains_key(&format!("memotion_dataset_7k/images/{}", &row[1])));
    }
    assert_eq!(endings.into_iter().collect::<Vec<_>>(), ["JPG", "jpeg", "jpg", "png"]);
    assert_eq!((sentiments.len(), lost), (5, 1));
    assert!(rows.iter().any(|row| row[3].contains("<html>\n")), "one text is a page");
    assert_eq!(rows.iter().filter(|row| row[3].is_empty()).count(), 2);
}

#[test]
fn birds_are_laid_out_like_the_real_ones() {
    let all = members("CUB_200_2011.tgz");
    let captions = members("cvpr2016_cub.tar.gz");
    let list = |name: &str| -> BTreeMap<String, String> {
        let text = std::str::from_utf8(&all[&format!("CUB_200_2011/{name}")]).unwrap();
        text.lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(n, value)| (n.to_owned(), value.to_owned()))
            .collect()
    };
    let [images, classes, labels] = ["images.txt", "classes.txt", "image_class_labels.txt"].map(list);
    let division = list("train_test_split.txt");
    assert_eq!(count("cub-200-2011", "pictures"), images.len() as u64);
    assert_eq!(count("cub-200-2011", "train"), division.values().filter(|part| *part == "1").count() as u64);
    let mut spelt_otherwise = 0;
    for (number, path) in &images {
        let (class, file) = path.split_once('/').unwrap();
        assert_eq!(&classes[&labels[number]], class);
        decode_over_white(&all[&format!("CUB_200_2011/images/{path}")]).unwrap();
        let end = format!("/{}.txt", file.strip_suffix(".jpg").unwrap());
        let (member, text) = captions.iter().find(|(member, _)| member.ends_with(&end)).unwrap();
        assert!(member.starts_with("cvpr2016_cub/text_c10/"));
        spelt_otherwise += u32::from(!member.contains(class));
        assert_eq!(std::str::from_utf8(text).unwrap().lines().count(), 10);
    }
    assert!(spelt_otherwise > 0);
}
