//! What several architectures are built of. Every part takes its tensors out of a checkpoint under the checkpoint's own
//! keys, and can be placed: shared with another thread, or copied to a device.

use tch::{Device, Kind, Tensor};

use super::weights::Weights;

/// Where a model's tensors are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Another handle on the same memory: a tensor can be sent to a thread, but not shared with it.
    Shared,
    On(Device),
}

impl Place {
    pub(super) fn of(self, tensor: &Tensor) -> Tensor {
        match self {
            Place::Shared => tensor.shallow_clone(),
            Place::On(device) => tensor.to_device(device),
        }
    }
}

/// The activation of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// x·Φ(x), exactly, with erf.
    Gelu,
    /// x·σ(1.702x).
    QuickGelu,
}

impl Activation {
    /// By its name in `config.json`, under `key`.
    ///
    /// # Errors
    /// If it is one that is not computed here.
    pub(super) fn named(key: &str, name: &str) -> anyhow::Result<Self> {
        match name {
            "gelu" => Ok(Activation::Gelu),
            "quick_gelu" => Ok(Activation::QuickGelu),
            _ => anyhow::bail!("`{key}` should be \"gelu\" or \"quick_gelu\", found {name:?}"),
        }
    }

    pub(super) fn of(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Gelu => x.gelu("none"),
            Activation::QuickGelu => x * (x * 1.702).sigmoid(),
        }
    }
}

/// y = x·Wᵀ + b.
#[derive(Debug)]
pub(super) struct Linear {
    /// [outputs, inputs]
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn new(weights: &mut Weights, key: &str, outputs: i64, inputs: i64) -> Self {
        let mut linear = Linear::without_bias(weights, key, outputs, inputs);
        linear.bias = Some(weights.take(&format!("{key}.bias"), &[outputs]));
        linear
    }

    pub(super) fn without_bias(weights: &mut Weights, key: &str, outputs: i64, inputs: i64) -> Self {
        Linear { weight: weights.take(&format!("{key}.weight"), &[outputs, inputs]), bias: None }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }

    pub(super) fn placed(&self, place: Place) -> Self {
        Linear { weight: place.of(&self.weight), bias: self.bias.as_ref().map(|bias| place.of(bias)) }
    }
}

/// (x − mean)/√(biased variance + eps)·w + b over the last axis.
#[derive(Debug)]
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    pub(super) fn new(weights: &mut Weights, key: &str, size: i64, eps: f64) -> Self {
        LayerNorm {
            weight: weights.take(&format!("{key}.weight"), &[size]),
            bias: weights.take(&format!("{key}.bias"), &[size]),
            eps,
        }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, false)
    }

    pub(super) fn placed(&self, place: Place) -> Self {
        LayerNorm { weight: place.of(&self.weight), bias: place.of(&self.bias), eps: self.eps }
    }
}

/// How softmax(q·kᵀ/√w + mask)·v is computed; the two differ in the last bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// libtorch's fused kernel: on a CPU 1.5 times as fast at 200 tokens, nearly four times at 512, where it saves the
    /// memory of the scores too.
    #[default]
    Fused,
    /// One operation after the other.
    Explicit,
}

/// Multi-head self-attention. Heads are consecutive slices of the hidden size.
#[derive(Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: i64,
    product: Product,
}

impl Attention {
    /// `keys` are the checkpoint's for query, key, value and output.
    pub(super) fn new(weights: &mut Weights, keys: [String; 4], hidden: i64, heads: i64, product: Product) -> Self {
        let [query, key, value, output] = keys.map(|key| Linear::new(weights, &key, hidden, hidden));
        Attention { query, key, value, output, heads, product }
    }

    /// With query, key and value, in this order, one below the other in a single layer of the checkpoint.
    pub(super) fn joined(weights: &mut Weights, [qkv, output]: [String; 2], hidden: i64, heads: i64) -> Self {
        let qkv = Linear::new(weights, &qkv, 3 * hidden, hidden);
        let part = |i: i64| Linear {
            weight: qkv.weight.narrow(0, i * hidden, hidden),
            bias: qkv.bias.as_ref().map(|bias| bias.narrow(0, i * hidden, hidden)),
        };
        let [query, key, value] = [0, 1, 2].map(part);
        let output = Linear::new(weights, &output, hidden, hidden);
        Attention { query, key, value, output, heads, product: Product::Fused }
    }

    /// [B, N, D] → [B, N, D]. `mask` is added to the scores and broadcast to [B, heads, N, N].
    pub(super) fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let size = x.size();
        let (batch, tokens, hidden) = (size[0], size[1], size[2]);
        let width = hidden / self.heads;
        let split = |y: Tensor| y.view([batch, tokens, self.heads, width]).transpose(1, 2);
        let (q, k, v) = (split(self.query.forward(x)), split(self.key.forward(x)), split(self.value.forward(x)));
        let context = match self.product {
            Product::Fused => {
                // Autocast may have made q, k and v half floats; their mask has to be of the same kind.
                let mask = mask.map(|mask| mask.to_kind(q.kind()));
                Tensor::scaled_dot_product_attention(&q, &k, &v, mask, 0.0, false, None, false)
            }
            Product::Explicit => {
                let scores = q.matmul(&k.transpose(-2, -1)) / (width as f64).sqrt();
                let scores = mask.map_or_else(|| scores.shallow_clone(), |mask| &scores + mask);
                scores.softmax(-1, None).matmul(&v)
            }
        };
        self.output.forward(&context.transpose(1, 2).reshape([batch, tokens, hidden]))
    }

    pub(super) fn placed(&self, place: Place) -> Self {
        Attention {
            query: self.query.placed(place),
            key: self.key.placed(place),
            value: self.value.placed(place),
            output: self.output.placed(place),
            ..*self
        }
    }
}

