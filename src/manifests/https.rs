//! Downloads over HTTPS: streamed to disk while they are hashed, resumed after a cut, retried, mirror by mirror.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::blocking::Client;
use reqwest::header::{IF_RANGE, RANGE};
use reqwest::{StatusCode, Url};

use super::Archive;
use super::fetch::{FetchContext, another_version};
use super::partial::{Origin, Partial};
use super::request::{self, Answer, Broken, Head};
use crate::errors;
use crate::progress::Unit;

/// After this many new bytes, a mirror that cuts its answers has all its tries again.
const HEADWAY: u64 = 1 << 20;
/// Tries of a mirror that nobody answers at, if there is another one.
const TRIES_OF_THE_SILENT: u32 = 2;
/// Tries of a mirror that nobody answers at, as long as nobody answered anywhere.
const TRIES_WITHOUT_NETWORK: u32 = 3;
/// The longest pause between two tries that is ours.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What to do where no server answered to the end.
const NETWORK: &str = "check the network and run the same command again: it goes on";
/// What to do where a server will not have it, and nothing better is known.
pub(super) const REFUSED: &str =
    "see whether the address is still right, check the network, and run the same command again: it goes on";

/// Why a mirror, or one try of it, gave no file.
enum Failure {
    /// Worth another try of the same mirror, perhaps after a pause that the server asked for.
    Passing(anyhow::Error, Option<Duration>),
    /// Nobody listens there now.
    Silent(anyhow::Error),
    /// This mirror will not have it.
    Mirror(anyhow::Error),
    /// No mirror can help: a stop was asked for, or this machine's disk fails.
    Stop(anyhow::Error),
}

impl Failure {
    fn into_error(self) -> anyhow::Error {
        match self {
            Failure::Passing(error, _) | Failure::Silent(error) | Failure::Mirror(error) | Failure::Stop(error) => {
                error
            }
        }
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::NoConnection(error) => Failure::Silent(error),
            Broken::Cut(error) => Failure::Passing(error, None),
            Broken::Redirects(error) => Failure::Mirror(error),
            Broken::Stop(error) => Failure::Stop(error),
        }
    }
}

/// What a server is told about who asks. It goes to that server alone, not to where it redirects, and is never told to
/// anybody else.
pub(super) enum Access {
    Open,
    /// A name and a key.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

/// Tries the mirrors in order, each several times.
pub(super) fn fetch(
    archive: &Archive,
    urls: &[String],
    access: &Access,
    to: &Path,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let mut answers = Vec::new();
    let mut classes = Vec::new();
    let (mut hint, mut refused) = (None, false);
    for (i, url) in urls.iter().enumerate() {
        match from_mirror(url, i + 1 == urls.len(), archive, access, to, context) {
            Ok(()) => return Ok(()),
            Err(Failure::Stop(error)) => return Err(error),
            Err(failure) => {
                refused |= matches!(failure, Failure::Mirror(_));
                let error = failure.into_error();
                hint = hint.or_else(|| errors::hint_of(&error).map(str::to_owned));
                classes.push(errors::class_of(&error));
                if i + 1 < urls.len() {
                    context.progress.note(&format!("{url}: {error:#}; trying the next mirror"));
                }
                answers.push(format!("{url}: {error:#}"));
            }
        }
    }
    let hint = hint.unwrap_or_else(|| if refused { REFUSED } else { NETWORK }.to_owned());
    Err(errors::of_class(errors::class_of_all(classes), answers.join("; "), hint))
}

/// One mirror. Bytes of an earlier process or another mirror are used; if the whole turns out wrong with them, it is
/// downloaded once more without them, since they may be to blame and not this mirror.
fn from_mirror(
    url: &str,
    last: bool,
    archive: &Archive,
    access: &Access,
    to: &Path,
    context: &FetchContext,
) -> Result<(), Failure> {
    let address = Url::parse(url).with_context(|| format!("{url} is no address")).map_err(Failure::Mirror)?;
    let client = request::client(&address, &context.patience).map_err(Failure::Mirror)?;
    let mirror = Mirror { client, url, address, access, last, archive, context };
    loop {
        let mut partial = Partial::open(archive, url, context).map_err(disk)?;
        mirror.complete(&mut partial)?;
        if partial.is_right(archive).map_err(disk)? {
            return partial.finish(to).map_err(disk);
        }
        let inherited = partial.inherited();
        let error = partial.reject(archive, url, context);
        if !inherited {
            return Err(Failure::Mirror(error));
        }
        context.progress.note(&format!("{error:#}; starting anew without what an earlier download left"));
    }
}

fn disk(error: anyhow::Error) -> Failure {
    match errors::class_of(&error) {
        errors::Class::Interrupted => Failure::Stop(error),
        _ => {
            let hint = "see that the disk has room and may be written, and run the same command again: it goes on";
            Failure::Stop(errors::failed(format!("{error:#}"), hint))
        }
    }
}

struct Mirror<'a> {
    client: Client,
    /// As the manifest writes it.
    url: &'a str,
    address: Url,
    access: &'a Access,
    /// Whether no other mirror follows.
    last: bool,
    archive: &'a Archive,
    context: &'a FetchContext,
}

