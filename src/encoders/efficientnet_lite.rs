//! EfficientNet-Lite (Tan & Le, ICML 2019, in its variant for mobile devices without squeeze-and-excite): Lite0.
//!
//! Mirrors the keys of the published PyTorch conversion of Google's weights. Padding is TensorFlow's SAME, from the
//! size of each input. Batch norms (ε 10⁻³) are folded into the convolutions when the weights are loaded, in float64,
//! and the network runs in channels-last memory: both make it several times faster on a CPU.

use tch::Tensor;

use super::layers::{self, Linear, channels_last};
use super::weights::{Parameter, Weights};

/// One stage: expansion t, channels c, repeats n, stride s, kernel k.
pub type Stage = [i64; 5];

/// The sizes of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub stem_channels: i64,
    pub stages: Vec<Stage>,
    pub head_channels: i64,
    pub classes: i64,
    pub batch_norm_eps: f64,
}

impl Config {
    /// EfficientNet-Lite0.
    pub fn lite0() -> Self {
        Config {
            stem_channels: 32,
            stages: vec![
                [1, 16, 1, 1, 3],
                [6, 24, 2, 2, 3],
                [6, 40, 2, 2, 5],
                [6, 80, 3, 2, 3],
                [6, 112, 3, 1, 5],
                [6, 192, 4, 2, 5],
                [6, 320, 1, 1, 3],
            ],
            head_channels: 1280,
            classes: 1000,
            batch_norm_eps: 1e-3,
        }
    }
}

/// A convolution with its batch norm folded in.
#[derive(Clone, Debug)]
struct Convolution {
    folded: layers::Convolution,
    /// Of the checkpoint's kernel.
    kernel: i64,
    /// The weight with a first row and column of zeros, for [`Convolution::forward`].
    widened: Option<Parameter>,
}

impl Convolution {
    fn new(weights: &mut Weights, keys: [&str; 2], size: [i64; 4], [stride, groups]: [i64; 2], eps: f64) -> Self {
        let folded = layers::Convolution::new(weights, keys, size, [stride, groups], eps);
        let widened = (groups > 1 && stride == 2)
            .then(|| Parameter::from(channels_last(&folded.weight.constant_pad_nd([1, 0, 1, 0]))));
        Convolution { folded, kernel: size[2], widened }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        if self.kernel == 1 {
            return self.at_each_pixel(x);
        }
        let (size, stride) = (x.size(), self.folded.stride);
        let pad = |n: i64| -> (i64, i64) {
            let total = ((n + stride - 1) / stride - 1) * stride + self.kernel - n;
            let total = total.max(0);
            (total / 2, total - total / 2)
        };
        let ((top, bottom), (left, right)) = (pad(size[2]), pad(size[3]));
        // Symmetric padding is the convolution's own. One more below and to the right is symmetric for a kernel with a
        // first row and column of zeros. The rest is laid around the input, which takes longer than such a convolution.
        match &self.widened {
            _ if top == bottom && left == right => self.folded.forward(x, [top, left]),
            Some(widened) if top + 1 == bottom && left + 1 == right => self.folded.with(widened, x, [bottom, right]),
            _ => self.folded.forward(&x.constant_pad_nd([left, right, top, bottom]), [0, 0]),
        }
    }

    /// A 1×1 convolution in channels-last memory is one product of matrices, [B·H·W, inputs] by [inputs, outputs].
    fn at_each_pixel(&self, x: &Tensor) -> Tensor {
        let weight = self.folded.weight.flatten(1, -1);
        x.permute([0, 2, 3, 1]).linear(&weight, Some(&*self.folded.bias)).permute([0, 3, 1, 2])
    }

    /// Followed by ReLU6, in place.
    fn forward_relu6(&self, x: &Tensor) -> Tensor {
        self.forward(x).clamp_(0.0, 6.0)
    }
}

#[derive(Clone, Debug)]
struct Block {
    expand: Option<Convolution>,
    depthwise: Convolution,
    project: Convolution,
    residual: bool,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = match &self.expand {
            Some(expand) => self.depthwise.forward_relu6(&expand.forward_relu6(x)),
            None => self.depthwise.forward_relu6(x),
        };
        // No activation after the projection.
        let mut y = self.project.forward(&y);
        if self.residual { y.g_add_(x) } else { y }
    }
}

/// A frozen EfficientNet-Lite:
/// <https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch/blob/1213079b9bd82d438d62fcdd6cd6d6f398c874b8/efficientnet_lite_pytorch/model.py>
#[derive(Clone, Debug)]
pub struct EfficientNetLite {
    stem: Convolution,
    blocks: Vec<Block>,
    head: Convolution,
}

impl EfficientNetLite {
    /// Takes the tensors out of a checkpoint.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: &Config) -> anyhow::Result<Self> {
        weights.ignore(|key| key.ends_with(".num_batches_tracked"));
        let (w, eps) = (&mut weights, config.batch_norm_eps);
        let stem = Convolution::new(w, ["_conv_stem", "_bn0"], [config.stem_channels, 3, 3, 3], [2, 1], eps);
        let mut blocks = Vec::new();
        let mut inputs = config.stem_channels;
        for &[t, c, n, s, k] in &config.stages {
            for repeat in 0..n {
                let at = |rest: &str| format!("_blocks.{}.{rest}", blocks.len());
                let (wide, stride) = (t * inputs, if repeat == 0 { s } else { 1 });
                let mut convolution = |name: &str, norm: &str, size, stride_and_groups| {
                    Convolution::new(w, [&at(name), &at(norm)], size, stride_and_groups, eps)
                };
                let expand = (t != 1).then(|| convolution("_expand_conv", "_bn0", [wide, inputs, 1, 1], [1, 1]));
                let depthwise = convolution("_depthwise_conv", "_bn1", [wide, 1, k, k], [stride, wide]);
                let project = convolution("_project_conv", "_bn2", [c, wide, 1, 1], [1, 1]);
                blocks.push(Block { expand, depthwise, project, residual: stride == 1 && inputs == c });
                inputs = c;
            }
        }
        let head = Convolution::new(w, ["_conv_head", "_bn1"], [config.head_channels, inputs, 1, 1], [1, 1], eps);
        // The classifier is not used, but belongs to the checkpoint.
        let _ = Linear::new(w, "_fc", config.classes, config.head_channels);
        weights.finish()?;
        Ok(EfficientNetLite { stem, blocks, head })
    }

    /// The last feature maps, after the head's ReLU6: [B, 1280, h, w] of pictures [B, 3, H, W].
    pub fn forward(&self, pictures: &Tensor) -> Tensor {
        let mut x = self.stem.forward_relu6(pictures);
        for block in &self.blocks {
            x = block.forward(&x);
        }
        self.head.forward_relu6(&x)
    }

    /// `pooler_output`: the mean over height and width, [B, 1280].
    pub fn pool(&self, maps: &Tensor) -> Tensor {
        maps.mean_dim([2, 3].as_slice(), false, None)
    }
}
