//! Architectures and tokenizers against their recordings.

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use super::super::bert::{Bert, Config, Tokens, mean_pool};
use super::super::checkpoints::rows::{LITE0_ARCHIVE, LITE0_WEIGHTS, MINILM_ARCHIVE, MINILM_FOLDER};
use super::super::clip::{self, TowerOutput};
use super::super::distilbert::{self, DistilBert};
use super::super::efficientnet_lite::{self, EfficientNetLite};
use super::super::layers::{Product, channels_last};
use super::super::resnet::{self, ResNet};
use super::super::tokenize::TextTokenizer;
use super::super::vit::{self, Vit};
use super::super::weights::Weights;
use super::{close, compare, compare_each, from_archive, json, minilm, tensors, tolerance};
use crate::encoders::preprocess::{Layout, Preprocess};
use crate::tensors::to_safetensors;
use crate::testing;

fn load_bert(product: Product) -> Bert {
    let folder = testing::fixtures("encoders/bert");
    let config: Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let weights = Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    Bert::load_with(weights, config, product).unwrap()
}

fn recorded_tokens(recorded: &BTreeMap<String, Tensor>) -> Tokens {
    Tokens {
        input_ids: recorded["input.input_ids"].copy(),
        attention_mask: recorded.get("input.attention_mask").map(Tensor::copy),
        token_type_ids: recorded.get("input.token_type_ids").map(Tensor::copy),
    }
}

/// The states of the first sample, layer by layer, as far as they were recorded.
pub(super) fn compare_states(recorded: &BTreeMap<String, Tensor>, seen: &[Tensor], tolerance: f64) {
    let mut compared = 0;
    for (number, state) in seen.iter().enumerate() {
        if let Some(expected) = recorded.get(&format!("debug.hidden_states.{number}")) {
            close(&format!("hidden state {number}"), &state.narrow(0, 0, 1), expected, tolerance);
            compared += 1;
        }
    }
    let there = recorded.keys().filter(|key| key.starts_with("debug.hidden_states.")).count();
    assert_eq!(compared, there, "hidden states");
    assert!(there >= 3);
}

#[test]
fn bert_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let recorded = tensors(&testing::fixtures("encoders/bert").join("expected.safetensors"));
    let tokens = recorded_tokens(&recorded);
    for product in [Product::Fused, Product::Explicit] {
        let bert = load_bert(product);
        let mut seen = Vec::new();
        let states = bert.forward_seen(&tokens, &mut |x| seen.push(x.copy())).unwrap();
        let found = [
            ("cls", states.select(1, 0)),
            ("pooler_output", bert.pool(&states).unwrap()),
            ("mean_pooled", mean_pool(&states, tokens.attention_mask.as_ref())),
            ("last_hidden_state", states),
        ];
        compare(&recorded, &found, tolerance("bert"));
        compare_states(&recorded, &seen, tolerance("bert"));
    }
}

/// Where no text is padded, leaving the mask out changes no bit.
#[test]
fn a_mask_of_ones_is_no_mask() {
    let _no_grad = tch::no_grad_guard();
    let recorded = tensors(&testing::own_fixtures("encoders/bert").join("expected.safetensors"));
    let bare = Tokens { attention_mask: None, ..recorded_tokens(&recorded) };
    let ones = Tokens { attention_mask: Some(bare.input_ids.ones_like()), ..recorded_tokens(&recorded) };
    let bert = load_bert(Product::Explicit);
    let (without, with) = (bert.forward(&bare).unwrap(), bert.forward(&ones).unwrap());
    assert_eq!(without, with);
    assert_eq!(mean_pool(&without, None), mean_pool(&with, ones.attention_mask.as_ref()));
}

