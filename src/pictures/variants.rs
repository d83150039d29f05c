//! Every variant of every format, as Pillow reads it: `tests/fixtures/pictures/variants` has the files, Pillow's answers and
//! the list of deviations.

use std::collections::BTreeMap;
use std::io::Read;

use super::*;
use crate::testing;

/// How far a lossy picture may be from Pillow's, in levels of 255: the largest difference and the mean. The decoders round
/// elsewhere; false colours are tens of levels away.
fn tolerance(name: &str) -> (u8, f64) {
    match name.split_once('/').expect("a name begins with a folder").0 {
        "jpeg" => (6, 2.0),
        "webp" if !name.contains("lossless") => (2, 0.5),
        _ if name == "other/jpeg_named.png" => (4, 0.5),
        // Five and six bits become eight by other fractions.
        "bmp" if ["bits_16", "565", "555"].iter().any(|bits| name.contains(bits)) => (1, 0.5),
        _ => (0, 0.0),
    }
}

/// Deviations from Pillow that are deliberate. Written by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviations {
    deviations: Vec<Deviation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    names: Vec<String>,
    found: Found,
    why: String,
}

/// How a variant compares with Pillow's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Found {
    /// The same picture, or no picture for both.
    Same,
    /// Pillow decodes it. Here it is refused, as unsupported.
    NotSupported,
    /// Pillow decodes it. Here it is refused for another reason.
    Refused,
    /// Pillow refuses it. Here it is decoded.
    Decoded,
    /// Both decode it, to other sizes or colours.
    Different,
}

/// A line of the table.
struct Variant {
    name: String,
    /// Width, height and the name of the bytes, if Pillow decodes it.
    decoded: Option<(usize, usize, String)>,
}

fn table(text: &str) -> Vec<Variant> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|fields| {
            let [name, _, width, height, _, digest] = fields[..] else { panic!("{fields:?}") };
            let decoded = (!digest.is_empty())
                .then(|| (width.parse().unwrap(), height.parse().unwrap(), format!("rgb/{digest}")));
            Variant { name: name.to_owned(), decoded }
        })
        .collect()
}

fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
        })
        .collect()
}

/// What was found, and what a person wants to know of it.
fn compare(variant: &Variant, members: &BTreeMap<String, Vec<u8>>) -> (Found, String) {
    let ours = decode(&members[&variant.name], Decoding::PILLOW);
    match (ours, &variant.decoded) {
        (Err(_), None) => (Found::Same, String::new()),
        (Err(fault @ PictureFault::NotSupported(_)), Some(_)) => (Found::NotSupported, fault.to_string()),
        (Err(fault), Some(_)) => (Found::Refused, fault.to_string()),
        (Ok(_), None) => (Found::Decoded, String::new()),
        (Ok(ours), Some((width, height, _))) if (ours.width, ours.height) != (*width, *height) => {
            (Found::Different, format!("{} × {}, not {width} × {height}", ours.width, ours.height))
        }
        (Ok(ours), Some((.., digest))) => {
            let (largest, mean) = tests::differences(&ours.bytes, &members[digest]);
            let (most, most_mean) = tolerance(&variant.name);
            let found = if largest > most || mean > most_mean { Found::Different } else { Found::Same };
            (found, format!("largest difference {largest}, mean {mean:.3}"))
        }
    }
}

/// Each variant gives the picture that Pillow gives, or is refused as Pillow refuses it, or its deviation is listed with a
/// reason. A listed deviation that is gone fails too.
#[test]
fn variants_are_read_as_pillow_reads_them() {
    let folder = testing::own_fixtures("pictures/variants");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let members = members(&std::fs::read(folder.join("variants.tar.gz")).unwrap());
    let listed: Deviations = toml::from_str(&text("deviations.toml")).unwrap();
    let mut expected = BTreeMap::new();
    for Deviation { names, found, why } in &listed.deviations {
        assert!(!why.is_empty() && *found != Found::Same, "{names:?}");
        for name in names {
            assert!(expected.insert(name.as_str(), *found).is_none(), "{name} is listed twice");
        }
    }
    let variants = table(&text("variants.tsv"));
    assert!(variants.len() > 800, "{}", variants.len());
    let mut wrong = Vec::new();
    for variant in &variants {
        let expected = expected.remove(variant.name.as_str()).unwrap_or(Found::Same);
        let (found, details) = compare(variant, &members);
        if found != expected {
            wrong.push(format!("{}: expected {expected:?}, found {found:?} {details}", variant.name));
        }
    }
    assert!(expected.is_empty(), "listed, but no variants: {expected:?}");
    assert!(wrong.is_empty(), "{} deviate from tests/fixtures/pictures/variants:\n{}", wrong.len(), wrong.join("\n"));
}
