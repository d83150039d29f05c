//! The transformer that ViT, BERT, DistilBERT, CLIP and BLIP share.
//!
//! The architectures differ in data alone: the keys of their checkpoints (`Keys`), their sizes ([`Config`]), and where
//! a block normalizes (`Norm`).

use serde::Deserialize;
use tch::Tensor;

use super::layers::{LayerNorm, Linear, Tokens, check_sizes};
use super::weights::{Parameter, Weights};

/// The keys of `config.json` that size a stack of blocks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub hidden_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub intermediate_size: i64,
    pub layer_norm_eps: f64,
    pub hidden_act: String,
}

impl Config {
    /// # Errors
    /// If a size is out of range, the heads do not divide the hidden size, or the activation is unknown.
    pub fn check(&self) -> anyhow::Result<()> {
        check_sizes(&[
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1000),
            ("num_attention_heads", self.num_attention_heads, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 20),
        ])?;
        let (hidden, heads, eps) = (self.hidden_size, self.num_attention_heads, self.layer_norm_eps);
        anyhow::ensure!(
            hidden % heads == 0,
            "`hidden_size` {hidden} is not a multiple of `num_attention_heads` {heads}"
        );
        anyhow::ensure!(eps.is_finite() && eps > 0.0, "`layer_norm_eps` should be a positive number, found {eps}");
        Activation::named(&self.hidden_act).map(drop)
    }
}

/// The keys that size a network of pictures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VisionConfig {
    #[serde(flatten)]
    pub layers: Config,
    /// Pixels a side.
    pub image_size: i64,
    pub patch_size: i64,
}

impl VisionConfig {
    /// The number of tokens, the class token included.
    ///
    /// # Errors
    /// If a size is out of range.
    pub(super) fn tokens(&self) -> anyhow::Result<i64> {
        let (side, patch) = (self.image_size, self.patch_size);
        check_sizes(&[("image_size", side, 4096), ("patch_size", patch, side.max(1))])?;
        Ok((side / patch).pow(2) + 1)
    }
}

/// The keys that size a network of texts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TextConfig {
    #[serde(flatten)]
    pub layers: Config,
    pub vocab_size: i64,
    pub max_position_embeddings: i64,
}

/// The activation of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activation {
    /// x·Φ(x), exactly, with erf.
    Gelu,
    /// x·σ(1.702x).
    QuickGelu,
}

impl Activation {
    /// By its name in `config.json`.
    fn named(name: &str) -> anyhow::Result<Self> {
        match name {
            "gelu" => Ok(Activation::Gelu),
            "quick_gelu" => Ok(Activation::QuickGelu),
            _ => anyhow::bail!("`hidden_act` should be \"gelu\" or \"quick_gelu\", found {name:?}"),
        }
    }

    /// In the memory of its argument: nothing else of a text encoder is as large.
    fn of(self, mut x: Tensor) -> Tensor {
        match self {
            Activation::Gelu => x.gelu_("none"),
            Activation::QuickGelu => {
                let gate = (&x * 1.702).sigmoid_();
                x.g_mul_(&gate)
            }
        }
    }
}

/// How softmax(q·kᵀ/√w + mask)·v is computed. The two differ in the last bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// libtorch's fused kernel: on a CPU 1.5 times as fast at 200 tokens and nearly four times at 512, where it also
    /// saves the memory of the scores (`benches/encoders.rs`).
    #[default]
    Fused,
    /// One operation after the other.
    Explicit,
}

/// Where a block normalizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Norm {
    /// x += Attention(LN(x)); x += MLP(LN(x)).
    Before,
    /// x = LN(x + Attention(x)); x = LN(x + MLP(x)).
    After,
}