#[test]
fn distilbert_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/distilbert");
    let config: distilbert::Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let weights = Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let model = DistilBert::load(weights, config).unwrap();
    let recorded = tensors(&folder.join("expected.safetensors"));
    let tokens = recorded_tokens(&recorded);
    let mut seen = Vec::new();
    let states = model.forward_seen(&tokens, &mut |x| seen.push(x.copy())).unwrap();
    let found = [
        ("cls", states.select(1, 0)),
        ("mean_pooled", mean_pool(&states, tokens.attention_mask.as_ref())),
        ("last_hidden_state", states),
    ];
    compare(&recorded, &found, tolerance("distilbert"));
    compare_states(&recorded, &seen, tolerance("distilbert"));
}

/// Pictures in either memory format.
#[test]
fn vit_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/vit");
    let config: vit::Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let weights = Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let model = Vit::load(weights, config).unwrap().to_device(Device::Cpu).share();
    let recorded = tensors(&folder.join("expected.safetensors"));
    let pictures = &recorded["input.pixel_values"];
    for pictures in [pictures.copy(), channels_last(pictures)] {
        let mut seen = Vec::new();
        let states = model.forward_seen(&pictures, &mut |x| seen.push(x.copy())).unwrap();
        let found = [
            ("cls", states.select(1, 0)),
            ("pooler_output", model.pool(&states).unwrap()),
            ("last_hidden_state", states),
        ];
        compare(&recorded, &found, tolerance("vit"));
        compare_states(&recorded, &seen, tolerance("vit"));
    }
    assert!(model.forward(&pictures.narrow(3, 0, 8)).unwrap_err().to_string().contains("pixels, not"));
}

/// Under the names of both libraries.
#[test]
fn resnet_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/resnet");
    let config: resnet::Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let recorded = tensors(&folder.join("expected.safetensors"));
    for (file, config) in [("model.safetensors", Some(&config)), ("model_torchvision.safetensors", None)] {
        let weights = Weights::read(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        let model = ResNet::load(weights, config).unwrap().to_device(Device::Cpu).share();
        let mut seen = Vec::new();
        let maps = model.forward_seen(&channels_last(&recorded["input.pixel_values"]), &mut |x| seen.push(x.copy()));
        let found = [("pooler_output", model.pool(&maps)), ("last_hidden_state", maps)];
        compare_each(&recorded, &found, |output| if output == "pooler_output" { 5e-5 } else { 2e-4 });
        compare_states(&recorded, &seen, 2e-4);
    }
}

#[test]
fn clip_agrees_with_its_recordings() {
    let _no_grad = tch::no_grad_guard();
    let folder = testing::fixtures("encoders/clip");
    let config: clip::Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let weights = || Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let named = |embeds: &'static str, output: TowerOutput| {
        [
            ("last_hidden_state", output.last_hidden_state),
            ("pooler_output", output.pooler_output),
            (embeds, output.embeds),
        ]
    };
    let recorded = tensors(&folder.join("expected_image.safetensors"));
    let vision = clip::Vision::load(weights(), config.clone()).unwrap().share();
    let mut seen = Vec::new();
    let output = vision.forward_seen(&recorded["input.pixel_values"], &mut |x| seen.push(x.copy())).unwrap();
    compare(&recorded, &named("image_embeds", output), tolerance("clip"));
    compare_states(&recorded, &seen, tolerance("clip"));

    let recorded = tensors(&folder.join("expected_text.safetensors"));
    let text = clip::Text::load(weights(), config.clone()).unwrap().share();
    let tokens = recorded_tokens(&recorded);
    let mut seen = Vec::new();
    let output = text.forward_seen(&tokens, &mut |x| seen.push(x.copy())).unwrap();
    compare(&recorded, &named("text_embeds", output), tolerance("clip"));
    compare_states(&recorded, &seen, tolerance("clip"));

    // The end-of-text token by its own id, and by the largest id of the text.
    let (ids, _) = tokens.input_ids.max_dim(1, false);
    let mut config = config;
    config.text_config.eos_token_id = ids.max().int64_value(&[]);
    assert_ne!(config.text_config.eos_token_id, 2);
    let output = clip::Text::load(weights(), config).unwrap().forward(&tokens).unwrap();
    close("text_embeds by id", &output.embeds, &recorded["output.text_embeds"], tolerance("clip"));
}

