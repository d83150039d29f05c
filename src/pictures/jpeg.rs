//! Checks a JPEG's markers before it is decoded, and writes the file in the form that the decoder reads as libjpeg does.
//!
//! The decoder fills a truncated file with grey, takes as long as the file asks for, and guesses a file's colours from other
//! signs than libjpeg, whose rules stand here. Source: ITU-T T.81, annex B; libjpeg-turbo 3.1, `jdapimin.c` and `jdmarker.c`.

use super::jpeg_frame::{Frame, damaged};
use super::{MOST_PIXELS, PictureFault};

/// The most scans; progressive files have about ten.
const MOST_SCANS: u64 = 100;
/// The most pixels of all scans together.
const MOST_SCANNED: u64 = 20 * MOST_PIXELS;

/// The JPEG with its tables, frame header and scans alone: without metadata, what belongs to no segment, and what follows the
/// end marker. Components are numbered from 1, and an Adobe marker tells the colours if they are not YCbCr.
///
/// # Errors
/// If the end marker is missing, as in Pillow (12.3 refuses a file without its last byte), if the decoder does not support
/// the coding, or if there are so many scans that decoding would take long.
pub(super) fn rewritten(bytes: &[u8]) -> Result<Vec<u8>, PictureFault> {
    let mut segments = Segments { bytes, position: 2 };
    let mut frame: Option<Frame> = None;
    let mut colours = ColourMarkers::default();
    let mut restart_interval = 0;
    let mut has_codes = false;
    let mut scans: Vec<Scan> = Vec::new();
    // Each segment between tables and scans, in order: a scan stands for itself by its number.
    let mut parts = Vec::new();
    loop {
        match segments.next_marker()? {
            0xD9 => break,
            // Markers without content: TEM, restarts, a second start.
            0x01 | 0xD0..=0xD8 => {}
            marker @ (0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                if frame.replace(Frame::parse(marker, segments.content()?)?).is_some() {
                    return Err(damaged("it has two frame headers"));
                }
                parts.push(Part::Frame);
            }
            0xDA => {
                let frame = frame.as_ref().ok_or_else(|| damaged("a scan comes before the frame header"))?;
                let scan = Scan { head: segments.content()?, data: &[] };
                let components = frame.scan_components(scan.head)?;
                frame.check_scan(&components)?;
                let start = segments.position;
                let restarts = segments.skip_scan()?;
                restarts.check(restart_interval, frame.units(&components))?;
                parts.push(Part::Scan(scans.len()));
                scans.push(Scan { data: &bytes[start..segments.position], ..scan });
                let (count, pixels) = (scans.len() as u64, frame.pixels());
                if count > MOST_SCANS || count * pixels > MOST_SCANNED {
                    return Err(PictureFault::TooManyScans(format!("{count} scans over {pixels} pixels")));
                }
            }
            marker @ (0xC4 | 0xDB | 0xDD) => {
                let content = segments.content()?;
                if marker == 0xDD {
                    let &[high, low] = content else { return Err(damaged("its restart interval is not two bytes")) };
                    restart_interval = u64::from(u16::from_be_bytes([high, low]));
                }
                has_codes |= marker == 0xC4;
                parts.push(Part::Table(marker, content));
            }
            marker => colours.see(marker, segments.metadata()?),
        }
    }
    let mut frame = frame.ok_or_else(|| damaged("it has no frame header"))?;
    let is_separate = scans.iter().all(|scan| scan.head.first() == Some(&1));
    frame.simplify(is_separate);
    let is_split = scans.iter().any(|scan| usize::from(scan.head[0]) < frame.components.len());
    frame.check_sampling(is_split)?;
    let mut out = b"\xFF\xD8".to_vec();
    if !has_codes {
        // A frame of a film (motion JPEG): this marker makes the decoder use the standard's Huffman tables.
        segment(&mut out, 0xE0, b"AVI1\0\0");
    }
    if let Some(transform) = colours.transform(&frame) {
        segment(&mut out, 0xEE, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat());
    }
    for part in parts {
        match part {
            Part::Table(marker, content) => segment(&mut out, marker, content),
            Part::Frame => segment(&mut out, frame.marker, &frame.content()),
            Part::Scan(number) => {
                segment(&mut out, 0xDA, &frame.renumbered(scans[number].head)?);
                out.extend_from_slice(scans[number].data);
            }
        }
    }
    out.extend_from_slice(b"\xFF\xD9");
    Ok(out)
}

/// What is written into the new file.
enum Part<'a> {
    Table(u8, &'a [u8]),
    Frame,
    Scan(usize),
}

/// A scan's header, and its data.
struct Scan<'a> {
    head: &'a [u8],
    data: &'a [u8],
}

fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    out.extend_from_slice(&[0xFF, marker]);
    out.extend_from_slice(&(content.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(content);
}

/// The markers that tell how colours are stored.
#[derive(Default)]
struct ColourMarkers {
    jfif: bool,
    /// The transform that Adobe's marker names.
    adobe: Option<u8>,
}

impl ColourMarkers {
    fn see(&mut self, marker: u8, content: &[u8]) {
        match marker {
            0xE0 if content.len() >= 14 && content.starts_with(b"JFIF\0") => self.jfif = true,
            0xEE if content.len() >= 12 && content.starts_with(b"Adobe") => self.adobe = Some(content[11]),
            _ => {}
        }
    }

    /// The transform of Adobe's marker by which the decoder takes the colours as libjpeg does (`default_decompress_parms`).
    fn transform(&self, frame: &Frame) -> Option<u8> {
        match (frame.components.len(), self.adobe) {
            (3, _) if self.jfif => None,
            (3, Some(transform)) => (transform == 0).then_some(0),
            (3, None) => frame.components.iter().map(|component| component.id).eq(*b"RGB").then_some(0),
            (4, Some(0) | None) => Some(0),
            (4, Some(_)) => Some(2),
            _ => None,
        }
    }
}

/// The restart markers of a scan.
struct Restarts {
    count: u64,
    in_order: bool,
}

impl Restarts {
    /// libjpeg guesses where data goes on if restarts are missing; what it shows from there on is not the picture.
    fn check(&self, interval: u64, units: u64) -> Result<(), PictureFault> {
        let expected = if interval == 0 { 0 } else { units.div_ceil(interval) - 1 };
        // Some programs put one behind the last unit.
        let is_complete = self.count == expected || interval > 0 && self.count == expected + 1;
        match self.in_order && is_complete {
            true => Ok(()),
            false => {
                Err(damaged(&format!("it has {} restarts instead of {expected}, or in another order", self.count)))
            }
        }
    }
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
    fn skip_scan(&mut self) -> Result<Restarts, PictureFault> {
        let mut restarts = Restarts { count: 0, in_order: true };
        loop {
            self.skip_to_ff()?;
            match self.bytes.get(self.position + 1) {
                None => return Err(self.no_end()),
                Some(0x00) => self.position += 2,
                Some(marker @ 0xD0..=0xD7) => {
                    restarts.in_order &= u64::from(marker - 0xD0) == restarts.count % 8;
                    restarts.count += 1;
                    self.position += 2;
                }
                Some(0xFF) => self.position += 1,
                Some(_) => return Ok(restarts),
            }
        }
    }

    /// The content of a segment that holds nothing of the picture. As in libjpeg, one that declares less than its own length
    /// is empty.
    fn metadata(&mut self) -> Result<&'a [u8], PictureFault> {
        if let Some(&[0, 0 | 1]) = self.bytes.get(self.position..self.position + 2) {
            self.position += 2;
            return Ok(&[]);
        }
        self.content()
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
