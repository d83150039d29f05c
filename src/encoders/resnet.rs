//! ResNet (He et al., CVPR 2016) with bottlenecks, in its variant 1.5: the stride sits in the 3×3 convolution.
//!
//! Mirrors torchvision's checkpoint keys; those of Hugging Face are renamed to them. torchvision's files come without a
//! configuration, so depths and widths are those of the tensors, and every shape is checked against them. Batch norms are
//! folded into the convolutions, and the network runs in channels-last memory.

use serde::Deserialize;
use tch::Tensor;

use super::layers::Convolution;
use super::weights::Weights;

const BATCH_NORM_EPS: f64 = 1e-5;
const STAGES: usize = 4;
/// The most blocks of a stage; ResNet-152 has 36.
const MOST_BLOCKS: usize = 1000;

/// The keys of Hugging Face's `config.json` that the computation depends on:
/// <https://github.com/huggingface/transformers/blob/ae005ce12a086176742fbf6c8364782a27085c85/src/transformers/models/resnet/modeling_resnet.py>
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub depths: Vec<usize>,
    pub embedding_size: i64,
    pub hidden_sizes: Vec<i64>,
    pub layer_type: String,
    pub hidden_act: String,
    #[serde(default)]
    pub downsample_in_first_stage: bool,
    #[serde(default)]
    pub downsample_in_bottleneck: bool,
}

impl Config {
    /// # Errors
    /// If a setting is one that this file does not compute.
    pub fn check(&self) -> anyhow::Result<()> {
        for (key, found, expected) in
            [("layer_type", &self.layer_type, "bottleneck"), ("hidden_act", &self.hidden_act, "relu")]
        {
            anyhow::ensure!(found == expected, "`{key}` should be {expected:?}, found {found:?}");
        }
        for (key, found) in [
            ("downsample_in_first_stage", self.downsample_in_first_stage),
            ("downsample_in_bottleneck", self.downsample_in_bottleneck),
        ] {
            anyhow::ensure!(!found, "`{key}` should be false, found true");
        }
        Ok(())
    }
}

fn convolution(weights: &mut Weights, keys: [&str; 2], size: [i64; 4], stride: i64) -> Convolution {
    Convolution::new(weights, keys, size, [stride, 1], BATCH_NORM_EPS)
}

/// `Bottleneck`:
/// <https://github.com/pytorch/vision/blob/f50e776b051ddf007b90d7bc8f70b0708c12d008/torchvision/models/resnet.py>
#[derive(Clone, Debug)]
struct Bottleneck {
    /// 1×1, 3×3, 1×1.
    convolutions: [Convolution; 3],
    downsample: Option<Convolution>,
}

impl Bottleneck {
    fn new(weights: &mut Weights, key: &str, [inputs, width, outputs]: [i64; 3], stride: i64) -> Self {
        let mut numbered = |number: usize, size, stride| {
            convolution(weights, [&format!("{key}.conv{number}"), &format!("{key}.bn{number}")], size, stride)
        };
        let convolutions = [
            numbered(1, [width, inputs, 1, 1], 1),
            numbered(2, [width, width, 3, 3], stride),
            numbered(3, [outputs, width, 1, 1], 1),
        ];
        let shortcut = [&*format!("{key}.downsample.0"), &format!("{key}.downsample.1")];
        let downsample =
            (stride != 1 || inputs != outputs).then(|| convolution(weights, shortcut, [outputs, inputs, 1, 1], stride));
        Bottleneck { convolutions, downsample }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let [first, second, third] = &self.convolutions;
        let y = first.forward(x, [0, 0]).relu_();
        let y = second.forward(&y, [1, 1]).relu_();
        let mut y = third.forward(&y, [0, 0]);
        // No activation on the shortcut.
        let shortcut = self.downsample.as_ref().map(|downsample| downsample.forward(x, [0, 0]));
        y.g_add_(shortcut.as_ref().unwrap_or(x)).relu_()
    }
}

/// A frozen ResNet.
#[derive(Clone, Debug)]
pub struct ResNet {
    stem: Convolution,
    stages: Vec<Vec<Bottleneck>>,
}

