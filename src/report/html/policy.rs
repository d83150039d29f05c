//! What the page may do: nothing but show itself and run its own script.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::digest::Digest;

/// The page's Content-Security-Policy, which allows this script and no other.
///
/// Styles are not bound to a hash: what the script places, it places by the style of an element.
pub fn of(script: &str) -> String {
    let hash = STANDARD.encode(Digest::of(script.as_bytes()).0);
    format!(
        "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is that of a browser: `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`.
    #[test]
    fn one_script_is_allowed() {
        assert!(of("alert(1)").contains("script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=';"));
        assert_ne!(of("a"), of("b"));
    }
}
