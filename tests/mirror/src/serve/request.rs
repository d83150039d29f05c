//! The parts of a request that a file server needs.

use std::io::Read;

use percent_encoding::percent_decode_str;

/// The longest head of a request, in bytes.
const LONGEST: usize = 16 << 10;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Request {
    pub head_only: bool,
    /// As it was sent, with its leading `/`.
    pub raw_path: String,
    /// Decoded, without the leading `/`.
    pub path: String,
    /// The query's `fault`, decoded.
    pub fault: Option<String>,
    range: Option<String>,
    if_range: Option<String>,
}

/// The part of a file that a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Whole,
    /// From this byte to the end.
    From(u64),
    Outside,
}

impl Request {
    /// Reads the head of a request, or returns the status to refuse it with.
    pub fn read(stream: &mut impl Read) -> std::io::Result<Result<Self, &'static str>> {
        let mut head = Vec::new();
        let mut piece = [0; 1024];
        // No request that is answered has a body, so that whatever follows the head is ignored.
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let n = stream.read(&mut piece)?;
            if n == 0 {
                return Ok(Err("400 Bad Request"));
            }
            head.extend_from_slice(&piece[..n]);
            if head.len() > LONGEST {
                return Ok(Err("431 Request Header Fields Too Large"));
            }
        }
        Ok(Request::parse(&String::from_utf8_lossy(&head)))
    }

    fn parse(head: &str) -> Result<Self, &'static str> {
        let bad = "400 Bad Request";
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad);
        };
        if !version.starts_with("HTTP/1.") {
            return Err("505 HTTP Version Not Supported");
        }
        let head_only = match method {
            "GET" => false,
            "HEAD" => true,
            _ => return Err("405 Method Not Allowed"),
        };
        let (raw_path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decoded(raw_path.strip_prefix('/').ok_or(bad)?).ok_or(bad)?;
        let fault = query.split('&').find_map(|pair| pair.strip_prefix("fault="));
        let fault = fault.map(|text| decoded(text).ok_or(bad)).transpose()?;
        let mut request = Request { head_only, raw_path: raw_path.to_owned(), path, fault, ..Request::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = || Some(value.trim().to_owned());
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = value(),
                "if-range" => request.if_range = value(),
                _ => {}
            }
        }
        Ok(request)
    }

    /// The part of a file of this length and version to send: the rest of it is all that downloads ask for. A request
    /// that asks for the rest of another version gets the whole file (RFC 9110, section 13.1.5), as does any other range.
    pub fn part(&self, length: u64, tag: &str) -> Part {
        let range = self.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        match range.and_then(|first| first.parse().ok()) {
            _ if self.if_range.as_deref().is_some_and(|version| version != tag) => Part::Whole,
            Some(first) if first < length => Part::From(first),
            Some(_) => Part::Outside,
            None => Part::Whole,
        }
    }
}

/// Without percent signs. None if that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str, headers: &str) -> Request {
        Request::parse(&format!("GET {target} HTTP/1.1\r\n{headers}\r\n")).unwrap()
    }

    #[test]
    fn requests_are_understood() {
        let request = parse("/a%20b/c?x=1&fault=cut%3A5", "RANGE: bytes=3-\r\nif-range:  \"v\"\r\n");
        let expected = Request {
            head_only: false,
            raw_path: "/a%20b/c".to_owned(),
            path: "a b/c".to_owned(),
            fault: Some("cut:5".to_owned()),
            range: Some("bytes=3-".to_owned()),
            if_range: Some("\"v\"".to_owned()),
        };
        assert_eq!(request, expected);
        for (line, status) in [
            ("POST / HTTP/1.1", "405"),
            ("GET / HTTP/2", "505"),
            ("GET /", "400"),
            ("GET http://x/ HTTP/1.1", "400"),
            ("GET /%FF HTTP/1.1", "400"),
        ] {
            assert!(Request::parse(&format!("{line}\r\n\r\n")).unwrap_err().starts_with(status), "{line}");
        }
        assert!(Request::read(&mut &b"GET / HTTP/1.1\r\n"[..]).unwrap().unwrap_err().starts_with("400"));
        assert!(Request::read(&mut &vec![b'x'; 1 << 20][..]).unwrap().unwrap_err().starts_with("431"));
    }

    #[test]
    fn ranges_are_understood() {
        let part = |range: &str| parse("/", &format!("Range: {range}\r\n")).part(10, "\"v\"");
        assert_eq!(part("bytes=3-"), Part::From(3));
        assert_eq!(part("bytes=10-"), Part::Outside);
        for other in ["bytes=3-5", "bytes=-4", "bytes=0-1,3-", "items=0-", "bytes=x-", "bytes=3"] {
            assert_eq!(part(other), Part::Whole, "{other}");
        }
        let of_version = |version: &str| parse("/", &format!("Range: bytes=3-\r\nIf-Range: {version}\r\n"));
        assert_eq!(of_version("\"v\"").part(10, "\"v\""), Part::From(3));
        assert_eq!(of_version("\"w\"").part(10, "\"v\""), Part::Whole);
    }
}
