//! Tiny checkpoints in the key names, file formats and configurations of the published ones: the models that
//! `tests/fixtures/encoders` records, with vocabularies and positions of the published sizes, since tokenizers need them.
//!
//! | manifest | format | names |
//! |---|---|---|
//! | `vit-b16-in21k` | safetensors | no prefix, with a pooler |
//! | `bert-base-uncased` | safetensors | prefix `bert.`, norms as `gamma` and `beta`, heads `cls.*` |
//! | `distilbert-base-uncased` | safetensors | prefix `distilbert.`, heads `vocab_*` |
//! | `resnet-50` | safetensors | Microsoft's |
//! | `resnet-50-torchvision` | PyTorch's zip, twice | torchvision's |
//! | `clip-vit-b32` | PyTorch's zip | both towers, `position_ids` |
//! | `blip-itm-base-coco` | PyTorch's zip | both towers with cross-attention, projections, `itm_head` |

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use seesaw::random::Stream;
use serde_json::{Map, Value, json};

use super::{Making, Place, TOKENIZER, torch_zip};

pub(super) struct Checkpoint {
    /// The name of its manifest, and the beginning of the names of its files.
    pub manifest: &'static str,
    /// A safetensors file.
    recorded: &'static [u8],
    config: Option<&'static str>,
    /// The files that hold the weights: PyTorch's zip, or safetensors by the name.
    weights: &'static [&'static str],
    text: Option<Text>,
}

/// What a text encoder has in its published size.
struct Text {
    vocabulary: usize,
    positions: usize,
    tokenizer: fn(&Making) -> anyhow::Result<Vec<u8>>,
}

macro_rules! recorded {
    ($file:literal) => {
        include_bytes!(concat!("../../fixtures/encoders/", $file))
    };
}

macro_rules! config {
    ($folder:literal) => {
        Some(include_str!(concat!("../../fixtures/encoders/", $folder, "/config.json")))
    };
}

pub(super) const ALL: [Checkpoint; 7] = [
    Checkpoint {
        manifest: "vit-b16-in21k",
        recorded: recorded!("vit/model.safetensors"),
        config: config!("vit"),
        weights: &["vit-b16-in21k.model.safetensors"],
        text: None,
    },
    Checkpoint {
        manifest: "bert-base-uncased",
        recorded: recorded!("bert/model.safetensors"),
        config: config!("bert"),
        weights: &["bert-base-uncased.model.safetensors"],
        text: Some(Text { vocabulary: 30522, positions: 512, tokenizer: bert_tokenizer }),
    },
    Checkpoint {
        manifest: "distilbert-base-uncased",
        recorded: recorded!("distilbert/model.safetensors"),
        config: config!("distilbert"),
        weights: &["distilbert-base-uncased.model.safetensors"],
        text: Some(Text { vocabulary: 30522, positions: 512, tokenizer: bert_tokenizer }),
    },
    Checkpoint {
        manifest: "resnet-50",
        recorded: recorded!("resnet/model.safetensors"),
        config: config!("resnet"),
        weights: &["resnet-50.model.safetensors"],
        text: None,
    },
    Checkpoint {
        manifest: "resnet-50-torchvision",
        recorded: recorded!("resnet/model_torchvision.safetensors"),
        config: None,
        weights: &["resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"],
        text: None,
    },
    Checkpoint {
        manifest: "clip-vit-b32",
        recorded: recorded!("clip/model.safetensors"),
        config: config!("clip"),
        weights: &["clip-vit-b32.pytorch_model.bin"],
        text: Some(Text { vocabulary: CLIP_VOCABULARY, positions: 77, tokenizer: clip_tokenizer }),
    },
    Checkpoint {
        manifest: "blip-itm-base-coco",
        recorded: recorded!("blip/model.safetensors"),
        config: config!("blip"),
        weights: &["blip-itm-base-coco.pytorch_model.bin"],
        // BERT's vocabulary, [DEC] and [ENC].
        text: Some(Text { vocabulary: 30524, positions: 512, tokenizer: bert_tokenizer }),
    },
];

