//! From a decoded picture to the numbers that a network takes.

use crate::datasets::picture::Rgb;
use crate::datasets::resize::{Filter, Resizer};

/// Resizing and normalisation of one encoder. Keeps the tables of the last size it met, since most pictures of a
/// dataset share one.
#[derive(Debug)]
pub struct Preprocess {
    /// Pixels a side.
    size: usize,
    filter: Filter,
    /// (c − mean)/std per value, c in 0..=255, as a table.
    table: [f32; 256],
    last: Option<((usize, usize), Resizer)>,
}

impl Preprocess {
    /// For EfficientNet-Lite on pictures that are shown whole: bilinear, (c − 127)/128.
    pub fn lite(size: usize) -> Self {
        let mut table = [0.0; 256];
        table.iter_mut().enumerate().for_each(|(c, value)| *value = (c as f32 - 127.0) / 128.0);
        Preprocess { size, filter: Filter::Bilinear, table, last: None }
    }

    /// Numbers per picture.
    pub fn numel(&self) -> usize {
        3 * self.size * self.size
    }

    /// Writes a picture's values in channels-first order.
    pub fn write(&mut self, picture: &Rgb, out: &mut [f32]) {
        let from = (picture.width, picture.height);
        if self.last.as_ref().is_none_or(|(size, _)| *size != from) {
            self.last = Some((from, Resizer::new(from, (self.size, self.size), self.filter)));
        }
        let Some((_, resizer)) = &self.last else { unreachable!("just made") };
        let resized = resizer.resize(picture);
        let plane = self.size * self.size;
        for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
            let values = resized.bytes.iter().skip(channel).step_by(3);
            out.iter_mut().zip(values).for_each(|(value, &c)| *value = self.table[usize::from(c)]);
        }
    }
}
