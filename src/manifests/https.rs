//! Downloads over HTTPS: hashed while they are streamed to disk, resumed, retried, server by server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::blocking::Client;
use reqwest::header::{IF_RANGE, RANGE};
use reqwest::{StatusCode, Url};

use super::Archive;
use super::context::{FetchContext, Patience, Reached};
use super::expected::another_version;
use super::partial::{Origin, Partial};
use super::request::{self, Answer, Failure, Head, Version, first_and_total};
use crate::errors;
use crate::network::{Access, same_server, with_credentials};
use crate::progress::Unit;

/// The fewest bytes that a server may send in each period of [`super::context::Patience`]: a slow line sends more.
pub(super) const LEAST: u64 = 64 << 10;
/// After this many new bytes, a server that cuts its answers has all its tries again.
const HEADWAY: u64 = 1 << 20;
/// Tries of a server that does not answer, if there is another one.
const TRIES_OF_THE_SILENT: u32 = 2;
/// Tries of a server that does not answer, as long as no server has answered.
const TRIES_WITHOUT_NETWORK: u32 = 3;
/// The longest pause between two tries, unless the server asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a download waits for another one that finds out whether there is a connection: a server that nobody answers for
/// is noticed sooner, as a rule.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The hint if no server sent the whole file.
pub(super) const NETWORK: &str = "check the network, then run the same command again to resume";
/// The hint if a server refuses the request for an unknown reason.
pub(super) const REFUSED: &str = "check the address and the network, then run the same command again to resume";

/// Tries the servers in order, each several times.
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
        match from_server(url, i + 1 == urls.len(), archive, access, to, context) {
            Ok(()) => return Ok(()),
            Err(Failure::Stop(error)) => return Err(error),
            Err(failure) => {
                refused |= matches!(failure, Failure::Server(_));
                // The message of a connection names its server.
                let is_connection = matches!(failure, Failure::Silent(_) | Failure::OutOfReach(_));
                let is_known = matches!(failure, Failure::OutOfReach(_));
                let error = failure.into_error();
                hint = hint.or_else(|| errors::hint_of(&error).map(str::to_owned));
                classes.push(errors::class_of(&error));
                let answer = if is_connection { format!("{error:#}") } else { format!("{url}: {error:#}") };
                if i + 1 < urls.len() && !is_known {
                    context.progress.note(&format!("{answer}; trying the next server"));
                }
                if !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
        }
    }
    let hint = hint.unwrap_or_else(|| if refused { REFUSED } else { NETWORK }.to_owned());
    Err(errors::of_class(errors::class_of_all(classes), answers.join("; "), hint))
}

/// Downloads from one server. Resumes what an earlier process or another server left. If the result is wrong, that may be
/// the cause, so the file is downloaded once more from the beginning.
fn from_server(
    url: &str,
    last: bool,
    archive: &Archive,
    access: &Access,
    to: &Path,
    context: &FetchContext,
) -> Result<(), Failure> {
    let address = Url::parse(url).with_context(|| format!("{url} is not an address")).map_err(Failure::Server)?;
    let given = context.places.mirror.iter().chain([&context.hub]).filter_map(|given| given.url().ok());
    let credentials = given
        .filter(|given| same_server(given, &address))
        .find(|given| !given.username().is_empty() || given.password().is_some());
    let address = credentials.map_or(address.clone(), |given| with_credentials(address, &given));
    let client = request::client(&address, &context.patience).map_err(Failure::Server)?;
    let server = Server { client, url, address, access, last, archive, context };
    loop {
        let mut partial = Partial::open(archive, url, context).map_err(disk)?;
        server.complete(&mut partial)?;
        if partial.is_right(archive).map_err(disk)? {
            return partial.finish(to).map_err(disk);
        }
        let inherited = partial.inherited();
        let error = partial.reject(archive, url, context);
        if !inherited {
            return Err(Failure::Server(error));
        }
        context.progress.note(&format!("{error:#}; downloading it again from the beginning"));
    }
}

fn disk(error: anyhow::Error) -> Failure {
    match errors::class_of(&error) {
        errors::Class::Interrupted => Failure::Stop(error),
        _ => {
            let hint = "check that the disk has room and can be written to, then run the same command again to resume";
            Failure::Stop(errors::failed(format!("{error:#}"), hint))
        }
    }
}

struct Server<'a> {
    client: Client,
    /// As in the manifest.
    url: &'a str,
    address: Url,
    access: &'a Access,
    /// Whether this is the last server to try.
    last: bool,
    archive: &'a Archive,
    context: &'a FetchContext,
}

