//! The faults that a server can show.

use std::str::FromStr;
use std::time::Duration;

/// A fault. With `times`, only the first so many requests of a path meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    pub kind: Kind,
    pub times: Option<u32>,
}

/// How an answer goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `cut:N`: closes the connection after N bytes of the body.
    Cut(u64),
    /// `slow:MS`: waits this many milliseconds before every 64 KiB.
    Slow(Duration),
    /// `status:CODE`: answers with this status and no file.
    Status(u16),
    /// `length:N`: announces N bytes, whatever follows.
    Length(u64),
    /// `bytes`: the right number of bytes, all of them wrong.
    Bytes,
    /// `norange`: ignores `Range` and sends the whole file.
    NoRange,
    /// `redirect`: redirects to the same path without a fault.
    Redirect,
    /// `stall`: sends the head and then nothing.
    Stall,
}

/// `PATH=FAULT`: the fault of requests for this path that ask for none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FaultyPath {
    /// Without a leading `/`.
    pub path: String,
    pub fault: Fault,
}

const FORMS: &str = "cut:N, slow:MS, status:CODE, length:N, bytes, norange, redirect or stall, and :TIMES behind it";

impl FromStr for Fault {
    type Err = String;

    /// `KIND[:NUMBER][:TIMES]`
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("a fault should be {FORMS}; found `{text}`");
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().map(|part| part.parse::<u64>().map_err(|_| wrong())).transpose();
        let kind = match kind {
            "bytes" => Kind::Bytes,
            "norange" => Kind::NoRange,
            "redirect" => Kind::Redirect,
            "stall" => Kind::Stall,
            "cut" => Kind::Cut(number()?.ok_or_else(wrong)?),
            "slow" => Kind::Slow(Duration::from_millis(number()?.ok_or_else(wrong)?)),
            "length" => Kind::Length(number()?.ok_or_else(wrong)?),
            "status" => {
                let code = number()?.filter(|code| (200..600).contains(code)).ok_or_else(wrong)?;
                Kind::Status(code as u16)
            }
            _ => return Err(wrong()),
        };
        let times = number()?.map(u32::try_from).transpose().map_err(|_| wrong())?;
        match parts.next() {
            None => Ok(Fault { kind, times }),
            Some(_) => Err(wrong()),
        }
    }
}

impl FromStr for FaultyPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, fault) = text.rsplit_once('=').ok_or_else(|| format!("should be PATH=FAULT, found `{text}`"))?;
        Ok(FaultyPath { path: path.trim_start_matches('/').to_owned(), fault: fault.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let fault = |text: &str| text.parse::<Fault>();
        assert_eq!(fault("cut:1000"), Ok(Fault { kind: Kind::Cut(1000), times: None }));
        assert_eq!(fault("status:503:2"), Ok(Fault { kind: Kind::Status(503), times: Some(2) }));
        assert_eq!(fault("stall:1"), Ok(Fault { kind: Kind::Stall, times: Some(1) }));
        for text in ["", "cut", "cut:x", "cut:1:2:3", "status:20", "bytes:many", "slow:-1", "fire"] {
            assert!(fault(text).unwrap_err().contains(&format!("found `{text}`")), "{text}");
        }
        let faulty: FaultyPath = "/archives/a=b.zip=bytes".parse().unwrap();
        assert_eq!((faulty.path.as_str(), faulty.fault.kind), ("archives/a=b.zip", Kind::Bytes));
        assert!("archives/a.zip".parse::<FaultyPath>().unwrap_err().contains("PATH=FAULT"));
    }
}
