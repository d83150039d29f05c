use std::collections::BTreeMap;

use super::*;
use crate::tensors::from_safetensors;
use crate::testing;

#[test]
fn transparency_shows_white() {
    assert_eq!(
        over_white(&[10, 20, 30, 255, 10, 20, 30, 0, 100, 0, 255, 128]),
        [10, 20, 30, 255, 255, 255, 177, 127, 255]
    );
}

/// A picture that declares 4 billion pixels in a few bytes is refused before memory is asked for.
#[test]
fn a_bomb_is_refused() {
    let mut png = png(image::RgbaImage::new(1, 1));
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
    assert_eq!(decode_over_white(&png(gray)).unwrap().bytes, [0, 0, 0, 128, 128, 128, 255, 255, 255]);
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(testing::own_fixtures("pictures").join(name)).unwrap()
}

/// Pillow's bytes by the file's name.
fn expected() -> BTreeMap<String, tch::Tensor> {
    from_safetensors(&file("expected.safetensors")).unwrap()
}

/// The name of every file.
fn names() -> Vec<String> {
    let names: Vec<String> = expected().into_keys().collect();
    assert_eq!(names.len(), 17);
    names
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.into().write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

fn reason(bytes: &[u8]) -> &'static str {
    decode(bytes, Decoding::PILLOW).unwrap_err().reason()
}

/// The largest and the mean difference.
pub(super) fn differences(one: &[u8], other: &[u8]) -> (u8, f64) {
    let off: Vec<u8> = one.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).collect();
    (off.iter().copied().max().unwrap(), off.iter().copied().map(f64::from).sum::<f64>() / off.len() as f64)
}

/// Pillow's bytes, for every kind of file that is found on the web. The lossless ones have to be equal; lossy ones are
/// decoded by other programs, which round elsewhere and interpolate colours otherwise: the largest and the mean
/// difference in levels of 255 are those that were measured, rounded up.
#[test]
fn pictures_agree_with_pillow() {
    for (name, tensor) in &expected() {
        let ours = decode(&file(name), Decoding::PILLOW).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let theirs: Vec<u8> = tensor.view(-1).try_into().unwrap();
        assert_eq!([ours.height as i64, ours.width as i64, 3], *tensor.size(), "{name}");
        let (largest, mean) = differences(&ours.bytes, &theirs);
        println!("{name}: largest {largest}, mean {mean:.3}");
        let (most, most_mean) = match name.as_str() {
            "stored_rgb.jpg" | "cmyk.jpg" | "cmyk_unmarked.jpg" | "lossy.webp" | "lossy_alpha.webp" => (2, 0.5),
            "deep.png" => (1, 0.5),
            jpeg if jpeg.ends_with(".jpg") => (4, 0.5),
            _ => (0, 0.0),
        };
        assert!(largest <= most && mean <= most_mean, "{name}: largest {largest}, mean {mean}");
    }
}

/// What a crawl brings instead of pictures, and how it is counted.
#[test]
fn faults_are_distinguished() {
    assert_eq!(reason(b""), "empty file");
    assert_eq!(reason(&[0; 4096]), "not a picture");
    assert_eq!(reason(b"<!DOCTYPE html><html><title>404</title>"), "not a picture");
    assert_eq!(reason(b"hello"), "not a picture");
    assert_eq!(reason(b"II*\0 a TIFF"), "format not supported");
    assert_eq!(reason(b"\0\0\0\x1Cftypavif"), "format not supported");
    assert_eq!(reason(b"\0\0\0\x1Cftypheic"), "format not supported");
    assert_eq!(reason(b"\x89PNG\r\n\x1A\n"), "cut short");
    assert_eq!(reason(b"\xFF\xD8\xFF"), "cut short");
    let message = decode(b"<html>", Decoding::PILLOW).unwrap_err().to_string();
    assert_eq!(message, "the file is not a picture: it begins with \"<html>\"");
}

