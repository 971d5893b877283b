//! Compresses responses on their way to the client, piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;
use pingora::{ErrorType, OrErr, Result};
use portcullis_config::Coding;
use portcullis_pipeline::{Answer, Compressed, Negotiated, vary};

use crate::respond;

// Levels at which a core gives some tens of megabytes a second or more.
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// How far back a compressor looks, as a power of two: 512 KiB bound what a response takes.
const WINDOW: u32 = 19;

/// Bytes that are compressed before others may run.
const PIECE: usize = 64 * 1024;

/// Compresses the response of one exchange, where that is to be.
pub(crate) struct Compressor {
    negotiated: Negotiated,
    state: State,
}

enum State {
    AwaitingHead,
    Passing,
    Compressing { encoder: Box<Encoder>, flush: Flush },
}

/// When the client gets what has been compressed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// When there is enough for a block.
    WhenFull,
    /// With each piece that comes: nobody knows when the next does.
    Promptly,
    /// With the pieces so far, which are waiting.
    Due,
}

impl Compressor {
    /// Compresses what the client takes.
    pub(crate) fn new(negotiated: Negotiated) -> Self {
        Self { negotiated, state: State::AwaitingHead }
    }

    /// Takes tasks that have come together, and gives those to write in their place. Of
    /// long bodies no more is compressed at once than lets others run.
    pub(crate) async fn take_all(
        &mut self,
        tasks: Vec<HttpTask>,
        method: &Method,
    ) -> Result<Vec<HttpTask>> {
        let mut out = Vec::with_capacity(tasks.len() + 1);
        for task in tasks {
            let (mut bytes, ended) = match task {
                HttpTask::Body(Some(bytes), ended) => (bytes, ended),
                other => {
                    self.take(other, method, &mut out)?;
                    continue;
                }
            };
            while self.is_compressing() && bytes.len() > PIECE {
                let piece = bytes.split_to(PIECE);
                self.take(HttpTask::Body(Some(piece), false), method, &mut out)?;
                tokio::task::yield_now().await;
            }
            self.take(HttpTask::Body(Some(bytes), ended), method, &mut out)?;
        }
        self.flush(&mut out)?;
        Ok(out)
    }

    fn is_compressing(&self) -> bool {
        matches!(self.state, State::Compressing { .. })
    }

    /// Takes the next task of the response.
    fn take(&mut self, task: HttpTask, method: &Method, out: &mut Vec<HttpTask>) -> Result<()> {
        match (std::mem::replace(&mut self.state, State::Passing), task) {
            (State::AwaitingHead, HttpTask::Header(head, ended)) => {
                let (task, state) = self.begin(head, ended, method)?;
                self.state = state;
                out.push(task);
            }
            (State::Compressing { mut encoder, flush }, HttpTask::Body(bytes, ended)) => {
                let bytes = bytes.unwrap_or_default();
                encoder.write(&bytes)?;
                if ended {
                    out.push(HttpTask::Body(Some(encoder.finish()?), true));
                    return Ok(());
                }
                let written = encoder.taken();
                if !written.is_empty() {
                    out.push(HttpTask::Body(Some(written), false));
                }
                let is_waiting = flush != Flush::WhenFull && !bytes.is_empty();
                let flush = if is_waiting { Flush::Due } else { flush };
                self.state = State::Compressing { encoder, flush };
            }
            (State::Compressing { encoder, .. }, HttpTask::Done) => {
                out.push(HttpTask::Body(Some(encoder.finish()?), true));
            }
            (State::Compressing { encoder, .. }, HttpTask::Trailer(trailers)) => {
                out.push(HttpTask::Body(Some(encoder.finish()?), false));
                out.push(HttpTask::Trailer(trailers));
            }
            (State::AwaitingHead, task) => {
                self.state = State::AwaitingHead;
                out.push(task);
            }
            (State::Passing | State::Compressing { .. }, task) => out.push(task),
        }
        Ok(())
    }

    /// Lets go of what waits in the compressor, once nothing more is there to follow it.
    fn flush(&mut self, out: &mut Vec<HttpTask>) -> Result<()> {
        if let State::Compressing { encoder, flush } = &mut self.state
            && *flush == Flush::Due
        {
            *flush = Flush::Promptly;
            out.push(HttpTask::Body(Some(encoder.flush()?), false));
        }
        Ok(())
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "Pingora tells it with a bool")]
    fn begin(
        &self,
        mut head: Box<ResponseHeader>,
        ended: bool,
        method: &Method,
    ) -> Result<(HttpTask, State)> {
        let is_interim = head.status.is_informational();
        if is_interim && head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok((HttpTask::Header(head, ended), State::AwaitingHead));
        }
        let mut state = State::Passing;
        match self.negotiated.judge(head.status, &head.headers) {
            Compressed::Never => {}
            Compressed::So(coding) if !ended && *method != Method::HEAD => {
                let is_measured = head.headers.contains_key(header::CONTENT_LENGTH);
                let flush = if is_measured { Flush::WhenFull } else { Flush::Promptly };
                set_coding(&mut head, coding)?;
                state = State::Compressing { encoder: Box::new(Encoder::new(coding)?), flush };
            }
            Compressed::So(_) | Compressed::ForOthers => set_vary(&mut head)?,
        }
        Ok((HttpTask::Header(head, ended), state))
    }
}

