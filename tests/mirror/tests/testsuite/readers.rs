//! The readers and encoders of the project on the files of a mirror.

use std::fs;

use seesaw::datasets::check::{Looking, check_pictures};
use seesaw::datasets::{Archives, Dataset, Reading, reader};
use seesaw::encoders::{IMAGE_ENCODERS, ImageEncoderOptions, TEXT_ENCODERS, TextEncoderOptions, load_image, load_text};
use seesaw::interrupt::Interrupt;
use seesaw::progress::Silent;
use seesaw::terms::Split;
use tch::{Device, Kind, Tensor};

use crate::{MIRROR, counts};

/// All files, by the names that readers know them by.
fn archives() -> Archives {
    let files = fs::read_dir(MIRROR.path().join("archives")).unwrap().map(|entry| entry.unwrap().path());
    Archives(files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect())
}

fn read(name: &str, options: &str) -> Dataset {
    let reader = reader(name).unwrap();
    let options = reader.options(options.parse().unwrap()).unwrap();
    let (archives, interrupt) = (archives(), Interrupt::default());
    reader.read(&Reading { archives: &archives, options: &options, interrupt: &interrupt }).unwrap()
}

fn sizes(dataset: &Dataset) -> [usize; 3] {
    Split::ALL.map(|split| dataset.splits[&split].samples.len())
}

/// The readers count what the manifests say, and drop only the faulty rows and pictures.
#[test]
fn readers_find_what_was_counted() {
    for name in ["food101", "hateful-memes", "mm-imdb", "memotion", "cub-200-2011"] {
        let mut dataset = read(name, "");
        let counts = counts(name);
        assert!(counts.len() >= 3, "{name}");
        counts.iter().for_each(|(what, n)| assert_eq!(dataset.found[what], *n, "{name}: {what}"));
        let folder = tempfile::tempdir().unwrap();
        let looking = Looking {
            decoding: reader(name).unwrap().decoding,
            subset: None,
            pack: &folder.path().join("pack"),
            interrupt: &Interrupt::default(),
            progress: &Silent,
            threads: 2,
        };
        let read: usize = sizes(&dataset).iter().sum();
        let by_reader: u64 = dataset.dropped.values().sum();
        check_pictures(&mut dataset, &archives(), &looking).unwrap();
        let undecodable = read - sizes(&dataset).iter().sum::<usize>();
        let expected = match name {
            "food101" => (3, 2),
            "memotion" => (2, 1),
            _ => (0, 0),
        };
        assert_eq!((by_reader, undecodable), expected, "{name}: {:?}", dataset.dropped);
        assert!(dataset.splits.values().all(|data| !data.samples.is_empty()), "{name}");
    }
}

/// The two validation splits that other projects published fit, and have the same samples.
#[test]
fn the_validation_splits_of_others_fit() {
    let ids = |validation: &str| -> Vec<String> {
        let dataset = read("food101", &format!("validation = \"{validation}\""));
        dataset.splits[&Split::Val].samples.iter().map(|sample| sample.id.clone()).collect()
    };
    assert!(!ids("map").is_empty());
    assert_eq!(ids("map"), ids("qmf"));
}

/// Every encoder loads its weights strictly, and its features tell pictures and texts apart.
#[test]
fn encoders_load_the_checkpoints() {
    tch::set_num_threads(1);
    let archives = archives();
    let mut loaded = 0;
    let made = |names: &[&str]| names.iter().all(|name| archives.0.contains_key(*name));
    for published in IMAGE_ENCODERS.iter().filter(|published| made(published.archives)) {
        let options = ImageEncoderOptions { name: published.name.to_owned(), ..Default::default() };
        let encoder = load_image(&options.resolved().unwrap(), &archives, Device::Cpu).unwrap();
        let size = if published.name.starts_with("resnet") { 96 } else { 32 };
        let noise = Tensor::arange(3 * size * size, (Kind::Float, Device::Cpu)).sin().view([1, 3, size, size]);
        let pictures = Tensor::cat(&[&noise, &noise.ones_like()], 0);
        told_apart(published.name, &encoder.encode(&pictures).unwrap());
        loaded += 1;
    }
    for published in TEXT_ENCODERS.iter().filter(|published| made(published.archives)) {
        let options = TextEncoderOptions { name: published.name.to_owned(), ..Default::default() };
        let encoder = load_text(&options.resolved().unwrap(), &archives, Device::Cpu).unwrap();
        let ids = ["grapes recipe", "crème brûlée 🍮, easy"].map(|text| encoder.tokenize(text).unwrap());
        told_apart(published.name, &encoder.encode(&[&ids[0], &ids[1]]).unwrap());
        loaded += 1;
    }
    assert_eq!(loaded, 6 + 4);
}

fn told_apart(name: &str, features: &Tensor) {
    assert!(features.isfinite().all().int64_value(&[]) == 1, "{name}");
    let difference = (features.get(0) - features.get(1)).abs().mean(Kind::Double).double_value(&[]);
    let size = features.abs().mean(Kind::Double).double_value(&[]);
    assert!(difference > 0.02 * size && size > 0.01, "{name}: {difference} of {size}");
}
