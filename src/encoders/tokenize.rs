//! Texts to token ids, by the model's own `tokenizer.json`.

use anyhow::{Context, anyhow, bail};
use tokenizers::{Tokenizer, TruncationParams};

/// A tokenizer that cuts at a given length and never pads.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// Every id is less.
    vocabulary: u64,
}

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
        Ok(TextTokenizer { tokenizer, vocabulary: u64::from(u32::MAX) + 1 })
    }

    /// The same for a model with this many tokens: an id beyond them is an error here, not in the model.
    pub fn within(self, vocabulary: u64) -> Self {
        TextTokenizer { vocabulary, ..self }
    }

    /// The id of a token.
    ///
    /// # Errors
    /// If there is no such token, or its id is one that the model does not have.
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
    /// If the tokenizer cannot take the text, or gives an id that the model does not have.
    pub fn ids(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, true).map_err(|error| anyhow!("{error}"));
        let ids = encoding.with_context(|| format!("cannot tokenize {text:?}"))?.get_ids().to_vec();
        if let Some(id) = ids.iter().find(|id| u64::from(**id) >= self.vocabulary) {
            bail!("the tokenizer gives the id {id} for {text:?}, the model has {} tokens", self.vocabulary);
        }
        Ok(ids)
    }
}
