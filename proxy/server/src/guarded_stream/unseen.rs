//! Heads that never become a request: what is answered and told of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{Method, StatusCode};
use pingora::protocols::Stream;
use portcullis_pipeline::{Decision, Record};

use crate::telemetry::{Asked, Finished, Telemetry};

/// Bytes of a path that are told: no more is known to be a path.
const TOLD_BYTES: usize = 1024;

/// A head that was refused, or broke off, before the pipeline saw a request.
pub(super) struct Unseen<'a> {
    /// What has come of it.
    pub(super) head: &'a [u8],
    /// The id that the answer has.
    pub(super) id: u128,
    /// The answer's status and length, where there was one.
    pub(super) answer: Option<(StatusCode, usize)>,
    /// How long it took.
    pub(super) duration: Duration,
    /// Why it went no further.
    pub(super) decision: Decision,
}

impl Unseen<'_> {
    /// Counts it, and writes its line of the access log.
    pub(super) fn record(self, connection: &Stream, telemetry: &Telemetry) {
        let (method, path) = asked(self.head);
        let record = Record { decision: Some(self.decision), ..Record::default() };
        telemetry.record_unseen(&Finished {
            record: &record,
            id: self.id,
            client: peer(connection),
            request: Asked { method: &method, host: "", path: &path },
            status: self.answer.map(|(status, _)| status),
            bytes: (0, self.answer.map_or(0, |(_, bytes)| bytes)),
            duration: self.duration,
            upstream: None,
        });
    }
}

/// The status of an answer that somebody writes.
pub(super) fn written_status(bytes: &[u8]) -> Option<StatusCode> {
    StatusCode::from_bytes(bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()
}

fn peer(connection: &Stream) -> IpAddr {
    let digest = connection.get_socket_digest();
    let address = digest.and_then(|digest| digest.peer_addr()?.as_inet().map(|peer| peer.ip()));
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical()
}

/// Method and path, as far as they came; `-` where there is no method. Of a target that
/// is no path nothing is told: it may hold a password.
fn asked(head: &[u8]) -> (Method, String) {
    let mut lines = head.split(|byte| matches!(byte, b'\r' | b'\n'));
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let method = parts.next().and_then(|method| Method::from_bytes(method).ok());
    let method = method.or_else(|| Method::from_bytes(b"-").ok()).unwrap_or_default();
    let target = parts.next().filter(|target| target.starts_with(b"/")).unwrap_or_default();
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let path = path.get(..TOLD_BYTES.min(path.len())).unwrap_or_default();
    (method, String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, method: &str, path: &str) {
        let (found, told) = asked(head.as_bytes());
        assert_eq!((found.as_str(), told.as_str()), (method, path), "{head:?}");
    }

    #[test]
    fn what_came_of_a_request_line_is_told_without_secrets() {
        check("GET /a/b?key=1 HTTP/1.1\r\nHost", "GET", "/a/b");
        check("\r\nPUT /a", "PUT", "/a");
        check("GET http://me:secret@a/ HTTP/1.1\r\n", "GET", "");
        check("\x16\x03\x01", "-", "");
        check("", "-", "");
        check(&format!("GET /{}", "x".repeat(5000)), "GET", &format!("/{}", "x".repeat(1023)));
    }

    #[test]
    fn an_answer_tells_its_status() {
        assert_eq!(written_status(b"HTTP/1.1 400 Bad Request"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(written_status(b"HTTP/1.1 4"), None);
    }
}
