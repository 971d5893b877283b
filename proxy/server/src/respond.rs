//! Writes an [`Answer`] of the gateway's own to the client.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use portcullis_pipeline::Answer;

use crate::received::asks_to_continue;

/// The header that carries the id of an exchange.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// A request body up to this length is read and dropped so that the connection can
/// serve the next request.
const DRAINED_BYTES: u64 = 64 * 1024;

/// How long a client may take to send a body nobody wants.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Whether the client's connection serves another request after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// If nothing else speaks against it.
    Keep,
    /// No: where the next request begins is in doubt.
    Close,
}

/// Writes a whole answer.
pub(crate) async fn respond(
    session: &mut ServerSession,
    answer: &Answer,
    request_id: &str,
    connection: Connection,
) -> Result<()> {
    let has_unread_body = !session.is_body_done();
    match connection {
        Connection::Close => session.set_keepalive(None),
        Connection::Keep if has_unread_body && is_worth_draining(session) => {
            session.set_close_on_response_before_downstream_finish(false);
            session.set_total_drain_timeout(Some(DRAIN_TIME));
        }
        Connection::Keep => {}
    }
    let head = head(answer, request_id)?;
    let has_body =
        carries_body(answer.status, &session.req_header().method) && !answer.body.is_empty();
    session.write_response_header(Box::new(head)).await?;
    let body = if has_body { answer.body.clone() } else { Bytes::new() };
    session.write_response_body(body, true).await?;
    if has_unread_body && session.get_keepalive().is_none() && !session.is_http2() {
        linger(session).await;
    }
    Ok(())
}

/// A whole answer as HTTP/1.1 writes it, for a connection that ends with it.
pub(crate) fn last_words(answer: &Answer, request_id: &str) -> Vec<u8> {
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", answer.status.as_u16()).into_bytes();
    for (name, value) in &answer.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    let length = answer.body.len();
    let framing = format!(
        "{REQUEST_ID}: {request_id}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    bytes.extend_from_slice(framing.as_bytes());
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// Whether a response with this status to this method has a body at all.
pub(crate) fn carries_body(status: StatusCode, method: &Method) -> bool {
    *method != Method::HEAD && !is_bodiless(status)
}

/// Whether responses with this status never have a body.
pub(crate) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn head(answer: &Answer, request_id: &str) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build_no_case(answer.status, Some(answer.headers.len() + 3))?;
    for (name, value) in &answer.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    let id = HeaderValue::from_str(request_id).map_err(|_| Error::new(ErrorType::InternalError))?;
    head.insert_header(REQUEST_ID, id)?;
    if !is_bodiless(answer.status) {
        head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    }
    Ok(head)
}

/// Whether reading the rest of the body costs less than a new connection.
fn is_worth_draining(session: &ServerSession) -> bool {
    let head = session.req_header();
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.trim().parse::<u64>().ok());
    length.is_some_and(|length| length <= DRAINED_BYTES) && !asks_to_continue(head)
}

/// Reads a little of an unwanted body before the connection closes: closing at once
/// would reset it, and the client might never see the answer.
async fn linger(session: &mut ServerSession) {
    let drain = async {
        let mut rest = 16 * DRAINED_BYTES;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            rest = rest.saturating_sub(chunk.len() as u64);
            if rest == 0 {
                break;
            }
        }
    };
    // Whether the client was quick enough changes nothing.
    let _in_time = tokio::time::timeout(DRAIN_TIME / 4, drain).await;
}

#[cfg(test)]
mod tests {
    use pingora::protocols::http::v1::server::HttpSession;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn check(request: &str, status: u16, expected: &[&str], absent: &[&str]) {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(request.as_bytes()).await.unwrap();
        let mut session = HttpSession::new(Box::new(server));
        session.read_request().await.unwrap();
        let mut session = ServerSession::H1(session);
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))]
                .into_iter()
                .collect(),
            body: Bytes::from_static(b"sorry"),
        };
        respond(&mut session, &answer, "abc", Connection::Close).await.unwrap();
        drop(session);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        let text = text.to_lowercase();
        for part in expected {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        for part in absent {
            assert!(!text.contains(part), "{part} is in {text}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_framed() {
        let expected = [
            "http/1.1 403",
            "content-length: 5",
            "x-request-id: abc",
            "connection: close",
            "sorry",
        ];
        check(
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            403,
            &expected,
            &["server:", "transfer-encoding"],
        )
        .await;
    }

    #[tokio::test]
    async fn answers_to_head_and_without_content_have_no_body() {
        check("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", 403, &["content-length: 5"], &["sorry"]).await;
        check(
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            204,
            &["http/1.1 204"],
            &["sorry", "content-length"],
        )
        .await;
    }
}
