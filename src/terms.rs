//! Terms of the field: modalities, splits, kinds of tasks, metrics, selections of the epoch; and the form of a name.

use serde::{Deserialize, Serialize};

/// An enum whose variants have one name each, in files, in keys and for people: `name` gives it, and serde reads and writes it.
macro_rules! named {
    ($(#[$of_all:meta])* pub enum $Enum:ident { $($(#[$of_one:meta])* $Variant:ident = $name:literal,)* }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $Enum { $($(#[$of_one])* #[serde(rename = $name)] $Variant,)* }

        impl $Enum {
            /// In the order of their declaration.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$Variant),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$Variant => $name,)* }
            }
        }
    };
}
pub(crate) use named;

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

named! {
    /// The parts of a dataset.
    pub enum Split {
        Train = "train",
        Val = "val",
        Test = "test",
    }
}

named! {
    /// Which epoch's weights are evaluated. One that looks at the test split gets no verdicts.
    #[derive(Default)]
    pub enum Selection {
        /// Those of the last epoch.
        #[default]
        Last = "last",
        /// Those of the epoch with the best metric on the validation split; the earliest of several.
        BestValidation = "best-validation",
        /// Those of the epoch with the best full score on the test split; the earliest of several.
        BestTest = "best-test",
        /// Those of the epoch with the best mean over the test split's four impaired versions: without the image and without the
        /// text in all samples, and with each of them noisy; the earliest of several.
        BestTestImpaired = "best-test-impaired",
    }
}

impl Selection {
    /// In words, for captions.
    pub fn description(self) -> String {
        let epoch = match self {
            Selection::Last => "last epoch",
            Selection::BestValidation => "best epoch on the validation split",
            Selection::BestTest => "best epoch on the test split",
            Selection::BestTestImpaired => "best epoch on the impaired test split",
        };
        self.label().map_or_else(|| epoch.to_owned(), |label| format!("{epoch} ({label})"))
    }

    /// What stands beside every number of a selection by the test split.
    pub fn label(self) -> Option<&'static str> {
        match self {
            Selection::Last | Selection::BestValidation => None,
            Selection::BestTest => Some("usual in published code; optimistic, never for claims"),
            Selection::BestTestImpaired => Some("optimistic, never for claims"),
        }
    }

    /// Whether the test split decides.
    pub fn uses_test(self) -> bool {
        matches!(self, Selection::BestTest | Selection::BestTestImpaired)
    }

    /// The name of what belongs to this selection where it is not the suite's own, such as `weights.best-test`.
    pub fn named(self, what: &str) -> String {
        format!("{what}.{}", self.name())
    }
}

named! {
    /// The two modalities. The paper writes v for the image and l for the text.
    #[derive(Hash)]
    pub enum Modality {
        Image = "image",
        Text = "text",
    }
}

impl Modality {
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
