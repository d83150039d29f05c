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
    /// The head, then silence.
    Stall,
    /// Another file of the same length.
    WrongBytes,
    /// More bytes than there should be.
    TooMany,
    /// A range that was not asked for.
    OtherRange,
    /// To another path of this server.
    Redirect(&'static str),
    /// To plain HTTP somewhere else.
    RedirectAway,
}

/// Serves `body` under every path; requests are answered by the script, then well.
pub struct Server {
    pub port: u16,
    /// The `Range` header of each request, or an empty string.
    pub ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(body: Vec<u8>, script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (script, heard) = (Mutex::new(VecDeque::from(script)), ranges.clone());
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
        Server { port, ranges }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

fn serve(mut stream: TcpStream, body: &[u8], answer: &Answer, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut range = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            value.trim().clone_into(&mut range);
        }
    }
    heard.lock().unwrap().push(range.clone());
    let asked: Option<usize> = range.strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse().ok());
    let from = match answer {
        Answer::IgnoreRange => None,
        _ => asked,
    };
    let total = body.len();
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
    };
    let rest = &body[from.unwrap_or(0).min(total)..];
    let good = match from {
        Some(from) => {
            head("206 Partial Content", &format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1), rest.len())
        }
        None => head("200 OK", "", rest.len()),
    };
    match answer {
        Answer::Good | Answer::IgnoreRange => {
            stream.write_all(good.as_bytes())?;
            stream.write_all(rest)
        }
        Answer::CutAfter(n) => {
            stream.write_all(good.as_bytes())?;
            stream.write_all(&rest[..(*n).min(rest.len())])
        }
        Answer::Status(code) => stream.write_all(head(&format!("{code} Said"), "", 0).as_bytes()),
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
            stream.write_all(head("200 OK", "", total + 1000).as_bytes())?;
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
        Answer::RedirectAway => {
            stream.write_all(head("302 Found", "Location: http://example.org/file\r\n", 0).as_bytes())
        }
    }
}