impl Mirror<'_> {
    /// Tries until all bytes are there.
    fn complete(&self, partial: &mut Partial) -> Result<(), Failure> {
        let patience = &self.context.patience;
        let (mut tries, mut pause) = (0, patience.pause);
        let mut farthest = partial.length();
        let mut version = partial.version();
        while self.archive.size().is_none_or(|size| partial.length() < size) {
            let failure = match self.try_once(partial, &mut version) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if partial.length() >= farthest + HEADWAY {
                farthest = partial.length();
                (tries, pause) = (0, patience.pause);
            }
            tries += 1;
            let most = patience.tries.min(match failure {
                Failure::Silent(_) if !self.last => TRIES_OF_THE_SILENT,
                Failure::Silent(_) if !self.context.network.has_answered() => TRIES_WITHOUT_NETWORK,
                _ => patience.tries,
            });
            let (error, asked) = match failure {
                Failure::Passing(error, asked) if tries < most => (error, asked),
                Failure::Silent(error) if tries < most => (error, None),
                failure => return Err(failure),
            };
            // Never earlier than the server asks for, and not all machines at once.
            let wait = asked.unwrap_or_default().max(pause.mul_f64(0.75)) + pause.mul_f64(0.5 * jitter());
            self.context.progress.note(&format!("{error:#}; trying again in {:.1} s", wait.as_secs_f64()));
            self.sleep(wait)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    fn sleep(&self, wait: Duration) -> Result<(), Failure> {
        let end = Instant::now() + wait;
        loop {
            self.context.interrupt.check().map_err(Failure::Stop)?;
            match end.checked_duration_since(Instant::now()) {
                None => return Ok(()),
                Some(left) => std::thread::sleep(left.min(Duration::from_millis(100))),
            }
        }
    }

    /// One request, from where the partial file ends. What arrived stays there if the try is cut.
    ///
    /// `version` is what the server last called its file; the rest is asked for on the condition that it is the same.
    fn try_once(&self, partial: &mut Partial, version: &mut Option<String>) -> Result<(), Failure> {
        if self.archive.expected().is_none() && version.is_none() {
            // Nobody could tell whether the rest belongs to what is there.
            self.restart(partial)?;
        }
        let have = partial.length();
        let mut request = match self.access {
            Access::Open => self.client.get(self.address.clone()),
            Access::Basic(name, key) => self.client.get(self.address.clone()).basic_auth(name, Some(key)),
            Access::Bearer(token) => self.client.get(self.address.clone()).bearer_auth(token),
        };
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(version) = &version {
                request = request.header(IF_RANGE, version);
            }
        }
        let answer = Answer::to(request, &self.context.interrupt);
        let head = answer.head()?;
        self.context.network.answers();
        let (start, total) = start_of(&head, have, self.archive)?;
        match start {
            Start::Continue => {}
            Start::Anew => self.restart(partial)?,
            Start::NoRange => {
                self.restart(partial)?;
                let range = head.content_range.unwrap_or_else(|| "no range".to_owned());
                let status = head.status;
                let error = anyhow::anyhow!("asked for the bytes from {have}, the server answered {status} ({range})");
                return Err(Failure::Passing(error, None));
            }
        }
        let origin = |version: &String| Origin { url: self.url.to_owned(), version: version.clone() };
        if self.archive.expected().is_none() {
            partial.belongs_to(head.version.as_ref().map(origin)).map_err(disk)?;
        }
        *version = head.version;
        self.receive(&answer, partial, total)
    }

    fn restart(&self, partial: &mut Partial) -> Result<(), Failure> {
        self.context.progress.begin(self.archive.size(), Unit::Bytes);
        partial.restart().map_err(disk)
    }

    /// Takes the body; `total` is the length of the whole file, if anybody said it.
    fn receive(&self, answer: &Answer, partial: &mut Partial, total: Option<u64>) -> Result<(), Failure> {
        let most = total.unwrap_or(self.archive.most());
        let of_all = || total.map_or_else(String::new, |total| format!(" of {total}"));
        if self.archive.size().is_none() {
            self.context.progress.begin(total, Unit::Bytes);
            self.context.progress.advance(partial.length());
        }
        let cut = |broken, length| match broken {
            Broken::Cut(error) => Broken::Cut(error.context(format!("cut after {length}{} bytes", of_all()))),
            other => other,
        };
        while let Some(bytes) = answer.bytes().map_err(|broken| cut(broken, partial.length()))? {
            if partial.length() + bytes.len() as u64 > most {
                self.restart(partial)?;
                let told = format!("the server sends more than the {most} bytes that were expected");
                return Err(another(self.archive, told));
            }
            partial.write(&bytes).map_err(disk)?;
            self.context.progress.advance(bytes.len() as u64);
        }
        match (partial.length(), total) {
            (length, Some(total)) if length != total => {
                Err(Failure::Passing(anyhow::anyhow!("the answer ended after {length} of {total} bytes"), None))
            }
            _ => Ok(()),
        }
    }
}

