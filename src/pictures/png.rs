//! PNGs whose pixels are whole, though what is around them is not.
//!
//! Source: PNG (third edition), sections 5.3 and 5.6.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::Crc;
use flate2::read::ZlibDecoder;

use super::MOST_PIXELS;

/// The file with right checksums of its data and with an end, both of which Pillow does not ask for and the decoder does. The
/// stream of pixels has a checksum of its own: if that is wrong, the file stays as it is, and the decoder refuses it.
pub(super) fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (mut before, mut data, mut is_right, mut has_end) = (8, Vec::new(), true, false);
    for Chunk { name, content, crc, end } in chunks(bytes) {
        match name {
            b"IDAT" => {
                data.push(content);
                is_right &= crc == Some(checksum(name, content));
            }
            _ if data.is_empty() => before = end,
            _ => has_end |= name == b"IEND",
        }
    }
    if data.is_empty() || is_right && has_end {
        return Cow::Borrowed(bytes);
    }
    let data = data.concat();
    let most = most_inflated(bytes).unwrap_or(0);
    let pixels = ZlibDecoder::new(data.as_slice());
    if most == 0 || before > bytes.len() || io::copy(&mut pixels.take(most), &mut io::sink()).is_err() {
        return Cow::Borrowed(bytes);
    }
    let mut whole = bytes[..before].to_vec();
    for (name, content) in [(b"IDAT", data.as_slice()), (b"IEND", b"")] {
        // A file's length is below 4 GiB, as its picture's is.
        whole.extend_from_slice(&(content.len() as u32).to_be_bytes());
        whole.extend_from_slice(name);
        whole.extend_from_slice(content);
        whole.extend_from_slice(&checksum(name, content).to_be_bytes());
    }
    Cow::Owned(whole)
}

/// The most bytes that the stream of pixels can have by the header's width and height: four channels of 16 bits, and the
/// bytes before the rows of all passes. None if there is no header, or if the picture is larger than [`MOST_PIXELS`].
fn most_inflated(bytes: &[u8]) -> Option<u64> {
    let header = chunks(bytes).next().filter(|chunk| chunk.name == b"IHDR")?.content;
    let side = |at: usize| Some(u64::from(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?)));
    let (width, height) = (side(0)?, side(4)?);
    let pixels = width.checked_mul(height).filter(|&pixels| pixels <= MOST_PIXELS)?;
    Some(8 * pixels + 2 * height + 8)
}

struct Chunk<'a> {
    name: &'a [u8],
    content: &'a [u8],
    /// Its checksum, if the file reaches so far.
    crc: Option<u32>,
    /// Where the next one begins.
    end: usize,
}

/// The chunks whose content is there.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = 8;
    std::iter::from_fn(move || {
        let header = bytes.get(at..at + 8)?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let content = bytes.get(at + 8..(at + 8).checked_add(length)?)?;
        at += 8 + length;
        let crc = bytes.get(at..at + 4).map(|crc| u32::from_be_bytes([crc[0], crc[1], crc[2], crc[3]]));
        at += 4;
        Some(Chunk { name: &header[4..], content, crc, end: at })
    })
}

fn checksum(name: &[u8], content: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(content);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: u32, height: u32) -> Vec<u8> {
        let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1a\n".as_slice(), &13u32.to_be_bytes(), b"IHDR", &sides, &[16, 6, 0, 0, 1], &[0; 4]].concat()
    }

    /// A small file may promise gigabytes: no more is inflated than its header allows.
    #[test]
    fn no_more_is_inflated_than_the_header_allows() {
        assert_eq!(most_inflated(&header(3, 2)), Some(8 * 6 + 2 * 2 + 8));
        assert_eq!(most_inflated(&header(u32::MAX, u32::MAX)), None);
        assert_eq!(most_inflated(&header(60_000, 60_000)), None);
        assert_eq!(most_inflated(b"\x89PNG\r\n\x1a\n"), None);
    }
}