/// Cut anywhere, a file gives no picture: neither half of one nor one with a gray rest. The shares leave out the ends of
/// formats whose last bytes hold no pixels.
#[test]
fn what_is_cut_short_is_no_picture() {
    for name in names() {
        let is_jpeg = name.ends_with(".jpg");
        if !is_jpeg && !["deep.png", "animated.gif", "true_colour.bmp", "lossless.webp"].contains(&name.as_str()) {
            continue;
        }
        let mut whole = file(&name);
        if name == "animated.gif" {
            // The first frame alone.
            let second = whole.windows(2).rposition(|two| two == b"!\xF9").unwrap();
            whole.truncate(second);
        }
        let share = if is_jpeg { 1.0 } else { 0.9 };
        for length in 12..(share * whole.len() as f64) as usize {
            match decode(&whole[..length], Decoding::PILLOW) {
                Err(PictureFault::CutShort(_)) => {}
                Err(PictureFault::Damaged(_)) if !is_jpeg => {}
                other => panic!("{name}, {length} of {} bytes: {other:?}", whole.len()),
            }
        }
    }
}

/// What follows the end of a JPEG (a film, a second picture) is nobody's business.
#[test]
fn a_jpeg_ends_at_its_end_marker() {
    let whole = file("baseline.jpg");
    let longer = [&whole[..], &file("progressive.jpg"), b"\xFF\xDA\0\x08"].concat();
    assert_eq!(decode(&longer, Decoding::PILLOW), decode(&whole, Decoding::PILLOW));
}

/// A JPEG's frame header, behind its marker.
fn frame_header(jpeg: &[u8]) -> usize {
    jpeg.windows(2).position(|two| matches!(two, b"\xFF\xC0" | b"\xFF\xC2")).unwrap()
}

#[test]
fn codings_that_hardly_anyone_uses_are_named() {
    for (marker, what) in
        [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xC9, "arithmetically"), (0xCA, "arithmetically")]
    {
        let mut jpeg = file("baseline.jpg");
        let at = frame_header(&jpeg);
        jpeg[at + 1] = marker;
        let fault = decode(&jpeg, Decoding::PILLOW).unwrap_err();
        assert_eq!(fault.reason(), "format not supported");
        assert!(fault.to_string().contains(what), "{fault}");
    }
    let mut deep = file("baseline.jpg");
    let at = frame_header(&deep);
    deep[at + 4] = 12;
    assert!(decode(&deep, Decoding::PILLOW).unwrap_err().to_string().contains("12-bit"));
}

#[test]
fn jpegs_that_declare_too_much_are_refused_at_once() {
    let start = std::time::Instant::now();
    let mut huge = file("baseline.jpg");
    let at = frame_header(&huge);
    huge[at + 5..at + 9].copy_from_slice(&[0xFF; 4]);
    assert_eq!(decode(&huge, Decoding::PILLOW), Err(PictureFault::TooManyPixels(65535, 65535)));
    // 90 empty scans over 134 million pixels, in 13 kB.
    let mut slow = file("progressive.jpg");
    let at = frame_header(&slow);
    slow[at + 5..at + 9].copy_from_slice(&[0x20, 0, 0x40, 0]);
    let scan = slow.windows(2).rposition(|two| two == b"\xFF\xDA").unwrap();
    let scan = slow[scan..slow.len() - 2].to_vec();
    slow.truncate(slow.len() - 2);
    (0..90).for_each(|_| slow.extend_from_slice(&scan));
    slow.extend_from_slice(b"\xFF\xD9");
    assert_eq!(reason(&slow), "too many scans");
    assert!(start.elapsed().as_secs() < 2);
}

