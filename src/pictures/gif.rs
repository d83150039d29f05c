//! The first frame of a GIF, laid on its canvas as Pillow does.

use std::borrow::Cow;
use std::io::Cursor;
use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::{DynamicImage, RgbaImage};

use super::PictureFault;

/// Decodes the first frame. Around it the canvas has the transparent colour or else the first one of the palette, and the
/// canvas grows to hold the frame. Source: Pillow 12.3, `GifImagePlugin.py`, `_seek` and `load_prepare`.
///
/// # Errors
/// If the file is cut short or damaged, or its picture is too large.
pub(super) fn first_frame(bytes: &[u8]) -> Result<DynamicImage, PictureFault> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.allow_unknown_blocks(true);
    let bytes = &*with_palette(bytes);
    // As for other formats, of the canvas or the frame, whichever is larger; the frame's own size is checked below.
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::new(super::MOST_PIXELS).expect("it is above 0")));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(fault)?;
    let (canvas_width, canvas_height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let info = decoder.next_frame_info().map_err(fault)?;
    let frame = info.ok_or_else(|| PictureFault::Damaged("it has no frame".to_owned()))?.clone();
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    let (frame_width, frame_height) = (u32::from(frame.width), u32::from(frame.height));
    let (width, height) = (canvas_width.max(left + frame_width), canvas_height.max(top + frame_height));
    super::check_size(width, height)?;
    super::check_size(frame_width.max(1), frame_height.max(1))?;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(fault)?;
    let palette = frame.palette.as_deref().or_else(|| decoder.global_palette());
    let colour = |index: u8| {
        let alpha = if frame.transparent == Some(index) { 0 } else { 255 };
        let at = usize::from(index) * 3;
        let [r, g, b] = match palette {
            None => [0; 3],
            Some(palette) => palette.get(at..at + 3).map_or([0; 3], |rgb| [rgb[0], rgb[1], rgb[2]]),
        };
        image::Rgba([r, g, b, alpha])
    };
    let mut canvas = RgbaImage::from_pixel(width, height, colour(frame.transparent.unwrap_or(0)));
    for (row, y) in indices.chunks_exact(frame_width.max(1) as usize).zip(top..) {
        for (index, x) in row.iter().zip(left..) {
            canvas.put_pixel(x, y, colour(*index));
        }
    }
    match frame.transparent {
        Some(_) => Ok(DynamicImage::ImageRgba8(canvas)),
        None => Ok(DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(canvas).into_rgb8())),
    }
}

/// The file with a global palette. Without one, numbers are levels of grey, but the decoder refuses them.
fn with_palette(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.get(10) {
        Some(flags) if flags & 0x80 == 0 && bytes.len() >= 13 => {
            let mut whole = bytes[..13].to_vec();
            whole[10] |= 0x87;
            whole.extend((0..=255).flat_map(|level| [level; 3]));
            whole.extend_from_slice(&bytes[13..]);
            Cow::Owned(whole)
        }
        _ => Cow::Borrowed(bytes),
    }
}

fn fault(error: DecodingError) -> PictureFault {
    let message = error.to_string();
    match error {
        DecodingError::UnexpectedEof => PictureFault::CutShort(message),
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureFault::CutShort(message)
        }
        DecodingError::OutOfMemory | DecodingError::MemoryLimit => PictureFault::TooMuchMemory(message),
        _ => PictureFault::Damaged(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Alpha, Decoding, decode};

    const RED: [u8; 3] = [255, 0, 0];
    const BLUE: [u8; 3] = [0, 0, 255];

    /// A blue frame on a canvas, whose palette begins with red.
    fn gif(canvas: [u16; 2], frame: [u16; 2], at: [u16; 2], transparent: Option<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, canvas[0], canvas[1], &[RED, BLUE].concat()).unwrap();
        let mut pixels =
            gif::Frame::from_indexed_pixels(frame[0], frame[1], vec![1; (frame[0] * frame[1]).into()], transparent);
        (pixels.left, pixels.top) = (at[0], at[1]);
        encoder.write_frame(&pixels).unwrap();
        drop(encoder);
        bytes
    }

    /// The rows of a picture: `r`, `b`, or `w` for white.
    fn rows(bytes: &[u8], alpha: Alpha) -> Vec<String> {
        let picture = decode(bytes, Decoding { alpha, ..Decoding::PILLOW }).unwrap();
        let letter = |pixel: &[u8]| match pixel {
            [255, 0, 0] => 'r',
            [0, 0, 255] => 'b',
            [255, 255, 255] => 'w',
            other => panic!("{other:?}"),
        };
        picture.bytes.chunks(picture.width * 3).map(|row| row.chunks(3).map(letter).collect()).collect()
    }

    /// As Pillow 12.3 shows them.
    #[test]
    fn a_frame_lies_on_its_canvas() {
        for (canvas, frame, at, expected) in [
            ([2, 2], [2, 2], [0, 0], &["bb", "bb"][..]),
            ([3, 2], [1, 1], [1, 0], &["rbr", "rrr"]),
            ([2, 2], [2, 1], [1, 1], &["rrr", "rbb"]),
            ([0, 0], [2, 1], [0, 0], &["bb"]),
        ] {
            assert_eq!(rows(&gif(canvas, frame, at, None), Alpha::Drop), expected, "{canvas:?} {frame:?} {at:?}");
        }
        let hole = gif([2, 1], [1, 1], [0, 0], Some(0));
        assert_eq!((rows(&hole, Alpha::Drop), rows(&hole, Alpha::OverWhite)), (vec!["br".into()], vec!["bw".into()]));
    }

    #[test]
    fn a_cut_file_is_cut_short() {
        let whole = gif([40, 40], [40, 40], [0, 0], None);
        for length in [8, 14, 30, whole.len() - 4] {
            let fault = decode(&whole[..length], Decoding::PILLOW).unwrap_err();
            assert!(matches!(fault, PictureFault::CutShort(_) | PictureFault::Damaged(_)), "{length}: {fault}");
        }
    }
}