/// An answer of the gateway's own as the client takes it.
pub(crate) fn compressed(
    mut answer: Answer,
    negotiated: &Negotiated,
    method: &Method,
) -> Result<Answer> {
    let mut measured = answer.headers.clone();
    measured.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    match negotiated.judge(answer.status, &measured) {
        Compressed::Never => return Ok(answer),
        Compressed::So(coding) if respond::carries_body(answer.status, method) => {
            let mut encoder = Encoder::new(coding)?;
            encoder.write(&answer.body)?;
            answer.body = encoder.finish()?;
            let coding = HeaderValue::from_static(coding.as_str());
            answer.headers.insert(header::CONTENT_ENCODING, coding);
            if let Some(weak) = weakened(&answer.headers) {
                answer.headers.insert(header::ETAG, weak);
            }
        }
        Compressed::So(_) | Compressed::ForOthers => {}
    }
    if let Some(vary) = vary(&answer.headers, &["Accept-Encoding"]) {
        answer.headers.insert(header::VARY, vary);
    }
    Ok(answer)
}

/// Says of a head that its body is in this coding.
fn set_coding(head: &mut ResponseHeader, coding: Coding) -> Result<()> {
    head.insert_header(header::CONTENT_ENCODING, coding.as_str())?;
    head.remove_header(&header::CONTENT_LENGTH);
    head.remove_header(&header::ACCEPT_RANGES);
    // HTTP/2 takes it off again.
    head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    if let Some(weak) = weakened(&head.headers) {
        head.insert_header(header::ETAG, weak)?;
    }
    set_vary(head)
}

fn set_vary(head: &mut ResponseHeader) -> Result<()> {
    match vary(&head.headers, &["Accept-Encoding"]) {
        Some(vary) => head.insert_header(header::VARY, vary),
        None => Ok(()),
    }
}

/// The tag of what means the same but is other bytes (RFC 9110 §8.8.1).
fn weakened(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(header::ETAG)?.as_bytes();
    if tag.starts_with(b"W/") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", tag].concat()).ok()
}

/// What writes compressed bytes into memory.
enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
            }
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                PIECE,
                BROTLI_QUALITY,
                WINDOW,
            ))),
            Coding::Zstd => Self::Zstd(failed(zstd_encoder())?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        failed(match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Brotli(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        })
    }

    /// Everything so far, so that whoever decodes it has every byte.
    fn flush(&mut self) -> Result<Bytes> {
        failed(match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        })?;
        Ok(self.taken())
    }

    /// What has come out so far.
    fn taken(&mut self) -> Bytes {
        let written = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Bytes::from(std::mem::take(written))
    }

    fn finish(self) -> Result<Bytes> {
        let rest = match self {
            Self::Gzip(encoder) => failed(encoder.finish())?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => failed(encoder.finish())?,
        };
        Ok(Bytes::from(rest))
    }
}

fn zstd_encoder() -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.window_log(WINDOW)?;
    Ok(encoder)
}

fn failed<T>(written: io::Result<T>) -> Result<T> {
    written.or_err(ErrorType::InternalError, "a response cannot be compressed")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain),
            Coding::Zstd => {
                zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut plain)
            }
        }
        .unwrap();
        plain
    }

    #[test]
    fn what_is_compressed_in_pieces_is_the_same_when_decoded() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let plain: Vec<u8> = (0..300_000_u32).flat_map(|n| (n % 1009).to_le_bytes()).collect();
            let mut encoder = Encoder::new(coding).unwrap();
            let mut sent = Vec::new();
            for piece in plain.chunks(70_001) {
                encoder.write(piece).unwrap();
                sent.extend_from_slice(&encoder.taken());
                sent.extend_from_slice(&encoder.flush().unwrap());
            }
            sent.extend_from_slice(&encoder.finish().unwrap());
            assert!(sent.len() < plain.len() / 2, "{coding:?}: {}", sent.len());
            assert!(decoded(coding, &sent) == plain, "{coding:?}");
        }
    }

    #[test]
    fn strong_tags_become_weak() {
        let check = |tag: &'static str, expected: Option<&str>| {
            let headers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static(tag))]);
            let weak = weakened(&headers);
            assert_eq!(weak.as_ref().map(|weak| weak.to_str().unwrap()), expected);
        };
        check("\"a\"", Some("W/\"a\""));
        check("W/\"a\"", None);
    }
}
