//! The services that a plugin under test calls: canned answers at a loopback origin, so that
//! cases need no network.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use parking_lot::Mutex;

use super::case::{CaseAnswer, OneOrMany};

/// What stands in settings for the origin of the answers, and for its host and port.
const ORIGIN: &str = "{answers}";
const AUTHORITY: &str = "{answers:authority}";

/// Services that answer what the cases say.
pub(super) struct Answers {
    origin: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Those of the case that runs, then those of every case.
    answers: Mutex<Vec<CaseAnswer>>,
    /// Requests that nothing is an answer to.
    unanswered: Mutex<Vec<String>>,
}

impl Answers {
    /// Begins to answer, at a free port.
    pub(super) fn start(
        runtime: &tokio::runtime::Runtime,
        always: &[CaseAnswer],
    ) -> anyhow::Result<Self> {
        let bound = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(bound).context("no port for the answers")?;
        let origin = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let answers = Self { origin, shared: Arc::clone(&shared) };
        answers.prepare(&[], always)?;
        let router = Router::new().fallback(answer).with_state(shared);
        runtime.spawn(async move {
            // It ends with the process.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(answers)
    }

    /// Where they are.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Answers as a case says, and where it says nothing as always.
    pub(super) fn prepare(
        &self,
        of_case: &[CaseAnswer],
        always: &[CaseAnswer],
    ) -> anyhow::Result<()> {
        let all: Vec<CaseAnswer> = of_case.iter().chain(always).cloned().collect();
        for answer in &all {
            response(answer).with_context(|| format!("the answer to `{}`", answer.path))?;
        }
        *self.shared.answers.lock() = all;
        self.shared.unanswered.lock().clear();
        Ok(())
    }

    /// Refuses what nothing was an answer to.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let unanswered = self.shared.unanswered.lock();
        match unanswered.first() {
            Some(request) => anyhow::bail!("it asked `{request}`, to which there is no answer"),
            None => Ok(()),
        }
    }

    /// Puts the origin in the place of `{answers}`, its host and port in that of
    /// `{answers:authority}`.
    pub(super) fn named_in(&self, settings: &mut serde_json::Value) {
        match settings {
            serde_json::Value::String(text) => *text = self.named(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|it| self.named_in(it)),
            serde_json::Value::Object(members) => {
                let named = std::mem::take(members).into_iter().map(|(name, mut value)| {
                    self.named_in(&mut value);
                    (self.named(&name), value)
                });
                *members = named.collect();
            }
            _ => {}
        }
    }

    fn named(&self, text: &str) -> String {
        let authority = self.origin.strip_prefix("http://").unwrap_or_default();
        text.replace(ORIGIN, &self.origin).replace(AUTHORITY, authority)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, method: Method, uri: Uri) -> Response {
    let target = uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    let is_it = |answer: &&CaseAnswer| {
        answer.method.as_deref().is_none_or(|wanted| wanted == method.as_str())
            && (answer.path == uri.path() || Some(answer.path.as_str()) == target)
    };
    let found = shared.answers.lock().iter().find(is_it).map(response);
    match found {
        Some(Ok(response)) => response,
        _ => {
            shared.unanswered.lock().push(format!("{method} {uri}"));
            StatusCode::NOT_FOUND.into_response()
        }
    }
}

fn response(answer: &CaseAnswer) -> anyhow::Result<Response> {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status)?;
    *response.headers_mut() = headers(&answer.headers)?;
    Ok(response)
}

/// Headers as a file of cases has them.
pub(super) fn headers(stated: &BTreeMap<String, OneOrMany>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in stated {
        for value in values.values() {
            headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
    }
    Ok(headers)
}
