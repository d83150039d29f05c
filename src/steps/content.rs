//! What the outputs of steps hold, which decides what may leave this machine.

use super::Kind;

/// What an output of a step holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Data of others: an archive, pictures, texts, or what is made of them.
    Foreign,
    /// Samples and classes of the test split.
    Labels,
    Features,
    Weights,
    /// A table or figure.
    Rendered,
    /// Scores, predictions, traces, counts and the like.
    Numbers,
}

impl Content {
    /// Whether it belongs to a dataset or a pretrained model, whose licence says who may have it.
    pub fn is_licensed(self) -> bool {
        matches!(self, Content::Foreign | Content::Labels)
    }
}

impl Kind {
    /// What an output of a step of this kind holds.
    pub fn content(self, output: &str) -> Content {
        match (self, output) {
            // Counts and names of classes, which the report shows.
            (Kind::Prepare, "about") => Content::Numbers,
            (Kind::Prepare, "samples.test") => Content::Labels,
            (Kind::Fetch | Kind::Prepare, _) => Content::Foreign,
            // Noisy texts and lists of pictures are derived from the dataset; ranks are mere numbers.
            (Kind::Impair, "ranks" | "rate") => Content::Numbers,
            (Kind::Impair, _) => Content::Foreign,
            (Kind::Encode, _) => Content::Features,
            (Kind::Train | Kind::Choose, output) if output.split('.').next() == Some("weights") => Content::Weights,
            (Kind::Train | Kind::Choose | Kind::Evaluate | Kind::Resample | Kind::Collect, _) => Content::Numbers,
            (Kind::Render, _) => Content::Rendered,
        }
    }
}
