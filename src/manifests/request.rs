//! An HTTP request whose answer arrives piece by piece on a thread of its own, so that an interrupt does not have to wait
//! for a silent server.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::context::Patience;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::network::{self, Address, is_allowed, is_here};
use crate::settings::variable;

/// The longest pause that a server can ask for.
const MOST_PATIENCE: Duration = Duration::from_secs(120);
const MOST_REDIRECTS: usize = 8;

/// A client for one address, which may be HTTPS, or plain HTTP on this machine.
///
/// # Errors
/// If the address is of another kind, or TLS cannot be set up.
pub(super) fn client(url: &Url, patience: &Patience) -> anyhow::Result<Client> {
    network::set_up_tls();
    anyhow::ensure!(is_allowed(url), "the address should begin with https://");
    let redirects = |attempt: reqwest::redirect::Attempt<'_>| {
        if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error(format!("more than {MOST_REDIRECTS} redirects"))
        } else if is_allowed(attempt.url()) {
            attempt.follow()
        } else {
            let message = format!("a redirect to {}, which is not https", network::shown(attempt.url()));
            attempt.error(message)
        }
    };
    let redirects = || reqwest::redirect::Policy::custom(redirects);
    let builder = || {
        Client::builder()
            .connect_timeout(patience.connect)
            // In a blocking client this limits each wait for a piece of the answer, not the whole.
            .timeout(patience.stall)
            .redirect(redirects())
            .user_agent(concat!("seesaw/", env!("CARGO_PKG_VERSION")))
    };
    // A proxy cannot reach this machine.
    let builder = || if is_here(url) { builder().no_proxy() } else { builder() };
    let built = match builder().build() {
        // Plain HTTP needs no certificates.
        Err(_) if url.scheme() == "http" => builder().tls_certs_only([]).build(),
        built => built,
    };
    built.context("cannot start an HTTPS client").map_err(|error| {
        let hint = "this machine may have no certificates: install the package `ca-certificates`, or name a file of certificates \
                    in SSL_CERT_FILE";
        errors::with_hint(error, hint)
    })
}

/// The proxy for an address, by the variables that the HTTP client reads: the variable and its value.
pub(super) fn proxy_of(url: &Url) -> Option<(&'static str, Address)> {
    let names: &[&str] = match url.scheme() {
        "https" => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["http_proxy", "ALL_PROXY", "all_proxy"],
    };
    let (name, value) = names.iter().find_map(|name| Some((*name, variable(name)?)))?;
    let host = url.host_str().unwrap_or_default();
    let excepted = ["NO_PROXY", "no_proxy"].into_iter().filter_map(variable).any(|list| {
        let mut parts = list.split(',').map(|part| part.trim().trim_start_matches('.'));
        parts.any(|part| part == "*" || (!part.is_empty() && (host == part || host.ends_with(&format!(".{part}")))))
    });
    let address = if value.contains("://") { value } else { format!("http://{value}") };
    (!excepted && !is_here(url)).then(|| (name, Address::from(address.as_str())))
}

/// The version of a file, as far as the server names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// The entity tag.
    pub tag: Option<String>,
    /// The date of the last change.
    pub date: Option<String>,
    /// The size of the whole file, in bytes.
    pub total: Option<u64>,
}

impl Version {
    /// The name by which a server can be asked for the rest of this version: a strong entity tag, or else the date.
    pub fn name(&self) -> Option<&str> {
        self.tag.as_deref().filter(|tag| tag.starts_with('"')).or(self.date.as_deref())
    }

    /// Whether nothing that both say differs.
    pub fn agrees_with(&self, other: &Version) -> bool {
        fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        same(self.tag.as_ref(), other.tag.as_ref())
            && same(self.date.as_ref(), other.date.as_ref())
            && same(self.total.as_ref(), other.total.as_ref())
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub content_length: Option<u64>,
    pub content_range: Option<String>,
    pub version: Version,
    /// Whether the body is HTML.
    pub is_web_page: bool,
    /// The pause that the server asks for, limited to [`MOST_PATIENCE`].
    pub retry_after: Option<Duration>,
}

/// Why a server, or one request to it, gave no file.
#[derive(Debug)]
pub(super) enum Failure {
    /// Worth another try, perhaps after a pause that the server asked for.
    Passing(anyhow::Error, Option<Duration>),
    /// There was no connection.
    Silent(anyhow::Error),
    /// An earlier download found that there is no connection.
    OutOfReach(anyhow::Error),
    /// This server does not give the file.
    Server(anyhow::Error),
    /// No server can help: on an interrupt, or if the disk of this machine fails.
    Stop(anyhow::Error),
}

impl Failure {
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Failure::Passing(error, _)
            | Failure::Silent(error)
            | Failure::OutOfReach(error)
            | Failure::Server(error)
            | Failure::Stop(error) => error,
        }
    }
}