/// A pre-norm block: x += Attention(LN(x)); x += MLP(LN(x)).
#[derive(Debug)]
pub(super) struct PreNormBlock {
    pub(super) attention_norm: LayerNorm,
    pub(super) attention: Attention,
    pub(super) mlp_norm: LayerNorm,
    pub(super) mlp_in: Linear,
    pub(super) mlp_out: Linear,
    pub(super) activation: Activation,
}

impl PreNormBlock {
    pub(super) fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let x = x + self.attention.forward(&self.attention_norm.forward(x), mask);
        let inner = self.activation.of(&self.mlp_in.forward(&self.mlp_norm.forward(&x)));
        &x + self.mlp_out.forward(&inner)
    }

    pub(super) fn placed(&self, place: Place) -> Self {
        PreNormBlock {
            attention_norm: self.attention_norm.placed(place),
            attention: self.attention.placed(place),
            mlp_norm: self.mlp_norm.placed(place),
            mlp_in: self.mlp_in.placed(place),
            mlp_out: self.mlp_out.placed(place),
            activation: self.activation,
        }
    }
}

/// The convolution that cuts pictures into square patches and projects each.
#[derive(Debug)]
pub(super) struct PatchEmbedding {
    /// [D, 3, patch, patch]
    weight: Tensor,
    bias: Option<Tensor>,
    patch: i64,
}

impl PatchEmbedding {
    pub(super) fn new(weights: &mut Weights, key: &str, hidden: i64, patch: i64, bias: bool) -> Self {
        let weight = weights.take(&format!("{key}.weight"), &[hidden, 3, patch, patch]);
        let bias = bias.then(|| weights.take(&format!("{key}.bias"), &[hidden]));
        PatchEmbedding { weight, bias, patch }
    }

    /// [B, 3, H, W] → [B, patches, D], row by row.
    pub(super) fn forward(&self, pictures: &Tensor) -> Tensor {
        let maps = convolution(pictures, &self.weight, self.bias.as_ref(), self.patch, [0, 0], 1);
        maps.flatten(2, 3).transpose(1, 2)
    }

    pub(super) fn placed(&self, place: Place) -> Self {
        let bias = self.bias.as_ref().map(|bias| place.of(bias));
        PatchEmbedding { weight: place.of(&self.weight), bias, patch: self.patch }
    }
}

/// A two-dimensional convolution.
pub(super) fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: i64,
    padding: [i64; 2],
    groups: i64,
) -> Tensor {
    x.conv2d(weight, bias, [stride; 2], padding, [1, 1], groups)
}

/// A convolution's weight and bias with its batch norm folded in, in float64; the weight in channels-last memory. Both
/// make networks several times faster on a CPU. `convolution` and `norm` are the checkpoint's keys, `size` the weight's.
pub(super) fn folded(
    weights: &mut Weights,
    convolution: &str,
    norm: &str,
    size: [i64; 4],
    eps: f64,
) -> (Tensor, Tensor) {
    let weight = weights.take(&format!("{convolution}.weight"), &size).to_kind(Kind::Double);
    let mut of_norm = |name: &str| weights.take(&format!("{norm}.{name}"), &[size[0]]).to_kind(Kind::Double);
    let (gamma, beta) = (of_norm("weight"), of_norm("bias"));
    let (mean, variance) = (of_norm("running_mean"), of_norm("running_var"));
    let scale = gamma / (variance + eps).sqrt();
    let weight = channels_last(&(weight * scale.view([-1, 1, 1, 1])).to_kind(Kind::Float));
    (weight, (beta - mean * scale).to_kind(Kind::Float))
}

/// The same values in channels-last memory.
pub fn channels_last(x: &Tensor) -> Tensor {
    // tch does not expose memory formats: permute to [N, H, W, C], lay that out in order, and look at it as [N, C, H, W].
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// A mask over keys, [B, 1, 1, N], to be added to scores: 0 for tokens, and for padding the lowest finite number rather
/// than minus infinity: a row without any token does not become NaN.
pub(super) fn padding_mask(attention_mask: &Tensor) -> Tensor {
    let mask: Tensor = (1.0 - attention_mask.to_kind(Kind::Float)) * f64::from(f32::MIN);
    mask.unsqueeze(1).unsqueeze(1)
}

/// The sizes of a configuration, as `config.json` calls them.
pub(super) struct Sizes<'a>(pub(super) &'a [(&'a str, i64, i64)]);

impl Sizes<'_> {
    /// Each (name, size, most) lies between 1 and its most.
    ///
    /// # Errors
    /// Names the first that does not.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for &(name, size, most) in self.0 {
            anyhow::ensure!((1..=most).contains(&size), "`{name}` should lie between 1 and {most}, found {size}");
        }
        Ok(())
    }
}

/// # Errors
/// If the heads do not divide the hidden size; names both by their keys.
pub(super) fn check_heads(hidden: (&str, i64), heads: (&str, i64)) -> anyhow::Result<()> {
    anyhow::ensure!(hidden.1 % heads.1 == 0, "`{}` {} is no multiple of `{}` {}", hidden.0, hidden.1, heads.0, heads.1);
    Ok(())
}

/// # Errors
/// If it is no positive number.
pub(super) fn check_eps(eps: f64) -> anyhow::Result<()> {
    anyhow::ensure!(eps.is_finite() && eps > 0.0, "`layer_norm_eps` should be a positive number, found {eps}");
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