impl ResNet {
    /// Takes the tensors out of a checkpoint. If there is a configuration, it has to agree with the tensors.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown, and what of the configuration differs.
    pub fn load(weights: Weights, config: Option<&Config>) -> anyhow::Result<Self> {
        let mut weights = weights.rename(torchvision_key);
        weights.ignore(|key| key.ends_with(".num_batches_tracked"));
        let first = |w: &Weights, key: &str| w.size(key).and_then(|size| size.first().copied()).unwrap_or(0);
        let embedding = first(&weights, "conv1.weight");
        let depth = |w: &Weights, stage: usize| {
            (0..MOST_BLOCKS).take_while(|block| w.contains(&format!("layer{stage}.{block}.conv1.weight"))).count()
        };
        // A stage without blocks still counts as one block, so that its missing tensors are named.
        let depths: Vec<usize> = (1..=STAGES).map(|stage| depth(&weights, stage).max(1)).collect();
        let wide =
            |conv: usize| move |w: &Weights, stage: usize| first(w, &format!("layer{stage}.0.conv{conv}.weight"));
        let widths: Vec<i64> = (1..=STAGES).map(|stage| wide(1)(&weights, stage)).collect();
        let outputs: Vec<i64> = (1..=STAGES).map(|stage| wide(3)(&weights, stage)).collect();
        if let Some(config) = config {
            config.check()?;
            let (found, expected) =
                ((&depths, &outputs, embedding), (&config.depths, &config.hidden_sizes, config.embedding_size));
            anyhow::ensure!(
                found == expected,
                "the configuration says depths, hidden sizes and embedding size {expected:?}, the tensors say {found:?}"
            );
        }
        let w = &mut weights;
        let stem = convolution(w, ["conv1", "bn1"], [embedding, 3, 7, 7], 2);
        let mut inputs = embedding;
        let mut stages = Vec::new();
        for stage in 0..STAGES {
            let mut blocks = Vec::new();
            for block in 0..depths[stage] {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let key = format!("layer{}.{block}", stage + 1);
                blocks.push(Bottleneck::new(w, &key, [inputs, widths[stage], outputs[stage]], stride));
                inputs = outputs[stage];
            }
            stages.push(blocks);
        }
        // The classifier is not used, but its size shows whether the last stage is complete.
        if let Some(classes) = w.size("fc.weight").and_then(|size| size.first().copied()) {
            let _ = w.take("fc.weight", &[classes, inputs]);
            let _ = w.take("fc.bias", &[classes]);
        }
        weights.finish()?;
        Ok(ResNet { stem, stages })
    }

    /// `last_hidden_state`: the last stage's maps, [B, 2048, h, w] of pictures [B, 3, H, W].
    pub fn forward(&self, pictures: &Tensor) -> Tensor {
        let x = self.stem.forward(pictures, [3, 3]).relu_().max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        self.stages.iter().flatten().fold(x, |x, block| block.forward(&x))
    }

    /// `pooler_output`: the mean over height and width, [B, 2048].
    pub fn pool(&self, maps: &Tensor) -> Tensor {
        maps.mean_dim([2, 3].as_slice(), false, None)
    }
}

/// torchvision's name of a tensor that Hugging Face calls `key`; every other key stays.
fn torchvision_key(key: &str) -> String {
    let part = |kind: &str| match kind {
        "convolution" => Some("conv"),
        "normalization" => Some("bn"),
        _ => None,
    };
    let plain = key.strip_prefix("resnet.").unwrap_or(key);
    let parts: Vec<&str> = plain.split('.').collect();
    let renamed = match parts.as_slice() {
        ["embedder", "embedder", kind, rest] => part(kind).map(|kind| format!("{kind}1.{rest}")),
        ["encoder", "stages", stage, "layers", block, "layer", number, kind, rest] => {
            match (stage.parse::<usize>(), number.parse::<usize>(), part(kind)) {
                (Ok(stage @ ..STAGES), Ok(number @ ..3), Some(kind)) => {
                    Some(format!("layer{}.{block}.{kind}{}.{rest}", stage + 1, number + 1))
                }
                _ => None,
            }
        }
        ["encoder", "stages", stage, "layers", block, "shortcut", kind, rest] => {
            match (stage.parse::<usize>(), part(kind)) {
                (Ok(stage @ ..STAGES), Some(kind)) => {
                    let number = usize::from(kind == "bn");
                    Some(format!("layer{}.{block}.downsample.{number}.{rest}", stage + 1))
                }
                _ => None,
            }
        }
        ["classifier", "1", rest] => Some(format!("fc.{rest}")),
        _ => None,
    };
    renamed.unwrap_or_else(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::torchvision_key;

    #[test]
    fn names_of_both_libraries_are_one() {
        for (hugging_face, torchvision) in [
            ("resnet.embedder.embedder.convolution.weight", "conv1.weight"),
            ("embedder.embedder.normalization.running_var", "bn1.running_var"),
            ("resnet.encoder.stages.3.layers.2.layer.0.convolution.weight", "layer4.2.conv1.weight"),
            ("resnet.encoder.stages.0.layers.10.layer.2.normalization.bias", "layer1.10.bn3.bias"),
            ("encoder.stages.1.layers.0.shortcut.convolution.weight", "layer2.0.downsample.0.weight"),
            ("encoder.stages.1.layers.0.shortcut.normalization.bias", "layer2.0.downsample.1.bias"),
            ("classifier.1.bias", "fc.bias"),
            ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
            (
                "resnet.encoder.stages.9.layers.0.layer.0.convolution.weight",
                "resnet.encoder.stages.9.layers.0.layer.0.convolution.weight",
            ),
        ] {
            assert_eq!(torchvision_key(hugging_face), torchvision);
        }
    }
}