/// The server has another file.
fn another(archive: &Archive, told: String) -> Failure {
    Failure::Mirror(errors::failed(told, another_version(archive)))
}

/// What an answer's body is, seen from the partial file.
#[derive(Debug, PartialEq)]
enum Start {
    /// The rest.
    Continue,
    /// All of it: the server ignores ranges, or has another version now.
    Anew,
    /// Nothing that fits: the server refuses or confuses ranges, so the next try asks for all.
    NoRange,
}

/// How the body begins, and how long the whole file is, as far as the manifest or the server say.
fn start_of(head: &Head, have: u64, archive: &Archive) -> Result<(Start, Option<u64>), Failure> {
    let expected = archive.size();
    // A login page, or an apology, is no file; where a hash is expected, that tells.
    if archive.expected().is_none() && head.status.is_success() && head.is_web_page {
        return Err(Failure::Mirror(anyhow::anyhow!("the server answered with a web page in place of the file")));
    }
    let fitting = |total: Option<u64>| match (expected, total) {
        (Some(size), Some(found)) if size != found => {
            let told = format!("the server has another file: expected {size} bytes, it announces {found}");
            Err(another(archive, told))
        }
        (None, Some(found)) if found > archive.most() => {
            let most = archive.most();
            let told = format!("the server announces {found} bytes, more than the {most} that this file may have");
            Err(another(archive, told))
        }
        _ => Ok(expected.or(total)),
    };
    let wrong = || match head.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => errors::unavailable(
            format!("the server answered {}", head.status),
            "the server wants to know who asks: see what the manifest says about access, or put the file into \
             `downloads/` by hand",
        ),
        status => anyhow::anyhow!("the server answered {status}"),
    };
    match head.status {
        StatusCode::OK => Ok((Start::Anew, fitting(head.content_length)?)),
        StatusCode::PARTIAL_CONTENT => match head.content_range.as_deref().and_then(first_and_total) {
            Some((first, total)) => match (fitting(total)?, first == have) {
                (total, true) => Ok((Start::Continue, total)),
                (_, false) if have > 0 => Ok((Start::NoRange, None)),
                _ => Err(Failure::Mirror(wrong())),
            },
            None if have > 0 => Ok((Start::NoRange, None)),
            None => Err(Failure::Mirror(wrong())),
        },
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => Ok((Start::NoRange, None)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Failure::Passing(wrong(), head.retry_after)),
        status if status.is_server_error() => Err(Failure::Passing(wrong(), head.retry_after)),
        _ => Err(Failure::Mirror(wrong())),
    }
}

/// `bytes 100-199/200` → (100, 200).
fn first_and_total(range: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// A number in [0, 1) that differs between processes and moments; it reaches no result.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
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
    fn jitter_lies_between_zero_and_one() {
        let drawn: Vec<f64> = (0..100).map(|_| jitter()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(drawn.iter().any(|x| *x != drawn[0]));
    }
}
