//! The header of a BMP, where Pillow minds less than the decoder.
//!
//! Source: Pillow 12.3, `BmpImagePlugin.py`; Microsoft, "Bitmap storage".

use std::borrow::Cow;

/// The file with one plane, a palette that is not longer than its indices, a place where pixels begin, and its last row
/// padded. The header of OS/2 2.x becomes the one of Windows that it begins with.
pub(super) fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut new = bytes.to_vec();
    match mend(&mut new) {
        Some(()) => Cow::Owned(new),
        None => Cow::Borrowed(bytes),
    }
}

/// Nothing, if the header is short or of a kind without faults that are known.
fn mend(bytes: &mut Vec<u8>) -> Option<()> {
    let short = |bytes: &[u8], at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let long = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let header = long(bytes, 14)?;
    if header < 40 {
        return None;
    }
    let (bits, compression) = (short(bytes, 28)?, long(bytes, 30)?);
    bytes[26..28].copy_from_slice(&1u16.to_le_bytes());
    let mut colours = long(bytes, 46)?;
    let most = if bits <= 8 { 1 << bits } else { u32::MAX };
    if colours > most {
        colours = most;
        bytes[46..50].copy_from_slice(&colours.to_le_bytes());
    }
    let mut offset = long(bytes, 10)?;
    if offset == 0 {
        let masks = if header == 40 && compression == 3 { 12 } else { 0 };
        let palette = match (bits <= 8, colours) {
            (true, 0) => most,
            (true, colours) => colours,
            (false, _) => 0,
        };
        offset = header.checked_add(14 + masks + 4 * palette)?;
    }
    if header == 64 && compression <= 2 && offset >= 78 && bytes.len() > 78 {
        bytes.drain(54..78);
        bytes[14..18].copy_from_slice(&40u32.to_le_bytes());
        offset -= 24;
    }
    bytes[10..14].copy_from_slice(&offset.to_le_bytes());
    let width = u64::from((long(bytes, 18)? as i32).unsigned_abs());
    let height = u64::from((long(bytes, 22)? as i32).unsigned_abs());
    let stride = (width * u64::from(bits)).div_ceil(32) * 4;
    let end = u64::from(offset).checked_add(stride.checked_mul(height)?)?;
    let padding = stride - (width * u64::from(bits)).div_ceil(8);
    let length = bytes.len() as u64;
    if matches!(compression, 0 | 3) && length < end && end - length <= padding {
        bytes.resize(end as usize, 0);
    }
    Some(())
}
