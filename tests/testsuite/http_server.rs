//! A small HTTP server on this machine that misbehaves on request.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// All of it, or the range that was asked for.
    Good,
    /// All of it, whatever range was asked for.
    IgnoreRange,
    /// Closes the connection after this many bytes of the body.
    CutAfter(usize),
    /// A status without a body.
    Status(u16),
    /// 429 with the wish to be left alone for so many seconds.
    TooSoon(u64),
    /// 416, whatever was asked for.
    NoSuchRange,
    /// The head, then silence.
    Stall,
    /// Not even a head.
    Silence,
    /// A piece at a time, with pauses between them.
    Slowly { pieces: usize, pause: Duration },
    /// Another file of the same length.
    WrongBytes,
    /// More bytes than there should be, without saying how many.
    TooMany,
    /// All of it, after announcing this many bytes.
    Announces(usize),
    /// Good, and names its version; asked for the rest of another version, it gives all.
    Version(&'static str),
    /// Names its version and closes the connection after this many bytes of the body.
    VersionCutAfter(&'static str, usize),
    /// A range that was not asked for.
    OtherRange,
    /// To another path of this server.
    Redirect(&'static str),
    /// To another server.
    RedirectTo(String),
    /// To plain HTTP somewhere else.
    RedirectAway,
    /// All of it, with this content type.
    Typed(&'static str),
    /// The range that was asked for, of this version and total, whatever version it was asked of.
    Insists(&'static str, usize),
}

/// Serves `body` under every path; requests are answered by the script, then well.
pub struct Server {
    pub port: u16,
    /// The `Range` header of each request, or an empty string.
    pub ranges: Arc<Mutex<Vec<String>>>,
    /// The `If-Range` header of each request, or an empty string.
    pub conditions: Arc<Mutex<Vec<String>>>,
    /// The `Authorization` header of each request, or an empty string.
    pub authorizations: Arc<Mutex<Vec<String>>>,
    /// The path of each request.
    pub paths: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(body: Vec<u8>, script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let conditions = Arc::new(Mutex::new(Vec::new()));
        let (authorizations, paths) = (Arc::default(), Arc::default());
        let heard = Heard {
            ranges: ranges.clone(),
            conditions: conditions.clone(),
            authorizations: Arc::clone(&authorizations),
            paths: Arc::clone(&paths),
        };
        let script = Mutex::new(VecDeque::from(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Good);
                let (body, heard) = (body.clone(), heard.clone());
                std::thread::spawn(move || {
                    // A client that hangs up early is part of some tests.
                    let _ = serve(stream, &body, &answer, &heard);
                });
            }
        });
        Server { port, ranges, conditions, authorizations, paths }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

#[derive(Clone)]
struct Heard {
    ranges: Arc<Mutex<Vec<String>>>,
    conditions: Arc<Mutex<Vec<String>>>,
    authorizations: Arc<Mutex<Vec<String>>>,
    paths: Arc<Mutex<Vec<String>>>,
}

/// Reads a request; its `Range` and `If-Range`.
fn read(stream: &TcpStream, heard: &Heard) -> std::io::Result<(String, String)> {
    let (mut range, mut condition, mut authorization) = (String::new(), String::new(), String::new());
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default();
    heard.paths.lock().unwrap().push(path.to_owned());
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => value.trim().clone_into(&mut range),
            Some((name, value)) if name.eq_ignore_ascii_case("if-range") => value.trim().clone_into(&mut condition),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.trim().clone_into(&mut authorization);
            }
            _ => {}
        }
    }
    heard.authorizations.lock().unwrap().push(authorization);
    heard.ranges.lock().unwrap().push(range.clone());
    heard.conditions.lock().unwrap().push(condition.clone());
    Ok((range, condition))
}

fn serve(mut stream: TcpStream, body: &[u8], answer: &Answer, heard: &Heard) -> std::io::Result<()> {
    let (range, condition) = read(&stream, heard)?;
    let asked: Option<usize> = range.strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse().ok());
    let (from, version) = match answer {
        Answer::IgnoreRange => (None, ""),
        Answer::Version(version) | Answer::VersionCutAfter(version, _) => {
            (asked.filter(|_| condition.is_empty() || condition == *version), *version)
        }
        _ => (asked, ""),
    };
    let tag = if version.is_empty() { String::new() } else { format!("ETag: {version}\r\n") };
    let total = body.len();
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
    };
    let rest = &body[from.unwrap_or(0).min(total)..];
    let good = match from {
        Some(from) => {
            let range = format!("{tag}Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
            head("206 Partial Content", &range, rest.len())
        }
        None => head("200 OK", &tag, rest.len()),
    };
    match answer {
        Answer::Good | Answer::IgnoreRange | Answer::Version(_) => {
            stream.write_all(good.as_bytes())?;
            stream.write_all(rest)
        }
        Answer::CutAfter(n) | Answer::VersionCutAfter(_, n) => {
            stream.write_all(good.as_bytes())?;
            stream.write_all(&rest[..(*n).min(rest.len())])
        }
        Answer::Status(code) => stream.write_all(head(&format!("{code} Said"), "", 0).as_bytes()),
        Answer::TooSoon(seconds) => {
            stream.write_all(head("429 Slowly", &format!("Retry-After: {seconds}\r\n"), 0).as_bytes())
        }
        Answer::NoSuchRange => {
            stream.write_all(head("416 No", &format!("Content-Range: bytes */{total}\r\n"), 0).as_bytes())
        }
        Answer::Silence => {
            std::thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Answer::Slowly { pieces, pause } => {
            stream.write_all(good.as_bytes())?;
            for piece in rest.chunks(rest.len().div_ceil(*pieces)) {
                stream.write_all(piece)?;
                std::thread::sleep(*pause);
            }
            Ok(())
        }
        Answer::Announces(length) => {
            stream.write_all(head("200 OK", "", *length).as_bytes())?;
            stream.write_all(body)
        }
        Answer::Stall => {
            stream.write_all(good.as_bytes())?;
            std::thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Answer::WrongBytes => {
            stream.write_all(good.as_bytes())?;
            stream.write_all(&vec![b'x'; rest.len()])
        }
        Answer::TooMany => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(body)?;
            stream.write_all(&[0; 1000])
        }
        Answer::OtherRange => {
            stream.write_all(
                head("206 Partial Content", &format!("Content-Range: bytes 0-{}/{total}\r\n", total - 1), total)
                    .as_bytes(),
            )?;
            stream.write_all(body)
        }
        Answer::Redirect(path) => stream.write_all(head("302 Found", &format!("Location: {path}\r\n"), 0).as_bytes()),
        Answer::RedirectTo(url) => stream.write_all(head("302 Found", &format!("Location: {url}\r\n"), 0).as_bytes()),
        Answer::Typed(kind) => {
            stream.write_all(head("200 OK", &format!("Content-Type: {kind}\r\n"), total).as_bytes())?;
            stream.write_all(body)
        }
        Answer::Insists(version, total) => {
            let first = from.unwrap_or(0);
            let range = format!("{version}\r\nContent-Range: bytes {first}-{}/{total}\r\n", total - 1);
            stream.write_all(head("206 Partial Content", &range, rest.len()).as_bytes())?;
            stream.write_all(rest)
        }
        Answer::RedirectAway => {
            stream.write_all(head("302 Found", "Location: http://example.org/file\r\n", 0).as_bytes())
        }
    }
}
