//! Texts to token ids, with the model's own `tokenizer.json`.

use anyhow::{Context, anyhow, bail};
use tokenizers::{Tokenizer, TruncationParams};

/// A tokenizer that cuts at a given length and never pads.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// The number of tokens; every id is less.
    vocabulary: u64,
}

impl TextTokenizer {
    /// From the bytes of a `tokenizer.json`. Its truncation and padding depend on how it was saved, and are replaced: at
    /// most `max_length` tokens, special ones included, and no padding (batches are padded later). For a model with
    /// `vocabulary` tokens: a larger id is an error here, not in the model.
    ///
    /// # Errors
    /// If the file is not a tokenizer.
    pub fn new(json: &[u8], max_length: usize, vocabulary: u64) -> anyhow::Result<Self> {
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|error| anyhow!("{error}")).context("tokenizer.json")?;
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| anyhow!("{error}"))?;
        tokenizer.with_padding(None);
        Ok(TextTokenizer { tokenizer, vocabulary })
    }

    /// The id of a token.
    ///
    /// # Errors
    /// If there is no such token, or the model does not have its id.
    pub fn id(&self, token: &str) -> anyhow::Result<u32> {
        let id = self.tokenizer.token_to_id(token).with_context(|| format!("the tokenizer has no token {token:?}"))?;
        anyhow::ensure!(
            u64::from(id) < self.vocabulary,
            "the token {token:?} has the id {id}, the model has {} tokens",
            self.vocabulary
        );
        Ok(id)
    }

    /// The ids of a text, special tokens included.
    ///
    /// # Errors
    /// If the tokenizer fails, or returns an id that the model does not have.
    pub fn ids(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, true).map_err(|error| anyhow!("{error}"));
        let ids = encoding.with_context(|| format!("cannot tokenize {text:?}"))?.get_ids().to_vec();
        if let Some(id) = ids.iter().find(|id| u64::from(**id) >= self.vocabulary) {
            bail!("the tokenizer returned the id {id} for {text:?}, the model has {} tokens", self.vocabulary);
        }
        Ok(ids)
    }
}
