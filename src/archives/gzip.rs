//! A gzip stream that may be a bomb.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::{BUFFER, MOST_RATIO, MOST_TOTAL, SMALL};

/// Unpacks a gzip stream, all its members one after the other like `gzip -d`, and fails as soon as it has unpacked more
/// than 200 times what it has read. Data after its last member is an error too. Errors name no place: the reader knows
/// which member it reads.
pub(super) struct Gunzip<R: Read> {
    decoder: MultiGzDecoder<Counted<R>>,
    unpacked: u64,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(input: R) -> Self {
        let input = Counted { input: BufReader::with_capacity(BUFFER, input), taken: 0 };
        Gunzip { decoder: MultiGzDecoder::new(input), unpacked: 0 }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.decoder.read(out)?;
        self.unpacked += n as u64;
        let taken = self.decoder.get_ref().taken;
        if self.unpacked > SMALL && self.unpacked / MOST_RATIO > taken || self.unpacked > 2 * MOST_TOTAL {
            return Err(io::Error::other(format!(
                "the first {taken} bytes of the gzip stream unpack to {}, more than any honest archive",
                self.unpacked
            )));
        }
        Ok(n)
    }
}

/// Counts the bytes that are consumed.
struct Counted<R> {
    input: BufReader<R>,
    taken: u64,
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
