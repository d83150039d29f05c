//! ResNet as in `microsoft/resnet-50`, and with torchvision's names as in its two files for ResNet-50.

use serde_json::json;

use super::tensors::Tensors;
use super::{Making, Place, torch_zip};

const EMBEDDING: usize = 8;
const DEPTHS: [usize; 4] = [1, 2, 1, 1];
const WIDTHS: [usize; 4] = [8, 8, 16, 16];
/// A stage's output is so many times as wide as its middle.
const EXPANSION: usize = 4;
const CLASSES: usize = 10;

/// How a family of files names a layer.
struct Names {
    stem: [&'static str; 2],
    /// Convolution and norm of a block's convolution: stage, block and number, from 0.
    block: fn(usize, usize, usize) -> [String; 2],
    /// Those of a stage's shortcut.
    shortcut: fn(usize) -> [String; 2],
    head: &'static str,
}

const MICROSOFT: Names = Names {
    stem: ["resnet.embedder.embedder.convolution", "resnet.embedder.embedder.normalization"],
    block: |stage, block, i| {
        let key = format!("resnet.encoder.stages.{stage}.layers.{block}.layer.{i}");
        [format!("{key}.convolution"), format!("{key}.normalization")]
    },
    shortcut: |stage| {
        let key = format!("resnet.encoder.stages.{stage}.layers.0.shortcut");
        [format!("{key}.convolution"), format!("{key}.normalization")]
    },
    head: "classifier.1",
};

const TORCHVISION: Names = Names {
    stem: ["conv1", "bn1"],
    block: |stage, block, i| {
        let key = format!("layer{}.{block}", stage + 1);
        [format!("{key}.conv{}", i + 1), format!("{key}.bn{}", i + 1)]
    },
    shortcut: |stage| [0, 1].map(|i| format!("layer{}.0.downsample.{i}", stage + 1)),
    head: "fc",
};

pub(super) fn make(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    let config = json!({
        "architectures": ["ResNetForImageClassification"],
        "depths": DEPTHS,
        "downsample_in_first_stage": false,
        "embedding_size": EMBEDDING,
        "hidden_act": "relu",
        "hidden_sizes": WIDTHS.map(|width| EXPANSION * width),
        "layer_type": "bottleneck",
        "model_type": "resnet",
        "num_channels": 3,
    });
    let tensors = tensors(making.seed, "resnet-50", &MICROSOFT);
    place.write("resnet-50.model.safetensors", &tensors.to_safetensors()?)?;
    place.write("resnet-50.config.json", &super::json(&config))
}

pub(super) fn make_torchvision(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    ["resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"]
        .into_iter()
        .try_for_each(|file| torch_zip::write(place, file, &tensors(making.seed, file, &TORCHVISION)))
}

fn tensors<'a>(seed: u64, checkpoint: &'a str, names: &Names) -> Tensors<'a> {
    let mut tensors = Tensors::new(seed, checkpoint);
    let t = &mut tensors;
    convolution(t, names.stem, [EMBEDDING, 3, 7, 7]);
    let mut inputs = EMBEDDING;
    for (stage, (depth, width)) in DEPTHS.into_iter().zip(WIDTHS).enumerate() {
        let outputs = EXPANSION * width;
        let shortcut = (names.shortcut)(stage);
        convolution(t, [&shortcut[0], &shortcut[1]], [outputs, inputs, 1, 1]);
        for block in 0..depth {
            for (i, shape) in
                [[width, inputs, 1, 1], [width, width, 3, 3], [outputs, width, 1, 1]].into_iter().enumerate()
            {
                let keys = (names.block)(stage, block, i);
                convolution(t, [&keys[0], &keys[1]], shape);
            }
            inputs = outputs;
        }
    }
    t.linear(names.head, CLASSES, inputs);
    tensors
}

/// A convolution without a bias, and its batch norm.
fn convolution(tensors: &mut Tensors<'_>, [convolution, norm]: [&str; 2], shape: [usize; 4]) {
    let inputs: usize = shape[1..].iter().product();
    let size = [shape[0]];
    // Rectifiers halve the second moment.
    tensors.normal(&format!("{convolution}.weight"), &shape, 0.0, (2.0 / inputs as f32).sqrt());
    tensors.normal(&format!("{norm}.weight"), &size, 1.0, 0.1);
    tensors.normal(&format!("{norm}.bias"), &size, 0.0, 0.1);
    tensors.normal(&format!("{norm}.running_mean"), &size, 0.0, 0.1);
    // Six deviations, the most that there are, stay above 0.
    tensors.normal(&format!("{norm}.running_var"), &size, 1.0, 0.1);
    tensors.long(&format!("{norm}.num_batches_tracked"), &[], vec![1000]);
}
