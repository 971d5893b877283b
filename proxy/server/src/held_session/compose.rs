//! Frames a response again after transforms have looked at it.

use bytes::Bytes;
use http::{Method, header};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;

use super::collector::Ready;
use crate::respond;

/// The tasks that write a response whose body may have been replaced.
pub(super) fn tasks(
    mut head: Box<ResponseHeader>,
    ready: Ready,
    new_body: Option<Bytes>,
    method: &Method,
) -> Result<Vec<HttpTask>> {
    let Ready { body: collected, trailers, ended, .. } = ready;
    if respond::is_bodiless(head.status) {
        head.remove_header(&header::CONTENT_LENGTH);
        head.remove_header(&header::TRANSFER_ENCODING);
        return Ok(vec![HttpTask::Header(head, true)]);
    }
    if *method == Method::HEAD {
        return Ok(vec![HttpTask::Header(head, ended)]);
    }
    let is_whole = new_body.is_some() || collected.as_ref().is_some_and(|held| held.complete);
    let Some(bytes) = new_body.or_else(|| collected.map(|held| held.bytes)) else {
        return Ok(vec![HttpTask::Header(head, ended)]);
    };
    if is_whole {
        head.remove_header(&header::TRANSFER_ENCODING);
        head.insert_header(header::CONTENT_LENGTH, bytes.len())?;
    }
    let ended = is_whole && trailers.is_none();
    let mut tasks = vec![HttpTask::Header(head, ended && bytes.is_empty())];
    if !bytes.is_empty() {
        tasks.push(HttpTask::Body(Some(bytes), ended));
    }
    if trailers.is_some() {
        tasks.push(HttpTask::Trailer(trailers));
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use portcullis_pipeline::HeldBody;

    use super::*;

    fn check(
        status: u16,
        held: (&'static str, bool),
        new_body: Option<&'static str>,
        expected: &str,
    ) {
        let mut head = ResponseHeader::build_no_case(status, None).unwrap();
        head.insert_header("transfer-encoding", "chunked").unwrap();
        let head = Box::new(head);
        let (text, complete) = held;
        let body = Some(HeldBody { bytes: Bytes::from_static(text.as_bytes()), complete });
        let ready = Ready { head: head.clone(), body, trailers: None, ended: complete };
        let new_body = new_body.map(|text| Bytes::from_static(text.as_bytes()));
        let written: Vec<String> =
            tasks(head, ready, new_body, &Method::GET).unwrap().into_iter().map(show).collect();
        assert_eq!(written.join(" "), expected);
    }

    fn show(task: HttpTask) -> String {
        match task {
            HttpTask::Header(head, end) => {
                let framing = |name: &str| {
                    head.headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned()
                };
                format!(
                    "head({},{},{end})",
                    framing("content-length"),
                    framing("transfer-encoding")
                )
            }
            HttpTask::Body(bytes, end) => {
                format!("body({},{end})", String::from_utf8_lossy(&bytes.unwrap()))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_response_is_framed_by_what_is_known_of_it() {
        check(200, ("old", true), None, "head(3,-,false) body(old,true)");
        check(200, ("old", true), Some("newer"), "head(5,-,false) body(newer,true)");
        check(200, ("old", true), Some(""), "head(0,-,true)");
        check(200, ("beginning", false), None, "head(-,chunked,false) body(beginning,false)");
        check(204, ("old", true), None, "head(-,-,true)");
    }
}
