//! A modality that is missing for a share r of the test samples.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the model gets for a missing image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingImage {
    /// The feature vector 0.
    #[default]
    ZeroFeature,
    /// The feature of a picture whose normalized values are all 0.
    ZeroImage,
}

/// What the model gets for a missing text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingText {
    /// The feature vector 0.
    #[default]
    ZeroFeature,
    /// The feature of the empty text.
    EmptyText,
}

/// How missing modalities are evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MissingOptions {
    #[serde(default)]
    pub image: MissingImage,
    #[serde(default)]
    pub text: MissingText,
    /// The shares r of test samples whose modality is missing, ascending. Tables show r = 1, curves all.
    pub ratios: Vec<f64>,
}

impl MissingOptions {
    /// # Errors
    /// If the ratios are not ascending from at least 0 to 1.
    pub fn check(&self) -> Result<(), String> {
        if let Some(wrong) = self.ratios.iter().find(|r| !(0.0..=1.0).contains(*r)) {
            return Err(format!("a missing ratio should be between 0 and 1, found {wrong}"));
        }
        if !self.ratios.is_sorted_by(|a, b| a < b) {
            return Err(format!("`ratios` should be ascending, found {:?}", self.ratios));
        }
        if self.ratios.last() != Some(&1.0) {
            return Err("`ratios` should end with 1, which the tables show".to_owned());
        }
        Ok(())
    }

    /// A description for captions.
    pub fn description(&self) -> String {
        let image = match self.image {
            MissingImage::ZeroFeature => "the feature vector 0",
            MissingImage::ZeroImage => "the feature of a picture of zeros",
        };
        let text = match self.text {
            MissingText::ZeroFeature => "the feature vector 0",
            MissingText::EmptyText => "the feature of the empty text",
        };
        if image == text {
            return format!("missing modalities are {image}");
        }
        format!("a missing image is {image}, a missing text {text}")
    }
}

/// The rank of each sample in the order of the lower-case hex SHA-256 of `missing|ID`. The samples with a rank below
/// [`count`] lose the modality, so a mask contains those of smaller ratios.
pub fn ranks(ids: &[&str]) -> Vec<u32> {
    let mut order: Vec<([u8; 32], usize)> =
        ids.iter().enumerate().map(|(i, id)| (Sha256::digest(format!("missing|{id}").as_bytes()).into(), i)).collect();
    // The order of digests is the order of their lower-case hex forms.
    order.sort_unstable();
    let mut ranks = vec![0; ids.len()];
    order.iter().enumerate().for_each(|(rank, (_, sample))| ranks[*sample] = rank as u32);
    ranks
}

/// The number of n samples that lose the modality: round(r·n).
pub fn count(ratio: f64, n: usize) -> usize {
    (ratio * n as f64).round() as usize
}

/// Which samples lose the modality.
///
/// # Errors
/// If the ranks are not those of n samples, so that another number of samples would lose the modality.
pub fn mask(ranks: &[u32], ratio: f64) -> anyhow::Result<Vec<bool>> {
    let asked = count(ratio, ranks.len());
    let mask: Vec<bool> = ranks.iter().map(|&rank| (rank as usize) < asked).collect();
    let realised = mask.iter().filter(|&&missing| missing).count();
    anyhow::ensure!(
        realised == asked,
        "the mask for ratio {ratio} should take {asked} of {} samples, takes {realised}",
        ranks.len()
    );
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn masks_are_exact_and_nested(n in 1usize..200, a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let ids: Vec<String> = (0..n).map(|i| format!("sample {i}")).collect();
            let ranks = ranks(&ids.iter().map(String::as_str).collect::<Vec<_>>());
            let (low, high) = (a.min(b), a.max(b));
            let (small, large) = (mask(&ranks, low).unwrap(), mask(&ranks, high).unwrap());
            prop_assert_eq!(small.iter().filter(|&&m| m).count(), count(low, n));
            prop_assert!(small.iter().zip(&large).all(|(&s, &l)| l || !s));
        }
    }

    #[test]
    fn a_mask_does_not_depend_on_the_order_of_samples() {
        let (forward, backward) = (ranks(&["a", "b", "c", "d"]), ranks(&["d", "c", "b", "a"]));
        assert!(forward.iter().eq(backward.iter().rev()));
        assert!(mask(&[0, 0, 1, 2], 0.25).is_err(), "two samples cannot share a rank");
    }

    /// By `printf 'missing|%s' ID | sha256sum | sort`: 68fd…, 7361…, 82ba…, a7ca…
    #[test]
    fn ranks_are_those_of_the_definition() {
        assert_eq!(ranks(&["Appl/1F600", "Goog/1F600", "Twtr/1F600", "Appl/1F600/1F62E"]), [2, 3, 1, 0]);
    }

    #[test]
    fn ratios_are_checked() {
        let options = |ratios: &[f64]| MissingOptions {
            image: MissingImage::default(),
            text: MissingText::default(),
            ratios: ratios.to_vec(),
        };
        assert!(options(&[0.0, 0.5, 1.0]).check().is_ok());
        assert!(options(&[0.0, 0.5, 0.5, 1.0]).check().is_err());
        assert!(options(&[0.0, 1.5]).check().is_err());
        assert!(options(&[f64::NAN, 1.0]).check().is_err());
        assert!(options(&[]).check().is_err());
    }
}
