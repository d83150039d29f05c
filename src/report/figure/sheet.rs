//! A contact sheet: a few samples of a dataset, each picture with its labels and its text.

use anyhow::Context;
use resvg::{tiny_skia, usvg};

use super::export;
use super::text::{FAMILY, fit, wrap, xml};
use crate::pictures::Rgb;
use crate::pictures::resize::{Filter, Resizer};

/// One sample.
pub struct Tile {
    pub picture: Rgb,
    pub labels: String,
    pub text: String,
}

const COLUMNS: usize = 6;
/// Sizes in pixels: of the box that holds a picture, of a tile, of the margins, of the title, of other type, of its
/// lines.
const BOX: (usize, usize) = (180, 140);
const TILE: (usize, usize) = (200, 226);
const MARGIN: usize = 20;
const HEAD: usize = 56;
const TITLE: f64 = 16.13;
const TYPE: f64 = 11.29;
const LINE: usize = 16;
const LINES: usize = 3;

/// Draws the sheet as a PNG.
///
/// # Errors
/// If it cannot be drawn.
pub fn draw(title: &str, subtitle: &str, tiles: &[Tile]) -> anyhow::Result<Vec<u8>> {
    let rows = tiles.len().div_ceil(COLUMNS).max(1);
    let (width, height) = (2 * MARGIN + COLUMNS * TILE.0, HEAD + rows * TILE.1 + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    let room = (width - 2 * MARGIN) as f64;
    text(&mut svg, (MARGIN, 26), TITLE, "#000000", &fit(title, room / TITLE));
    text(&mut svg, (MARGIN, 46), TYPE, "#555555", &fit(subtitle, room / TYPE));
    let room = BOX.0 as f64 / TYPE;
    for (at, tile) in tiles.iter().enumerate() {
        let (left, top) = corner(at);
        let under = top + BOX.1 + LINE;
        text(&mut svg, (left, under), TYPE, "#0072b2", &fit(&tile.labels, room));
        let mut lines = wrap(&tile.text, room);
        if lines.len() > LINES {
            let rest = lines.split_off(LINES - 1).join(" ");
            lines.push(fit(&rest, room));
        }
        for (line, words) in lines.iter().enumerate() {
            text(&mut svg, (left, under + (line + 1) * LINE), TYPE, "#000000", words);
        }
    }
    svg += "</svg>";
    let tree = usvg::Tree::from_str(&svg, &export::options()).context("the sheet is not a valid SVG")?;
    let mut pixels = tiny_skia::Pixmap::new(width as u32, height as u32).context("the sheet is empty")?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    for (at, tile) in tiles.iter().enumerate() {
        paste(&mut pixels, &tile.picture, corner(at));
    }
    pixels.encode_png().context("cannot write the sheet as PNG")
}

/// Where a tile begins.
fn corner(at: usize) -> (usize, usize) {
    (MARGIN + at % COLUMNS * TILE.0, HEAD + at / COLUMNS * TILE.1)
}

fn text(svg: &mut String, (x, y): (usize, usize), size: f64, colour: &str, words: &str) {
    *svg += &format!(
        "<text x=\"{x}\" y=\"{y}\" font-family=\"{FAMILY}\" font-size=\"{size}\" fill=\"{colour}\">{}</text>",
        xml(words)
    );
}

/// Scales a picture to its box, keeping its aspect ratio, and centres it there.
fn paste(pixels: &mut tiny_skia::Pixmap, picture: &Rgb, (left, top): (usize, usize)) {
    let scale = (BOX.0 as f64 / picture.width as f64).min(BOX.1 as f64 / picture.height as f64);
    let side = |length: usize, most: usize| ((length as f64 * scale).round() as usize).clamp(1, most);
    let (width, height) = (side(picture.width, BOX.0), side(picture.height, BOX.1));
    let resizer = Resizer::new((picture.width, picture.height), (width, height), Filter::Bilinear);
    let small = resizer.resize(picture);
    let (left, top) = (left + (BOX.0 - width) / 2, top + (BOX.1 - height) / 2);
    let stride = pixels.width() as usize;
    let data = pixels.pixels_mut();
    for (y, row) in small.bytes.chunks_exact(3 * width).enumerate() {
        for (x, rgb) in row.chunks_exact(3).enumerate() {
            let opaque = tiny_skia::PremultipliedColorU8::from_rgba(rgb[0], rgb[1], rgb[2], 255);
            data[(top + y) * stride + left + x] = opaque.expect("an opaque colour is premultiplied");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Decoding, decode};

    #[test]
    fn pictures_of_any_shape_fit_their_boxes() {
        let picture = |width: usize, height: usize| Rgb { width, height, bytes: [200, 10, 30].repeat(width * height) };
        let tile = |picture| Tile { picture, labels: "a <label> & more".into(), text: "words ".repeat(60) };
        let tiles: Vec<Tile> = [(1, 1), (3000, 2), (2, 3000), (640, 480), (180, 140), (7, 9), (50, 50)]
            .map(|(width, height)| tile(picture(width, height)))
            .into();
        let png = draw("A dataset", "seven samples", &tiles).unwrap();
        assert_eq!(png, draw("A dataset", "seven samples", &tiles).unwrap());
        let sheet = decode(&png, Decoding::OVER_WHITE).unwrap();
        assert_eq!((sheet.width, sheet.height), (1240, 56 + 2 * 226 + 20));
        for at in 0..tiles.len() {
            let (left, top) = corner(at);
            let middle = 3 * ((top + (BOX.1 - 1) / 2) * sheet.width + left + (BOX.0 - 1) / 2);
            assert_eq!(sheet.bytes[middle..middle + 3], [200, 10, 30], "{at}");
        }
        draw("Nothing", "", &[]).unwrap();
    }
}
