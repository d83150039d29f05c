//! Checkpoints and configurations that do not fit are refused.

use serde_json::Value;
use tch::{Device, Tensor};

use super::super::bert::{self, Bert};
use super::super::resnet::ResNet;
use super::super::transformer::Product;
use super::super::vit::Vit;
use super::super::weights::Weights;
use super::super::{ImageEncoderOptions, blip, clip, distilbert, load_image};
use super::{File, bytes, json, tensors};
use crate::archives::Archives;
use crate::errors;
use crate::testing::own_fixtures;

fn config(model: &str) -> Value {
    json(&own_fixtures("encoders").join(model).join("config.json"))
}

fn file(model: &str) -> File {
    tensors(&own_fixtures("encoders").join(model).join("model.safetensors"))
}

/// Loads every network of a model: nothing, or why the checkpoint does not fit.
fn load(model: &str, file: &File, config: Value) -> Vec<Option<String>> {
    let weights = || Weights::read(&bytes(file)).unwrap();
    fn parsed<T: serde::de::DeserializeOwned>(config: &Value) -> T {
        serde_json::from_value(config.clone()).unwrap()
    }
    let results = match model {
        "bert" => vec![Bert::load(weights(), &parsed(&config), Product::Fused).map(drop)],
        "distilbert" => vec![distilbert::load(weights(), &parsed(&config)).map(drop)],
        "vit" => vec![Vit::load(weights(), parsed(&config)).map(drop)],
        "resnet" => vec![ResNet::load(weights(), Some(&parsed(&config))).map(drop)],
        "clip" => vec![
            clip::Vision::load(weights(), parsed(&config)).map(drop),
            clip::Text::load(weights(), parsed(&config)).map(drop),
        ],
        "blip" => vec![
            blip::Vision::load(weights(), parsed(&config)).map(drop),
            blip::Text::load(weights(), parsed(&config)).map(drop),
        ],
        other => panic!("{other}"),
    };
    results.into_iter().map(|result| result.err().map(|error| error.to_string())).collect()
}

/// A tensor that is missing, misshapen or unknown is named, by the network that uses it alone.
#[test]
fn checkpoints_of_every_architecture_are_taken_strictly() {
    for (model, network, prefix, reported) in [
        ("bert", 0, "bert.", "encoder.layer.1.output.dense.bias"),
        ("vit", 0, "", "encoder.layer.1.output.dense.bias"),
        ("distilbert", 0, "distilbert.", "transformer.layer.0.ffn.lin1.bias"),
        ("resnet", 0, "", "layer2.1.bn2.bias"),
        ("clip", 1, "", "text_model.final_layer_norm.bias"),
        ("clip", 0, "", "visual_projection.weight"),
        ("blip", 0, "", "vision_model.post_layernorm.bias"),
        ("blip", 0, "", "vision_model.encoder.layers.1.self_attn.qkv.bias"),
        ("blip", 0, "", "vision_proj.bias"),
        ("blip", 1, "", "text_encoder.encoder.layer.0.attention.self.query.weight"),
        ("blip", 1, "", "text_proj.bias"),
    ] {
        let key = match model {
            "resnet" => "resnet.encoder.stages.1.layers.1.layer.1.normalization.bias",
            _ => &format!("{prefix}{reported}"),
        };
        assert!(load(model, &file(model), config(model)).iter().all(Option::is_none), "{model}");
        let expect = |file: &File, part: &str| {
            let mut errors = load(model, file, config(model));
            let error = errors.remove(network).unwrap_or_else(|| panic!("{model}: {key} {part}"));
            assert!(error.contains(&format!("`{reported}")) && error.contains(part), "{model}: {error}");
            assert!(errors.iter().all(Option::is_none), "{model}: {errors:?}");
        };
        let mut bad = file(model);
        let tensor = bad.remove(key).unwrap_or_else(|| panic!("{model}: {:?}", file(model).keys()));
        expect(&bad, "is missing");
        bad.insert(key.to_owned(), Tensor::cat(&[&tensor, &tensor], 0));
        expect(&bad, "should be [");
        bad.insert(key.to_owned(), tensor.copy());
        bad.insert(format!("{key}_more"), tensor);
        expect(&bad, "is not a tensor of this model");
    }
}

/// An error about another number of layers lists the first problems and counts the others.
#[test]
fn a_checkpoint_of_another_depth_is_refused_by_key() {
    let with_layers = |n: i64| {
        let mut config = config("bert");
        config["num_hidden_layers"] = n.into();
        load("bert", &file("bert"), config).remove(0).unwrap()
    };
    let error = with_layers(1);
    assert!(error.contains("`encoder.layer.1.attention.output.dense.weight` is not a tensor of this model"), "{error}");
    assert!(error.ends_with("and 11 more tensors that do not fit"), "{error}");
    let error = with_layers(3);
    assert!(error.contains("`encoder.layer.2.attention.self.query.weight` [32, 32] is missing"), "{error}");
}

