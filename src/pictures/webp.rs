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
