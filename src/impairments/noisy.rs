//! A modality with noise.

use serde::{Deserialize, Serialize};

use crate::errors::positive;
use crate::random::Stream;

/// Noise on images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum ImageNoise {
    /// x + σ·N(0, 1) on every value, after resizing and normalization.
    Gaussian {
        /// σ, in units of the normalized values.
        sigma: f64,
    },
}

/// Noise on texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum TextNoise {
    /// Every character (Unicode scalar) is deleted with this probability, independently.
    DeleteCharacters { probability: f64 },
    /// Every word (separated by white space) is deleted with this probability, independently.
    DeleteWords { probability: f64 },
}

/// How noisy modalities are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NoisyOptions {
    pub image: ImageNoise,
    pub text: TextNoise,
    /// The seed of the noise: one for the suite, not one per training, so that all methods get the same noise.
    #[serde(default)]
    pub seed: u64,
}

impl NoisyOptions {
    /// # Errors
    /// Names the option that cannot be used.
    pub fn check(&self) -> Result<(), String> {
        let ImageNoise::Gaussian { sigma } = self.image;
        positive("image.sigma", sigma)?;
        let (TextNoise::DeleteCharacters { probability } | TextNoise::DeleteWords { probability }) = self.text;
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("`text.probability` should be between 0 and 1, found {probability}"));
        }
        Ok(())
    }

    /// A description for captions.
    pub fn description(&self) -> String {
        let ImageNoise::Gaussian { sigma } = self.image;
        let text = match self.text {
            TextNoise::DeleteCharacters { probability } => {
                format!("each character deleted with probability {probability}")
            }
            TextNoise::DeleteWords { probability } => format!("each word deleted with probability {probability}"),
        };
        format!(
            "noisy images have Gaussian noise of standard deviation {sigma} on the normalised pixels, noisy texts {text}"
        )
    }
}

/// Noisy texts, and how much was deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct NoisyTexts {
    pub texts: Vec<String>,
    pub deleted: u64,
    pub total: u64,
}

/// Noisy versions of texts, one per sample.
///
/// # Errors
/// If the number of deletions does not fit the probability.
pub fn texts<'a>(
    noise: TextNoise,
    seed: u64,
    samples: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> anyhow::Result<NoisyTexts> {
    let mut noisy = NoisyTexts { texts: Vec::new(), deleted: 0, total: 0 };
    let (TextNoise::DeleteCharacters { probability } | TextNoise::DeleteWords { probability }) = noise;
    for (id, text) in samples {
        let mut stream = Stream::new(seed, &["noisy text", id]);
        let (mut total, mut left) = (0u64, 0u64);
        let mut keep = || {
            total += 1;
            let keep = stream.uniform() >= probability;
            left += u64::from(keep);
            keep
        };
        noisy.texts.push(match noise {
            TextNoise::DeleteCharacters { .. } => text.chars().filter(|_| keep()).collect(),
            TextNoise::DeleteWords { .. } => text.split_whitespace().filter(|_| keep()).collect::<Vec<_>>().join(" "),
        });
        noisy.total += total;
        noisy.deleted += total - left;
    }
    check_rate(noisy.deleted, noisy.total, probability)?;
    Ok(noisy)
}

/// Refuses a number of deletions that is more than five standard deviations from its expectation. Small counts are not
/// normally distributed, and one deletion in a short text may already be more, so the bound t is Bernstein's, P(|X − μ| ≥ t) ≤ 2·exp(−t²/(2·(σ² + t/3))), at five deviations:
/// t² = 25·(σ² + t/3), which is 5σ + 4 for large σ.
fn check_rate(deleted: u64, total: u64, probability: f64) -> anyhow::Result<()> {
    let expected = probability * total as f64;
    let variance = expected * (1.0 - probability);
    let half = 25.0 / 6.0;
    let bound = if variance == 0.0 { 0.0 } else { half + (half * half + 25.0 * variance).sqrt() };
    anyhow::ensure!(
        (deleted as f64 - expected).abs() <= bound,
        "{deleted} of {total} were deleted; with probability {probability}, {expected:.0} ± {:.0} were expected",
        variance.sqrt()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(noise: TextNoise, seed: u64, texts_in: &[(&str, &str)]) -> NoisyTexts {
        texts(noise, seed, texts_in.iter().copied()).unwrap()
    }

    #[test]
    fn certain_probabilities_keep_all_or_nothing() {
        let samples = [("1", "cara sonriendo"), ("2", ""), ("3", "sırıtan yüz")];
        let kept = run(TextNoise::DeleteCharacters { probability: 0.0 }, 0, &samples);
        assert_eq!((kept.texts, kept.deleted), (samples.map(|(_, text)| text.to_owned()).to_vec(), 0));
        let gone = run(TextNoise::DeleteWords { probability: 1.0 }, 0, &samples);
        assert_eq!((gone.texts, gone.deleted, gone.total), (vec![String::new(); 3], 4, 4));
    }

    #[test]
    fn each_sample_has_noise_of_its_own() {
        let text = "the quick brown fox jumps over the lazy dog";
        let noise = TextNoise::DeleteCharacters { probability: 0.2 };
        let noisy = run(noise, 0, &[("a", text), ("b", text)]).texts;
        assert_ne!(noisy[0], noisy[1]);
        assert_eq!(noisy[1], run(noise, 0, &[("b", text)]).texts[0]);
        assert_ne!(noisy[1], run(noise, 1, &[("b", text)]).texts[0]);
    }

    #[test]
    fn a_rate_that_cannot_be_is_refused() {
        assert!(check_rate(2000, 10_000, 0.2).is_ok());
        assert!(check_rate(2190, 10_000, 0.2).is_ok());
        let error = check_rate(2210, 10_000, 0.2).unwrap_err().to_string();
        assert!(error.contains("2210 of 10000") && error.contains("2000 ± 40"), "{error}");
        assert!(check_rate(1790, 10_000, 0.2).is_err());
        // Seven in a million is no surprise in a text of one character; a sure thing that fails is.
        assert!(check_rate(1, 1, 0.01).is_ok());
        assert!(check_rate(0, 1, 1.0).is_err() && check_rate(1, 1, 0.0).is_err());
        assert!(check_rate(0, 0, 0.5).is_ok());
    }

    #[test]
    fn options_are_checked() {
        let check = |sigma: f64, probability: f64| {
            let (image, text) = (ImageNoise::Gaussian { sigma }, TextNoise::DeleteWords { probability });
            NoisyOptions { image, text, seed: 0 }.check()
        };
        assert!(check(0.5, 0.2).is_ok());
        for (sigma, probability) in [(0.0, 0.2), (f64::NAN, 0.2), (0.5, 1.1), (0.5, f64::NAN), (0.5, -0.1)] {
            assert!(check(sigma, probability).is_err(), "{sigma} {probability}");
        }
    }

    proptest! {
        /// What is left is a subsequence of what was there.
        #[test]
        fn deletion_only_deletes(text in ".{0,40}", seed in 0u64..50, probability in 0.0..=1.0f64) {
            let noisy = texts(TextNoise::DeleteCharacters { probability }, seed, [("id", text.as_str())]).unwrap();
            let mut rest = text.chars();
            prop_assert!(noisy.texts[0].chars().all(|c| rest.any(|r| r == c)));
            let (left, all) = (noisy.texts[0].chars().count() as u64, text.chars().count() as u64);
            prop_assert_eq!((noisy.total, noisy.deleted), (all, all - left));
        }
    }
}
