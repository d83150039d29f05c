//! A server between the program and a remote store, which misbehaves on request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server passes on.
#[derive(Clone)]
pub enum Behind {
    /// The files of a folder, for reading.
    Folder(PathBuf),
    /// A server on this port of this machine.
    Server(u16),
}

/// How a request is answered.
pub enum Turn {
    Good,
    /// A status without a body. What stands behind hears nothing of the request.
    Status(u16),
    /// Closes the connection after this many bytes of the body.
    CutAfter(usize),
    /// Another body of the same length.
    WrongBytes,
    /// The head, and then silence.
    Stall,
}

pub struct Between {
    pub port: u16,
    /// `METHOD PATH` → how often it was asked for.
    pub asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Between {
    /// Decides on each request by its method, its path, and how often it was made before.
    pub fn start(behind: Behind, turn: impl Fn(&str, &str, usize) -> Turn + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let (heard, turn) = (asked.clone(), Arc::new(turn));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (behind, heard, turn) = (behind.clone(), heard.clone(), turn.clone());
                std::thread::spawn(move || {
                    let decide = |method: &str, path: &str| {
                        let mut heard = heard.lock().unwrap();
                        let times = heard.entry(format!("{method} {path}")).or_default();
                        *times += 1;
                        turn(method, path, *times - 1)
                    };
                    // A client that hangs up early is part of some tests.
                    let _ = serve(stream, &behind, decide);
                });
            }
        });
        Between { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests with this method had this in their path.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        let is_meant = |request: &str| request.starts_with(method) && request.contains(part);
        asked.iter().filter(|(request, _)| is_meant(request)).map(|(_, times)| times).sum()
    }
}

const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=reader/20260101/us-east-1/s3/aws4_request\r\n";

/// Answers one request, and closes the connection.
fn serve(mut stream: TcpStream, behind: &Behind, turn: impl Fn(&str, &str) -> Turn) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut lines, mut length, mut is_signed) = (Vec::new(), 0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        if name.eq_ignore_ascii_case("authorization") {
            is_signed = value.trim_start().starts_with("AWS4");
        }
        if !name.eq_ignore_ascii_case("connection") {
            lines.push(line);
        }
    }
    if !is_signed {
        // moto speaks the interface of GCS too, which is that of S3, and checks no signature. But there has to be one.
        lines.retain(|line: &String| !line.to_ascii_lowercase().starts_with("authorization:"));
        lines.push(SIGNED.into());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let first = lines.first().cloned().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let turn = turn(method, path);
    if let Turn::Status(code) = turn {
        let head = format!("HTTP/1.1 {code} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return stream.write_all(head.as_bytes());
    }
    let mut answer = match behind {
        Behind::Folder(folder) => from_folder(&folder.join(path.trim_start_matches('/'))),
        Behind::Server(port) => {
            let mut server = TcpStream::connect(("127.0.0.1", *port))?;
            server.write_all((lines.concat() + "Connection: close\r\n\r\n").as_bytes())?;
            server.write_all(&body)?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            answer
        }
    };
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    match turn {
        Turn::Good | Turn::Status(_) => {}
        Turn::CutAfter(length) => answer.truncate(body + length),
        Turn::WrongBytes => answer[body..].iter_mut().for_each(|byte| *byte ^= 1),
        Turn::Stall => {
            stream.write_all(&answer[..body])?;
            std::thread::sleep(Duration::from_secs(60));
        }
    }
    stream.write_all(&answer)
}

fn from_folder(file: &std::path::Path) -> Vec<u8> {
    let (status, body) = match std::fs::read(file) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}
