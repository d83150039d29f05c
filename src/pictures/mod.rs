//! Pictures: references to files ([`Picture`], [`PictureItem`]), decoding and resizing.
//!
//! Decoding follows research code, Pillow's `Image.open(file).convert("RGB")`; colour profiles and gamma are ignored. The
//! first bytes decide the format, never the name. `tests/fixtures/pictures/variants` lists how each variant of a format is
//! read, and where that deviates from Pillow. Any bytes give a picture or a fault, in bounded memory and time.

mod bmp;
mod gif;
mod item;
mod jpeg;
mod jpeg_frame;
mod png;
pub mod resize;
mod webp;

use std::borrow::Cow;
use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

pub use item::{Picture, PictureItem, PictureNoise};

/// The largest picture that is decoded: 178 million pixels, Pillow's own limit.
pub(crate) const MOST_PIXELS: u64 = 178_956_970;
/// The longest side, in pixels: JPEG's own limit.
const LONGEST_SIDE: u32 = 65_535;
/// The largest ratio of a picture's sides. Encoders that resize the shorter side and then crop the centre would enlarge a
/// narrower picture beyond [`MOST_PIXELS`]. The bound is the same for all encoders, so that the pictures of a dataset do not
/// depend on them.
pub(crate) const MOST_RATIO: u32 = 1000;

/// An 8-bit RGB picture, rows from the top, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

/// How transparency is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alpha {
    /// The picture is laid over white: for pictures that are made with transparency, such as emoji, whose hidden colours are
    /// arbitrary. c′ = (c·a + 255·(255 − a) + 127) div 255.
    OverWhite,
    /// The alpha channel is dropped, as in research code.
    Drop,
}

/// How a camera's orientation (EXIF) is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// The picture stays as it is stored, as in research code.
    Ignore,
}

/// How files are decoded. It changes features, so it is part of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Decoding {
    pub alpha: Alpha,
    pub orientation: Orientation,
}

impl Decoding {
    /// Pillow's `convert("RGB")`, as research code reads the paper's benchmarks.
    pub const PILLOW: Decoding = Decoding { alpha: Alpha::Drop, orientation: Orientation::Ignore };
    /// For pictures that are made with transparency.
    pub const OVER_WHITE: Decoding = Decoding { alpha: Alpha::OverWhite, orientation: Orientation::Ignore };
}

/// Why a file cannot be decoded. The message is about one file, the [`reason`](PictureFault::reason) is for counting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureFault {
    #[error("the file is empty")]
    Empty,
    #[error("the file is not a picture: {0}")]
    NotAPicture(String),
    #[error("the picture is cut short: {0}")]
    CutShort(String),
    #[error("the picture is damaged: {0}")]
    Damaged(String),
    #[error("the picture declares {0} × {1} pixels, more than {MOST_PIXELS}")]
    TooManyPixels(u32, u32),
    #[error("the picture declares {0} × {1} pixels, more than {LONGEST_SIDE} on one side")]
    TooLong(u32, u32),
    #[error("the picture declares {0} × {1} pixels, one side more than {MOST_RATIO} times the other")]
    TooNarrow(u32, u32),
    #[error("decoding the picture takes too much memory: {0}")]
    TooMuchMemory(String),
    #[error("decoding the picture takes too long: {0}")]
    TooManyScans(String),
    #[error("the picture's format is not supported: {0}")]
    NotSupported(String),
}

impl PictureFault {
    /// A short phrase, the same for all faults of a kind.
    pub fn reason(&self) -> &'static str {
        match self {
            PictureFault::Empty => "empty file",
            PictureFault::NotAPicture(_) => "not a picture",
            PictureFault::CutShort(_) => "cut short",
            PictureFault::Damaged(_) => "damaged",
            PictureFault::TooManyPixels(..) => "more pixels than 178956970",
            PictureFault::TooLong(..) => "too long on one side",
            PictureFault::TooNarrow(..) => "one side more than 1000 times the other",
            PictureFault::TooMuchMemory(_) => "decoding takes too much memory",
            PictureFault::TooManyScans(_) => "too many scans",
            PictureFault::NotSupported(_) => "format not supported",
        }
    }
}

/// Decodes a PNG, JPEG, GIF, WebP or BMP; of an animation, the first frame. Deep pictures are scaled to 8 bits.
///
/// # Errors
/// If the bytes are not such a picture, are cut short or damaged, or take too much memory or time. A JPEG without its end
/// marker is cut short, as in Pillow; damage that libjpeg repairs with a warning is not an error.
pub fn decode(bytes: &[u8], decoding: Decoding) -> Result<Rgb, PictureFault> {
    // A decoder panics on some damaged files, which must not end a run over a hundred thousand others.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes, decoding)))
        .unwrap_or_else(|_| Err(PictureFault::Damaged("the decoder gave up on it".to_owned())))
}

