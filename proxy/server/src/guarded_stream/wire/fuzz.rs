use super::*;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\n\r\n";

const WORDS: &[&str] = &[
    "0\r\n\r\n",
    "\r\n",
    "\n",
    "\r",
    ";a=\"b\"",
    "4\r\nbody\r\n",
    "5\r\n",
    "F",
    "ffffffffffffffff",
    "x: y\r\n",
    " ",
    "+",
    "0x",
    "\0",
    "é",
    "GET / HTTP/1.1\r\n\r\n",
];

/// A chunked body, and what follows it, when all of it is at hand.
fn slowly(body: &[u8]) -> Result<Option<&[u8]>, Ambiguity> {
    let mut rest = body;
    loop {
        let Some((size, after)) = line(rest)? else { return Ok(None) };
        // Extensions may hold octets beyond ASCII.
        let size = String::from_utf8_lossy(size);
        let digits = size.split(';').next().unwrap_or("");
        let number = u64::from_str_radix(digits, 16).map_err(|_| Ambiguity::Chunk)?;
        rest = after;
        if number == 0 {
            return trailers(rest);
        }
        let number = usize::try_from(number).unwrap();
        let Some(after) = rest.get(number..) else { return Ok(None) };
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(Ambiguity::Chunk),
        };
    }
}

fn trailers(mut rest: &[u8]) -> Result<Option<&[u8]>, Ambiguity> {
    loop {
        let Some((line, after)) = line(rest)? else { return Ok(None) };
        rest = after;
        match line.first() {
            None => return Ok(Some(rest)),
            Some(b' ' | b'\t') => return Err(Ambiguity::Chunk),
            Some(_) => {}
        }
    }
}

/// A line and what follows it.
type Line<'b> = (&'b [u8], &'b [u8]);

/// The first line; none where its end has not come.
fn line(bytes: &[u8]) -> Result<Option<Line<'_>>, Ambiguity> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    match end.map(|end| bytes.split_at(end)) {
        None => Ok(None),
        Some((_, b"\r")) => Ok(None),
        Some((line, [b'\r', b'\n', rest @ ..])) => Ok(Some((line, rest))),
        Some(_) => Err(Ambiguity::Chunk),
    }
}

/// What comes of a body that arrives in pieces: what is left for the next head.
fn received(body: &[u8], size: usize) -> Result<Vec<u8>, Ambiguity> {
    let mut wire = Wire::new();
    wire.receive(HEAD)?;
    wire.head_parsed(HEAD, BodyFraming::Chunked)?;
    for piece in body.chunks(size) {
        wire.receive(piece)?;
    }
    Ok(wire.head.to_vec())
}

#[test]
fn fuzz_chunks() {
    portcullis_fuzz::target!("chunks", WORDS, |input| {
        let whole = received(input, input.len().max(1));
        for size in [1, 2, 7] {
            assert_eq!(received(input, size), whole, "in pieces of {size}");
        }
        // What passes is what a reader with all of it at hand makes of it; and what that
        // reader cannot read does not pass.
        if let Ok(left) = whole {
            match slowly(input) {
                Ok(next) => assert_eq!(left, next.unwrap_or_default()),
                Err(ambiguity) => panic!("{ambiguity}"),
            }
        }
    });
}
