//! Refuses request heads whose framing two readers could understand differently.
//!
//! Pingora's parser is laxer than RFC 9112 asks of an intermediary: it takes a bare
//! LF for a line end, drops `Content-Length` beside `Transfer-Encoding` and allows
//! 1 MiB of head. This looks at the bytes as they came, before anything is decided.
//! Knows nothing of sockets or sessions.

use http::{HeaderMap, StatusCode, Uri};

use crate::guarded_stream::Ambiguity;

/// Bounds on a request head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    /// Bytes of the whole head.
    pub(crate) bytes: usize,
    /// Header fields.
    pub(crate) fields: usize,
    /// Bytes of the request target.
    pub(crate) target_bytes: usize,
}

impl From<Ambiguity> for HeadFault {
    fn from(ambiguity: Ambiguity) -> Self {
        match ambiguity {
            Ambiguity::Head => Self::RequestLine,
            Ambiguity::Chunk => Self::Chunk,
        }
    }
}

/// Why a request head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadFault {
    /// A line ends in LF alone, or holds a CR that ends nothing.
    #[error("a line of the head does not end in CRLF")]
    LineEnding,
    /// A field goes on in the next line (obs-fold).
    #[error("a header field is folded")]
    Folded,
    /// A field name is followed by white space.
    #[error("white space stands before a colon")]
    SpaceBeforeColon,
    /// A field name is empty or no token.
    #[error("a header field has no valid name")]
    FieldName,
    /// The request line is not `method target version`.
    #[error("the request line is malformed")]
    RequestLine,
    /// `Content-Length` is repeated or no number.
    #[error("content-length is repeated or no number")]
    ContentLength,
    /// `Transfer-Encoding` is repeated or other than `chunked`.
    #[error("transfer-encoding is repeated or other than chunked")]
    TransferEncoding,
    /// Both lengths are given.
    #[error("content-length stands beside transfer-encoding")]
    BothLengths,
    /// The chunks of the body can be read in two ways.
    #[error("a chunk of the body is malformed")]
    Chunk,
    /// `Host` is missing or repeated.
    #[error("host is missing or repeated")]
    Host,
    /// The head took longer than it may.
    #[error("the head took too long")]
    Late,
    /// The head has too many bytes or fields.
    #[error("the head is too large")]
    TooLarge,
    /// The target has too many bytes.
    #[error("the target is too long")]
    TargetTooLong,
}

impl HeadFault {
    /// The status the client receives.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::LineEnding
            | Self::Folded
            | Self::SpaceBeforeColon
            | Self::FieldName
            | Self::RequestLine
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::BothLengths
            | Self::Chunk
            | Self::Host => StatusCode::BAD_REQUEST,
        }
    }

    /// A stable code for logs and metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "head-too-large",
            Self::TargetTooLong => "target-too-long",
            Self::Late => "slow-head",
            Self::LineEnding
            | Self::Folded
            | Self::SpaceBeforeColon
            | Self::FieldName
            | Self::RequestLine
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::BothLengths
            | Self::Chunk
            | Self::Host => "malformed-head",
        }
    }
}

/// Checks the raw head of an HTTP/1 request.
pub(crate) fn check_raw(raw: &[u8], limits: HeadLimits) -> Result<(), HeadFault> {
    if raw.len() > limits.bytes {
        return Err(HeadFault::TooLarge);
    }
    let mut rest = raw;
    let version = check_request_line(first_line(&mut rest)?, limits)?;
    let mut framing = Framing::default();
    let mut fields = 0;
    loop {
        let line = next_line(&mut rest)?;
        if line.is_empty() {
            return framing.judge(version);
        }
        fields += 1;
        if fields > limits.fields {
            return Err(HeadFault::TooLarge);
        }
        framing.note(line)?;
    }
}

/// Checks the head of an HTTP/2 request, whose framing the protocol layer owns.
pub(crate) fn check_parsed(
    uri: &Uri,
    headers: &HeaderMap,
    limits: HeadLimits,
) -> Result<(), HeadFault> {
    if uri.path_and_query().map_or(0, |target| target.as_str().len()) > limits.target_bytes {
        return Err(HeadFault::TargetTooLong);
    }
    let bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > limits.fields || bytes > limits.bytes {
        return Err(HeadFault::TooLarge);
    }
    if headers.get_all(http::header::CONTENT_LENGTH).iter().count() > 1 {
        return Err(HeadFault::ContentLength);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// The request line; empty lines before it are allowed (RFC 9112 §2.2).
fn first_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], HeadFault> {
    loop {
        let line = next_line(rest)?;
        if !line.is_empty() {
            return Ok(line);
        }
    }
}

/// The next line without its CRLF.
fn next_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], HeadFault> {
    let end =
        rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).ok_or(HeadFault::LineEnding)?;
    let (line, tail) = rest.split_at(end);
    *rest = tail.strip_prefix(b"\r\n").ok_or(HeadFault::LineEnding)?;
    Ok(line)
}

fn check_request_line(line: &[u8], limits: HeadLimits) -> Result<Version, HeadFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadFault::RequestLine);
    };
    if target.len() > limits.target_bytes {
        return Err(HeadFault::TargetTooLong);
    }
    if !is_target(target) || method.is_empty() || !method.iter().copied().all(is_token) {
        return Err(HeadFault::RequestLine);
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(HeadFault::RequestLine),
    }
}

/// Whether this is a path, `*` or an absolute URL of ours (RFC 9112 §3.2).
fn is_target(target: &[u8]) -> bool {
    let has_form = target.starts_with(b"/") || target == b"*" || is_absolute_form(target);
    has_form && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
}

