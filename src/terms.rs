//! Terms of the field: modalities, splits, kinds of tasks, metrics; and the form of a name.

use serde::{Deserialize, Serialize};

/// What is predicted. It decides the loss and the usual metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One of C classes.
    Multiclass,
    /// One of two classes.
    Binary,
    /// Any subset of C labels.
    Multilabel,
}

/// The score of a dataset, in percent; higher is better. [`crate::evaluation::metrics`] computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The share of samples whose class is predicted correctly.
    Accuracy,
    /// The mean over labels or classes of F1 = 2 TP / (2 TP + FP + FN). F1 is 0 for a label that is neither there nor
    /// predicted, as in scikit-learn's `f1_score` with `average="macro"` and all labels in `labels`.
    F1Macro,
}

impl Metric {
    /// The usual metric of a task, which a dataset's reader may replace. These are the paper's choices: accuracy for UPMC
    /// Food-101 and Hateful Memes, F1-macro for MM-IMDb.
    pub const fn of(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Multiclass | TaskKind::Binary => Metric::Accuracy,
            TaskKind::Multilabel => Metric::F1Macro,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::F1Macro => "F1-macro",
        }
    }
}

/// The parts of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    Train,
    Val,
    Test,
}

impl Split {
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

/// The two modalities. The paper writes v for the image and l for the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    Image,
    Text,
}

impl Modality {
    pub const ALL: [Modality; 2] = [Modality::Image, Modality::Text];

    pub fn name(self) -> &'static str {
        match self {
            Modality::Image => "image",
            Modality::Text => "text",
        }
    }

    /// The paper's letter for the modality: v for the image, l for the text.
    pub const fn letter(self) -> char {
        match self {
            Modality::Image => 'v',
            Modality::Text => 'l',
        }
    }
}

/// The longest name, in bytes. With what is added for a folder, it is still one that every filesystem takes.
pub const LONGEST_NAME: usize = 100;

/// Checks a name that a person or another machine chose: of a suite, a dataset, a manifest, a file. It consists of
/// `A-Z a-z 0-9 . _ -` and begins with a letter or digit, so that it is one name in a path, a terminal and a table.
///
/// # Errors
/// If it is another text.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(plain);
    anyhow::ensure!(
        good && name.len() <= LONGEST_NAME,
        "should be a name of at most {LONGEST_NAME} characters `A-Z a-z 0-9 . _ -` that begins with a letter or digit, \
         found {name:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder_and_on_their_line() {
        for good in ["smoke", "emoji-words", "a.b_c-1", "9"] {
            check_name(good).unwrap();
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        let bad =
            ["", ".", "..", "../x", "/x", "a/b", "a\\b", "-x", ".x", "a b", "a\nb", "a\u{1b}[2J", "ä", "con:", &long];
        for bad in bad {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
