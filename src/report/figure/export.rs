//! Converts a drawing to a PDF and a PNG.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use resvg::tiny_skia;
use resvg::usvg;

use super::Figure;
use super::caption::{About, Caption};
use super::text::{FAMILY, fonts};

/// The resolution of the PNG in dots per inch.
const RESOLUTION: f32 = 300.0;
/// Points per inch.
const POINTS: f32 = 72.0;

/// Converts a drawing whose text is set in the bundled font. The SVG stays as it is, with its text; the PDF embeds the
/// font, and the PNG holds its outlines.
///
/// # Errors
/// If the drawing is not a valid SVG, or a format cannot be written.
pub fn convert(svg: String, caption: Caption, about: &About) -> anyhow::Result<Figure> {
    let tree = usvg::Tree::from_str(&svg, &options()).context("the drawing is not a valid SVG")?;
    let pdf = svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), svg2pdf::PageOptions { dpi: POINTS })
        .map_err(|error| anyhow!("cannot write the figure as PDF: {error}"))?;
    let scale = RESOLUTION / POINTS;
    let size = tree.size().to_int_size().scale_by(scale).context("the figure is empty")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).context("the figure is empty")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let png = pixels.encode_png().context("cannot write the figure as PNG")?;
    let (tex, md) = (caption.tex(about), caption.md(about));
    Ok(Figure { svg, pdf: in_order(pdf), png, caption_tex: tex, caption_md: md })
}

/// Sets text in the bundled font only. A point is a unit, so that the PDF has the size of the drawing.
pub(super) fn options() -> usvg::Options<'static> {
    usvg::Options { dpi: POINTS, font_family: FAMILY.to_owned(), fontdb: Arc::new(fonts()), ..usvg::Options::default() }
}

/// Sorts the resources of each page, which svg2pdf lists in the arbitrary order of a hash map, so that the same figure
/// gives the same bytes. No offset in the file changes.
fn in_order(mut pdf: Vec<u8>) -> Vec<u8> {
    for kind in ["XObject", "Pattern", "ExtGState", "Shading", "Font", "ColorSpace"] {
        let list = format!("/{kind} <<\n");
        let mut from = 0;
        while let Some(start) = find(&pdf, list.as_bytes(), from).map(|at| at + list.len()) {
            let Some(end) = find(&pdf, b">>", start) else { break };
            let mut lines: Vec<Vec<u8>> =
                pdf[start..end].split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            // What follows the last line is the indentation of `>>`.
            let tail = lines.pop_if(|line| !line.ends_with(b"\n")).unwrap_or_default();
            lines.sort();
            lines.push(tail);
            pdf[start..end].copy_from_slice(&lines.concat());
            from = end;
        }
    }
    pdf
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_sorted_in_place() {
        let pdf = b"a /ExtGState <<\n  /gs1 7 0 R\n  /gs0 5 0 R\n >> b /Font <<\n  /f0 9 0 R\n >> c".to_vec();
        let sorted = b"a /ExtGState <<\n  /gs0 5 0 R\n  /gs1 7 0 R\n >> b /Font <<\n  /f0 9 0 R\n >> c".to_vec();
        assert_eq!(in_order(pdf), sorted);
        assert_eq!(in_order(b"/ExtGState <<\n".to_vec()), b"/ExtGState <<\n".to_vec());
    }
}
