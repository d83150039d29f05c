//! Picture files in the formats and with the faults of real datasets.

use std::io::Cursor;

use anyhow::Context;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};

use seesaw::pictures::Rgb;
use seesaw::random::Stream;

const QUALITY: u8 = 90;
/// A JPEG of four inks, which no encoder at hand can write.
const CMYK: &[u8] = include_bytes!("../../fixtures/pictures/cmyk.jpg");

/// The format of a picture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    GreyJpeg,
    /// Always the same picture.
    CmykJpeg,
    Png,
    Gif,
    /// The first half of a JPEG.
    CutJpeg,
    /// No bytes.
    Empty,
}

/// The file of a picture.
pub(super) fn file(picture: &Rgb, format: Format) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (u32::try_from(picture.width)?, u32::try_from(picture.height)?);
    let mut bytes = Vec::new();
    match format {
        Format::Jpeg => JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
            &picture.bytes,
            width,
            height,
            ExtendedColorType::Rgb8,
        )?,
        Format::GreyJpeg => JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
            &grey(&picture.bytes),
            width,
            height,
            ExtendedColorType::L8,
        )?,
        Format::CmykJpeg => bytes = CMYK.to_vec(),
        Format::Png => {
            let image =
                RgbImage::from_raw(width, height, picture.bytes.clone()).context("a picture of another size")?;
            image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        }
        Format::Gif => {
            GifEncoder::new(&mut bytes).encode(&picture.bytes, width, height, ExtendedColorType::Rgb8)?;
        }
        Format::CutJpeg => {
            bytes = file(picture, Format::Jpeg)?;
            bytes.truncate(bytes.len() / 2);
        }
        Format::Empty => {}
    }
    Ok(bytes)
}

/// Luma of ITU-R BT.601, in integers.
fn grey(rgb: &[u8]) -> Vec<u8> {
    let luma = |pixel: &[u8]| 299 * u32::from(pixel[0]) + 587 * u32::from(pixel[1]) + 114 * u32::from(pixel[2]);
    rgb.chunks_exact(3).map(|pixel| ((luma(pixel) + 500) / 1000) as u8).collect()
}

/// Places a picture on a sheet of one colour, up to twice as wide and as high. Half of the sheets have the colour of their
/// `kind`, so that even random weights can see it; the others are pale.
pub(super) fn on_sheet(picture: &Rgb, kind: usize, stream: &mut Stream) -> Rgb {
    let mut draw = |below: usize| stream.below(below as u64 + 1) as usize;
    let (width, height) = (picture.width + draw(picture.width), picture.height + draw(picture.height));
    let (left, top) = (draw(width - picture.width), draw(height - picture.height));
    let pale = [0; 3].map(|_: u8| 224 + draw(31) as u8);
    let colour = if draw(1) == 0 { colour(kind) } else { pale };
    let mut bytes = colour.repeat(width * height);
    for (row, pixels) in picture.bytes.chunks_exact(3 * picture.width).enumerate() {
        let start = 3 * ((top + row) * width + left);
        bytes[start..start + pixels.len()].copy_from_slice(pixels);
    }
    Rgb { width, height, bytes }
}

/// One of 27.
fn colour(kind: usize) -> [u8; 3] {
    [1, 3, 9].map(|step| [16, 112, 208][kind / step % 3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use seesaw::pictures::decode_over_white;

    fn picture() -> Rgb {
        let (width, height) = (40, 24);
        let pixel = |i: usize| [(i % width * 6) as u8, (i / width * 10) as u8, 128];
        Rgb { width, height, bytes: (0..width * height).flat_map(pixel).collect() }
    }

    fn mean_difference(a: &Rgb, b: &Rgb) -> f64 {
        let sum: u32 = a.bytes.iter().zip(&b.bytes).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        f64::from(sum) / a.bytes.len() as f64
    }

    #[test]
    fn every_format_can_be_decoded() {
        let picture = picture();
        for (format, most) in [(Format::Jpeg, 3.0), (Format::Png, 0.0), (Format::Gif, 8.0)] {
            let decoded = decode_over_white(&file(&picture, format).unwrap()).unwrap();
            assert_eq!((decoded.width, decoded.height), (picture.width, picture.height));
            let difference = mean_difference(&decoded, &picture);
            assert!(difference <= most, "{format:?}: {difference}");
        }
        let grey = decode_over_white(&file(&picture, Format::GreyJpeg).unwrap()).unwrap();
        assert!(grey.bytes.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
        decode_over_white(CMYK).unwrap();
        assert!(file(&picture, Format::Empty).unwrap().is_empty());
        let whole = file(&picture, Format::Jpeg).unwrap();
        assert!(whole.starts_with(&file(&picture, Format::CutJpeg).unwrap()));
    }

    #[test]
    fn a_sheet_holds_the_whole_picture() {
        let picture = picture();
        for seed in 0..20 {
            let sheet = on_sheet(&picture, seed as usize, &mut Stream::new(seed, &["sheet"]));
            assert_eq!(sheet.bytes.len(), 3 * sheet.width * sheet.height);
            let rows: Vec<&[u8]> = sheet.bytes.chunks_exact(3 * sheet.width).collect();
            let holds = |row: &[u8], pixels: &[u8]| row.windows(pixels.len()).step_by(3).any(|window| window == pixels);
            let first = &picture.bytes[..3 * picture.width];
            assert_eq!(rows.iter().filter(|row| holds(row, first)).count(), 1);
        }
        let colours: std::collections::BTreeSet<[u8; 3]> = (0..27).map(colour).collect();
        assert_eq!(colours.len(), 27);
    }
}
