//! HTTP/1.1 messages as bytes: the little of a parser that client and upstream share.

use std::io::{self, Read};

/// Header fields in order, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn says(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|value| value.to_ascii_lowercase().contains(token))
    }
}

/// A response, read whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("no JSON ({error}) in {self:?}"))
    }

    /// The stable code of a refusal by the gateway; empty where it is none.
    pub fn code(&self) -> String {
        let problem = serde_json::from_slice::<serde_json::Value>(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What most tests look at: the status and the stable code.
    pub fn verdict(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// What a 400 says is wrong with the request, each as `PLACE: MESSAGE`.
    ///
    /// # Panics
    ///
    /// Where the answer is another.
    pub fn violations(&self) -> Vec<String> {
        assert_eq!(self.verdict(), (400, "invalid-request".into()), "{}", self.text());
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let list = problem["violations"].as_array().unwrap();
        let text = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap().to_owned();
        list.iter().map(|it| format!("{}: {}", text(it, "location"), text(it, "message"))).collect()
    }
}

/// How a message's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    pub(crate) fn of_request(headers: &Headers) -> Self {
        if headers.says("transfer-encoding", "chunked") {
            return Self::Chunked;
        }
        let length = headers.get("content-length").and_then(|value| value.trim().parse().ok());
        Self::Length(length.unwrap_or(0))
    }

    pub(crate) fn of_response(method: &str, status: u16, headers: &Headers) -> Self {
        if method == "HEAD" || matches!(status, 100..200 | 204 | 304) {
            return Self::Length(0);
        }
        if headers.says("transfer-encoding", "chunked") {
            return Self::Chunked;
        }
        let length = headers.get("content-length").and_then(|value| value.trim().parse().ok());
        length.map_or(Self::UntilClose, Self::Length)
    }
}

/// Reads messages off a stream, keeping what belongs to the next.
#[derive(Default)]
pub(crate) struct Parser {
    buffer: Vec<u8>,
    at: usize,
    /// Bytes read so far.
    pub(crate) read: u64,
}

impl Parser {
    /// The first line and the header fields; `None` at the stream's end.
    pub(crate) fn head(&mut self, stream: &mut impl Read) -> io::Result<Option<(String, Headers)>> {
        let Some(first) = self.line(stream)? else { return Ok(None) };
        let mut headers = Headers::default();
        loop {
            let line = self.line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Some((first, headers)));
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.0.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Hands the body's pieces to `sink` as they come.
    pub(crate) fn body(
        &mut self,
        stream: &mut impl Read,
        framing: Framing,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        match framing {
            Framing::Length(length) => self.exactly(stream, length, sink),
            Framing::UntilClose => {
                while !self.some(stream, usize::MAX, sink)? {}
                Ok(())
            }
            Framing::Chunked => loop {
                let line = self.line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16)
                    .map_err(|_| io::Error::other(format!("`{line}` is no chunk size")))?;
                self.exactly(stream, size, sink)?;
                // After the last chunk come trailers, of which none are kept.
                while !self.line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {}
                if size == 0 {
                    return Ok(());
                }
            },
        }
    }

    /// Whatever has been or can be read at once: at least one byte, none at the end.
    pub(crate) fn piece(&mut self, stream: &mut impl Read) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        self.some(stream, usize::MAX, &mut |bytes| piece.extend_from_slice(bytes))?;
        Ok(piece)
    }

    fn exactly(
        &mut self,
        stream: &mut impl Read,
        length: u64,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let mut taken = 0;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let ended = self.some(stream, most, &mut |bytes| {
                taken = bytes.len();
                sink(bytes);
            })?;
            if ended {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the body ended {left} bytes early"),
                ));
            }
            left -= taken as u64;
        }
        Ok(())
    }

    /// Hands at most `most` bytes to `sink`; whether the stream has ended instead.
    fn some(
        &mut self,
        stream: &mut impl Read,
        most: usize,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<bool> {
        if self.at == self.buffer.len() && self.fill(stream)? == 0 {
            return Ok(true);
        }
        let end = self.at + most.min(self.buffer.len() - self.at);
        sink(&self.buffer[self.at..end]);
        self.at = end;
        Ok(false)
    }

    fn line(&mut self, stream: &mut impl Read) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            if self.at == self.buffer.len() && self.fill(stream)? == 0 {
                let begun = if line.is_empty() { None } else { Some(io::ErrorKind::UnexpectedEof) };
                return begun.map_or(Ok(None), |kind| Err(kind.into()));
            }
            let byte = self.buffer[self.at];
            self.at += 1;
            if byte == b'\n' {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            line.push(byte);
        }
    }

    fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.buffer.resize(64 * 1024, 0);
        self.at = 0;
        let read = stream.read(&mut self.buffer);
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        if let Ok(length) = &read {
            self.read += *length as u64;
        }
        read
    }
}
