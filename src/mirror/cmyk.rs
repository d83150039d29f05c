//! A JPEG of four inks, as printers' software writes it and no encoder at hand: baseline, Adobe's inverted values, one
//! flat block of 8 × 8 for each block of the picture. Source: ITU-T T.81.

use crate::pictures::Rgb;

const BLOCK: usize = 8;
const INKS: usize = 4;
/// T.81, table K.3: how many codes there are of each length, for the categories 0 to 11 in order.
const LENGTHS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
/// The codes that follow from it, and their lengths.
const CODES: [(u32, u32); 12] = [
    (0b00, 2),
    (0b010, 3),
    (0b011, 3),
    (0b100, 3),
    (0b101, 3),
    (0b110, 3),
    (0b1110, 4),
    (0b1_1110, 5),
    (0b11_1110, 6),
    (0b111_1110, 7),
    (0b1111_1110, 8),
    (0b1_1111_1110, 9),
];

/// Writes the picture, as coarse as its blocks.
pub(super) fn jpeg(picture: &Rgb) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (u16::try_from(picture.width)?, u16::try_from(picture.height)?);
    let mut out = vec![0xFF, 0xD8];
    // Adobe, version 100, no transform: CMYK.
    segment(&mut out, 0xEE, b"Adobe\0\x64\0\0\0\0\0");
    segment(&mut out, 0xDB, &[&[0][..], &[1; 64]].concat());
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(INKS as u8);
    let mut scan = vec![INKS as u8];
    for ink in 1..=INKS as u8 {
        frame.extend([ink, 0x11, 0]);
        scan.extend([ink, 0x00]);
    }
    scan.extend([0, 63, 0]);
    segment(&mut out, 0xC0, &frame);
    segment(&mut out, 0xC4, &[&[0x00][..], &LENGTHS, &(0..12).collect::<Vec<u8>>()].concat());
    // The one code for other coefficients says that there are none.
    let mut none = [0; 18];
    none[0] = 0x10;
    none[1] = 1;
    segment(&mut out, 0xC4, &none);
    segment(&mut out, 0xDA, &scan);
    let mut bits = Bits { out, pending: 0, count: 0 };
    let mut last = [0; INKS];
    for top in (0..picture.height).step_by(BLOCK) {
        for left in (0..picture.width).step_by(BLOCK) {
            for (last, ink) in last.iter_mut().zip(inks(mean(picture, left, top))) {
                // A flat block's only coefficient is eight times its level, quantised by 1.
                let level = 8 * (i32::from(255 - ink) - 128);
                bits.difference(level - *last);
                *last = level;
            }
        }
    }
    let mut out = bits.finish();
    out.extend([0xFF, 0xD9]);
    Ok(out)
}

fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    out.extend([0xFF, marker]);
    out.extend((content.len() as u16 + 2).to_be_bytes());
    out.extend(content);
}

/// The mean colour of a block, as far as it lies in the picture.
fn mean(picture: &Rgb, left: usize, top: usize) -> [u8; 3] {
    let (mut sums, mut count) = ([0usize; 3], 0);
    for y in top..(top + BLOCK).min(picture.height) {
        for x in left..(left + BLOCK).min(picture.width) {
            let pixel = &picture.bytes[3 * (y * picture.width + x)..][..3];
            sums.iter_mut().zip(pixel).for_each(|(sum, c)| *sum += usize::from(*c));
            count += 1;
        }
    }
    sums.map(|sum| ((sum + count / 2) / count) as u8)
}

/// Cyan, magenta, yellow and black, with as much black as can be.
fn inks([r, g, b]: [u8; 3]) -> [u8; INKS] {
    let light = r.max(g).max(b);
    let of = |c: u8| if light == 0 { 0 } else { (u32::from(light - c) * 255 / u32::from(light)) as u8 };
    [of(r), of(g), of(b), 255 - light]
}

struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    /// A block's difference to the one before, and the end of the block (T.81, F.1.2.1).
    fn difference(&mut self, difference: i32) {
        let category = 32 - difference.unsigned_abs().leading_zeros();
        let (code, length) = CODES[category as usize];
        self.push(code, length);
        let bits = if difference < 0 { difference - 1 } else { difference };
        self.push(bits as u32 & ((1 << category) - 1), category);
        self.push(0, 1);
    }

    fn push(&mut self, bits: u32, length: u32) {
        for i in (0..length).rev() {
            self.pending = self.pending << 1 | (bits >> i & 1);
            self.count += 1;
            if self.count == 8 {
                self.byte();
            }
        }
    }

    fn byte(&mut self) {
        self.out.push(self.pending as u8);
        // Or a marker would be read.
        if self.pending as u8 == 0xFF {
            self.out.push(0);
        }
        (self.pending, self.count) = (0, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.push(1, 1);
        }
        self.out
    }
}