/// What is missing, misshapen or unknown in a checkpoint is named, for every architecture.
#[test]
fn checkpoints_of_every_architecture_are_taken_strictly() {
    let config = |folder: &str| json(&testing::own_fixtures(folder).join("config.json"));
    let file = |folder: &str| tensors(&testing::own_fixtures(folder).join("model.safetensors"));
    let load = |folder: &str, file: &BTreeMap<String, Tensor>| {
        let bytes = to_safetensors(file.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
        let (weights, config) = (Weights::read(&bytes).unwrap(), config(folder));
        match folder {
            "encoders/vit" => Vit::load(weights, serde_json::from_value(config).unwrap()).map(|_| ()),
            "encoders/distilbert" => DistilBert::load(weights, serde_json::from_value(config).unwrap()).map(|_| ()),
            "encoders/resnet" => ResNet::load(weights, Some(&serde_json::from_value(config).unwrap())).map(|_| ()),
            _ => {
                let config: clip::Config = serde_json::from_value(config).unwrap();
                let again = Weights::read(&bytes).unwrap();
                clip::Vision::load(weights, config.clone()).and(clip::Text::load(again, config).map(|_| ()))
            }
        }
    };
    for (folder, key, reported) in [
        ("encoders/vit", "encoder.layer.1.output.dense.bias", "encoder.layer.1.output.dense.bias"),
        ("encoders/distilbert", "distilbert.transformer.layer.0.ffn.lin1.bias", "transformer.layer.0.ffn.lin1.bias"),
        ("encoders/resnet", "resnet.encoder.stages.1.layers.1.layer.1.normalization.bias", "layer2.1.bn2.bias"),
        ("encoders/clip", "text_model.final_layer_norm.bias", "text_model.final_layer_norm.bias"),
        ("encoders/clip", "visual_projection.weight", "visual_projection.weight"),
    ] {
        let good = file(folder);
        load(folder, &good).unwrap();
        let expect = |file: &BTreeMap<String, Tensor>, part: &str| {
            let error = load(folder, file).unwrap_err().to_string();
            assert!(error.contains(&format!("`{reported}")) && error.contains(part), "{folder}: {error}");
        };
        let mut bad = file(folder);
        let tensor = bad.remove(key).unwrap();
        expect(&bad, "is missing");
        bad.insert(key.to_owned(), Tensor::cat(&[&tensor, &tensor], 0));
        expect(&bad, "should be [");
        bad.insert(key.to_owned(), tensor.copy());
        bad.insert(format!("{key}_more"), tensor);
        expect(&bad, "is not a tensor of this model");
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_by_key() {
    let folder = testing::own_fixtures("encoders/bert");
    let mut config: Config = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    config.num_hidden_layers = 1;
    let weights = || Weights::read(&std::fs::read(folder.join("model.safetensors")).unwrap()).unwrap();
    let error = Bert::load(weights(), config.clone()).unwrap_err().to_string();
    assert!(error.contains("`encoder.layer.1.attention.output.dense.weight` is not a tensor of this model"), "{error}");
    assert!(error.ends_with("and 11 more tensors that do not fit"), "{error}");
    config.num_hidden_layers = 3;
    let error = Bert::load(weights(), config).unwrap_err().to_string();
    assert!(error.contains("`encoder.layer.2.attention.self.query.weight` [32, 32] is missing"), "{error}");
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
    let tokens = recorded_tokens(&recorded);
    let bert = minilm();
    let states = bert.forward(&tokens).unwrap();
    let mean = mean_pool(&states, tokens.attention_mask.as_ref());
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
            let rgb = crate::pictures::decode_over_white(&std::fs::read(file).unwrap()).unwrap();
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
