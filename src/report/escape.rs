//! Names, causes and captions as text of LaTeX, Markdown and CSV, so that no character of theirs is taken for a command.

use minijinja::Value;

/// Text for LaTeX.
///
/// pdflatex with T1 fonts sets ASCII, most Latin letters and the Greek letters and signs below; any other character
/// would stop it, so it is written by its number, `[U+6F22]`.
pub fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut opening = true;
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => out.extend(['\\', c]),
            '^' => out.push_str("\\textasciicircum{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '`' => out.push_str("\\textasciigrave{}"),
            '"' => {
                out.push_str(if opening { "``" } else { "''" });
                opening = !opening;
            }
            c if c.is_control() => out.push(' '),
            c if c.is_ascii() || is_set_by_latex(c) => out.push(c),
            c => match sign(c) {
                Some(command) => out.push_str(command),
                None => out.push_str(&format!("[U+{:04X}]", c as u32)),
            },
        }
    }
    out
}

/// Whether inputenc's UTF-8 and a T1 font know the letter: Latin-1 and Latin Extended-A but for nine.
fn is_set_by_latex(c: char) -> bool {
    ('\u{a0}'..='\u{17f}').contains(&c) && !"ĦħĸĿŀŉŦŧſ±×µ".contains(c)
}

/// Signs that names and causes hold, and the Greek letters that look like no Latin one.
fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '†' => "$\\dagger$",
        '±' => "$\\pm$",
        '×' => "$\\times$",
        '−' => "$-$",
        '≤' => "$\\le$",
        '≥' => "$\\ge$",
        '≠' => "$\\ne$",
        '≈' => "$\\approx$",
        '∞' => "$\\infty$",
        '√' => "$\\surd$",
        '∈' => "$\\in$",
        '→' => "$\\to$",
        '←' => "$\\gets$",
        '·' => "$\\cdot$",
        '—' => "---",
        '–' => "--",
        '’' => "'",
        '‘' => "`",
        '“' => "``",
        '”' => "''",
        '…' => "\\ldots{}",
        'α' => "$\\alpha$",
        'β' => "$\\beta$",
        'γ' => "$\\gamma$",
        'δ' => "$\\delta$",
        'ε' => "$\\varepsilon$",
        'ζ' => "$\\zeta$",
        'η' => "$\\eta$",
        'θ' => "$\\theta$",
        'κ' => "$\\kappa$",
        'λ' => "$\\lambda$",
        'μ' | 'µ' => "$\\mu$",
        'ξ' => "$\\xi$",
        'π' => "$\\pi$",
        'ρ' => "$\\rho$",
        'σ' => "$\\sigma$",
        'τ' => "$\\tau$",
        'φ' => "$\\varphi$",
        'χ' => "$\\chi$",
        'ψ' => "$\\psi$",
        'ω' => "$\\omega$",
        'Γ' => "$\\Gamma$",
        'Δ' => "$\\Delta$",
        'Θ' => "$\\Theta$",
        'Λ' => "$\\Lambda$",
        'Π' => "$\\Pi$",
        'Σ' => "$\\Sigma$",
        'Φ' => "$\\Phi$",
        'Ψ' => "$\\Psi$",
        'Ω' => "$\\Omega$",
        _ => return None,
    })
}

/// Text for Markdown with tables, formulas and strikethrough, in a cell or in a paragraph.
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

/// A field of a CSV file (RFC 4180); empty for a missing number, `true` or `false`.
pub fn csv(value: &Value) -> String {
    if value.is_none() {
        return String::new();
    }
    let text = match bool::try_from(value.clone()) {
        Ok(truth) if value.kind() == minijinja::value::ValueKind::Bool => truth.to_string(),
        _ => value.to_string(),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_a_meaning_are_escaped() {
        assert_eq!(
            latex(r"50% of a_b & {c} \ ~^ Δ ± σ"),
            r"50\% of a\_b \& \{c\} \textbackslash{} \textasciitilde{}\textasciicircum{} $\Delta$ $\pm$ $\sigma$"
        );
        assert_eq!(latex("\"quoted\" 漢 é ħ"), "``quoted'' [U+6F22] é [U+0127]");
        assert_eq!(markdown("a|b*c_d $x$ &lt; ~~"), r"a\|b\*c\_d \$x\$ \&lt; \~\~");
        assert_eq!(csv(&Value::from("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(csv(&Value::from("two\nlines")), "\"two\nlines\"");
        assert_eq!([csv(&Value::from(true)), csv(&Value::from(1.0)), csv(&Value::from(()))], ["true", "1.0", ""]);
    }
}