enum Piece {
    Head(Head),
    Body(Vec<u8>),
    End,
    Failed(Failure),
}

/// An answer that is arriving.
pub(super) struct Answer<'a> {
    pieces: Receiver<Piece>,
    interrupt: &'a Interrupt,
}

impl<'a> Answer<'a> {
    /// Sends a request.
    pub fn to(request: RequestBuilder, interrupt: &'a Interrupt) -> Self {
        let (sender, pieces) = sync_channel(8);
        std::thread::spawn(move || relay(request, &sender));
        Answer { pieces, interrupt }
    }

    /// The head of the answer, which comes first.
    pub fn head(&self) -> Result<Head, Failure> {
        match self.next()? {
            Piece::Head(head) => Ok(head),
            _ => Err(Failure::Passing(anyhow::anyhow!("no answer"), None)),
        }
    }

    /// The next bytes of the body, or None at its end, which may be premature.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, Failure> {
        match self.next()? {
            Piece::Body(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    fn next(&self) -> Result<Piece, Failure> {
        loop {
            self.interrupt.check().map_err(Failure::Stop)?;
            match self.pieces.recv_timeout(Duration::from_millis(100)) {
                Ok(Piece::Failed(failure)) => return Err(failure),
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::Passing(anyhow::anyhow!("the thread of the connection ended"), None));
                }
            }
        }
    }
}

/// Reads an answer and passes it on until its receiver is gone.
fn relay(request: RequestBuilder, sender: &SyncSender<Piece>) {
    let mut response = match request.send() {
        Ok(response) => response,
        Err(error) => return drop(sender.send(Piece::Failed(no_answer(error)))),
    };
    let mut going = sender.send(Piece::Head(head(&response))).is_ok();
    while going {
        let mut buffer = vec![0; 1 << 16];
        let piece = match response.read(&mut buffer) {
            Ok(0) => Piece::End,
            Ok(n) => {
                buffer.truncate(n);
                Piece::Body(buffer)
            }
            Err(error) => Piece::Failed(Failure::Passing(cut(error), None)),
        };
        going = matches!(piece, Piece::Body(_));
        going = sender.send(piece).is_ok() && going;
    }
}

fn head(response: &Response) -> Head {
    let header = |name: HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.trim().to_owned())
    };
    let seconds = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let content_length = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let content_range = header(CONTENT_RANGE);
    let total = match &content_range {
        Some(range) => first_and_total(range).and_then(|(_, total)| total),
        None => content_length,
    };
    Head {
        status: response.status(),
        content_length,
        content_range,
        version: Version { tag: header(ETAG), date: header(LAST_MODIFIED), total },
        is_web_page: header(CONTENT_TYPE).is_some_and(|kind| is_web_page(&kind)),
        retry_after: seconds.map(|asked| asked.min(MOST_PATIENCE)),
    }
}

/// `bytes 100-199/200` → (100, 200).
pub(super) fn first_and_total(range: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// Whether a content type is that of a page for a browser. Types are compared without case and parameters.
fn is_web_page(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "application/xhtml+xml")
}

/// Without the address, which is in the message of whoever tries the servers.
fn no_answer(error: reqwest::Error) -> Failure {
    let (connect, redirect) = (error.is_connect(), error.is_redirect());
    let proxy = error.url().and_then(proxy_of).filter(|_| !redirect);
    let error = anyhow::Error::new(error.without_url());
    // Of a connection, the layers between say nothing more.
    let error =
        if connect && !redirect { anyhow::anyhow!("{}", error.root_cause()) } else { anyhow::anyhow!("{error:#}") };
    let error = match proxy {
        None => error,
        Some((name, address)) => errors::with_hint(
            error.context(format!("no answer through the proxy {address} of {name}")),
            format!("check that the proxy in {name} works, or unset {name}; then run the same command again"),
        ),
    };
    match (redirect, connect) {
        (true, _) => Failure::Server(error),
        (false, true) => Failure::Silent(error),
        (false, false) => Failure::Passing(error, None),
    }
}

fn cut(error: std::io::Error) -> anyhow::Error {
    match error.downcast::<reqwest::Error>() {
        Ok(error) => anyhow::anyhow!("{:#}", anyhow::Error::new(error.without_url())),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood() {
        assert_eq!(first_and_total("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(first_and_total("bytes 0-0/*"), Some((0, None)));
        assert_eq!(first_and_total("bytes */200"), None);
        assert_eq!(first_and_total("items 0-1/2"), None);
    }

    #[test]
    fn web_pages_are_known_by_their_type() {
        for page in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml;charset=utf-8", " TEXT/HTML "] {
            assert!(is_web_page(page), "{page}");
        }
        for file in ["application/zip", "text/htmlx", "application/octet-stream", "", "text/plain"] {
            assert!(!is_web_page(file), "{file}");
        }
    }
}
