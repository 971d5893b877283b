//! Follows what a client sends on an HTTP/1 connection, byte by byte: which bytes are
//! heads and which are bodies, and whether the chunks of a body are well formed.
//!
//! Pingora's chunk parser takes an empty size for zero, and a line feed for part of a
//! chunk extension; another reader of the same bytes would see other messages there
//! (RFC 9112 §7.1, §11.2). Nor does it keep a request line as it came. This sees the
//! bytes first, and stops the connection where they are ambiguous.

use bytes::{Buf, BytesMut};

/// Bytes a chunk's size line, or all trailers, may have.
const LINE_BYTES: usize = 8 * 1024;
/// Digits a chunk's size may have: more would not fit 64 bits.
const SIZE_DIGITS: u8 = 15;

/// Where on the connection the client is.
pub(super) struct Wire {
    /// What has come of the head under way.
    head: BytesMut,
    expect: Expect,
}

/// What the next bytes are.
enum Expect {
    Head,
    Length(u64),
    Chunks(Chunks),
    /// Nothing this understands: HTTP/2, or what follows an upgrade.
    Opaque,
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// So many bytes; none where there is no body.
    Length(u64),
    /// In chunks.
    Chunked,
    /// The connection may turn into something else.
    Upgrade,
}

/// The bytes can be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ambiguity {
    /// A chunk of a body is malformed.
    #[error("a chunk is malformed")]
    Chunk,
    /// The head is not what Pingora made of it.
    #[error("the head is not as it was parsed")]
    Head,
}

impl Wire {
    /// At the beginning of a connection.
    pub(super) fn new() -> Self {
        Self { head: BytesMut::new(), expect: Expect::Head }
    }

    /// What has come of the head under way.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Gives up following.
    pub(super) fn ignore(&mut self) {
        self.expect = Expect::Opaque;
        self.head = BytesMut::new();
    }