/// A checkpoint for captions gives pictures' states, no projection, and no features of texts.
#[test]
fn a_decoder_of_captions_is_not_a_text_encoder() {
    let captions: File = file("blip")
        .into_iter()
        .filter(|(key, _)| !key.contains("_proj.") && !key.starts_with("itm_head."))
        .map(|(key, tensor)| (key.replace("text_encoder.", "text_decoder.bert."), tensor))
        .collect();
    let errors = load("blip", &captions, config("blip"));
    assert_eq!(errors[0], None);
    let error = errors[1].as_ref().unwrap();
    for part in ["no text encoder", "text_decoder", "retrieval"] {
        assert!(error.contains(part), "{error}");
    }
    // A checkpoint for questions has both.
    let mut questions = captions;
    questions.extend(file("blip").into_iter().filter(|(key, _)| key.starts_with("text_encoder.")));
    assert_eq!(load("blip", &questions, config("blip")), [None, None]);
}

/// A configuration that is not computed here, or that no memory could hold, is refused by its key.
#[test]
fn strange_configurations_are_refused() {
    for (model, pointer, value) in [
        ("bert", "/hidden_act", "relu".into()),
        ("bert", "/position_embedding_type", "relative_key".into()),
        ("bert", "/num_attention_heads", 5.into()),
        ("bert", "/hidden_size", 0.into()),
        ("bert", "/vocab_size", (1i64 << 40).into()),
        ("bert", "/num_hidden_layers", (-1).into()),
        ("bert", "/layer_norm_eps", 0.0.into()),
        ("blip", "/text_config/num_attention_heads", 5.into()),
        ("vit", "/image_size", 0.into()),
        ("vit", "/qkv_bias", false.into()),
        ("clip", "/text_config/max_position_embeddings", (1i64 << 40).into()),
    ] {
        let mut config = config(model);
        let key = pointer.rsplit('/').next().unwrap();
        let parent = config.pointer_mut(pointer.rsplit_once('/').unwrap().0).unwrap();
        parent[key] = value;
        let errors: Vec<String> = load(model, &file(model), config).into_iter().flatten().collect();
        assert!(errors.len() == 1 && errors[0].contains(&format!("`{key}`")), "{model} {key}: {errors:?}");
    }
    // Transformers would go on with 8 heads.
    let mut config = config("blip");
    config["text_config"].as_object_mut().unwrap().remove("num_attention_heads");
    let error = serde_json::from_value::<blip::Config>(config).unwrap_err().to_string();
    assert!(error.contains("missing field `num_attention_heads`"), "{error}");
    assert!(serde_json::from_value::<bert::Config>(serde_json::json!({})).is_err());
}

/// Whatever is wrong with a checkpoint, the error names the file, says what to do, and shows no path in the store.
#[test]
fn a_checkpoint_that_cannot_be_used_is_named_with_a_hint() {
    const WEIGHTS: &str = "resnet50-0676ba61.pth";
    let folder = tempfile::tempdir().unwrap();
    let fixture = |name: &str| std::fs::read(own_fixtures("encoders").join(name)).unwrap();
    let whole = fixture("resnet/model_torchvision.safetensors");
    let load = |path: std::path::PathBuf| {
        let archives = Archives([(WEIGHTS.to_owned(), path)].into());
        let options = ImageEncoderOptions { name: "resnet-50-v1".into(), ..ImageEncoderOptions::default() };
        load_image(&options, &archives, Device::Cpu).unwrap_err()
    };
    for (bytes, part) in [
        (fixture("bert/model.safetensors"), "more tensors that do not fit"),
        (whole[..whole.len() - 9].to_vec(), "not a well-formed safetensors file"),
        (fixture("legacy_pth/refuse/calls_a_function.pth"), "the legacy PyTorch file"),
        (b"<html>".to_vec(), "neither a safetensors file"),
    ] {
        let path = folder.path().join("0123456789abcdef");
        std::fs::write(&path, bytes).unwrap();
        let error = load(path);
        let message = format!("{error:#}");
        assert!(message.starts_with(WEIGHTS) && message.contains(part), "{message}");
        assert!(!message.contains("0123456789abcdef") && message.len() < 1000, "{message}");
        assert!(errors::hint_of(&error).unwrap().contains("data-manifests/"), "{message}");
    }
    assert_eq!(errors::hint_of(&load(folder.path().join("none"))), None, "a failing disk is not the manifest's fault");
}