impl Server<'_> {
    /// Retries until the file is complete.
    fn complete(&self, partial: &mut Partial) -> Result<(), Failure> {
        let Patience { tries: most, pause: first, .. } = self.context.patience;
        let network = &self.context.places.network;
        let connection = network.connection(&self.name());
        let mut asking = None;
        let (mut tries, mut pause) = (0, first);
        let mut farthest = partial.length();
        let mut version = partial.version();
        while self.archive.size().is_none_or(|size| partial.length() < size) {
            asking = asking.or_else(|| connection.wait(LONGEST_WAIT));
            if let Reached::No(hint) = connection.state() {
                return Err(Failure::OutOfReach(self.no_connection(None, hint)));
            }
            let failure = match self.try_once(partial, &mut version, || {
                network.reached(&connection);
                asking = None;
            }) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if partial.length() >= farthest + HEADWAY {
                farthest = partial.length();
                (tries, pause) = (0, first);
            }
            tries += 1;
            let (error, asked) = match failure {
                Failure::Silent(error) => {
                    connection.is_in_doubt();
                    if tries >= self.tries_of_the_silent() {
                        let hint = errors::hint_of(&error).map(str::to_owned);
                        connection.is_now(Reached::No(hint.clone()));
                        return Err(Failure::Silent(self.no_connection(Some(&error), hint)));
                    }
                    (self.no_connection(Some(&error), None), None)
                }
                Failure::Passing(error, asked) if tries < most => (error, asked),
                failure => return Err(failure),
            };
            // Never earlier than the server asks for.
            let wait = pause.max(asked.unwrap_or_default());
            // Without a network, it is over soon, and told then.
            if network.has_answered() {
                self.context.progress.note(&format!("{error:#}; trying again in {:.1} s", wait.as_secs_f64()));
            }
            self.sleep(wait)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// The name of the server in messages.
    fn name(&self) -> String {
        let host = self.address.host_str().unwrap_or_default();
        self.address.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn no_connection(&self, cause: Option<&anyhow::Error>, hint: Option<String>) -> anyhow::Error {
        let cause = cause.map_or_else(String::new, |cause| format!(": {cause:#}"));
        let error = anyhow::anyhow!("no connection to {}{cause}", self.name());
        match hint {
            Some(hint) => errors::with_hint(error, hint),
            None => error,
        }
    }

    fn tries_of_the_silent(&self) -> u32 {
        let network = &self.context.places.network;
        self.context.patience.tries.min(match () {
            () if network.is_down() => 1,
            () if !self.last => TRIES_OF_THE_SILENT,
            () if !network.has_answered() => TRIES_WITHOUT_NETWORK,
            () => return self.context.patience.tries,
        })
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

    /// Sends one request for the bytes after the end of the partial file. Bytes that arrive stay there if it fails.
    ///
    /// `version` is the version of what is there. The rest is requested only if it is still the same.
    /// Calls `reached` when there is a connection.
    fn try_once(&self, partial: &mut Partial, version: &mut Version, reached: impl FnOnce()) -> Result<(), Failure> {
        if self.archive.expected().is_none() && version.name().is_none() {
            // Without a hash or a version, the rest may not belong to what is there.
            self.restart(partial)?;
            *version = Version::default();
        }
        let have = partial.length();
        let mut request = match self.access {
            Access::Open => self.client.get(self.address.clone()),
            Access::Basic(name, key) => self.client.get(self.address.clone()).basic_auth(name, Some(key)),
            Access::Bearer(token) => self.client.get(self.address.clone()).bearer_auth(token),
        };
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(name) = version.name() {
                request = request.header(IF_RANGE, name);
            }
        }
        let answer = Answer::to(request, &self.context.interrupt);
        let head = answer.head();
        if !matches!(head, Err(Failure::Silent(_) | Failure::Stop(_))) {
            reached();
        }
        let head = head?;
        let (start, total) = start_of(&head, have, self.archive)?;
        match start {
            // The server did not look at the condition. Without a hash, its answer has to name the version that was asked for.
            Start::Continue
                if !head.version.agrees_with(version)
                    || (self.archive.expected().is_none() && head.version.name() != version.name()) =>
            {
                self.restart(partial)?;
                *version = Version::default();
                let error = "the rest that the server sent belongs to another version of the file";
                return Err(Failure::Passing(anyhow::anyhow!(error), None));
            }
            Start::Continue => {}
            Start::Anew => self.restart(partial)?,
            Start::NoRange => {
                self.restart(partial)?;
                *version = Version::default();
                let range = head.content_range.unwrap_or_else(|| "no range".to_owned());
                let status = head.status;
                let error = anyhow::anyhow!("requested the bytes from {have}, the server answered {status} ({range})");
                return Err(Failure::Passing(error, None));
            }
        }
        if start == Start::Anew || *version == Version::default() {
            *version = head.version;
        }
        if self.archive.expected().is_none() {
            let origin = Origin { url: self.url.to_owned(), version: version.clone() };
            partial.belongs_to(version.name().is_some().then_some(origin)).map_err(disk)?;
        }
        self.receive(&answer, partial, total)
    }

    fn restart(&self, partial: &mut Partial) -> Result<(), Failure> {
        self.context.progress.begin(self.archive.size(), Unit::Bytes);
        partial.restart().map_err(disk)
    }

    /// Writes the body to the partial file. `total` is the size of the whole file, if known.
    fn receive(&self, answer: &Answer, partial: &mut Partial, total: Option<u64>) -> Result<(), Failure> {
        let most = total.unwrap_or(self.archive.most());
        let of_all = || total.map_or_else(String::new, |total| format!(" of {total}"));
        if self.archive.size().is_none() {
            self.context.progress.begin(total, Unit::Bytes);
            self.context.progress.advance(partial.length());
        }
        let cut = |failure, length| match failure {
            Failure::Passing(error, pause) => {
                Failure::Passing(error.context(format!("cut after {length}{} bytes", of_all())), pause)
            }
            other => other,
        };
        let period = self.context.patience.period;
        let (mut since, mut arrived) = (Instant::now(), 0);
        while let Some(bytes) = answer.bytes().map_err(|failure| cut(failure, partial.length()))? {
            if partial.length() + bytes.len() as u64 > most {
                self.restart(partial)?;
                let message = format!("the server sends more than the expected {most} bytes");
                return Err(another(self.archive, message));
            }
            partial.write(&bytes).map_err(disk)?;
            self.context.progress.advance(bytes.len() as u64);
            arrived += bytes.len() as u64;
            if since.elapsed() >= period {
                if arrived < LEAST {
                    let error =
                        format!("the server sent only {arrived} bytes in {:.0} s", since.elapsed().as_secs_f64());
                    return Err(cut(Failure::Passing(anyhow::anyhow!(error), None), partial.length()));
                }
                (since, arrived) = (Instant::now(), 0);
            }
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
fn another(archive: &Archive, message: String) -> Failure {
    Failure::Server(errors::failed(message, another_version(archive)))
}

/// How the body of an answer continues the partial file.
#[derive(Debug, PartialEq)]
enum Start {
    /// With the rest.
    Continue,
    /// With the whole file: the server ignores ranges, or has another version now.
    Anew,
    /// Not at all: the server refuses or confuses ranges, so the next try requests the whole file.
    NoRange,
}

/// How the body begins, and the size of the whole file, if the manifest or the server states it.
fn start_of(head: &Head, have: u64, archive: &Archive) -> Result<(Start, Option<u64>), Failure> {
    let expected = archive.size();
    // Login and error pages would otherwise count as the file if no hash is expected.
    if archive.expected().is_none() && head.status.is_success() && head.is_web_page {
        return Err(Failure::Server(anyhow::anyhow!("the server answered with a web page in place of the file")));
    }
    let fitting = |total: Option<u64>| match (expected, total) {
        (Some(size), Some(found)) if size != found => {
            let message = format!("the server has another file: expected {size} bytes, it announces {found}");
            Err(another(archive, message))
        }
        (None, Some(found)) if found > archive.most() => {
            let most = archive.most();
            let message = format!("the server announces {found} bytes, more than the {most} that this file may have");
            Err(another(archive, message))
        }
        _ => Ok(expected.or(total)),
    };
    let wrong = || match head.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => errors::unavailable(
            format!("the server answered {}", head.status),
            "the server requires a login: see what the manifest says about access, or put the file into `downloads/` \
             yourself",
        ),
        status => anyhow::anyhow!("the server answered {status}"),
    };
    match head.status {
        StatusCode::OK => Ok((Start::Anew, fitting(head.content_length)?)),
        StatusCode::PARTIAL_CONTENT => match head.content_range.as_deref().and_then(first_and_total) {
            Some((first, total)) => match (fitting(total)?, first == have) {
                (total, true) => Ok((Start::Continue, total)),
                (_, false) if have > 0 => Ok((Start::NoRange, None)),
                _ => Err(Failure::Server(wrong())),
            },
            None if have > 0 => Ok((Start::NoRange, None)),
            None => Err(Failure::Server(wrong())),
        },
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => Ok((Start::NoRange, None)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Failure::Passing(wrong(), head.retry_after)),
        status if status.is_server_error() => Err(Failure::Passing(wrong(), head.retry_after)),
        _ => Err(Failure::Server(wrong())),
    }
}
