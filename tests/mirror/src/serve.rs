//! Serves a folder to this machine, and misbehaves on request.
//!
//! The server answers GET and HEAD requests for regular files, with `Range` and `If-Range` by strong entity tags, and
//! closes each connection after its answer. `?fault=…` asks for a [`Fault`]. [`Server::start`] takes faults for requests
//! that ask for none; `?fault=none` asks for a good answer even then.

mod faults;
mod request;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;

pub use faults::{Fault, FaultyPath, Kind};

use request::{Part, Request};
use seesaw::errors;

/// How long the server waits for a client to send or to receive.
const PATIENCE: Duration = Duration::from_secs(60);
const PIECE: usize = 64 << 10;

/// A running server. It stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    site: Arc<Site>,
    accepting: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Site {
    /// Canonical.
    folder: PathBuf,
    faults: Vec<FaultyPath>,
    /// How often each fault of each path was shown.
    shown: Mutex<HashMap<FaultyPath, u32>>,
    stopped: AtomicBool,
}

impl Server {
    /// Serves a folder on a port of 127.0.0.1. Port 0 picks a free one.
    ///
    /// # Errors
    /// If there is no such folder, or the port is in use.
    pub fn start(folder: &Path, port: u16, faults: Vec<FaultyPath>) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir()).ok_or_else(|| {
            let hint = "make a mirror with `seesaw-mirror make FOLDER`";
            errors::usage(format!("{} is not a folder", folder.display()), hint)
        })?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            errors::usage(
                format!("cannot listen at 127.0.0.1:{port}: {error}"),
                "choose another port, or 0 for a free one",
            )
        })?;
        let address = listener.local_addr().context("cannot find out the port")?;
        let site = Arc::new(Site { folder, faults, shown: Mutex::default(), stopped: AtomicBool::new(false) });
        let accepting = std::thread::spawn({
            let site = Arc::clone(&site);
            move || accept(&listener, &site)
        });
        Ok(Server { address, site, accepting: Some(accepting) })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.site.stopped.store(true, Ordering::SeqCst);
        // The thread waits for a connection: give it one.
        let _ = TcpStream::connect(self.address);
        self.accepting.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, site: &Arc<Site>) {
    for stream in listener.incoming() {
        if site.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            // Such as too many open files, which passes.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let site = Arc::clone(site);
        std::thread::spawn(move || {
            // A client that hangs up is not a failure of the server.
            let _ = site.serve(stream);
        });
    }
}

/// A file to send.
struct Found {
    file: File,
    length: u64,
    tag: String,
    kind: &'static str,
}

impl Site {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = match Request::read(&mut stream)? {
            Ok(request) => request,
            Err(status) => return refuse(&mut stream, status, ""),
        };
        let fault = match self.fault(&request) {
            Ok(fault) => fault,
            Err(message) => return refuse(&mut stream, "400 Bad Request", &message),
        };
        match fault {
            Some(Kind::Status(code)) => return refuse(&mut stream, &format!("{code} On Request"), ""),
            Some(Kind::Redirect) => {
                let head = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {}?fault=none\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    request.raw_path
                );
                return stream.write_all(head.as_bytes());
            }
            _ => {}
        }
        match self.find(&request.path) {
            Some(found) => self.send(&mut stream, &request, found, fault),
            None => refuse(&mut stream, "404 Not Found", ""),
        }
    }

    /// The fault to show, if any. Counts it if it is limited to a number of times.
    fn fault(&self, request: &Request) -> Result<Option<Kind>, String> {
        let standing = || self.faults.iter().find(|faulty| faulty.path == request.path).map(|faulty| faulty.fault);
        let fault = match request.fault.as_deref() {
            None => standing(),
            Some("none") => None,
            Some(text) => Some(text.parse()?),
        };
        let Some(fault) = fault else { return Ok(None) };
        let Some(times) = fault.times else { return Ok(Some(fault.kind)) };
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = shown.entry(FaultyPath { path: request.path.clone(), fault }).or_default();
        *shown = shown.saturating_add(1);
        Ok((*shown <= times).then_some(fault.kind))
    }

    /// A regular file inside the folder, links resolved.
    fn find(&self, path: &str) -> Option<Found> {
        let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0', ':']);
        if path.split('/').any(odd) {
            return None;
        }
        let place = self.folder.join(path).canonicalize().ok()?;
        if !place.starts_with(&self.folder) || !place.is_file() {
            return None;
        }
        let file = File::open(&place).ok()?;
        let metadata = file.metadata().ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tag = format!("\"{:x}-{:x}\"", changed.as_nanos(), metadata.len());
        let kind = if path.ends_with(".json") { "application/json" } else { "application/octet-stream" };
        Some(Found { file, length: metadata.len(), tag, kind })
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        request: &Request,
        found: Found,
        fault: Option<Kind>,
    ) -> std::io::Result<()> {
        let Found { mut file, length: total, tag, kind } = found;
        let ranges = fault != Some(Kind::NoRange);
        let part = if ranges { request.part(total, &tag) } else { Part::Whole };
        let (status, range, start, length) = match part {
            Part::Whole => ("200 OK", String::new(), 0, total),
            Part::From(first) => {
                let range = format!("Content-Range: bytes {first}-{}/{total}\r\n", total - 1);
                ("206 Partial Content", range, first, total - first)
            }
            Part::Outside => {
                let range = format!("Content-Range: bytes */{total}\r\n");
                ("416 Range Not Satisfiable", range, total, 0)
            }
        };
        let announced = match fault {
            Some(Kind::Length(other)) => other,
            _ => length,
        };
        let accepts = if ranges { "Accept-Ranges: bytes\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {announced}\r\nContent-Type: {kind}\r\nETag: {tag}\r\n{accepts}{range}\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        if !request.head_only {
            file.seek(SeekFrom::Start(start))?;
            self.send_body(stream, &mut file.take(length), fault)?;
        }
        stream.shutdown(std::net::Shutdown::Both)
    }

    fn send_body(&self, stream: &mut TcpStream, body: &mut dyn Read, fault: Option<Kind>) -> std::io::Result<()> {
        if fault == Some(Kind::Stall) {
            return self.stall(stream);
        }
        let mut left = if let Some(Kind::Cut(after)) = fault { after } else { u64::MAX };
        let mut piece = vec![0; PIECE];
        while left > 0 && !self.stopped.load(Ordering::SeqCst) {
            let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = body.read(&mut piece[..most])?;
            if n == 0 {
                break;
            }
            match fault {
                Some(Kind::Bytes) => piece[..n].iter_mut().for_each(|byte| *byte = !*byte),
                Some(Kind::Slow(pause)) => std::thread::sleep(pause),
                _ => {}
            }
            stream.write_all(&piece[..n])?;
            left -= n as u64;
        }
        Ok(())
    }

    /// Says nothing until the client goes away.
    fn stall(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        while !self.stopped.load(Ordering::SeqCst) {
            match stream.read(&mut [0; 64]) {
                Ok(0) => break,
                Err(error)
                    if !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
                {
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An answer without a file.
fn refuse(stream: &mut TcpStream, status: &str, message: &str) -> std::io::Result<()> {
    let more = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: text/plain; charset=utf-8\r\n{more}\
         Connection: close\r\n\r\n{message}",
        message.len()
    );
    stream.write_all(head.as_bytes())
}
