//! The container of a WebP.
//!
//! Source: RFC 9649, section 2.

use std::borrow::Cow;

use image::{DynamicImage, GenericImage, RgbaImage};

use super::PictureFault;

/// The flags of the extended header.
const METADATA: u8 = 0x08 | 0x04;
const ALPHA: u8 = 0x10;
const ANIMATION: u8 = 0x02;

/// Refuses a file that is shorter than it declares, as libwebp does.
///
/// # Errors
/// If bytes are missing.
pub(super) fn check_length(bytes: &[u8]) -> Result<(), PictureFault> {
    let declared = bytes.get(4..8).map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    match declared {
        Some(size) if u64::from(size) + 8 <= bytes.len() as u64 => Ok(()),
        _ => Err(PictureFault::CutShort(format!("it has {} bytes, fewer than it declares", bytes.len()))),
    }
}

/// The file without the announcement of metadata or alpha that is not there: servers strip metadata and leave the flags,
/// which libwebp does not mind and the decoder does.
pub(super) fn without_promises(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(flags) = flags(bytes) else { return Cow::Borrowed(bytes) };
    let there = chunks(&bytes[12..]).fold(0, |flags, (name, _)| match name {
        b"EXIF" => flags | 0x08,
        b"XMP " => flags | 0x04,
        // The pixels of lossless pictures and of frames may have alpha themselves.
        b"ALPH" | b"VP8L" | b"ANMF" => flags | ALPHA,
        _ => flags,
    });
    let kept = flags & (!(METADATA | ALPHA) | there);
    if kept == flags {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    bytes[20] = kept;
    Cow::Owned(bytes)
}

/// The flags of the extended header, if there is one.
fn flags(bytes: &[u8]) -> Option<u8> {
    (bytes.get(12..16) == Some(b"VP8X")).then(|| bytes.get(20).copied()).flatten()
}

/// The names and contents of the chunks; the last one may be cut.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let header = bytes.get(at..at + 8)?;
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let end = (at + 8).checked_add(size)?;
        let content = &bytes[at + 8..end.min(bytes.len())];
        // Chunks begin at even places.
        at = end + size % 2;
        Some((&header[..4], content))
    })
}

/// The first frame of an animation: where it lies, and the frame as a file of its own.
pub(super) struct FirstFrame {
    canvas: [u32; 2],
    at: [u32; 2],
    has_alpha: bool,
    pub(super) still: Vec<u8>,
}

/// The first frame, if the file is an animation.
pub(super) fn first_frame(bytes: &[u8]) -> Option<FirstFrame> {
    let flags = flags(bytes).filter(|flags| flags & ANIMATION != 0)?;
    let three = |bytes: &[u8], at: usize| {
        Some(u32::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?, *bytes.get(at + 2)?, 0]))
    };
    let all = || chunks(&bytes[12..]);
    let (_, header) = all().next()?;
    all().find(|(name, _)| name == b"ANIM")?;
    let (_, frame) = all().find(|(name, _)| name == b"ANMF")?;
    let side = |bytes, at| Some(three(bytes, at)? + 1);
    let size = [side(frame, 6)?, side(frame, 9)?];
    let parts = || chunks(frame.get(16..).unwrap_or_default());
    let alpha = parts().find(|(name, _)| name == b"ALPH");
    let pixels = parts().find(|(name, _)| matches!(*name, b"VP8 " | b"VP8L"))?;
    let mut body = b"WEBP".to_vec();
    if let Some(alpha) = alpha.filter(|_| pixels.0 == b"VP8 ") {
        let side = |length: u32| (length - 1).to_le_bytes();
        let extended = [&[ALPHA, 0, 0, 0], &side(size[0])[..3], &side(size[1])[..3]].concat();
        push(&mut body, (b"VP8X", &extended));
        push(&mut body, alpha);
    }
    push(&mut body, pixels);
    let still = [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat();
    let at = [2 * three(frame, 0)?, 2 * three(frame, 3)?];
    Some(FirstFrame { canvas: [side(header, 4)?, side(header, 7)?], at, has_alpha: flags & ALPHA != 0, still })
}

fn push(body: &mut Vec<u8>, (name, content): (&[u8], &[u8])) {
    body.extend_from_slice(name);
    body.extend_from_slice(&(content.len() as u32).to_le_bytes());
    body.extend_from_slice(content);
    body.resize(body.len().next_multiple_of(2), 0);
}

impl FirstFrame {
    /// # Errors
    /// If the canvas is too large.
    pub(super) fn check_size(&self) -> Result<(), PictureFault> {
        super::check_size(self.canvas[0], self.canvas[1])
    }

    /// The frame on its canvas, which is black and transparent around it as in libwebp (`anim_decode.c`), whatever the
    /// background's colour. The first frame is laid on it as it is, not blended.
    ///
    /// # Errors
    /// If the frame reaches beyond the canvas.
    pub(super) fn on_canvas(&self, frame: DynamicImage) -> Result<DynamicImage, PictureFault> {
        let mut canvas = RgbaImage::new(self.canvas[0], self.canvas[1]);
        canvas
            .copy_from(&frame.into_rgba8(), self.at[0], self.at[1])
            .map_err(|_| PictureFault::Damaged("its frame reaches beyond the canvas".to_owned()))?;
        let canvas = DynamicImage::ImageRgba8(canvas);
        Ok(if self.has_alpha { canvas } else { DynamicImage::ImageRgb8(canvas.into_rgb8()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Decoding, decode};

    /// The picture of a plain WebP in an extended one, with these flags.
    fn extended(plain: &[u8], flags: u8, more: &[u8]) -> Vec<u8> {
        let picture = decode(plain, Decoding::PILLOW).unwrap();
        let side = |length: usize| (length as u32 - 1).to_le_bytes();
        let mut chunks = b"WEBPVP8X\x0A\0\0\0".to_vec();
        chunks.extend([flags, 0, 0, 0]);
        chunks.extend(&side(picture.width)[..3]);
        chunks.extend(&side(picture.height)[..3]);
        chunks.extend(&plain[12..]);
        chunks.extend(more);
        [b"RIFF", &(chunks.len() as u32).to_le_bytes()[..], &chunks].concat()
    }

    /// Metadata that is announced and not there changes nothing; metadata that is there stays announced.
    #[test]
    fn promised_metadata_may_be_gone() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures/lossless.webp");
        let plain = std::fs::read(path).unwrap();
        let expected = decode(&plain, Decoding::PILLOW).unwrap();
        for flags in [0, 0x08, 0x04, 0x0C] {
            assert_eq!(decode(&extended(&plain, flags, b""), Decoding::PILLOW).unwrap(), expected, "{flags}");
        }
        let there = extended(&plain, 0x0C, b"EXIF\x02\0\0\0II");
        assert_eq!(without_promises(&there)[20], 0x08);
        assert_eq!(decode(&there, Decoding::PILLOW).unwrap(), expected);
        for length in 0..40 {
            without_promises(&there[..length]);
        }
    }
}
