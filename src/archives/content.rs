//! The content of a member while an archive is walked.

use std::io::{self, Read};

use super::{AGAIN, BUFFER, refused};
use crate::errors::{self, Problem};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The bytes of a member, which the visitor may read or skip. Reading to the end either gives all the bytes that the
/// archive declares, with a matching checksum if the format has one, or fails with an error that names the member.
pub struct Content<'a> {
    input: &'a mut dyn Read,
    size: u64,
    left: u64,
    /// Whether the end of the input was read.
    ended: bool,
    place: &'a str,
    interrupt: &'a Interrupt,
}

impl<'a> Content<'a> {
    pub(super) fn new(input: &'a mut dyn Read, size: u64, place: &'a str, interrupt: &'a Interrupt) -> Self {
        Content { input, size, left: size, ended: false, place, interrupt }
    }

    /// The bytes that were not read yet.
    ///
    /// # Errors
    /// If the member is longer than `most` bytes, has another length than it declares, or is damaged; on an interrupt.
    pub fn read_all(&mut self, most: u64) -> anyhow::Result<Vec<u8>> {
        if self.size > most {
            return Err(errors::failed(
                format!("{} is {} bytes long, more than the {most} that such a member may have", self.place, self.size),
                AGAIN,
            ));
        }
        // Do not trust a declared size with that much memory before the first byte is there.
        let mut bytes = Vec::with_capacity(self.left.min(16 << 20) as usize);
        let mut piece = [0; 64 << 10];
        loop {
            self.interrupt.check()?;
            match self.read(&mut piece).map_err(|error| explained(error, self.place))? {
                0 => return Ok(bytes),
                n => bytes.extend_from_slice(&piece[..n]),
            }
        }
    }
}

impl Content<'_> {
    /// Reads the rest and discards it, so that it is checked.
    pub(super) fn skip(&mut self, progress: &dyn Progress) -> anyhow::Result<()> {
        let (place, interrupt) = (self.place, self.interrupt);
        skip(self, place, interrupt, progress)
    }
}

impl Read for Content<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(out.len() as u64) as usize;
        if most == 0 {
            return if self.left == 0 { self.end().map(|()| 0) } else { Ok(0) };
        }
        let n = self.input.read(&mut out[..most]).map_err(|error| at(error, self.place))?;
        if n == 0 {
            let why = format!("ends after {} of the {} bytes that it declares", self.size - self.left, self.size);
            return Err(io::Error::other(problem(refused(self.place, why))));
        }
        self.left -= n as u64;
        // The last bytes are given only if the checksum matches.
        if self.left == 0 {
            self.end()?;
        }
        Ok(n)
    }
}

impl Content<'_> {
    /// Reads the end of the input, which is where decoders verify their checksums.
    fn end(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        match self.input.read(&mut [0]).map_err(|error| at(error, self.place))? {
            0 => Ok(()),
            _ => {
                let why = format!("is longer than the {} bytes that it declares", self.size);
                Err(io::Error::other(problem(refused(self.place, why))))
            }
        }
    }
}

/// Reads an input to its end and discards what it gives, so that it is checked.
pub(super) fn skip(
    input: &mut dyn Read,
    place: &str,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    let mut piece = vec![0; BUFFER];
    loop {
        interrupt.check()?;
        match input.read(&mut piece).map_err(|error| explained(error, place))? {
            0 => return Ok(()),
            n => progress.advance(n as u64),
        }
    }
}

/// Adds the place and a hint to an error of reading. A [`Problem`] inside stays as it is.
pub(super) fn explained(error: io::Error, place: &str) -> anyhow::Error {
    match at(error, place).downcast::<Problem>() {
        Ok(problem) => problem.into(),
        Err(error) => anyhow::Error::new(error).context(format!("cannot read {place}")),
    }
}

/// Like [`explained`], but still an [`io::Error`], for those who read through [`Read`]. Errors of the operating system are
/// not the fault of the archive, and stay as they are.
fn at(error: io::Error, place: &str) -> io::Error {
    if error.raw_os_error().is_some() || error.get_ref().is_some_and(|inner| inner.is::<Problem>()) {
        return error;
    }
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "is cut short".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    io::Error::other(problem(refused(place, why)))
}

/// [`refused`] returns a [`Problem`], which an [`io::Error`] can carry.
fn problem(error: anyhow::Error) -> Problem {
    error.downcast().expect("refusals are problems")
}
