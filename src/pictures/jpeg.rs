//! Checks a JPEG's markers before it is decoded: the decoder fills a truncated file with gray, and takes as long as the file
//! asks for.
//!
//! Source: ITU-T T.81, annex B.

use super::{LONGEST_SIDE, MOST_PIXELS, PictureFault};

/// The most scans; progressive files have about ten.
const MOST_SCANS: u64 = 100;
/// The most pixels of all scans together.
const MOST_SCANNED: u64 = 20 * MOST_PIXELS;

/// The JPEG without what follows its end marker.
///
/// # Errors
/// If the end marker is missing, as in Pillow (12.3 refuses a file without its last byte), if the decoder does not support
/// the coding, or if there are so many scans that decoding would take long.
pub(super) fn checked(bytes: &[u8]) -> Result<&[u8], PictureFault> {
    let mut segments = Segments { bytes, position: 2 };
    let (mut pixels, mut scans) = (None, 0);
    let mut sampling = Sampling::default();
    loop {
        match segments.next_marker()? {
            0xD9 => return Ok(&bytes[..segments.position]),
            // Markers without content: TEM, restarts, a second start.
            0x01 | 0xD0..=0xD8 => {}
            marker @ (0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                let content = segments.content()?;
                sampling = Sampling::of(marker, content);
                if pixels.replace(frame(marker, content)?).is_some() {
                    return Err(PictureFault::Damaged("it has two frame headers".to_owned()));
                }
            }
            0xDA => {
                let pixels =
                    pixels.ok_or_else(|| PictureFault::Damaged("a scan comes before the frame header".to_owned()))?;
                let components = segments.content()?.first().copied().unwrap_or_default();
                sampling.check(components)?;
                segments.skip_scan()?;
                scans += 1;
                if scans > MOST_SCANS || scans * pixels > MOST_SCANNED {
                    return Err(PictureFault::TooManyScans(format!("{scans} scans over {pixels} pixels")));
                }
            }
            _ => {
                segments.content()?;
            }
        }
    }
}

/// How the components of a picture are sampled.
#[derive(Default)]
struct Sampling {
    sequential: bool,
    components: u8,
    /// Whether some components have fewer rows than others, or less than half as many columns.
    coarse: bool,
}

impl Sampling {
    fn of(marker: u8, frame: &[u8]) -> Self {
        let components = frame.get(5).copied().unwrap_or_default();
        let factors = || frame.get(6..).unwrap_or_default().chunks_exact(3).map(|component| component[1]);
        let across = factors().map(|factors| factors >> 4).max().unwrap_or_default();
        let down = factors().map(|factors| factors & 15).max().unwrap_or_default();
        let coarse = factors().any(|factors| factors & 15 != down || (factors >> 4) * 2 < across);
        Sampling { sequential: matches!(marker, 0xC0 | 0xC1), components, coarse }
    }

    /// Refuses what the decoder gives false colours, without an error: a sequential picture with coarse components, each in
    /// a scan of its own. libjpeg reads it.
    fn check(&self, in_scan: u8) -> Result<(), PictureFault> {
        match self.sequential && self.coarse && in_scan < self.components {
            true => Err(PictureFault::NotSupported("a JPEG with coarse colours in scans of their own".to_owned())),
            false => Ok(()),
        }
    }
}

/// The number of pixels in a frame header, if the decoder knows its kind.
fn frame(marker: u8, content: &[u8]) -> Result<u64, PictureFault> {
    let &[precision, h1, h0, w1, w0, ..] = content else {
        return Err(PictureFault::Damaged("its frame header is too short".to_owned()));
    };
    let unsupported = |what: &str| Err(PictureFault::NotSupported(format!("{what} JPEG")));
    match marker {
        0xC3 => return unsupported("lossless"),
        0xC5..=0xC7 => return unsupported("hierarchical"),
        0xC9..=0xCF => return unsupported("arithmetically coded"),
        _ if precision != 8 => return unsupported(&format!("{precision}-bit")),
        _ => {}
    }
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    if height == 0 {
        return unsupported("a height behind the picture in a");
    }
    debug_assert!(u32::from(width.max(height)) <= LONGEST_SIDE);
    super::check_size(width.into(), height.into())?;
    Ok(u64::from(width) * u64::from(height))
}

/// A position among the markers.
struct Segments<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Segments<'a> {
    /// The next marker; bytes that belong to none are skipped, as decoders do.
    fn next_marker(&mut self) -> Result<u8, PictureFault> {
        loop {
            self.skip_to_ff()?;
            let after = &self.bytes[self.position..];
            let fill = after.iter().take_while(|&&byte| byte == 0xFF).count();
            let &marker = after.get(fill).ok_or_else(|| self.no_end())?;
            self.position += fill + 1;
            if marker != 0 {
                return Ok(marker);
            }
        }
    }

    /// To the next 0xFF.
    fn skip_to_ff(&mut self) -> Result<(), PictureFault> {
        let ahead = self.bytes.get(self.position..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF));
        self.position += ahead.ok_or_else(|| self.no_end())?;
        Ok(())
    }

    /// Behind a scan's data, to the marker that ends it: neither a stuffed 0xFF nor a restart.
    fn skip_scan(&mut self) -> Result<(), PictureFault> {
        loop {
            self.skip_to_ff()?;
            match self.bytes.get(self.position + 1) {
                None => return Err(self.no_end()),
                Some(0x00 | 0xD0..=0xD7) => self.position += 2,
                Some(0xFF) => self.position += 1,
                Some(_) => return Ok(()),
            }
        }
    }

    /// The content of the marker's segment, without its length.
    fn content(&mut self) -> Result<&'a [u8], PictureFault> {
        let rest = &self.bytes[self.position..];
        let &[high, low, ..] = rest else { return Err(self.no_end()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(PictureFault::Damaged(format!("a segment at byte {} is {length} bytes long", self.position)));
        }
        let content = rest.get(2..length).ok_or_else(|| self.no_end())?;
        self.position += length;
        Ok(content)
    }

    fn no_end(&self) -> PictureFault {
        PictureFault::CutShort(format!("its end marker is missing after {} bytes", self.bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame header of three components with these sampling factors, across and down.
    fn frame(factors: [u8; 3]) -> Vec<u8> {
        let component = |(id, factors): (u8, u8)| [id, factors, 0];
        let components = (1..).zip(factors).flat_map(component);
        [8, 0, 64, 0, 64, 3].into_iter().chain(components).collect()
    }

    /// Of what the decoder gives false colours, nothing passes; the usual forms do.
    #[test]
    fn coarse_components_in_scans_of_their_own_are_refused() {
        for (marker, factors, in_scan, good) in [
            (0xC0, [0x22, 0x11, 0x11], 3, true),
            (0xC0, [0x22, 0x11, 0x11], 1, false),
            (0xC1, [0x12, 0x11, 0x11], 2, false),
            (0xC0, [0x41, 0x11, 0x11], 1, false),
            (0xC0, [0x21, 0x11, 0x11], 1, true),
            (0xC0, [0x11, 0x11, 0x11], 1, true),
            (0xC2, [0x22, 0x11, 0x11], 1, true),
        ] {
            let found = Sampling::of(marker, &frame(factors)).check(in_scan);
            assert_eq!(found.is_ok(), good, "{marker:x} {factors:x?} {in_scan}");
        }
        assert!(Sampling::of(0xC0, &[8, 0]).check(1).is_ok(), "a header that is cut is refused elsewhere");
    }
}