    /// Takes bytes as they come.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguity> {
        while !bytes.is_empty() {
            match &mut self.expect {
                Expect::Opaque => return Ok(()),
                Expect::Head => {
                    self.head.extend_from_slice(bytes);
                    return Ok(());
                }
                Expect::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= here as u64;
                    bytes.advance(here);
                    if *left == 0 {
                        self.expect = Expect::Head;
                    }
                }
                Expect::Chunks(chunks) => {
                    if chunks.receive(&mut bytes)? == Progress::Ended {
                        self.expect = Expect::Head;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in that Pingora has parsed a head, and how its body is framed.
    pub(super) fn head_parsed(&mut self, head: &[u8], body: BodyFraming) -> Result<(), Ambiguity> {
        match self.expect {
            Expect::Opaque => return Ok(()),
            Expect::Head if self.head.starts_with(head) => {}
            Expect::Head | Expect::Length(_) | Expect::Chunks(_) => return Err(Ambiguity::Head),
        }
        self.expect = match body {
            BodyFraming::Length(0) => Expect::Head,
            BodyFraming::Length(bytes) => Expect::Length(bytes),
            BodyFraming::Chunked => Expect::Chunks(Chunks::new()),
            BodyFraming::Upgrade => Expect::Opaque,
        };
        if self.head.len() == head.len() {
            self.head.clear();
            return Ok(());
        }
        let rest = self.head.split_off(head.len());
        self.head.clear();
        self.receive(&rest)
    }
}

/// Where in a chunked body the client is.
struct Chunks {
    state: State,
    /// Bytes of the line, or of the trailers, so far.
    line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
        bytes: u64,
    },
    Extension {
        bytes: u64,
    },
    SizeLineFeed {
        bytes: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataLineFeed,
    /// At the beginning of a trailer's line.
    Trailer,
    WithinTrailer,
    TrailerLineFeed,
    LastLineFeed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// All bytes are taken, and more are to come.
    More,
    /// The body has ended.
    Ended,
}

impl Chunks {
    fn new() -> Self {
        Self { state: State::Size { digits: 0, bytes: 0 }, line: 0 }
    }

    fn receive(&mut self, bytes: &mut &[u8]) -> Result<Progress, Ambiguity> {
        while let Some(&byte) = bytes.first() {
            if let State::Data { left } = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes.advance(here);
                let left = left - here as u64;
                self.state = if left == 0 { State::DataReturn } else { State::Data { left } };
                continue;
            }
            bytes.advance(1);
            self.line += 1;
            if self.line > LINE_BYTES {
                return Err(Ambiguity::Chunk);
            }
            if self.state == State::LastLineFeed && byte == b'\n' {
                return Ok(Progress::Ended);
            }
            self.state = self.step(byte).ok_or(Ambiguity::Chunk)?;
        }
        Ok(Progress::More)
    }

    /// The state after a byte; `None` where it may not stand.
    fn step(&mut self, byte: u8) -> Option<State> {
        match (self.state, byte) {
            (State::Size { digits, bytes }, _)
                if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS =>
            {
                let digit = char::from(byte).to_digit(16)?;
                Some(State::Size { digits: digits + 1, bytes: bytes * 16 + u64::from(digit) })
            }
            (State::Size { digits: 1.., bytes }, b';') => Some(State::Extension { bytes }),
            (State::Size { digits: 1.., bytes } | State::Extension { bytes }, b'\r') => {
                Some(State::SizeLineFeed { bytes })
            }
            (State::Extension { bytes }, _) if is_text(byte) => Some(State::Extension { bytes }),
            (State::SizeLineFeed { bytes: 0 }, b'\n') => Some(State::Trailer),
            (State::SizeLineFeed { bytes }, b'\n') => {
                self.line = 0;
                Some(State::Data { left: bytes })
            }
            (State::DataReturn, b'\r') => Some(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Some(State::Size { digits: 0, bytes: 0 }),
            (State::Trailer, b'\r') => Some(State::LastLineFeed),
            (State::Trailer, b' ' | b'\t') => None,
            (State::Trailer | State::WithinTrailer, _) if is_text(byte) => {
                Some(State::WithinTrailer)
            }
            (State::WithinTrailer, b'\r') => Some(State::TrailerLineFeed),
            (State::TrailerLineFeed, b'\n') => Some(State::Trailer),
            _ => None,
        }
    }
}

/// Whether a byte may stand in a line.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\n\r\n";

    /// Sends a chunked request and what follows it, in pieces of each size.
    fn check(body: &str, expected: Result<&str, Ambiguity>) {
        let all = [HEAD, body.as_bytes()].concat();
        for size in 1..=all.len() {
            let mut wire = Wire::new();
            let mut judged = wire.receive(&all[..HEAD.len()]);
            judged = judged.and_then(|()| wire.head_parsed(HEAD, BodyFraming::Chunked));
            for piece in all[HEAD.len()..].chunks(size) {
                judged = judged.and_then(|()| wire.receive(piece));
            }
            let left = judged.map(|()| String::from_utf8_lossy(&wire.head).into_owned());
            assert_eq!(
                left.as_deref().map_err(|ambiguity| *ambiguity),
                expected,
                "{body:?} by {size}"
            );
        }
    }

    #[test]
    fn well_formed_chunks_pass_and_what_follows_is_the_next_head() {
        check("0\r\n\r\n", Ok(""));
        check("4\r\nbody\r\n0\r\n\r\nGET", Ok("GET"));
        check("04;a=\"b\"\r\nbody\r\nA\r\n0123456789\r\n0\r\nx: y\r\nz:\r\n\r\nGET", Ok("GET"));
        check("4\r\nbo", Ok(""));
    }

    #[test]
    fn chunks_that_can_be_read_in_two_ways_are_refused() {
        let bodies = [
            "\r\n\r\n",
            ";a\r\n",
            " 4\r\n",
            "4 \r\n",
            "+4\r\n",
            "0x4\r\n",
            "-4\r\n",
            "4\n",
            "4;a\nb\r\n",
            "4;\x01\r\n",
            "4\r\nbody\n",
            "4\r\nbodyXX",
            "4\r\nbody0\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "0\r\n x\r\n",
            "0\r\nx: y\n",
            "0\n\r\n",
            "0\r\n\n",
        ];
        for body in bodies {
            check(body, Err(Ambiguity::Chunk));
        }
    }

    #[test]
    fn bodies_with_a_length_are_skipped() {
        let mut wire = Wire::new();
        wire.receive(HEAD).unwrap();
        wire.receive(b"abc").unwrap();
        wire.head_parsed(HEAD, BodyFraming::Length(5)).unwrap();
        wire.receive(b"deGET /").unwrap();
        assert_eq!(wire.head, "GET /");
        wire.receive(b" HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(wire.head_parsed(b"GET / HTTP/1.1\r\n\r\n", BodyFraming::Length(0)), Ok(()));
    }

    #[test]
    fn a_head_that_was_parsed_as_another_is_noticed() {
        let mut wire = Wire::new();
        wire.receive(b"GET  / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(
            wire.head_parsed(b"GET %20/ HTTP/1.1\r\n\r\n", BodyFraming::Length(0)),
            Err(Ambiguity::Head)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(pieces: Vec<Vec<u8>>) {
            let mut wire = Wire::new();
            let _parsed = wire.head_parsed(b"", BodyFraming::Chunked);
            for piece in pieces {
                let _judged = wire.receive(&piece);
            }
        }
    }
}
