//! An HTTP request whose answer arrives piece by piece on a thread of its own, so that an interrupt does not have to wait
//! for a silent server.

use std::io::Read;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use super::fetch::Patience;
use crate::interrupt::Interrupt;

/// The longest pause that a server can ask for.
const MOST_PATIENCE: Duration = Duration::from_secs(120);
const MOST_REDIRECTS: usize = 8;

/// A client for one address, which may be HTTPS, or plain HTTP on this machine.
///
/// # Errors
/// If the address is of another kind, or TLS cannot be set up.
pub(super) fn client(url: &Url, patience: &Patience) -> anyhow::Result<Client> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Fails if this process has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    anyhow::ensure!(is_allowed(url), "the address should begin with https://");
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error(format!("more than {MOST_REDIRECTS} redirects"))
        } else if is_allowed(attempt.url()) {
            attempt.follow()
        } else {
            let message = format!("a redirect to {}, which is not https", attempt.url());
            attempt.error(message)
        }
    });
    let builder = Client::builder()
        .connect_timeout(patience.connect)
        // In a blocking client this limits each wait for a piece of the answer, not the whole.
        .timeout(patience.stall)
        .redirect(redirects)
        .user_agent(concat!("seesaw/", env!("CARGO_PKG_VERSION")));
    // A proxy cannot reach this machine.
    let builder = if is_here(url) { builder.no_proxy() } else { builder };
    builder.build().context("cannot start an HTTPS client")
}

/// HTTPS everywhere, plain HTTP only on this machine.
pub(super) fn is_allowed(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_here(url))
}

fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub content_length: Option<u64>,
    pub content_range: Option<String>,
    /// The version of the file: a strong entity tag, or else the date of the last change.
    pub version: Option<String>,
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
    /// This server does not give the file.
    Server(anyhow::Error),
    /// No server can help: on an interrupt, or if the disk of this machine fails.
    Stop(anyhow::Error),
}

impl Failure {
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Failure::Passing(error, _) | Failure::Silent(error) | Failure::Server(error) | Failure::Stop(error) => {
                error
            }
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
    Head {
        status: response.status(),
        content_length: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        content_range: header(CONTENT_RANGE),
        version: header(ETAG).filter(|tag| tag.starts_with('"')).or_else(|| header(LAST_MODIFIED)),
        is_web_page: header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")),
        retry_after: seconds.map(|asked| asked.min(MOST_PATIENCE)),
    }
}

/// Without the address, which is in the message of whoever tries the servers.
fn no_answer(error: reqwest::Error) -> Failure {
    let (connect, redirect) = (error.is_connect(), error.is_redirect());
    let error = anyhow::anyhow!("{:#}", anyhow::Error::new(error.without_url()));
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
    fn plain_http_stays_on_this_machine() {
        let allowed = |url: &str| is_allowed(&Url::parse(url).unwrap());
        assert!(allowed("https://example.org/x") && allowed("http://127.0.0.1:80/x") && allowed("http://[::1]/x"));
        assert!(!allowed("http://example.org/x") && !allowed("ftp://127.0.0.1/x"));
        assert!(!allowed("http://127.0.0.1.example.org/"));
    }
}
