//! Addresses that may hold a user and a password, which are sent to that server and never shown or stored; and what a
//! connection has to be like.

use std::fmt;
use std::sync::OnceLock;

use anyhow::Context;
use reqwest::Url;

/// The address of a mirror or a hub, as a person gave it. What it shows is without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// Any text is taken, since the error message of a parser would quote it.
impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Address(text.trim().trim_end_matches('/').to_owned())
    }
}

impl Address {
    /// The address as the base of others, with user and password.
    ///
    /// # Errors
    /// If it is not an address. The message does not quote it, as it may hold a password all the same.
    pub fn url(&self) -> anyhow::Result<Url> {
        Url::parse(&format!("{}/", self.0)).ok().filter(Url::has_host).context(
            "not an address: expected https://HOST/PATH, with a user and password as in https://USER:PASSWORD@HOST, where \
             special characters are written as %2F",
        )
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.url() {
            Ok(url) => f.write_str(shown(&url).trim_end_matches('/')),
            Err(_) => f.write_str("(not an address)"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The credentials for a server. They are sent to that server only, not to the target of a redirect.
pub enum Access {
    Open,
    /// A name and a key.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

/// An address for messages and records: without user, password and fragment. What stands before an `@` in the path may be a
/// part of a password with a `/` in it, so the path then goes too.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails for addresses that have none.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_fragment(None);
    if url.path().contains('@') {
        url.set_path("");
        url.set_query(None);
    }
    url.to_string()
}

/// HTTPS everywhere, plain HTTP only on this machine.
pub fn is_allowed(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_here(url))
}

/// Whether the server is this machine.
pub fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// Chooses the cryptography of TLS, which every client has to do before its first connection.
pub fn set_up_tls() {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Fails if this process has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Whether both lead to the same server, to which the credentials of one may be sent for the other.
pub fn same_server(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// `to` with the user and password of `from`.
pub fn with_credentials(mut to: Url, from: &Url) -> Url {
    // Fails for addresses that have no server.
    let _ = to.set_username(from.username()).and_then(|()| to.set_password(from.password()));
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a password is spelled, what is shown does not hold it.
    #[test]
    fn passwords_are_not_shown() {
        for (given, expected) in [
            ("https://example.org/a/", "https://example.org/a"),
            ("http://reader:hunter2@127.0.0.1:80/a", "http://127.0.0.1/a"),
            ("http://reader:hunter2%2Fx@127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("https://hunter2@example.org", "https://example.org"),
            ("https://reader:hunter2/x@example.org", "(not an address)"),
            ("https://reader/hunter2@example.org", "https://reader"),
            ("https://reader:hun@ter2@example.org", "https://example.org"),
            ("reader:hunter2@example.org", "(not an address)"),
            ("reader:hunter2", "(not an address)"),
            ("https://", "(not an address)"),
        ] {
            let address = Address::from(given);
            assert_eq!(
                (address.to_string(), format!("{address:?}")),
                (expected.to_owned(), expected.to_owned()),
                "{given}"
            );
            if let Err(error) = address.url() {
                assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
            }
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let allowed = |url: &str| is_allowed(&Url::parse(url).unwrap());
        assert!(allowed("https://example.org/x") && allowed("http://127.0.0.1:80/x") && allowed("http://[::1]/x"));
        assert!(!allowed("http://example.org/x") && !allowed("ftp://127.0.0.1/x"));
        assert!(!allowed("http://127.0.0.1.example.org/"));
    }

    #[test]
    fn credentials_go_to_their_server_alone() {
        let url = |text: &str| Url::parse(text).unwrap();
        let mirror = url("http://reader:hunter2%2Fx@127.0.0.1:8000/m/");
        assert!(same_server(&mirror, &url("http://127.0.0.1:8000/archives/a.zip")));
        for other in ["http://127.0.0.1:8001/a", "https://127.0.0.1:8000/a", "http://localhost:8000/a"] {
            assert!(!same_server(&mirror, &url(other)), "{other}");
        }
        let with = with_credentials(url("http://127.0.0.1:8000/archives/a.zip"), &mirror);
        assert_eq!(with.as_str(), "http://reader:hunter2%2Fx@127.0.0.1:8000/archives/a.zip");
    }
}
