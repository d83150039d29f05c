//! Parts that several architectures are built of. Each takes its tensors out of a checkpoint under the checkpoint's keys.

use tch::{Device, Kind, Tensor};

use super::weights::{Parameter, Weights};

/// y = x·Wᵀ + b.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// [outputs, inputs]
    weight: Parameter,
    bias: Option<Parameter>,
}

impl Linear {
    pub fn new(weights: &mut Weights, key: &str, outputs: i64, inputs: i64) -> Self {
        let mut linear = Linear::without_bias(weights, key, outputs, inputs);
        linear.bias = Some(weights.take(&format!("{key}.bias"), &[outputs]));
        linear
    }

    pub fn without_bias(weights: &mut Weights, key: &str, outputs: i64, inputs: i64) -> Self {
        Linear { weight: weights.take(&format!("{key}.weight"), &[outputs, inputs]), bias: None }
    }

    /// Three layers of `size` inputs and outputs that a checkpoint stacks in one.
    pub fn joined(weights: &mut Weights, key: &str, size: i64) -> [Self; 3] {
        let all = Linear::new(weights, key, 3 * size, size);
        let rows = |all: &Parameter, part: i64| Parameter::from(all.narrow(0, part * size, size));
        [0, 1, 2].map(|part| Linear {
            weight: rows(&all.weight, part),
            bias: all.bias.as_ref().map(|bias| rows(bias, part)),
        })
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_deref())
    }
}

/// (x − mean)/√(biased variance + eps)·w + b over the last axis.
#[derive(Clone, Debug)]
pub(super) struct LayerNorm {
    weight: Parameter,
    bias: Parameter,
    eps: f64,
}

impl LayerNorm {
    pub fn new(weights: &mut Weights, key: &str, size: i64, eps: f64) -> Self {
        LayerNorm {
            weight: weights.take(&format!("{key}.weight"), &[size]),
            bias: weights.take(&format!("{key}.bias"), &[size]),
            eps,
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&*self.weight), Some(&*self.bias), self.eps, false)
    }
}

/// A picture as a sequence: a class token and one token for each square patch, plus their positions.
#[derive(Clone, Debug)]
pub(super) struct PictureEmbedding {
    /// [D] or [1, 1, D]
    pub class: Parameter,
    /// [tokens, D] or [1, tokens, D]
    pub positions: Parameter,
    /// [D, 3, patch, patch]
    pub patches: Parameter,
    /// [D]
    pub bias: Option<Parameter>,
    /// Pixels a side.
    pub image_size: i64,
}

impl PictureEmbedding {
    /// [B, 3, image_size, image_size] → [B, tokens, D], patches row by row.
    ///
    /// # Errors
    /// If the pictures have another size.
    pub fn forward(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        let (batch, _channels, height, width) = pictures.size4()?;
        let (hidden, _channels, patch, _patch) = self.patches.size4()?;
        let side = self.image_size;
        anyhow::ensure!((height, width) == (side, side), "pictures of {width} × {height} pixels, not {side} × {side}");
        let maps = pictures.conv2d(&self.patches, self.bias.as_deref(), [patch; 2], [0, 0], [1, 1], 1);
        let class = self.class.expand([batch, 1, hidden], false);
        Ok(Tensor::cat(&[class, maps.flatten(2, 3).transpose(1, 2)], 1) + &*self.positions)
    }
}

/// Token ids and their mask, both int64 [B, N]. The mask is 1 for tokens and 0 for padding.
#[derive(Debug)]
pub struct Tokens {
    pub input_ids: Tensor,
    /// None: no text is padded.
    pub attention_mask: Option<Tensor>,
}