/// Whether a target is an absolute URL of the schemes that are served here.
pub(crate) fn is_absolute_form(target: &[u8]) -> bool {
    let has_scheme = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    has_scheme(b"http://") || has_scheme(b"https://")
}

/// What the fields say of the body's length.
#[derive(Default)]
struct Framing {
    lengths: usize,
    encodings: usize,
    hosts: usize,
}

impl Framing {
    fn note(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(HeadFault::Folded);
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadFault::FieldName)?;
        let (name, value) = line.split_at(colon);
        if name.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(HeadFault::SpaceBeforeColon);
        }
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(HeadFault::FieldName);
        }
        self.note_field(name, value.get(1..).unwrap_or_default().trim_ascii())
    }

    fn note_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            let is_number =
                !value.is_empty() && value.len() < 20 && value.iter().all(u8::is_ascii_digit);
            return if is_number && self.lengths == 1 {
                Ok(())
            } else {
                Err(HeadFault::ContentLength)
            };
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            let is_chunked = value.eq_ignore_ascii_case(b"chunked");
            return if is_chunked && self.encodings == 1 {
                Ok(())
            } else {
                Err(HeadFault::TransferEncoding)
            };
        }
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        }
        Ok(())
    }

    fn judge(&self, version: Version) -> Result<(), HeadFault> {
        if self.lengths > 0 && self.encodings > 0 {
            return Err(HeadFault::BothLengths);
        }
        if self.encodings > 0 && version == Version::Http10 {
            return Err(HeadFault::TransferEncoding);
        }
        match (self.hosts, version) {
            (1, _) | (0, Version::Http10) => Ok(()),
            (_, Version::Http10 | Version::Http11) => Err(HeadFault::Host),
        }
    }
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 200, fields: 4, target_bytes: 20 };

    fn check(head: &str, expected: Result<(), HeadFault>) {
        assert_eq!(check_raw(head.as_bytes(), LIMITS), expected, "{head:?}");
    }

    #[test]
    fn ordinary_heads_pass() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(()));
        check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(()));
        check("GET / HTTP/1.0\r\n\r\n", Ok(()));
        check("POST / HTTP/1.1\r\nhost:a\r\ncontent-length: 12\r\n\r\n", Ok(()));
        check("POST / HTTP/1.1\r\nhost:\r\nTransfer-Encoding:\tChunked \r\n\r\n", Ok(()));
    }

    #[test]
    fn line_endings_other_than_crlf_are_refused() {
        check("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(HeadFault::LineEnding));
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", Err(HeadFault::LineEnding));
        check("GET / HTTP/1.1\r\nHost: a\r\n\n", Err(HeadFault::LineEnding));
        check("GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n", Err(HeadFault::LineEnding));
        check("GET / HTTP/1.1\r\nHost: a\r\n", Err(HeadFault::LineEnding));
        check("", Err(HeadFault::LineEnding));
    }

    #[test]
    fn odd_fields_are_refused() {
        check("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Err(HeadFault::Folded));
        check("GET / HTTP/1.1\r\n\tb: c\r\nHost: a\r\n\r\n", Err(HeadFault::Folded));
        check("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(HeadFault::SpaceBeforeColon));
        check("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Err(HeadFault::FieldName));
        check("GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n", Err(HeadFault::FieldName));
        check("GET / HTTP/1.1\r\nHost: a\r\nb\0: c\r\n\r\n", Err(HeadFault::FieldName));
    }

    #[test]
    fn ambiguous_lengths_are_refused() {
        let both = "content-length: 1\r\ntransfer-encoding: chunked\r\n";
        let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        check(&post(both), Err(HeadFault::BothLengths));
        check(&post("content-length: 1\r\ncontent-length: 1\r\n"), Err(HeadFault::ContentLength));
        for length in ["", "+1", "1, 1", "-1", "0x1", "1 1", "99999999999999999999"] {
            check(&post(&format!("content-length: {length}\r\n")), Err(HeadFault::ContentLength));
        }
        for encoding in ["", "gzip", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;a"] {
            check(
                &post(&format!("transfer-encoding: {encoding}\r\n")),
                Err(HeadFault::TransferEncoding),
            );
        }
        let twice = "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n";
        check(&post(twice), Err(HeadFault::TransferEncoding));
        check(
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            Err(HeadFault::TransferEncoding),
        );
    }

    #[test]
    fn hosts_and_request_lines_are_checked() {
        check("GET / HTTP/1.1\r\n\r\n", Err(HeadFault::Host));
        check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(HeadFault::Host));
        check("GET /\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET  HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET Http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Ok(()));
        check("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
        check("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(HeadFault::RequestLine));
    }

    #[test]
    fn limits_hold() {
        check(
            &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20)),
            Err(HeadFault::TargetTooLong),
        );
        check(
            &format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(200)),
            Err(HeadFault::TooLarge),
        );
        check(
            "GET / HTTP/1.1\r\nHost: a\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n",
            Err(HeadFault::TooLarge),
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw: Vec<u8>) {
            let _judged = check_raw(&raw, LIMITS);
        }

        #[test]
        fn no_text_makes_it_panic(raw in "(GET|POST) /[ -~]{0,9} HTTP/1.[01]\r?\n([a-zA-Z :\t-]{0,20}[:\r\n]{0,3}){0,5}\r?\n") {
            let _judged = check_raw(raw.as_bytes(), LIMITS);
        }
    }
}
