//! A modality that is there, but disturbed.

use serde::{Deserialize, Serialize};

use super::{PictureItem, PictureNoise};
use crate::datasets::Picture;
use crate::random::Stream;

/// What is done to pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum ImageNoise {
    /// x + σ·N(0, 1) on every value, after resizing and normalisation.
    Gaussian {
        /// σ, in units of the normalised values.
        sigma: f64,
    },
}

/// What is done to texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum TextNoise {
    /// Every character (Unicode scalar) is deleted with this probability, independently.
    DeleteCharacters { probability: f64 },
    /// Every word (what white space separates) is deleted with this probability, independently.
    DeleteWords { probability: f64 },
}

/// How noisy modalities are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NoisyOptions {
    pub image: ImageNoise,
    pub text: TextNoise,
    /// The seed of the noise: one for the suite, not one per training, so that all methods meet the same noise.
    #[serde(default)]
    pub seed: u64,
}

impl NoisyOptions {
    /// # Errors
    /// Names the option that cannot be used.
    pub fn check(&self) -> Result<(), String> {
        let ImageNoise::Gaussian { sigma } = self.image;
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(format!("`image.sigma` should be a positive number, found {sigma}"));
        }
        let (TextNoise::DeleteCharacters { probability } | TextNoise::DeleteWords { probability }) = self.text;
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("`text.probability` lies between 0 and 1, found {probability}"));
        }
        Ok(())
    }

    /// In words, for captions.
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

/// Noisy versions of pictures: each sample has noise of its own, whichever picture it shares with others.
pub fn pictures<'a>(
    noise: ImageNoise,
    seed: u64,
    samples: impl IntoIterator<Item = (&'a str, &'a Picture)>,
) -> Vec<PictureItem> {
    let ImageNoise::Gaussian { sigma } = noise;
    let item = |(id, picture): (&str, &Picture)| PictureItem {
        picture: Some(picture.clone()),
        noise: Some(PictureNoise { sigma, seed, sample: id.to_owned() }),
    };
    samples.into_iter().map(item).collect()
}

/// Adds a picture's noise to its normalised values, given in channels-first order.
pub fn add(noise: &PictureNoise, values: &mut [f32]) {
    let mut stream = Stream::new(noise.seed, &["noisy image", &noise.sample]);
    let sigma = noise.sigma as f32;
    values.iter_mut().for_each(|value| *value += sigma * stream.normal_f32());
}

/// Noisy texts, and what was really deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct NoisyTexts {
    pub texts: Vec<String>,
    pub deleted: u64,
    pub total: u64,
}

/// Noisy versions of texts, one per sample.
///
/// # Errors
/// If the realised rate lies further from the asked one than five standard deviations: the draw is not what it says.
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
    let expected = probability * noisy.total as f64;
    let deviation = (expected * (1.0 - probability)).sqrt();
    anyhow::ensure!(
        (noisy.deleted as f64 - expected).abs() <= 5.0 * deviation + 1e-9,
        "{} of {} were deleted, {expected:.0} ± {deviation:.0} were to be expected",
        noisy.deleted,
        noisy.total
    );
    Ok(noisy)
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
    fn pixel_noise_has_the_asked_deviation() {
        let noise = PictureNoise { sigma: 0.5, seed: 0, sample: "a".into() };
        let mut values = vec![1.0f32; 3 * 128 * 128];
        add(&noise, &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        assert!((mean - 1.0).abs() < 0.012 && (variance.sqrt() - 0.5).abs() < 0.008, "{mean} {variance}");
    }

    proptest! {
        /// What is left is a subsequence of what was there.
        #[test]
        fn deletion_only_deletes(text in ".{0,40}", seed in 0u64..50, probability in 0.0..=1.0f64) {
            if let Ok(noisy) = texts(TextNoise::DeleteCharacters { probability }, seed, [("id", text.as_str())]) {
                let mut rest = text.chars();
                prop_assert!(noisy.texts[0].chars().all(|c| rest.any(|r| r == c)));
            }
        }
    }
}
