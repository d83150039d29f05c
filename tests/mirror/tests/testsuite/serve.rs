//! The answers of the server, byte by byte.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use seesaw_mirror::serve::{FaultyPath, Server};

struct Site {
    folder: tempfile::TempDir,
    server: Server,
}

fn site(faults: &[&str]) -> Site {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("archives")).unwrap();
    fs::write(folder.path().join("archives/a b.zip"), b"0123456789").unwrap();
    fs::write(folder.path().join("manifests.json"), b"[]").unwrap();
    let faults = faults.iter().map(|text| text.parse::<FaultyPath>().unwrap()).collect();
    let server = Server::start(folder.path(), 0, faults).unwrap();
    Site { folder, server }
}

impl Site {
    /// Head and body.
    fn ask(&self, method: &str, target: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.server.address).unwrap();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: here\r\n{headers}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn get(&self, target: &str) -> (String, String) {
        self.ask("GET", target, "")
    }
}

const FILE: &str = "/archives/a%20b.zip";

#[test]
fn files_are_served_whole_and_in_part() {
    let site = site(&[]);
    let (head, body) = site.get(FILE);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"), "{head}");
    assert!(head.contains("Accept-Ranges: bytes"), "{head}");
    assert_eq!(body, "0123456789");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
    let (head, body) = site.ask("HEAD", FILE, "");
    assert!(head.contains("Content-Length: 10"), "{head}");
    assert_eq!(body, "");
    let (head, body) = site.ask("GET", FILE, &format!("Range: bytes=4-\r\nIf-Range: {tag}\r\n"));
    assert!(head.starts_with("HTTP/1.1 206") && head.contains("Content-Range: bytes 4-9/10"), "{head}");
    assert_eq!(body, "456789");
    let (head, body) = site.ask("GET", FILE, "Range: bytes=4-\r\nIf-Range: \"other\"\r\n");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "0123456789");
    let (head, _) = site.ask("GET", FILE, "Range: bytes=10-\r\n");
    assert!(head.starts_with("HTTP/1.1 416") && head.contains("Content-Range: bytes */10"), "{head}");
    assert!(site.get("/manifests.json").0.contains("application/json"));
}

/// The server sends nothing outside the folder, and no folder.
#[test]
fn nothing_else_is_served() {
    let site = site(&[]);
    let outside = site.folder.path().with_extension("outside");
    fs::write(&outside, b"secret").unwrap();
    std::os::unix::fs::symlink(&outside, site.folder.path().join("link")).unwrap();
    let name = outside.file_name().unwrap().to_str().unwrap();
    for target in [
        format!("/../{name}"),
        format!("/%2e%2e/{name}"),
        format!("/archives/../../{name}"),
        format!("/archives/..%2f..%2f{name}"),
        format!("//{}", outside.display()),
        format!("/{}", outside.display()),
        "/link".to_owned(),
        "/archives".to_owned(),
        "/archives/".to_owned(),
        "/".to_owned(),
        "/none".to_owned(),
        "/archives/a%00b".to_owned(),
    ] {
        let (head, body) = site.get(&target);
        assert!(head.starts_with("HTTP/1.1 404"), "{target}: {head}");
        assert_eq!(body, "");
    }
    fs::remove_file(outside).unwrap();
    let (head, _) = site.ask("PUT", FILE, "");
    assert!(head.starts_with("HTTP/1.1 405") && head.contains("Allow: GET, HEAD"), "{head}");
}

#[test]
fn faults_are_shown_on_request() {
    let site = site(&["archives/a b.zip=status:503:1"]);
    // The standing fault once, then none.
    assert!(site.get(FILE).0.starts_with("HTTP/1.1 503"));
    assert_eq!(site.get(FILE).1, "0123456789");
    let of = |fault: &str| site.get(&format!("{FILE}?fault={fault}"));
    assert_eq!(of("cut:3").1, "012");
    assert!(of("cut:3").0.contains("Content-Length: 10"));
    assert_eq!(of("none").1, "0123456789");
    assert!(of("status:500").0.starts_with("HTTP/1.1 500"));
    let statuses: Vec<bool> = (0..3).map(|_| of("status:502:2").0.starts_with("HTTP/1.1 502")).collect();
    assert_eq!(statuses, [true, true, false]);
    assert!(of("length:7").0.contains("Content-Length: 7"));
    let (head, body) = of("bytes");
    assert!(head.contains("Content-Length: 10") && body != "0123456789");
    let (head, body) = site.ask("GET", &format!("{FILE}?fault=norange"), "Range: bytes=4-\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && !head.contains("Accept-Ranges"), "{head}");
    assert_eq!(body, "0123456789");
    let (head, _) = of("redirect");
    assert!(head.contains(&format!("Location: {FILE}?fault=none")), "{head}");
    let began = Instant::now();
    assert_eq!(of("slow:150").1, "0123456789");
    assert!(began.elapsed() >= Duration::from_millis(150));
    let (head, body) = of("fire");
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("found `fire`"), "{head} {body}");
}

/// A stalled answer ends when the client gives up or the server stops.
#[test]
fn a_stall_lasts_as_long_as_both_want() {
    let site = site(&[]);
    let mut stream = TcpStream::connect(site.server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    write!(stream, "GET {FILE}?fault=stall HTTP/1.1\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let error = stream.read_to_end(&mut heard).unwrap_err();
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    assert!(String::from_utf8(heard).unwrap().ends_with("\r\n\r\n"), "the head and no more");
    let address = site.server.address;
    drop(site);
    assert!(TcpStream::connect(address).is_err(), "the port is free again");
}

#[test]
fn a_missing_folder_and_a_port_in_use_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = Server::start(&folder.path().join("none"), 0, Vec::new()).err().unwrap();
    assert_eq!(seesaw::errors::class_of(&error), seesaw::errors::Class::Usage);
    let server = Server::start(folder.path(), 0, Vec::new()).unwrap();
    let error = Server::start(folder.path(), server.address.port(), Vec::new()).err().unwrap().to_string();
    assert!(error.contains("cannot listen at 127.0.0.1:"), "{error}");
}
