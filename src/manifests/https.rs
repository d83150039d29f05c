//! Downloads over HTTPS: streamed to disk, resumed after a cut, retried, mirror by mirror.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::Context;
use reqwest::StatusCode;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};

use super::Archive;
use super::fetch::{FetchContext, Patience, verify};
use crate::errors::{self, Class};
use crate::progress::Unit;

/// Why one try ended.
enum Cut {
    /// Worth another try of the same mirror, perhaps after a pause that the server asked for.
    Passing(anyhow::Error, Option<Duration>),
    /// This mirror will not have it.
    Final(anyhow::Error),
}

/// Tries the mirrors in order, each several times.
pub(super) fn fetch(archive: &Archive, urls: &[String], to: &Path, context: &FetchContext) -> anyhow::Result<()> {
    let partial = context.partial.join(archive.sha256.to_string());
    let mut file = open_partial(&partial, context)?;
    context.progress.begin(Some(archive.size), Unit::Bytes);
    let client = client(&context.patience)?;
    let mut answers = Vec::new();
    for url in urls {
        let result = from_mirror(&client, url, archive, &mut file, context).and_then(|()| {
            // The name goes to the verified file; a wrong one goes to the quarantine.
            verify(archive, &partial, context, url)?;
            file.sync_all()
                .and_then(|()| std::fs::rename(&partial, to))
                .with_context(|| format!("cannot move {}", partial.display()))
        });
        match result {
            Ok(()) => return Ok(()),
            Err(error) if errors::class_of(&error) == Class::Interrupted => return Err(error),
            Err(error) => {
                context.progress.note(&format!("{url}: {error:#}"));
                answers.push(format!("{url}: {error:#}"));
                if !partial.exists() {
                    // It was set aside: the next mirror starts anew.
                    file = open_partial(&partial, context)?;
                    context.progress.begin(Some(archive.size), Unit::Bytes);
                }
            }
        }
    }
    anyhow::bail!("no mirror has it: {}", answers.join("; "))
}

/// Opens the partial file and locks it, so that two processes do not write it at once.
fn open_partial(path: &Path, context: &FetchContext) -> anyhow::Result<File> {
    std::fs::create_dir_all(&context.partial).with_context(|| format!("cannot make {}", context.partial.display()))?;
    let mut told = false;
    loop {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    context.progress.note("waiting for another run that downloads the same file");
                }
                context.interrupt.check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

fn client(patience: &Patience) -> anyhow::Result<Client> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Somebody else in this process may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > 8 {
            attempt.error("more than 8 redirects")
        } else if is_allowed(attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("a redirect to an address that is not https")
        }
    });
    Client::builder()
        .connect_timeout(patience.connect)
        // In a blocking client this bounds each wait, for the answer and for every piece of its body, not the whole.
        .timeout(patience.stall)
        .redirect(redirects)
        .user_agent(concat!("seesaw/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot start an HTTPS client")
}

/// HTTPS everywhere; plain HTTP on this machine alone.
fn is_allowed(url: &reqwest::Url) -> bool {
    url.scheme() == "https"
        || (url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
}

fn from_mirror(
    client: &Client,
    url: &str,
    archive: &Archive,
    file: &mut File,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let url = reqwest::Url::parse(url).with_context(|| format!("{url} is no address"))?;
    anyhow::ensure!(is_allowed(&url), "{url} is not https");
    let mut pause = context.patience.pause;
    for attempt in 1.. {
        context.interrupt.check()?;
        match one_try(client, &url, archive, file, context) {
            Ok(()) => return Ok(()),
            Err(Cut::Final(error)) => return Err(error),
            Err(Cut::Passing(error, _)) if attempt >= context.patience.tries => return Err(error),
            Err(Cut::Passing(error, asked)) => {
                let wait = asked.unwrap_or(pause).mul_f64(0.75 + 0.5 * jitter());
                context.progress.note(&format!("{error:#}; trying again in {:.1} s", wait.as_secs_f64()));
                sleep(wait, context)?;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
        }
    }
    unreachable!("the last try returns")
}

/// A number in [0, 1) that differs between processes and moments; it reaches no result.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

fn sleep(wait: Duration, context: &FetchContext) -> anyhow::Result<()> {
    let step = Duration::from_millis(100);
    let mut left = wait;
    while !left.is_zero() {
        context.interrupt.check()?;
        let now = left.min(step);
        std::thread::sleep(now);
        left -= now;
    }
    Ok(())
}

/// One request, from where the file ends. What arrived stays in the file if the try is cut.
fn one_try(
    client: &Client,
    url: &reqwest::Url,
    archive: &Archive,
    file: &mut File,
    context: &FetchContext,
) -> Result<(), Cut> {
    let disk = |error: std::io::Error| Cut::Final(anyhow::Error::new(error).context("cannot write the download"));
    let mut have = file.seek(SeekFrom::End(0)).map_err(disk)?;
    if have > archive.size {
        file.set_len(0).map_err(disk)?;
        have = 0;
    }
    if have == archive.size {
        return Ok(());
    }
    let mut request = client.get(url.clone());
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let pieces = in_background(request);
    let Piece::Head(head) = next(&pieces, context)? else {
        return Err(Cut::Passing(anyhow::anyhow!("no answer"), None));
    };
    let start = start_of(&head, have, archive)?;
    file.set_len(start).map_err(disk)?;
    file.seek(SeekFrom::Start(start)).map_err(disk)?;
    context.progress.begin(Some(archive.size), Unit::Bytes);
    context.progress.advance(start);
    receive(&pieces, start, archive, file, context)
}

/// What a request gives, bit by bit.
enum Piece {
    Head(Head),
    Body(Vec<u8>),
    End,
    Failed(anyhow::Error),
}

struct Head {
    status: StatusCode,
    content_range: Option<String>,
    /// What the server asks for in seconds, within reason.
    retry_after: Option<Duration>,
}

/// Sends a request on a thread of its own, so that a request to stop is heard while a server is silent.
fn in_background(request: RequestBuilder) -> Receiver<Piece> {
    let (sender, receiver) = sync_channel(8);
    std::thread::spawn(move || {
        let said = |error: &dyn std::fmt::Display| Piece::Failed(anyhow::anyhow!("{error}"));
        let mut response = match request.send() {
            Ok(response) => response,
            Err(error) => return drop(sender.send(said(&without_url(error)))),
        };
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let seconds = header(RETRY_AFTER).and_then(|seconds| seconds.parse::<u64>().ok());
        let head = Head {
            status: response.status(),
            content_range: header(CONTENT_RANGE),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds.min(120))),
        };
        let mut going = sender.send(Piece::Head(head)).is_ok();
        while going {
            let mut buffer = vec![0; 1 << 16];
            going = match response.read(&mut buffer) {
                Ok(0) => return drop(sender.send(Piece::End)),
                Ok(n) => {
                    buffer.truncate(n);
                    sender.send(Piece::Body(buffer)).is_ok()
                }
                Err(error) => return drop(sender.send(said(&error))),
            };
        }
    });
    receiver
}