impl Tokens {
    /// Ids of single texts, padded on the right with `padding` to the longest.
    pub fn padded(rows: &[&[u32]], padding: u32, device: Device) -> Self {
        let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for row in rows {
            ids.extend((0..length).map(|at| i64::from(row.get(at).copied().unwrap_or(padding))));
            mask.extend((0..length).map(|at| i64::from(at < row.len())));
        }
        let shaped =
            |values: &[i64]| Tensor::from_slice(values).view([rows.len() as i64, length as i64]).to_device(device);
        let attention_mask = rows.iter().any(|row| row.len() < length).then(|| shaped(&mask));
        Tokens { input_ids: shaped(&ids), attention_mask }
    }
}

/// A mask over keys, [B, 1, 1, N], to be added to scores: 0 for tokens and the lowest finite number for padding. Minus
/// infinity would turn a row without any token into NaN.
pub(super) fn padding_mask(attention_mask: &Tensor) -> Tensor {
    let mask: Tensor = (1.0 - attention_mask.to_kind(Kind::Float)) * f64::from(f32::MIN);
    mask.unsqueeze(1).unsqueeze(1)
}

/// A convolution with its batch norm folded in, in float64 on the CPU; the weight in channels-last memory. Both make networks
/// several times faster on a CPU.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    /// [outputs, inputs/groups, k, k]
    pub weight: Parameter,
    /// [outputs]
    pub bias: Parameter,
    pub stride: i64,
    pub groups: i64,
}

impl Convolution {
    /// `convolution` and `norm` are the checkpoint's keys, `size` is the weight's.
    pub fn new(
        weights: &mut Weights,
        [convolution, norm]: [&str; 2],
        size: [i64; 4],
        [stride, groups]: [i64; 2],
        eps: f64,
    ) -> Self {
        let weight = weights.take_on_cpu(&format!("{convolution}.weight"), &size).to_kind(Kind::Double);
        let mut of_norm = |name: &str| weights.take_on_cpu(&format!("{norm}.{name}"), &[size[0]]).to_kind(Kind::Double);
        let (gamma, beta) = (of_norm("weight"), of_norm("bias"));
        let (mean, variance) = (of_norm("running_mean"), of_norm("running_var"));
        let scale = gamma / (variance + eps).sqrt();
        let weight = channels_last(&(weight * scale.view([-1, 1, 1, 1])).to_kind(Kind::Float));
        let bias = (beta - mean * scale).to_kind(Kind::Float);
        Convolution { weight: weights.placed(weight), bias: weights.placed(bias), stride, groups }
    }

    pub fn forward(&self, x: &Tensor, padding: [i64; 2]) -> Tensor {
        self.with(&self.weight, x, padding)
    }

    /// With another weight in place of its own.
    pub fn with(&self, weight: &Tensor, x: &Tensor, padding: [i64; 2]) -> Tensor {
        x.conv2d(weight, Some(&*self.bias), [self.stride; 2], padding, [1, 1], self.groups)
    }
}

/// The same values in channels-last memory.
pub fn channels_last(x: &Tensor) -> Tensor {
    // tch does not expose memory formats: permute to [N, H, W, C], make that contiguous, and view it as [N, C, H, W].
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Checks sizes of a configuration, each with its name in `config.json` and its upper bound; the lower one is 1.
///
/// # Errors
/// Names the first that is out of range.
pub(super) fn check_sizes(sizes: &[(&str, i64, i64)]) -> anyhow::Result<()> {
    for &(name, size, most) in sizes {
        anyhow::ensure!((1..=most).contains(&size), "`{name}` should be between 1 and {most}, found {size}");
    }
    Ok(())
}

/// The checkpoint's key without a prefix that some files have, and with today's names of a layer norm's parameters.
pub(super) fn plain_key(key: &str, prefix: &str) -> String {
    let key = key.strip_prefix(prefix).unwrap_or(key);
    match (key.strip_suffix(".gamma"), key.strip_suffix(".beta")) {
        (Some(norm), _) => format!("{norm}.weight"),
        (_, Some(norm)) => format!("{norm}.bias"),
        _ => key.to_owned(),
    }
}

/// Whether a key begins with one of these.
pub(super) fn begins_with(key: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| key.starts_with(part))
}
