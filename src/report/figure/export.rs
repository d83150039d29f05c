//! From a drawing to a self-contained SVG, a PDF and a PNG.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use resvg::tiny_skia;
use resvg::usvg;

use super::Figure;
use super::pen::{FAMILY, FONT, UNIT, clean};

/// Converts a drawing of plotters, whose size is in units.
///
/// # Errors
/// If the drawing is no SVG or cannot be written.
pub fn convert(svg: &str, (width, height): (u32, u32), title: &str) -> anyhow::Result<Figure> {
    let options = options();
    let unit = UNIT as u32;
    let units = format!("width=\"{width}\" height=\"{height}\"");
    let pixels = format!("width=\"{}\" height=\"{}\"", width / unit, height / unit);
    // A band has no outline, so the opacity of its fill is the same as its own, and needs no group.
    let svg = svg.replacen(&units, &pixels, 1).replace("<polygon opacity=", "<polygon fill-opacity=");
    let tree = usvg::Tree::from_str(&svg, &options).context("the drawing is no SVG")?;
    let outlined = tree.to_string(&usvg::WriteOptions { preserve_text: false, ..usvg::WriteOptions::default() });
    let pdf = svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), svg2pdf::PageOptions::default())
        .map_err(|error| anyhow!("the figure cannot be written as PDF: {error}"))?;
    let size = tree.size().to_int_size().scale_by(2.0).context("the figure has no size")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).context("the figure has no size")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(2.0, 2.0), &mut pixels.as_mut());
    let png = pixels.encode_png().context("the figure cannot be written as PNG")?;
    Ok(Figure { svg: titled(&outlined, title).into_bytes(), pdf: in_order(pdf), png })
}

/// Text is set in the font that comes with the program.
pub(super) fn options() -> usvg::Options<'static> {
    let mut options = usvg::Options { font_family: FAMILY.to_owned(), ..usvg::Options::default() };
    Arc::make_mut(&mut options.fontdb).load_font_data(FONT.to_vec());
    options
}

/// Gives an SVG the title that browsers and screen readers tell, since its words are outlines.
fn titled(svg: &str, title: &str) -> String {
    let clean = clean(title).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    match svg.split_once(">\n") {
        Some((head, rest)) => format!("{head}>\n    <title>{clean}</title>\n{rest}"),
        None => svg.to_owned(),
    }
}

/// svg2pdf lists a page's resources in the arbitrary order of a hash map. Sorted, the same figure gives the same bytes;
/// no offset in the file changes by it.
fn in_order(mut pdf: Vec<u8>) -> Vec<u8> {
    for kind in ["XObject", "Pattern", "ExtGState", "Shading", "Font", "ColorSpace"] {
        let list = format!("/{kind} <<\n");
        let mut from = 0;
        while let Some(start) = find(&pdf, list.as_bytes(), from).map(|at| at + list.len()) {
            let Some(end) = find(&pdf, b">>", start) else { break };
            let mut lines: Vec<Vec<u8>> =
                pdf[start..end].split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            // What is behind the last line's end is the indentation of `>>`.
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
        let sorted = in_order(pdf.clone());
        assert_eq!(sorted.len(), pdf.len());
        assert_eq!(sorted, b"a /ExtGState <<\n  /gs0 5 0 R\n  /gs1 7 0 R\n >> b /Font <<\n  /f0 9 0 R\n >> c".to_vec());
        assert_eq!(in_order(b"/ExtGState <<\n".to_vec()), b"/ExtGState <<\n".to_vec());
    }
}
