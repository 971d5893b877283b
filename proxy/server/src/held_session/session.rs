//! [`HeldSession`] as Pingora sees it: nearly everything is the original's.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::l4::socket::SocketAddr;

use super::{HeldSession, ReadUntil, ReplayedBody};

type CustomMessages = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

#[async_trait]
impl Session for HeldSession {
    fn req_header(&self) -> &RequestHeader {
        self.original.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.original.req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.replays_whole() { Ok(None) } else { self.original.read_request_body().await }
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.original.drain_request_body().await
    }

    async fn write_response_header(&mut self, resp: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.original.write_response_header(resp).await?;
        if end { self.original.finish_body().await } else { Ok(()) }
    }

    async fn write_response_header_ref(&mut self, resp: &ResponseHeader, end: bool) -> Result<()> {
        self.original.write_response_header_ref(resp).await?;
        if end { self.original.finish_body().await } else { Ok(()) }
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.original.write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.original.write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.write_tasks(tasks).await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.original.set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.original.get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.original.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.original.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.original.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.original.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.original.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.original.response_written()
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        self.original.shutdown().await;
    }

    fn is_body_done(&mut self) -> bool {
        self.replays_whole() || self.original.is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.original.finish_body().await
    }

    fn is_body_empty(&mut self) -> bool {
        match &self.body {
            ReplayedBody::Whole(bytes) => bytes.is_empty(),
            ReplayedBody::Prefix(_) => false,
            ReplayedBody::Streaming => self.original.is_body_empty(),
        }
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        let is_over = no_body_expected || self.replays_whole();
        self.read_in_time(if is_over { ReadUntil::Gone } else { ReadUntil::Body }).await
    }

    fn body_bytes_sent(&self) -> usize {
        self.original.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.original.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.original.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.original.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.original.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.original.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.original.to_h1_raw()
    }

    fn enable_retry_buffering(&mut self) {
        if !matches!(self.body, ReplayedBody::Whole(_)) {
            self.original.enable_retry_buffering();
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        match self.body {
            ReplayedBody::Whole(_) => false,
            ReplayedBody::Streaming | ReplayedBody::Prefix(_) => {
                self.original.retry_buffer_truncated()
            }
        }
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        match &self.body {
            ReplayedBody::Whole(bytes) if bytes.is_empty() => None,
            ReplayedBody::Whole(bytes) => Some(bytes.clone()),
            ReplayedBody::Streaming => self.original.get_retry_buffer(),
            ReplayedBody::Prefix(prefix) => match self.original.get_retry_buffer() {
                None => Some(prefix.clone()),
                Some(since) => {
                    let mut both = BytesMut::with_capacity(prefix.len() + since.len());
                    both.extend_from_slice(prefix);
                    both.extend_from_slice(&since);
                    Some(both.freeze())
                }
            },
        }
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<CustomMessages> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: CustomMessages) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(
        &mut self,
        _writer: Box<dyn CustomMessageWrite>,
    ) -> Result<()> {
        Ok(())
    }

    fn is_upgrade_req(&self) -> bool {
        self.original.is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.original.was_upgraded()
    }
}