/// The keys of query, key and value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Projections {
    /// A layer each.
    Apart([&'static str; 3]),
    /// One layer that stacks the three in this order.
    Joined(&'static str),
}

/// The keys of a block's parts, each of them behind `{layers}.{number}.`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub layers: &'static str,
    pub projections: Projections,
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub mlp_in: &'static str,
    pub mlp_out: &'static str,
    pub mlp_norm: &'static str,
    pub norm: Norm,
}

/// A stack of blocks, [B, N, D] → [B, N, D].
#[derive(Clone, Debug)]
pub(super) struct Transformer(Vec<Block>);

impl Transformer {
    /// Takes the blocks out of a checkpoint. All keys begin with `prefix`.
    ///
    /// # Errors
    /// If the configuration is not valid.
    pub fn new(
        weights: &mut Weights,
        prefix: &str,
        keys: &Keys,
        config: &Config,
        product: Product,
    ) -> anyhow::Result<Self> {
        config.check()?;
        let activation = Activation::named(&config.hidden_act)?;
        let (d, mlp, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let block = |number: i64| {
            let at = |key: &str| format!("{prefix}{}.{number}.{key}", keys.layers);
            let [query, key, value] = match keys.projections {
                Projections::Apart(keys) => keys.map(|key| Linear::new(weights, &at(key), d, d)),
                Projections::Joined(key) => Linear::joined(weights, &at(key), d),
            };
            let output = Linear::new(weights, &at(keys.attention_output), d, d);
            Block {
                attention: Attention { query, key, value, output, heads: config.num_attention_heads, product },
                attention_norm: LayerNorm::new(weights, &at(keys.attention_norm), d, eps),
                mlp_in: Linear::new(weights, &at(keys.mlp_in), mlp, d),
                mlp_out: Linear::new(weights, &at(keys.mlp_out), d, mlp),
                mlp_norm: LayerNorm::new(weights, &at(keys.mlp_norm), d, eps),
                activation,
                norm: keys.norm,
            }
        };
        Ok(Transformer((0..config.num_hidden_layers).map(block).collect()))
    }

    /// `mask` is added to the scores and broadcast to [B, heads, N, N].
    pub fn forward(&self, x: Tensor, mask: Option<&Tensor>) -> Tensor {
        self.0.iter().fold(x, |x, block| block.forward(&x, mask))
    }
}

#[derive(Clone, Debug)]
struct Block {
    attention: Attention,
    attention_norm: LayerNorm,
    mlp_in: Linear,
    mlp_out: Linear,
    mlp_norm: LayerNorm,
    activation: Activation,
    norm: Norm,
}

impl Block {
    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Tensor {
        match self.norm {
            Norm::Before => {
                let x = x + self.attention.forward(&self.attention_norm.forward(x), mask);
                &x + self.mlp(&self.mlp_norm.forward(&x))
            }
            Norm::After => {
                let x = self.attention_norm.forward(&(x + self.attention.forward(x, mask)));
                self.mlp_norm.forward(&(&x + self.mlp(&x)))
            }
        }
    }

    fn mlp(&self, x: &Tensor) -> Tensor {
        self.mlp_out.forward(&self.activation.of(self.mlp_in.forward(x)))
    }
}

/// Multi-head self-attention. Heads are consecutive slices of the hidden size.
#[derive(Clone, Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: i64,
    product: Product,
}

impl Attention {
    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Tensor {
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
}

/// The embeddings of words and positions.
#[derive(Clone, Debug)]
pub(super) struct TextEmbedding {
    /// [vocabulary, D]
    words: Parameter,
    /// [positions, D]
    positions: Parameter,
}

impl TextEmbedding {
    /// # Errors
    /// If a size is out of range.
    pub fn new(weights: &mut Weights, keys: [&str; 2], config: &TextConfig) -> anyhow::Result<Self> {
        let (vocabulary, most, hidden) = (config.vocab_size, config.max_position_embeddings, config.layers.hidden_size);
        check_sizes(&[("vocab_size", vocabulary, 1 << 24), ("max_position_embeddings", most, 1 << 20)])?;
        let [words, positions] = keys.map(|key| format!("{key}.weight"));
        Ok(TextEmbedding {
            words: weights.take(&words, &[vocabulary, hidden]),
            positions: weights.take(&positions, &[most, hidden]),
        })
    }

    /// The embeddings of the words, [B, N, D], and of their positions, [N, D].
    ///
    /// # Errors
    /// If there are more tokens than positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<[Tensor; 2]> {
        let (_batch, length) = tokens.input_ids.size2()?;
        let (_vocabulary, most) = self.limits();
        anyhow::ensure!(length <= most, "{length} tokens, the model has {most} positions");
        let words = Tensor::embedding(&self.words, &tokens.input_ids, -1, false, false);
        Ok([words, self.positions.narrow(0, 0, length)])
    }

    /// The sizes of the vocabulary and of the table of positions.
    pub fn limits(&self) -> (i64, i64) {
        (self.words.size()[0], self.positions.size()[0])
    }
}