/// A frame that is larger than the picture, and a stream of pixels without end.
#[test]
fn small_files_do_not_take_much() {
    let mut gif = file("animated.gif");
    gif[6..10].copy_from_slice(&[1, 0, 1, 0]);
    let frame = gif.iter().enumerate().position(|(at, &byte)| byte == b',' && gif[at + 5..at + 9] == [45, 0, 34, 0]);
    let frame = frame.unwrap();
    gif[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    assert_eq!(reason(&gif), "more pixels than 178956970");
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    (0..256).for_each(|_| std::io::Write::write_all(&mut zeros, &[0; 1 << 20]).unwrap());
    let mut png = png(image::GrayImage::new(4, 4));
    let data = png.windows(4).position(|four| four == b"IDAT").unwrap();
    let chunk = [&b"IDAT"[..], &zeros.finish().unwrap()].concat();
    png.truncate(data - 4);
    png.extend_from_slice(&(chunk.len() as u32 - 4).to_be_bytes());
    png.extend_from_slice(&chunk);
    png.extend_from_slice(&crc32(&chunk).to_be_bytes());
    png.extend_from_slice(b"\0\0\0\0IEND\xAE\x42\x60\x82");
    let decoded = decode(&png, Decoding::PILLOW);
    assert!(decoded.is_err() || decoded.is_ok_and(|picture| picture.bytes == [0; 48]));
}

/// A side that only a broken file has, and a line, are refused with a reason; a strip that any encoder can resize is a picture.
#[test]
fn a_picture_may_not_be_a_line() {
    let decoded = |width: u32, height: u32| decode(&png(image::RgbImage::new(width, height)), Decoding::PILLOW);
    assert_eq!(decoded(70_000, 1), Err(PictureFault::TooLong(70_000, 1)));
    for (width, height) in [(60_000, 1), (1, 1001)] {
        let fault = decoded(width, height).unwrap_err();
        assert_eq!(fault, PictureFault::TooNarrow(width, height));
        assert_eq!(fault.reason(), format!("one side more than {MOST_RATIO} times the other"));
    }
    for (width, height) in [(1000, 1), (2, 2000), (1, 1)] {
        assert!(decoded(width, height).is_ok());
    }
}

/// Colours under transparency are kept or covered, as asked.
#[test]
fn alpha_is_dropped_or_laid_over_white() {
    let pixels = image::RgbaImage::from_raw(2, 1, vec![10, 20, 30, 0, 40, 50, 60, 255]).unwrap();
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let mut bytes = Vec::new();
        pixels.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        assert_eq!(decode(&bytes, Decoding::PILLOW).unwrap().bytes, [10, 20, 30, 40, 50, 60]);
        assert_eq!(decode(&bytes, Decoding::OVER_WHITE).unwrap().bytes, [255, 255, 255, 40, 50, 60]);
    }
}

/// The spelling in keys and experiment files.
#[test]
fn decoding_is_spelt_in_kebab_case() {
    let json = serde_json::to_string(&Decoding::OVER_WHITE).unwrap();
    assert_eq!(json, r#"{"alpha":"over-white","orientation":"ignore"}"#);
    assert_eq!(serde_json::from_str::<Decoding>(&json).unwrap(), Decoding::OVER_WHITE);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]

    /// Changed anywhere, cut anywhere, or nothing but noise behind a true beginning: a picture or a fault, never a panic.
    #[test]
    fn any_bytes_give_a_picture_or_a_fault(
        changes in proptest::collection::vec((0.0..1.0f64, proptest::prelude::any::<u8>()), 0..6),
        share in 0.3..1.0f64,
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        for name in names() {
            let whole = file(&name);
            let place = |share: f64| (share * whole.len() as f64) as usize;
            let mut changed = whole.clone();
            changes.iter().for_each(|(at, byte)| changed[place(*at)] = *byte);
            let cut = changed[..place(share)].to_vec();
            let ended = [&cut, &b"\xFF\xD9"[..]].concat();
            let noisy = [&whole[..16], &noise].concat();
            for bytes in [changed, cut, ended, noisy] {
                for decoding in [Decoding::PILLOW, Decoding::OVER_WHITE] {
                    if let Ok(picture) = decode(&bytes, decoding) {
                        proptest::prop_assert_eq!(picture.bytes.len(), picture.width * picture.height * 3);
                    }
                }
            }
        }
        let _ = decode(&noise, Decoding::PILLOW);
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        (0..8).for_each(|_| crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 });
        crc
    })
}
