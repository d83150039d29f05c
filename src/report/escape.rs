//! Escapes names, causes and captions for LaTeX, Markdown and CSV.

use minijinja::Value;

/// Escapes text for LaTeX.
///
/// pdflatex with T1 fonts sets ASCII, most Latin letters, and the Greek letters and signs below. Any other character
/// would stop it, so it becomes its number, such as `[U+6F22]`. Two hyphens stay two, and quotes between backticks stay
/// straight: they belong to commands, which people copy.
pub fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut opening, mut is_code) = (true, false);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => out.extend(['\\', c]),
            '^' => out.push_str("\\textasciicircum{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '`' => {
                is_code = !is_code;
                out.push_str("\\textasciigrave{}");
            }
            '"' if is_code => out.push_str("\\textquotedbl{}"),
            '\'' if is_code => out.push_str("\\textquotesingle{}"),
            '-' if out.ends_with('-') => out.push_str("{}-"),
            '"' => {
                out.push_str(if opening { "``" } else { "''" });
                opening = !opening;
            }
            c if c.is_control() => out.push(' '),
            c if c.is_ascii() || is_set_by_latex(c) => out.push(c),
            c => match sign(c) {
                Some(command) => out.push_str(&command),
                None => out.push_str(&format!("[U+{:04X}]", c as u32)),
            },
        }
    }
    out
}

/// Whether inputenc's UTF-8 and a T1 font have the letter: Latin-1 and Latin Extended-A except nine.
fn is_set_by_latex(c: char) -> bool {
    ('\u{a0}'..='\u{17f}').contains(&c) && !"ĦħĸĿŀŉŦŧſ±×µ".contains(c)
}

/// Signs that occur in names and causes, and the Greek letters that look like no Latin one, with their commands in
/// formulas.
const SIGNS: &str = r"† \dagger ± \pm × \times − - ≤ \le ≥ \ge ≠ \ne ≈ \approx ∞ \infty √ \surd ∈ \in → \to ← \gets · \cdot
    α \alpha β \beta γ \gamma δ \delta ε \varepsilon ζ \zeta η \eta θ \theta κ \kappa λ \lambda μ \mu µ \mu ξ \xi π \pi
    ρ \rho σ \sigma τ \tau φ \varphi χ \chi ψ \psi ω \omega Γ \Gamma Δ \Delta Θ \Theta Λ \Lambda Π \Pi Σ \Sigma Φ \Phi
    Ψ \Psi Ω \Omega";

/// The command for a sign.
fn sign(c: char) -> Option<String> {
    Some(match c {
        '—' => "---".into(),
        '–' => "--".into(),
        '’' => "'".into(),
        '‘' => "`".into(),
        '“' => "``".into(),
        '”' => "''".into(),
        '…' => "\\ldots{}".into(),
        c => {
            let mut words = SIGNS.split_whitespace();
            words.find(|word| word.chars().eq([c]))?;
            format!("${}$", words.next()?)
        }
    })
}

/// Escapes text for Markdown with tables, formulas and strikethrough, in a cell or in a paragraph.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '\\' | '[' | ']' | '<' | '>' | '#' | '~' | '$' | '&' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Writes a field of a CSV file (RFC 4180); `None` is empty. A text that a spreadsheet would run as a formula gets an
/// apostrophe before it, which spreadsheets hide.
pub fn csv(value: &Value) -> String {
    if value.is_none() {
        return String::new();
    }
    let text = match bool::try_from(value.clone()) {
        Ok(truth) if value.kind() == minijinja::value::ValueKind::Bool => truth.to_string(),
        _ => value.to_string(),
    };
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(
            latex(r"50% of a_b & {c} \ ~^ Δ ± σ"),
            r"50\% of a\_b \& \{c\} \textbackslash{} \textasciitilde{}\textasciicircum{} $\Delta$ $\pm$ $\sigma$"
        );
        assert_eq!(latex("\"quoted\" 漢 é ħ"), "``quoted'' [U+6F22] é [U+0127]");
        assert_eq!(markdown("a|b*c_d $x$ &lt; ~~"), r"a\|b\*c\_d \$x\$ \&lt; \~\~");
        assert_eq!(csv(&Value::from("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(
            latex("`run --x '{\"id\"}'`"),
            r"\textasciigrave{}run -{}-x \textquotesingle{}\{\textquotedbl{}id\textquotedbl{}\}\textquotesingle{}\textasciigrave{}"
        );
        assert_eq!(csv(&Value::from("=HYPERLINK(1)")), "'=HYPERLINK(1)");
        assert_eq!(["-1.5", "+1", "−1", "—"].map(|text| csv(&Value::from(text))), ["-1.5", "+1", "−1", "—"]);
        assert_eq!(csv(&Value::from("two\nlines")), "\"two\nlines\"");
        assert_eq!([csv(&Value::from(true)), csv(&Value::from(1.0)), csv(&Value::from(()))], ["true", "1.0", ""]);
    }
}
