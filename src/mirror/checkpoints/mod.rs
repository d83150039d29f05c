//! Tiny checkpoints with random weights, in the key names, file formats and configurations of the published ones. What
//! depends on the tokenizers (vocabularies, positions) has its real size; widths and depths are small.
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

mod bert;
mod blip;
mod clip;
mod resnet;
mod tensors;
mod torch_zip;
mod vit;

use super::{Making, Place};

type MakeCheckpoint = fn(&Making<'_>, &mut Place<'_>) -> anyhow::Result<()>;

/// By the names of their manifests.
pub(super) const ALL: [(&str, MakeCheckpoint); 7] = [
    ("vit-b16-in21k", vit::make),
    ("bert-base-uncased", bert::make),
    ("distilbert-base-uncased", bert::make_distilled),
    ("resnet-50", resnet::make),
    ("resnet-50-torchvision", resnet::make_torchvision),
    ("clip-vit-b32", clip::make),
    ("blip-itm-base-coco", blip::make),
];

/// A configuration as it lies beside weights.
fn json(value: &serde_json::Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
