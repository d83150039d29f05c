//! From an image file's bytes to RGB.

use std::io::Cursor;

use anyhow::Context;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

/// The largest picture that is decoded: 178 million pixels, where Pillow refuses too.
pub(crate) const MOST_PIXELS: u64 = 178_956_970;

/// An 8-bit RGB picture, rows from the top, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

/// Decodes a picture and lays it over white where it is transparent: emoji are made with transparency, and what lies
/// under it is black or arbitrary. Colour profiles and gamma are ignored.
///
/// # Errors
/// If the bytes are no picture, are cut short, or hold more pixels than any honest picture.
pub fn decode_over_white(bytes: &[u8]) -> anyhow::Result<Rgb> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().context("cannot read the picture")?;
    let mut decoder = reader.into_decoder().context("not a picture of a known format")?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    anyhow::ensure!(pixels <= MOST_PIXELS, "the picture declares {width} × {height} pixels, more than {MOST_PIXELS}");
    let mut limits = Limits::default();
    limits.max_alloc = Some(8 * MOST_PIXELS);
    decoder.set_limits(limits).context("the picture needs too much memory")?;
    let picture = DynamicImage::from_decoder(decoder).context("the picture is damaged")?.into_rgba8();
    Ok(Rgb { width: width as usize, height: height as usize, bytes: over_white(picture.as_raw()) })
}

/// c′ = (c·a + 255·(255 − a) + 127) div 255, in integers.
fn over_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = vec![0; rgba.len() / 4 * 3];
    for (out, pixel) in rgb.chunks_exact_mut(3).zip(rgba.chunks_exact(4)) {
        let alpha = u32::from(pixel[3]);
        for (c_over, &c) in out.iter_mut().zip(&pixel[..3]) {
            *c_over = ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparency_shows_white() {
        assert_eq!(
            over_white(&[10, 20, 30, 255, 10, 20, 30, 0, 100, 0, 255, 128]),
            [10, 20, 30, 255, 255, 255, 177, 127, 255]
        );
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        assert!(decode_over_white(b"").is_err());
        assert!(decode_over_white(b"\x89PNG\r\n\x1a\n cut").is_err());
        assert!(decode_over_white(b"hello").is_err());
    }

    /// A picture that declares 4 billion pixels in a few bytes is refused before memory is asked for.
    #[test]
    fn a_bomb_is_refused() {
        let mut png = Vec::new();
        image::RgbaImage::new(1, 1).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        png[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
        // The header's checksum has to fit, or the decoder stops at that.
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode_over_white(&png).unwrap_err().to_string();
        assert!(error.contains("65535 × 65535 pixels"), "{error}");
    }

    /// 16 bits are scaled to 8, not clipped: mid-gray stays mid-gray.
    #[test]
    fn deep_pictures_are_scaled() {
        let gray = image::ImageBuffer::<image::Luma<u16>, _>::from_vec(3, 1, vec![0u16, 0x8000, 0xFFFF]).unwrap();
        let mut png = Vec::new();
        gray.write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        assert_eq!(decode_over_white(&png).unwrap().bytes, [0, 0, 0, 128, 128, 128, 255, 255, 255]);
    }

    proptest::proptest! {
        /// Cut short: always an error, never half a picture. Changed anywhere: an error or a picture, never a panic.
        #[test]
        fn damaged_files_are_errors(share in 0.0..0.98f64, at in 0.0..1.0f64, byte: u8) {
            for name in ["palette.png", "gray_alpha.png"] {
                let whole = std::fs::read(crate::testing::own_fixtures("preprocess").join(name)).unwrap();
                let place = |share: f64| (share * whole.len() as f64) as usize;
                proptest::prop_assert!(decode_over_white(&whole[..place(share)]).is_err());
                let mut changed = whole.clone();
                changed[place(at)] = byte;
                if let Ok(picture) = decode_over_white(&changed) {
                    proptest::prop_assert_eq!(picture.bytes.len(), picture.width * picture.height * 3);
                }
            }
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |mut crc, &byte| {
            crc ^= u32::from(byte);
            (0..8).for_each(|_| crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 });
            crc
        })
    }
}
