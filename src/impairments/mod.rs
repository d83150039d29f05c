//! Impairments: what is done to one modality of the test samples.
//!
//! [`missing`] takes a modality away from a share of the samples, [`noisy`] disturbs it. What is drawn is drawn once,
//! depends on the samples' ids alone (and, for noise, on a seed of the suite), and is shared by all methods and seeds,
//! so that comparisons are paired.

pub mod missing;
pub mod noisy;

use serde::{Deserialize, Serialize};

use crate::datasets::Picture;

/// One picture to encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureItem {
    /// None: x = 0 everywhere, the blank picture.
    pub picture: Option<Picture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<PictureNoise>,
}

/// Gaussian noise on the normalised values of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureNoise {
    /// Standard deviation, in units of the normalised values.
    pub sigma: f64,
    pub seed: u64,
    /// The id of the sample, which names the stream.
    pub sample: String,
}

impl PictureItem {
    /// A picture as it is.
    pub fn clean(picture: Picture) -> Self {
        PictureItem { picture: Some(picture), noise: None }
    }

    /// The blank picture.
    pub fn blank() -> Self {
        PictureItem { picture: None, noise: None }
    }
}