/// Decodes a picture and lays it over white where it is transparent.
///
/// # Errors
/// As [`decode`].
pub fn decode_over_white(bytes: &[u8]) -> anyhow::Result<Rgb> {
    Ok(decode(bytes, Decoding::OVER_WHITE)?)
}

fn decode_unguarded(bytes: &[u8], decoding: Decoding) -> Result<Rgb, PictureFault> {
    let format = format(bytes)?;
    if format == ImageFormat::Gif {
        return Ok(flattened(gif::first_frame(bytes)?, decoding));
    }
    if format == ImageFormat::WebP {
        webp::check_length(bytes)?;
        if let Some(frame) = webp::first_frame(bytes) {
            frame.check_size()?;
            let picture = frame.on_canvas(decode_as(format, &frame.still)?)?;
            return Ok(flattened(picture, decoding));
        }
    }
    let bytes = match format {
        ImageFormat::Jpeg => Cow::Owned(jpeg::rewritten(bytes)?),
        ImageFormat::WebP => webp::without_promises(bytes),
        ImageFormat::Png => png::mended(bytes),
        _ => bmp::mended(bytes),
    };
    Ok(flattened(decode_as(format, &bytes)?, decoding))
}

fn decode_as(format: ImageFormat, bytes: &[u8]) -> Result<DynamicImage, PictureFault> {
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    decoder.set_limits(limits(width, height)).map_err(fault)?;
    DynamicImage::from_decoder(decoder).map_err(fault)
}

/// Three bytes a pixel.
fn flattened(picture: DynamicImage, decoding: Decoding) -> Rgb {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let bytes = match decoding.alpha {
        Alpha::OverWhite if picture.color().has_alpha() => over_white(picture.into_rgba8().as_raw()),
        Alpha::OverWhite | Alpha::Drop => picture.into_rgb8().into_raw(),
    };
    Rgb { width, height, bytes }
}

/// The format, by the first bytes.
fn format(bytes: &[u8]) -> Result<ImageFormat, PictureFault> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    if bytes.is_empty() {
        return Err(PictureFault::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format @ (Png | Jpeg | Gif | WebP | Bmp)) => Ok(format),
        Ok(other) => Err(PictureFault::NotSupported(format!("{other:?}"))),
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => Err(PictureFault::NotSupported("HEIF".to_owned())),
        Err(_) if bytes.iter().all(|&byte| byte == 0) => {
            Err(PictureFault::NotAPicture(format!("it holds {} zero bytes", bytes.len())))
        }
        Err(_) => {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(24)]);
            Err(PictureFault::NotAPicture(format!("it begins with {head:?}")))
        }
    }
}

fn check_size(width: u32, height: u32) -> Result<(), PictureFault> {
    if width == 0 || height == 0 {
        return Err(PictureFault::Damaged(format!("it declares {width} × {height} pixels")));
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(PictureFault::TooManyPixels(width, height));
    }
    if width.max(height) > LONGEST_SIDE {
        return Err(PictureFault::TooLong(width, height));
    }
    if width.max(height) > MOST_RATIO.saturating_mul(width.min(height)) {
        return Err(PictureFault::TooNarrow(width, height));
    }
    Ok(())
}

/// The most memory of a decoder: four bytes a pixel for the picture, as much for a frame beside it, twice that for deep
/// pictures; and some for tables.
fn limits(width: u32, height: u32) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(16 * u64::from(width) * u64::from(height) + (16 << 20));
    limits
}

fn fault(error: ImageError) -> PictureFault {
    let message = error.to_string();
    match &error {
        ImageError::Limits(limit) if limit.kind() == LimitErrorKind::InsufficientMemory => {
            PictureFault::TooMuchMemory(message)
        }
        ImageError::Unsupported(_) => PictureFault::NotSupported(message),
        _ if is_cut(&error) => PictureFault::CutShort(message),
        _ => PictureFault::Damaged(message),
    }
}

/// Whether somewhere in an error's chain the bytes ended too soon.
fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = match error.downcast_ref::<ImageError>() {
            Some(ImageError::IoError(inner)) => Some(inner),
            _ => error.downcast_ref::<io::Error>(),
        };
        if inner.is_some_and(|inner| inner.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        next = error.source();
    }
    false
}

/// c′ = (c·a + 255·(255 − a) + 127) div 255, in integers.
fn over_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = vec![0; rgba.len() / 4 * 3];
    for (out, pixel) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(rgba.as_chunks::<4>().0) {
        let alpha = u32::from(pixel[3]);
        for c in 0..3 {
            out[c] = ((u32::from(pixel[c]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod variants;
