//! Which outputs of steps a bundle holds.

use serde::{Deserialize, Serialize};

use crate::steps::Kind;

/// What a bundle holds if asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// Samples and classes of test splits: scores can be computed again; mind the datasets' licences.
    Labels,
    /// Weights of all trainings: they can be compared as numbers, not by their hash alone.
    Weights,
    /// Features of all samples: large, and can be made again.
    Features,
}

impl Extra {
    pub fn name(self) -> &'static str {
        match self {
            Extra::Labels => "labels",
            Extra::Weights => "weights",
            Extra::Features => "features",
        }
    }
}

/// Why an output is not in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is, or holds, data of others.
    DataOfOthers,
    /// It can be had by asking for it.
    NotAskedFor(Extra),
    /// It is a file under `out/`.
    IsPublished,
}

impl Why {
    /// For people.
    pub fn told(self) -> String {
        match self {
            Why::DataOfOthers => "data of others, listed by hash".to_owned(),
            Why::NotAskedFor(extra) => format!("use --with {} to include them", extra.name()),
            Why::IsPublished => "they are files under out/".to_owned(),
        }
    }
}

/// Whether an output of a step belongs into a bundle with these extras.
///
/// # Errors
/// Why it does not.
pub fn belongs(kind: Kind, output: &str, with: &[Extra]) -> Result<(), Why> {
    let wants = |extra| if with.contains(&extra) { Ok(()) } else { Err(Why::NotAskedFor(extra)) };
    match (kind, output) {
        (Kind::Prepare, "about" | "samples.test") => wants(Extra::Labels),
        (Kind::Fetch | Kind::Prepare, _) => Err(Why::DataOfOthers),
        // Noisy texts and lists of pictures are made of the dataset; ranks are numbers.
        (Kind::Impair, "ranks" | "rate") => Ok(()),
        (Kind::Impair, _) => Err(Why::DataOfOthers),
        (Kind::Encode, _) => wants(Extra::Features),
        (Kind::Train | Kind::Choose, "weights") => wants(Extra::Weights),
        (Kind::Train | Kind::Choose | Kind::Evaluate | Kind::Resample | Kind::Collect, _) => Ok(()),
        (Kind::Render, _) => Err(Why::IsPublished),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that holds pictures, texts or archives of a dataset is ever packed, whatever is asked for.
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
