//! From a decoded picture to the numbers that a network takes: geometry, then (c − mean)/std for each channel.
//!
//! The pipelines are those that the networks were trained with; their sources are the `preprocessor_config.json` files
//! of the published weights and torchvision's presets.

use anyhow::ensure;

use crate::pictures::resize::{Filter, Resizer};
use crate::pictures::{MOST_PIXELS, Rgb};

/// How a picture of any shape becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Resized as a whole; the aspect ratio is not kept.
    Stretch,
    /// The shorter side is resized to this length, then the centre is cut out.
    Crop { shorter: usize, offset: Offset },
}

/// How the offset of the centre is rounded when the remainder is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offset {
    /// transformers.
    Down,
    /// torchvision (Python's `round`).
    HalfToEven,
}

impl Offset {
    fn of(self, remainder: usize) -> usize {
        match self {
            Offset::HalfToEven if remainder % 4 == 3 => remainder / 2 + 1,
            _ => remainder / 2,
        }
    }
}

/// The preprocessing of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Width and height of the network's input in pixels.
    size: usize,
    fit: Fit,
    filter: Filter,
    /// In levels of 255, for red, green and blue.
    mean: [f64; 3],
    std: [f64; 3],
}

const CLIP_MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

impl Preprocess {
    /// EfficientNet-Lite on whole pictures: bilinear to size × size, (c − 127)/128. `size` should be a multiple of 32.
    pub fn lite(size: usize) -> Self {
        Preprocess { size, fit: Fit::Stretch, filter: Filter::Bilinear, mean: [127.0; 3], std: [128.0; 3] }
    }

    /// ViT of 2020 (`google/vit-base-patch16-224`, whose size is 224).
    pub fn vit(size: usize) -> Self {
        Preprocess { size, fit: Fit::Stretch, filter: Filter::Bilinear, mean: [127.5; 3], std: [127.5; 3] }
    }

    /// CLIP, whose published weights take a size of 224.
    pub fn clip(size: usize) -> Self {
        let fit = Fit::Crop { shorter: size, offset: Offset::Down };
        Self::of_shares(size, fit, Filter::Bicubic, CLIP_MEAN, CLIP_STD)
    }

    /// ResNet with torchvision's first weights (V1).
    pub fn resnet() -> Self {
        let fit = Fit::Crop { shorter: 256, offset: Offset::HalfToEven };
        Self::of_shares(224, fit, Filter::Bilinear, IMAGENET_MEAN, IMAGENET_STD)
    }

    /// ResNet with torchvision's second weights (V2): the shorter side to 232 instead of 256.
    pub fn resnet_v2() -> Self {
        let fit = Fit::Crop { shorter: 232, offset: Offset::HalfToEven };
        Self::of_shares(224, fit, Filter::Bilinear, IMAGENET_MEAN, IMAGENET_STD)
    }

    /// ResNet as `microsoft/resnet-50` prepares pictures.
    pub fn resnet_microsoft() -> Self {
        let fit = Fit::Crop { shorter: 256, offset: Offset::Down };
        Self::of_shares(224, fit, Filter::Bicubic, IMAGENET_MEAN, IMAGENET_STD)
    }

    /// BLIP, whose published weights take a size of 384: the whole picture, with CLIP's mean and deviation.
    pub fn blip(size: usize) -> Self {
        Self::of_shares(size, Fit::Stretch, Filter::Bicubic, CLIP_MEAN, CLIP_STD)
    }

    /// With mean and deviation as shares of 255.
    fn of_shares(size: usize, fit: Fit, filter: Filter, mean: [f64; 3], std: [f64; 3]) -> Self {
        let levels = |share: [f64; 3]| share.map(|c| c * 255.0);
        Preprocess { size, fit, filter, mean: levels(mean), std: levels(std) }
    }

    /// Width and height of the network's input in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of values of a picture, 3 · size².
    pub fn values(&self) -> usize {
        3 * self.size * self.size
    }

    /// A worker for one thread, which preprocesses one picture after another.
    pub fn worker(&self) -> Preprocessor {
        let value = |c: usize, level: usize| ((level as f64 - self.mean[c]) / self.std[c]) as f32;
        let table = [0, 1, 2].map(|c| std::array::from_fn(|level| value(c, level)));
        Preprocessor { preprocess: self.clone(), table: Box::new(table), resizer: None }
    }

    /// The size (width, height) to which a picture is resized, and where the square begins in it.
    fn geometry(&self, width: usize, height: usize) -> anyhow::Result<((usize, usize), (usize, usize))> {
        ensure!(width > 0 && height > 0, "a picture of {width} × {height} pixels is empty");
        let Fit::Crop { shorter, offset } = self.fit else { return Ok(((self.size, self.size), (0, 0))) };
        let side = |this: usize| (shorter as u128 * this as u128 / width.min(height) as u128) as usize;
        let (to_width, to_height) = (side(width), side(height));
        let pixels = to_width as u128 * to_height as u128;
        ensure!(
            pixels <= u128::from(MOST_PIXELS),
            "a picture of {width} × {height} pixels is too narrow: with {shorter} pixels on its shorter side it would \
             have {pixels} pixels, more than {MOST_PIXELS}"
        );
        Ok(((to_width, to_height), (offset.of(to_width - self.size), offset.of(to_height - self.size))))
    }
}

/// Preprocesses pictures. Keeps the resizer while pictures have the same size.
#[derive(Debug)]
pub struct Preprocessor {
    preprocess: Preprocess,
    /// Channel, level → value.
    table: Box<[[f32; 256]; 3]>,
    resizer: Option<Resizer>,
}

impl Preprocessor {
    /// Writes a picture's values into `slot`, its place in a batch, in the order [height, width, 3]: convolutions are faster
    /// on channels-last memory.
    ///
    /// # Errors
    /// If the picture has no pixels, or is so narrow that resizing it would take too much memory.
    ///
    /// # Panics
    /// If `slot` does not have [`Preprocess::values`] values.
    pub fn write(&mut self, picture: &Rgb, slot: &mut [f32]) -> anyhow::Result<()> {
        assert_eq!(slot.len(), self.preprocess.values(), "the slot's values");
        let (resized, corner) = self.resized(picture)?;
        self.normalize(&resized, corner, slot);
        Ok(())
    }

    /// The resized picture, and where the network's square begins in it.
    fn resized(&mut self, picture: &Rgb) -> anyhow::Result<(Rgb, (usize, usize))> {
        let from = (picture.width, picture.height);
        let (to, corner) = self.preprocess.geometry(picture.width, picture.height)?;
        let resizer = match self.resizer.take() {
            Some(resizer) if resizer.from() == from => resizer,
            _ => Resizer::new(from, to, self.preprocess.filter),
        };
        Ok((self.resizer.insert(resizer).resize(picture), corner))
    }

    fn normalize(&self, picture: &Rgb, corner: (usize, usize), slot: &mut [f32]) {
        let size = self.preprocess.size;
        let table = &*self.table;
        let rows = picture.bytes.chunks_exact(3 * picture.width).skip(corner.1).take(size);
        let rows = rows.map(|row| row[3 * corner.0..][..3 * size].as_chunks::<3>().0);
        for (out, row) in slot.chunks_exact_mut(3 * size).zip(rows) {
            for (out, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(row) {
                for c in 0..3 {
                    out[c] = table[c][usize::from(pixel[c])];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