/// A tensor of numbers of four or eight bytes, row by row, little-endian.
pub(super) struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Checkpoint {
    /// Writes the weights, the configuration and the tokenizer.
    pub fn make(&self, making: &Making, place: &mut Place) -> anyhow::Result<()> {
        let mut sizes = Vec::new();
        if let Some(config) = self.config {
            let mut config: Value = serde_json::from_str(config)?;
            if let Some(text) = &self.text {
                let has_towers = config["text_config"].is_object();
                let of_text = if has_towers { &mut config["text_config"] } else { &mut config };
                for (key, size) in [("vocab_size", text.vocabulary), ("max_position_embeddings", text.positions)] {
                    sizes.push((of_text[key].as_u64().unwrap_or_default() as usize, size));
                    of_text[key] = size.into();
                }
            }
            place.write(&format!("{}.config.json", self.manifest), format!("{config:#}\n").as_bytes())?;
        }
        let tensors = self.tensors(making.seed, &sizes)?;
        for file in self.weights {
            match file.ends_with(".safetensors") {
                true => place.write(file, &to_safetensors(&tensors)?)?,
                false => place.zip(file, &torch_zip::members(&tensors)?)?,
            }
        }
        match &self.text {
            Some(text) => place.write(&format!("{}.tokenizer.json", self.manifest), &(text.tokenizer)(making)?),
            None => Ok(()),
        }
    }

    /// The recorded tensors. Those of texts have the published `sizes` in place of the recorded ones, and are drawn anew.
    fn tensors(&self, seed: u64, sizes: &[(usize, usize)]) -> anyhow::Result<BTreeMap<String, Tensor>> {
        let recorded = SafeTensors::deserialize(self.recorded)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in recorded.iter() {
            let published = |n: &usize| sizes.iter().find(|(small, _)| small == n).map_or(*n, |(_, size)| *size);
            let of_text = !name.starts_with("vision_model.");
            let shape: Vec<usize> = view.shape().iter().map(|n| if of_text { published(n) } else { *n }).collect();
            let count = shape.iter().product();
            let bytes = if shape == view.shape() {
                view.data().to_vec()
            } else if view.dtype() == Dtype::I64 {
                (0..count as i64).flat_map(i64::to_le_bytes).collect()
            } else {
                let mut values = vec![0.0; count];
                Stream::new(seed, &["mirror", self.manifest, name]).fill_normal_f32(&mut values);
                values.into_iter().flat_map(f32::to_le_bytes).collect()
            };
            tensors.insert(name.to_owned(), Tensor { dtype: view.dtype(), shape, bytes });
        }
        Ok(tensors)
    }
}

/// The bytes of a safetensors file, as transformers writes it.
fn to_safetensors(tensors: &BTreeMap<String, Tensor>) -> anyhow::Result<Vec<u8>> {
    let mut views = Vec::new();
    for (name, tensor) in tensors {
        views.push((name, TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)?));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn bert_tokenizer(making: &Making) -> anyhow::Result<Vec<u8>> {
    let (package, member) = TOKENIZER;
    making.archives.open(package)?.read(member)
}

/// As published: padding has the last id, and readers may count on it.
const CLIP_VOCABULARY: usize = 49408;
/// Words that are whole tokens, by the merges that make them.
const MERGES: [(&str, &str); 6] =
    [("t", "h"), ("th", "e</w>"), ("i", "n"), ("in", "g</w>"), ("o", "f</w>"), ("a", "n")];

/// CLIP's byte-level pair encoding with hardly any words: each of the 256 bytes as a symbol of its own, inside a word and
/// at its end, a few merges, and the two special tokens with their published ids.
fn clip_tokenizer(_: &Making) -> anyhow::Result<Vec<u8>> {
    let symbols = bytes();
    let mut tokens: Vec<String> = symbols.iter().map(|symbol| symbol.to_string()).collect();
    tokens.extend(symbols.iter().map(|symbol| format!("{symbol}</w>")));
    tokens.extend(MERGES.map(|(left, right)| format!("{left}{right}")));
    let mut vocabulary: Map<String, Value> = tokens.into_iter().zip((0..).map(Value::from)).collect();
    vocabulary.insert("<|startoftext|>".to_owned(), (CLIP_VOCABULARY - 2).into());
    vocabulary.insert("<|endoftext|>".to_owned(), (CLIP_VOCABULARY - 1).into());
    let mut tokenizer: Value = serde_json::from_slice(recorded!("tokenizers/clip.json"))?;
    tokenizer["model"]["vocab"] = vocabulary.into();
    tokenizer["model"]["merges"] = json!(MERGES.map(|(left, right)| [left, right]));
    Ok(format!("{tokenizer:#}\n").into_bytes())
}

/// The characters that stand for the 256 bytes, printable ones for themselves, in CLIP's order. Source: openai/CLIP,
/// `clip/simple_tokenizer.py`, `bytes_to_unicode`.
fn bytes() -> Vec<char> {
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0u32..256).filter(|byte| !printable(byte)).count() as u32;
    let stand_ins = 256..256 + others;
    (0u32..256).filter(printable).chain(stand_ins).filter_map(char::from_u32).collect()
}
