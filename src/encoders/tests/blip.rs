//! BLIP against its recordings, and checkpoints that are no encoders of texts.

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use super::super::bert::Tokens;
use super::super::blip::{Config, Text, Vision};
use super::super::weights::Weights;
use super::super::{ImageEncoderOptions, TextEncoderOptions, divided_by_norm};
use super::parity::compare_states;
use super::{close, compare, json, tensors, tolerance};
use crate::tensors::to_safetensors;
use crate::testing::{fixtures, own_fixtures};

fn config() -> Config {
    serde_json::from_value(json(&fixtures("encoders/blip").join("config.json"))).unwrap()
}

fn weights() -> Weights {
    Weights::read(&std::fs::read(fixtures("encoders/blip").join("model.safetensors")).unwrap()).unwrap()
}

#[test]
fn the_vision_tower_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let recorded = tensors(&fixtures("encoders/blip").join("expected_vision.safetensors"));
    let vision = Vision::load(weights(), config()).unwrap().to_device(Device::Cpu).share();
    let pictures = &recorded["input.pixel_values"];
    let mut seen = Vec::new();
    let states = vision.forward_seen(pictures, &mut |x| seen.push(x.copy())).unwrap();
    compare(&recorded, &[("pooler_output", vision.pool(&states)), ("last_hidden_state", states)], tolerance("blip"));
    compare_states(&recorded, &seen, tolerance("blip"));
    assert!(vision.forward(&pictures.narrow(3, 0, 8)).unwrap_err().to_string().contains("pixels, not"));
}

/// The text without a picture, and both projections, which were recorded divided by their norm.
#[test]
fn the_text_encoder_agrees_with_its_recording() {
    let _no_grad = tch::no_grad_guard();
    let recorded = tensors(&fixtures("encoders/blip").join("expected_text.safetensors"));
    let tokens = Tokens {
        input_ids: recorded["input.input_ids"].copy(),
        attention_mask: Some(recorded["input.attention_mask"].copy()),
        token_type_ids: None,
    };
    let text = Text::load(weights(), config()).unwrap().to_device(Device::Cpu).share();
    let states = text.forward(&tokens).unwrap();
    close("text_alone", &states, &recorded["output.text_alone"], tolerance("blip"));
    let feature = divided_by_norm(&text.project(&states).unwrap());
    close("text_feature", &feature, &recorded["output.text_feature"], tolerance("blip"));
    let vision = Vision::load(weights(), config()).unwrap();
    let states = vision.forward(&recorded["input.pixel_values"]).unwrap();
    let feature = divided_by_norm(&vision.project(&states).unwrap());
    close("image_feature", &feature, &recorded["output.image_feature"], tolerance("blip"));
}

type File = BTreeMap<String, Tensor>;

fn file() -> File {
    tensors(&own_fixtures("encoders/blip").join("model.safetensors"))
}

/// What each tower makes of a checkpoint: nothing, or why it does not fit.
fn loaded(file: &File) -> [Option<String>; 2] {
    let bytes = to_safetensors(file.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
    let weights = || Weights::read(&bytes).unwrap();
    let told = |error: anyhow::Error| error.to_string();
    [Vision::load(weights(), config()).err().map(told), Text::load(weights(), config()).err().map(told)]
}

/// Every tensor that one of the towers uses is missed there by its key, and there alone.
#[test]
fn a_checkpoint_is_taken_strictly() {
    assert_eq!(loaded(&file()), [None, None]);
    for (key, tower) in [
        ("vision_model.post_layernorm.bias", 0),
        ("vision_model.encoder.layers.1.self_attn.qkv.bias", 0),
        ("vision_proj.bias", 0),
        ("text_encoder.encoder.layer.0.attention.self.query.weight", 1),
        ("text_proj.bias", 1),
    ] {
        let mut bad = file();
        let tensor = bad.remove(key).unwrap();
        let expect = |bad: &File, part: &str| {
            let found = loaded(bad);
            let told = found[tower].as_ref().unwrap();
            assert!(told.contains(&format!("`{key}")) && told.contains(part), "{told}");
            assert_eq!(found[1 - tower], None, "{key}");
        };
        expect(&bad, "is missing");
        bad.insert(key.to_owned(), Tensor::cat(&[&tensor, &tensor], 0));
        expect(&bad, "should be [");
    }
    let mut bad = file();
    bad.insert("text_encoder.pooler.dense.bias".into(), Tensor::zeros([32], tch::kind::FLOAT_CPU));
    bad.insert("vision_model.more".into(), Tensor::zeros([1], tch::kind::FLOAT_CPU));
    let [vision, text] = loaded(&bad);
    assert!(vision.unwrap().contains("`vision_model.more` is not a tensor of this model"));
    assert!(text.unwrap().contains("`text_encoder.pooler.dense.bias` is not a tensor of this model"));
}

/// A checkpoint for captions gives pictures' states, no projection, and no features of texts.
#[test]
fn a_decoder_of_captions_is_no_text_encoder() {
    let captions: File = file()
        .into_iter()
        .filter(|(key, _)| !key.contains("_proj.") && !key.starts_with("itm_head."))
        .map(|(key, tensor)| (key.replace("text_encoder.", "text_decoder.bert."), tensor))
        .collect();
    let [vision, text] = loaded(&captions);
    assert_eq!(vision, None);
    let text = text.unwrap();
    assert!(text.contains("no text encoder") && text.contains("text_decoder") && text.contains("retrieval"), "{text}");
    // One for questions has both.
    let mut questions = captions;
    questions.extend(file().into_iter().filter(|(key, _)| key.starts_with("text_encoder.")));
    assert_eq!(loaded(&questions), [None, None]);
}

/// Transformers would go on with 8 heads.
#[test]
fn a_configuration_without_heads_is_refused() {
    let mut value = json(&own_fixtures("encoders/blip").join("config.json"));
    value["text_config"].as_object_mut().unwrap().remove("num_attention_heads");
    let error = serde_json::from_value::<Config>(value.clone()).unwrap_err().to_string();
    assert!(error.contains("missing field `num_attention_heads`"), "{error}");
    value["text_config"]["num_attention_heads"] = 5.into();
    let config = serde_json::from_value::<Config>(value).unwrap();
    let error = Text::load(weights(), config).unwrap_err().to_string();
    assert!(error.contains("`hidden_size` 32 is no multiple of `num_attention_heads` 5"), "{error}");
}

#[test]
fn options_have_defaults_and_bounds() {
    let image = |text: &str| toml::from_str::<ImageEncoderOptions>(text).unwrap().resolved();
    let text = |text: &str| toml::from_str::<TextEncoderOptions>(text).unwrap().resolved();
    let name = "name = \"blip-itm-base-coco\"\n";
    let resolved = text(name).unwrap();
    assert_eq!((resolved.max_length, resolved.pooling.unwrap().name()), (Some(512), "cls"));
    assert_eq!(image(&format!("{name}size = 384")).unwrap(), image(name).unwrap());
    image(&format!("{name}pooling = \"projection\"\nnormalize = true")).unwrap();
    for wrong in ["size = 224", "pooling = \"pooler\"", "normalize = true"] {
        let option = wrong.split(' ').next().unwrap();
        assert!(image(&format!("{name}{wrong}")).unwrap_err().contains(&format!("`{option}`")), "{wrong}");
    }
    assert!(text(&format!("{name}max-length = 513")).unwrap_err().contains("`max-length`"));
}
