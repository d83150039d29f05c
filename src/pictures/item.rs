//! Pictures by reference: where their bytes are, and what an encoder is given.

use serde::{Deserialize, Serialize};

use crate::random::Stream;

/// Where a picture's bytes are: a member of an archive that is read in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Picture {
    /// The archive's file name in the dataset's manifest.
    pub archive: String,
    /// The member's name in the archive.
    pub member: String,
}

/// One picture to encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureItem {
    /// None: the blank picture, whose normalized values are all 0.
    pub picture: Option<Picture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<PictureNoise>,
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

/// Gaussian noise on the normalized values of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureNoise {
    /// Standard deviation, in units of the normalized values.
    pub sigma: f64,
    pub seed: u64,
    /// The id of the sample, which names the stream.
    pub sample: String,
}

impl PictureNoise {
    /// Adds the noise to normalized values in the order [height, width, 3]. It is drawn channel by channel.
    ///
    /// # Panics
    /// If the number of values is not a multiple of 3.
    pub fn add_to(&self, values: &mut [f32]) {
        assert!(values.len().is_multiple_of(3), "a picture has three channels");
        let mut stream = Stream::new(self.seed, &["noisy image", &self.sample]);
        let sigma = self.sigma as f32;
        let mut normal = vec![0.0; values.len() / 3];
        for channel in 0..3 {
            stream.fill_normal_f32(&mut normal);
            let pixels = values.as_chunks_mut::<3>().0;
            pixels.iter_mut().zip(&normal).for_each(|(pixel, n)| pixel[channel] += sigma * n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The noise of a value is the single draw at its place in channels-first order.
    #[test]
    fn noise_is_drawn_channel_by_channel() {
        let pixels = 100;
        let mut values = vec![1.0f32; 3 * pixels];
        let noise = PictureNoise { sigma: 0.5, seed: 3, sample: "a".into() };
        noise.add_to(&mut values);
        let mut drawn = vec![0.0; values.len()];
        Stream::new(3, &["noisy image", "a"]).fill_normal_f32(&mut drawn);
        for i in 0..values.len() {
            assert_eq!(values[i % pixels * 3 + i / pixels], 1.0 + 0.5 * drawn[i]);
        }
        noise.add_to(&mut []);
    }
}
