//! The header of a WebP.
//!
//! Source: RFC 9649, section 2.7.1.

use std::borrow::Cow;

/// The flags of the extended header that announce EXIF and XMP.
const METADATA: u8 = 0x08 | 0x04;

/// The file without the announcement of metadata that is not there: servers strip it and leave the flags, which libwebp
/// does not mind and the decoder does.
pub(super) fn without_promises(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_extended = bytes.get(12..16) == Some(b"VP8X") && bytes.len() > 20;
    if !is_extended || bytes[20] & METADATA == 0 {
        return Cow::Borrowed(bytes);
    }
    let there = chunks(bytes).fold(0, |flags, name| match name {
        b"EXIF" => flags | 0x08,
        b"XMP " => flags | 0x04,
        _ => flags,
    });
    let mut bytes = bytes.to_vec();
    bytes[20] &= !METADATA | there;
    Cow::Owned(bytes)
}

/// The names of the chunks.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 12;
    std::iter::from_fn(move || {
        let header = bytes.get(at..at + 8)?;
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        // Chunks begin at even places.
        at = at.checked_add(8 + size + size % 2)?;
        Some(&header[..4])
    })
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
