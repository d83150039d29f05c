//! Which outputs of steps a bundle contains.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::steps::{Content, Kind};
use crate::terms::named;

named! {
    /// Optional contents of a bundle.
    #[derive(clap::ValueEnum)]
    pub enum Extra {
        /// Samples and classes of test splits, to compute scores again; mind the datasets' licences
        Labels = "labels",
        /// Weights of all trainings, to compare them as numbers and not only by hash
        Weights = "weights",
        /// Features of all samples; large, and can be computed again
        Features = "features",
    }
}

/// Why an output is not in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is, or contains, data of others.
    DataOfOthers,
    /// It is optional.
    NotAskedFor(Extra),
    /// It is a file in `out/`.
    IsPublished,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::DataOfOthers => f.write_str("data of others, listed by hash"),
            Why::NotAskedFor(extra) => write!(f, "use --with {} to include them", extra.name()),
            Why::IsPublished => f.write_str("they are files under out/"),
        }
    }
}

/// Whether an output of a step belongs into a bundle with these extras.
///
/// # Errors
/// The reason why it does not.
pub fn belongs(kind: Kind, output: &str, with: &[Extra]) -> Result<(), Why> {
    let wants = |extra| if with.contains(&extra) { Ok(()) } else { Err(Why::NotAskedFor(extra)) };
    match kind.content(output) {
        Content::Numbers => Ok(()),
        Content::Foreign => Err(Why::DataOfOthers),
        Content::Labels => wants(Extra::Labels),
        Content::Features => wants(Extra::Features),
        Content::Weights => wants(Extra::Weights),
        Content::Rendered => Err(Why::IsPublished),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures, texts and archives of a dataset are never packed, whatever the options.
    #[test]
    fn data_of_others_stay_where_they_are() {
        let all = [Extra::Labels, Extra::Weights, Extra::Features];
        for (kind, output) in [
            (Kind::Fetch, "archive"),
            (Kind::Prepare, "pack"),
            (Kind::Prepare, "texts.test"),
            (Kind::Prepare, "pictures.train"),
            (Kind::Impair, "items"),
        ] {
            assert_eq!(belongs(kind, output, &all), Err(Why::DataOfOthers), "{kind:?} {output}");
        }
        assert_eq!(belongs(Kind::Prepare, "samples.test", &[]), Err(Why::NotAskedFor(Extra::Labels)));
        assert_eq!(belongs(Kind::Train, "weights", &[Extra::Weights]), Ok(()));
        assert_eq!(belongs(Kind::Evaluate, "predictions", &[]), Ok(()));
    }
}
