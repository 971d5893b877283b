//! The double of `wasi:http`.

use super::INSTALLED;
use crate::http::{HttpError, Request, Response};

pub(crate) fn send(request: &Request) -> Result<Response, HttpError> {
    INSTALLED.with_borrow(|host| match &host.service {
        Some(service) => service(request),
        None => Err(HttpError::Denied),
    })
}
