//! Sends by `wasi:http`.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme,
};
use wasip2::io::streams::StreamError;

use super::{HttpError, Request, Response, split};
use crate::Header;

/// Bytes written or read at once.
const PIECE: usize = 4096;

pub(super) fn send(request: &Request) -> Result<Response, HttpError> {
    let (scheme, authority, target) = split(&request.url).ok_or(HttpError::Url)?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(HttpError::Url),
    };
    let headers = Fields::new();
    for header in &request.headers {
        let added = headers.append(&header.name, &header.value);
        added.map_err(|_| HttpError::Header(header.name.clone()))?;
    }
    if !request.body.is_empty() {
        let length = request.body.len().to_string().into_bytes();
        let added = headers.append("content-length", &length);
        added.map_err(|_| HttpError::Header("content-length".to_owned()))?;
    }
    let question = OutgoingRequest::new(headers);
    let url = |()| HttpError::Url;
    question.set_method(&method(&request.method)).map_err(url)?;
    question.set_scheme(Some(&scheme)).map_err(url)?;
    question.set_authority(Some(authority)).map_err(url)?;
    question.set_path_with_query(Some(&target)).map_err(url)?;
    let body = question.body().map_err(|()| HttpError::Unreachable)?;
    let coming = handle(question, None).map_err(|code| error(&code))?;
    // Where the service answers before it has read all, the answer counts.
    let written = write(body, &request.body);
    coming.subscribe().block();
    let answer = match coming.get() {
        Some(Ok(Ok(answer))) => answer,
        Some(Ok(Err(code))) => return Err(error(&code)),
        Some(Err(())) | None => return written.and(Err(HttpError::Unreachable)),
    };
    read(&answer, request.answer_bytes)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| HttpError::Unreachable)?;
        for piece in bytes.chunks(PIECE) {
            stream.blocking_write_and_flush(piece).map_err(|_| HttpError::Unreachable)?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| error(&code))
}

fn read(answer: &IncomingResponse, limit: usize) -> Result<Response, HttpError> {
    let mut response = Response {
        status: answer.status(),
        headers: headers(&answer.headers()),
        ..Response::default()
    };
    let body = answer.consume().map_err(|()| HttpError::Unreachable)?;
    let stream = body.stream().map_err(|()| HttpError::Unreachable)?;
    loop {
        match stream.blocking_read(PIECE as u64 * 16) {
            Ok(piece) => response.body.extend(piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(problem)) => {
                return Err(broken(&problem.to_debug_string()));
            }
        }
        if response.body.len() > limit {
            return Err(HttpError::TooLong);
        }
    }
    drop(stream);
    let coming = IncomingBody::finish(body);
    coming.subscribe().block();
    if let Some(Ok(Ok(Some(trailers)))) = coming.get() {
        response.trailers = headers(&trailers);
    }
    Ok(response)
}

fn headers(fields: &Fields) -> Vec<Header> {
    fields.entries().into_iter().map(|(name, value)| Header { name, value }).collect()
}

/// The host's `http-error-code` does not know the errors of its own bodies (wasmtime
/// 48), so their words have to do.
fn broken(words: &str) -> HttpError {
    if words.contains("body size exceeds") {
        HttpError::TooLong
    } else if words.contains("timeout") {
        HttpError::Timeout
    } else {
        HttpError::Unreachable
    }
}

fn error(code: &ErrorCode) -> HttpError {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => HttpError::Denied,
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionTimeout => HttpError::Timeout,
        ErrorCode::HttpResponseBodySize(_) | ErrorCode::HttpRequestBodySize(_) => {
            HttpError::TooLong
        }
        _ => HttpError::Unreachable,
    }
}
