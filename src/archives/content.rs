//! A member's bytes while an archive is walked.

use std::io::{self, Read};

use super::{AGAIN, BUFFER, refused};
use crate::errors::{self, Problem};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// A member's bytes, read only if the visitor wants them. Reading it to its end has either given all the bytes that the
/// archive declares, with a matching checksum where the format has one, or an error that names the member.
pub struct Content<'a> {
    input: &'a mut dyn Read,
    size: u64,
    left: u64,
    /// Whether the input's own end was seen.
    ended: bool,
    place: &'a str,
    interrupt: &'a Interrupt,
}

impl<'a> Content<'a> {
    pub(super) fn new(input: &'a mut dyn Read, size: u64, place: &'a str, interrupt: &'a Interrupt) -> Self {
        Content { input, size, left: size, ended: false, place, interrupt }
    }

    /// Everything that was not read yet.
    ///
    /// # Errors
    /// If the member is longer than `most` bytes, is not as long as it declares, or is damaged, or a stop was asked for.
    pub fn read_all(&mut self, most: u64) -> anyhow::Result<Vec<u8>> {
        if self.size > most {
            return Err(errors::failed(
                format!("{} is {} bytes long, more than the {most} that such a member may have", self.place, self.size),
                AGAIN,
            ));
        }
        // A declared size is not worth that much memory before the first byte is there.
        let mut bytes = Vec::with_capacity(self.left.min(16 << 20) as usize);
        let mut piece = [0; 64 << 10];
        loop {
            self.interrupt.check()?;
            match self.read(&mut piece).map_err(|error| told(error, self.place))? {
                0 => return Ok(bytes),
                n => bytes.extend_from_slice(&piece[..n]),
            }
        }
    }
}

impl Content<'_> {
    /// Reads and forgets what was not read yet, through `piece`, so that it is checked.
    pub(super) fn skim(&mut self, piece: &mut [u8], progress: &dyn Progress) -> anyhow::Result<()> {
        loop {
            self.interrupt.check()?;
            match self.read(piece).map_err(|error| told(error, self.place))? {
                0 => return Ok(()),
                n => progress.advance(n as u64),
            }
        }
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
        // The last bytes are given only if all of them were right.
        if self.left == 0 {
            self.end()?;
        }
        Ok(n)
    }
}

impl Content<'_> {
    /// The input's own end, which is where it verifies its checksum.
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

/// Reads and forgets what is left, so that it is checked too.
pub(super) fn drain(input: &mut dyn Read, place: &str, interrupt: &Interrupt) -> anyhow::Result<()> {
    let mut piece = vec![0; BUFFER];
    loop {
        interrupt.check()?;
        if input.read(&mut piece).map_err(|error| told(error, place))? == 0 {
            return Ok(());
        }
    }
}

/// An error of reading as one that names the place and says what to do; a [`Problem`] inside stays what it is.
pub(super) fn told(error: io::Error, place: &str) -> anyhow::Error {
    match at(error, place).downcast::<Problem>() {
        Ok(problem) => problem.into(),
        Err(error) => anyhow::Error::new(error).context(format!("cannot read {place}")),
    }
}

/// As [`told`], but still an error of reading, for those who read through [`Read`]. What the system says of the disk is
/// no fault of the archive, and stays what it is.
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

/// [`refused`] gives a [`Problem`]; errors of reading carry it.
fn problem(error: anyhow::Error) -> Problem {
    error.downcast().expect("refusals are problems")
}
