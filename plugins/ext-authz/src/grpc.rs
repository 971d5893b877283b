//! One unary gRPC call over `wasi:http`.

use portcullis_plugin_sdk::http::{self, HttpError};
use prost::Message;

/// Bytes an answer may have.
const ANSWER_BYTES: usize = 256 << 10;
/// The flag and the length before a message.
const PREFIX: usize = 5;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The request was not answered.
    Http(HttpError),
    /// The answer is no gRPC: its HTTP status.
    Status(u16),
    /// The service refused the call: its gRPC status.
    Grpc(String),
    /// The answer is not one whole message.
    Malformed,
}

impl CallError {
    /// A stable code for logs.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Http(error) => error.code().to_owned(),
            Self::Status(status) => format!("status-{status}"),
            Self::Grpc(status) => format!("grpc-{status}"),
            Self::Malformed => "malformed-answer".to_owned(),
        }
    }
}

/// Calls a method of the service at a URL.
pub(crate) fn call<A: Message + Default>(
    url: &str,
    question: &impl Message,
) -> Result<A, CallError> {
    let answer = http::Request::post(url)
        .with_header("content-type", "application/grpc")
        .with_header("grpc-accept-encoding", "identity")
        .with_body(framed(question))
        .reads_at_most(ANSWER_BYTES)
        .send()
        .map_err(CallError::Http)?;
    if answer.status != 200 {
        return Err(CallError::Status(answer.status));
    }
    // An answer without a message has its status among the headers.
    match answer.trailer("grpc-status").or_else(|| answer.header("grpc-status")) {
        Some("0") => {}
        Some(status) if status.len() <= 3 && status.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(CallError::Grpc(status.to_owned()));
        }
        _ => return Err(CallError::Malformed),
    }
    let message = unframed(&answer.body).ok_or(CallError::Malformed)?;
    A::decode(message).map_err(|_| CallError::Malformed)
}

fn framed(message: &impl Message) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(message.encode_to_vec());
    bytes
}

/// The one message of a body, which must be whole and not compressed.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = prefix else { return None };
    (u32::from_be_bytes(*length) as usize == message.len()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::unframed;

    #[test]
    fn a_body_is_one_whole_message_that_is_not_compressed() {
        assert_eq!(unframed(&[0, 0, 0, 0, 2, 7, 8]), Some([7, 8].as_slice()));
        for body in
            [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 0, 7]]
        {
            assert_eq!(unframed(body), None, "{body:?}");
        }
    }
}