/// The address is told once, by whoever lists the mirrors.
fn without_url(error: reqwest::Error) -> String {
    let error = anyhow::Error::new(error.without_url());
    format!("{error:#}")
}

fn next(pieces: &Receiver<Piece>, context: &FetchContext) -> Result<Piece, Cut> {
    loop {
        context.interrupt.check().map_err(Cut::Final)?;
        match pieces.recv_timeout(Duration::from_millis(100)) {
            Ok(Piece::Failed(error)) => return Err(Cut::Passing(error, None)),
            Ok(piece) => return Ok(piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Piece::End),
        }
    }
}

/// Where in the file the answer's body begins.
fn start_of(head: &Head, have: u64, archive: &Archive) -> Result<u64, Cut> {
    let wrong = || anyhow::anyhow!("the server answered {}", head.status);
    match head.status {
        // A server that ignores the range sends all of it again.
        StatusCode::OK => Ok(0),
        StatusCode::PARTIAL_CONTENT => match head.content_range.as_deref().and_then(first_and_total) {
            Some((first, total)) if first == have && total.is_none_or(|total| total == archive.size) => Ok(have),
            _ => {
                let range = &head.content_range;
                Err(Cut::Final(anyhow::anyhow!("the server answered with another range ({range:?}) than asked for")))
            }
        },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Cut::Passing(wrong(), head.retry_after)),
        status if status.is_server_error() => Err(Cut::Passing(wrong(), head.retry_after)),
        _ => Err(Cut::Final(wrong())),
    }
}

/// `bytes 100-199/200` → (100, 200).
fn first_and_total(range: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn receive(
    pieces: &Receiver<Piece>,
    start: u64,
    archive: &Archive,
    file: &mut File,
    context: &FetchContext,
) -> Result<(), Cut> {
    let mut at = start;
    let cut_at = |cut: Cut, at: u64| match cut {
        Cut::Passing(error, wait) => {
            Cut::Passing(error.context(format!("cut after {at} of {} bytes", archive.size)), wait)
        }
        cut => cut,
    };
    while let Piece::Body(bytes) = next(pieces, context).map_err(|cut| cut_at(cut, at))? {
        at += bytes.len() as u64;
        if at > archive.size {
            let _ = file.set_len(0);
            let size = archive.size;
            return Err(Cut::Final(anyhow::anyhow!("the server sends more than the {size} bytes that were expected")));
        }
        file.write_all(&bytes)
            .map_err(|error| Cut::Final(anyhow::Error::new(error).context("cannot write the download")))?;
        context.progress.advance(bytes.len() as u64);
    }
    match at == archive.size {
        true => Ok(()),
        false => Err(Cut::Passing(anyhow::anyhow!("the answer ended after {at} of {} bytes", archive.size), None)),
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
    fn plain_http_stays_on_this_machine() {
        let allowed = |url: &str| is_allowed(&reqwest::Url::parse(url).unwrap());
        assert!(allowed("https://example.org/x") && allowed("http://127.0.0.1:80/x") && allowed("http://[::1]/x"));
        assert!(
            !allowed("http://example.org/x")
                && !allowed("ftp://127.0.0.1/x")
                && !allowed("http://127.0.0.1.example.org/")
        );
    }
}
