//! Texts to token ids, by the model's own `tokenizer.json`.

use anyhow::{Context, anyhow};
use tokenizers::{Tokenizer, TruncationParams};

/// A tokenizer that cuts at a given length and never pads.
#[derive(Clone, Debug)]
pub struct TextTokenizer(Tokenizer);

impl TextTokenizer {
    /// From the bytes of a `tokenizer.json`. What that file says of truncation and padding is an accident of how it was
    /// saved, and is replaced: at most `max_length` tokens, the special ones included, and no padding (batches are
    /// padded later).
    ///
    /// # Errors
    /// If the file is no tokenizer.
    pub fn new(json: &[u8], max_length: usize) -> anyhow::Result<Self> {
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|error| anyhow!("{error}")).context("tokenizer.json")?;
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| anyhow!("{error}"))?;
        tokenizer.with_padding(None);
        Ok(TextTokenizer(tokenizer))
    }

    /// The ids of a text, special tokens included.
    ///
    /// # Errors
    /// If the tokenizer cannot take the text.
    pub fn ids(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        let encoding = self.0.encode(text, true).map_err(|error| anyhow!("{error}"));
        Ok(encoding.with_context(|| format!("cannot tokenize {text:?}"))?.get_ids().to_vec())
    }
}
