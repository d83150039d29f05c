//! Figures as part of a page: an SVG of ours, rewritten so that it can stand beside others and asks for nothing.

use std::fmt::Write;

use anyhow::{Context, ensure};
use roxmltree::{Document, Node};

const SVG: &str = "http://www.w3.org/2000/svg";

/// What a drawing may hold. Anything else (scripts, pictures, foreign content) is refused rather than left out: a figure
/// that lacks a part would be a wrong one.
const ELEMENTS: [&str; 14] = [
    "svg",
    "g",
    "defs",
    "title",
    "path",
    "clipPath",
    "linearGradient",
    "radialGradient",
    "stop",
    "mask",
    "use",
    "pattern",
    "symbol",
    "rect",
];

/// A figure's `svg` element for a page: scalable, with ids of its own, coordinates rounded to a tenth of a unit (a fortieth
/// of a pixel), without space between its elements. `name` begins every id, and labels the drawing with its title.
///
/// # Errors
/// If it is no SVG, has no size, holds an element that is not known, or refers to something outside of itself.
pub fn inline(svg: &str, name: &str) -> anyhow::Result<String> {
    let document = Document::parse(svg).context("the figure is no SVG")?;
    let root = document.root_element();
    let size = |side: &str| -> anyhow::Result<f64> {
        let text = root.attribute(side).with_context(|| format!("the figure has no {side}"))?;
        text.parse().with_context(|| format!("the {side} of the figure is `{text}`"))
    };
    let (width, height) = (size("width")?, size("height")?);
    let mut out = String::with_capacity(svg.len() / 2);
    write!(
        out,
        "<svg xmlns=\"{SVG}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"{name}-title\" focusable=\"false\">"
    )?;
    for child in root.children() {
        write_node(&mut out, child, name)?;
    }
    out.push_str("</svg>");
    Ok(out)
}

fn write_node(out: &mut String, node: Node<'_, '_>, name: &str) -> anyhow::Result<()> {
    if let Some(text) = node.text().filter(|_| node.is_text()) {
        out.push_str(&escaped(text.trim()));
    }
    if !node.is_element() {
        return Ok(());
    }
    let tag = node.tag_name();
    let known = tag.namespace() == Some(SVG) && ELEMENTS.contains(&tag.name());
    ensure!(known, "the figure holds an element `{}`, which a page cannot take in", tag.name());
    write!(out, "<{}", tag.name())?;
    if tag.name() == "title" {
        write!(out, " id=\"{name}-title\"")?;
    }
    for attribute in node.attributes() {
        let (key, value) = (attribute.name(), attribute.value());
        ensure!(!key.starts_with("on"), "the figure holds an attribute `{key}`, which a page cannot take in");
        let value = match key {
            "id" if tag.name() == "title" => continue,
            "id" => format!("{name}-{value}"),
            "href" => format!("#{name}-{}", value.strip_prefix('#').with_context(|| outside(value))?),
            "d" => rounded(value),
            _ => referring(value, name)?,
        };
        write!(out, " {key}=\"{}\"", escaped(&value))?;
    }
    if !node.has_children() {
        out.push_str("/>");
        return Ok(());
    }
    out.push('>');
    for child in node.children() {
        write_node(out, child, name)?;
    }
    write!(out, "</{}>", tag.name())?;
    Ok(())
}

fn outside(what: &str) -> String {
    format!("the figure refers to `{what}`, which lies outside of it")
}

/// A value in which `url(#id)` names an id of this drawing.
fn referring(value: &str, name: &str) -> anyhow::Result<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("url(") {
        let id = after.trim_start_matches(['"', '\'']).strip_prefix('#').with_context(|| outside(value))?;
        write!(out, "{before}url(#{name}-")?;
        rest = id;
    }
    Ok(out + rest)
}

/// Path data with numbers of one decimal.
fn rounded(data: &str) -> String {
    let mut out = String::with_capacity(data.len());
    for token in data.split_ascii_whitespace() {
        let number = token.parse::<f64>().ok().map(|number| {
            let text = format!("{number:.1}");
            let text = text.strip_suffix(".0").unwrap_or(&text);
            if text == "-0" { "0".to_owned() } else { text.to_owned() }
        });
        let token = number.as_deref().unwrap_or(token);
        // Two numbers need something between them; a letter ends a number by itself.
        if out.ends_with(|c: char| c.is_ascii_digit()) && token.starts_with(|c: char| c.is_ascii_digit()) {
            out.push(' ');
        }
        out.push_str(token);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(content: &str) -> String {
        format!(
            "<svg width=\"20\" height=\"10\" xmlns=\"{SVG}\" xmlns:xlink=\"http://www.w3.org/1999/xlink\">{content}</svg>"
        )
    }

    #[test]
    fn ids_and_references_get_a_name_in_front() {
        let drawing =
            svg("\n <title>A &amp; B</title>\n <defs><clipPath id=\"a\"><path d=\"M 0 0\"/></clipPath></defs>\
             <g clip-path=\"url(#a)\"><use xlink:href=\"#a\"/></g>");
        let inlined = inline(&drawing, "figure4").unwrap();
        for part in [
            "viewBox=\"0 0 20 10\"",
            "aria-labelledby=\"figure4-title\"",
            "<title id=\"figure4-title\">A &amp; B</title><defs>",
            "<clipPath id=\"figure4-a\">",
            "clip-path=\"url(#figure4-a)\"",
            "href=\"#figure4-a\"",
        ] {
            assert!(inlined.contains(part), "{part}: {inlined}");
        }
        Document::parse(&inlined).unwrap();
    }

    #[test]
    fn coordinates_lose_what_nobody_sees() {
        assert_eq!(rounded("M 1418.6954 42.04 L -0.04 -7.25 Q 1 2 30 4.0 Z"), "M1418.7 42L0-7.2Q1 2 30 4Z");
        assert_eq!(rounded("M 1e3 NaNx"), "M1000NaNx");
    }

    /// A figure of the store is ours; whatever else lies there is not taken into a page that promises to ask for nothing.
    #[test]
    fn what_acts_or_asks_is_refused() {
        for (content, told) in [
            ("<script>alert(1)</script>", "`script`"),
            ("<image href=\"x.png\"/>", "`image`"),
            ("<foreignObject/>", "`foreignObject`"),
            ("<g onclick=\"x\"/>", "`onclick`"),
            ("<use href=\"http://example.org/#a\"/>", "outside of it"),
            ("<g fill=\"url(http://example.org/#a)\"/>", "outside of it"),
            ("<p xmlns=\"http://www.w3.org/1999/xhtml\"/>", "`p`"),
        ] {
            let error = inline(&svg(content), "f").unwrap_err().to_string();
            assert!(error.contains(told), "{content}: {error}");
        }
        assert!(inline("<svg/>", "f").unwrap_err().to_string().contains("no width"));
        assert!(inline("none", "f").is_err());
    }
}
