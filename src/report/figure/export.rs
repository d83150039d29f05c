//! Converts a drawing to a self-contained SVG, a PDF and a PNG.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use resvg::tiny_skia;
use resvg::usvg;

use super::Figure;
use super::text::{FAMILY, fonts, xml};

/// Converts a drawing whose text is set in the bundled font.
///
/// # Errors
/// If the drawing is not a valid SVG, or a format cannot be written.
pub fn convert(svg: &str, title: &str) -> anyhow::Result<Figure> {
    let tree = usvg::Tree::from_str(svg, &options()).context("the drawing is not a valid SVG")?;
    let outlined = tree.to_string(&usvg::WriteOptions { preserve_text: false, ..usvg::WriteOptions::default() });
    let pdf = svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), svg2pdf::PageOptions::default())
        .map_err(|error| anyhow!("cannot write the figure as PDF: {error}"))?;
    let size = tree.size().to_int_size().scale_by(2.0).context("the figure is empty")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).context("the figure is empty")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(2.0, 2.0), &mut pixels.as_mut());
    let png = pixels.encode_png().context("cannot write the figure as PNG")?;
    Ok(Figure { svg: titled(&outlined, title).into_bytes(), pdf: in_order(pdf), png })
}

/// Sets text in the bundled font only.
pub(super) fn options() -> usvg::Options<'static> {
    usvg::Options { font_family: FAMILY.to_owned(), fontdb: Arc::new(fonts()), ..usvg::Options::default() }
}

/// Adds the title that browsers and screen readers announce, since the words of the drawing are outlines.
fn titled(svg: &str, title: &str) -> String {
    match svg.split_once(">\n") {
        Some((head, rest)) => format!("{head}>\n    <title>{}</title>\n{rest}", xml(title)),
        None => svg.to_owned(),
    }
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
