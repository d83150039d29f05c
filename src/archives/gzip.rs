//! A gzip stream that may be a bomb.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::{BUFFER, MOST_RATIO, MOST_TOTAL, SMALL};

/// Unpacks a gzip stream, all its members one after the other like `gzip -d`, and fails as soon as it has unpacked more
/// than 200 times what it has read. Zeros after a member pad it to whole blocks, and are passed over; other data after the
/// last member is an error. Errors name no place: the reader knows which member it reads.
pub(super) struct Gunzip<R: Read> {
    /// The current member. None after the last one.
    member: Option<GzDecoder<Counted<R>>>,
    unpacked: u64,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(input: R) -> Self {
        let input = Counted { input: BufReader::with_capacity(BUFFER, input), taken: 0 };
        Gunzip { member: Some(GzDecoder::new(input)), unpacked: 0 }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(out)?;
            self.unpacked += n as u64;
            let taken = member.get_ref().taken;
            if self.unpacked > SMALL && self.unpacked / MOST_RATIO > taken || self.unpacked > 2 * MOST_TOTAL {
                return Err(io::Error::other(format!(
                    "the first {taken} bytes of the gzip stream unpack to {}, more than any honest archive",
                    self.unpacked
                )));
            }
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            let rest = self.member.take().map(GzDecoder::into_inner).expect("it was just read");
            self.member = rest.after_zeros()?.map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// Counts the bytes that are consumed.
struct Counted<R> {
    input: BufReader<R>,
    taken: u64,
}

impl<R: Read> Counted<R> {
    /// What follows the zeros; None if nothing does.
    fn after_zeros(mut self) -> io::Result<Option<Self>> {
        loop {
            let buffer = self.fill_buf()?;
            let (length, zeros) = (buffer.len(), buffer.iter().take_while(|byte| **byte == 0).count());
            self.consume(zeros);
            if zeros < length || length == 0 {
                return Ok((length > 0).then_some(self));
            }
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.taken += n as u64;
        Ok(n)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.taken += n as u64;
        self.input.consume(n);
    }
}
