//! The phases of an exchange, in order: the file to read first.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portcullis_config::{Api, Role, Route};

use crate::admitted::{Admitted, Answer, Forward};
use crate::incoming::{Arrival, HeldBody, Incoming};
use crate::limits::Limits;
use crate::phase::authorize::authorize;
use crate::phase::guard::guard;
use crate::phase::limit::limit;
use crate::phase::preflight::preflight;
use crate::phase::receive::receive;
use crate::phase::route::route;
use crate::phase::transform_request::transform_request;
use crate::phase::transform_response::{Request, transform_response};
use crate::phase::validate::validate;
use crate::plugins::{BodyMode, Plugins};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::route_table::RouteTable;
use crate::unreached::{Unreached, unreached};

/// One configuration, ready to decide about exchanges.
#[derive(Debug)]
pub struct Pipeline<P, L> {
    routes: RouteTable,
    plugins: P,
    limits: L,
    /// By route id.
    response_needs: Vec<ResponseNeed>,
}

/// What [`Pipeline::answer`] must be given of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResponseNeed {
    /// It need not be called: no transform looks at the response.
    Nothing,
    /// Status and headers.
    Head,
    /// Also this many bytes from the beginning of the body.
    Peek(u64),
    /// Also the whole body; one of more bytes is refused.
    Whole(u64),
}

/// What becomes of a response.
#[derive(Debug)]
pub enum Answered {
    /// It goes to the client, so edited.
    Edited {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body, where a transform replaced it.
        body: Option<Bytes>,
    },
    /// The client receives this in its place.
    Replaced(Answer),
}

impl<P: Plugins, L: Limits> Pipeline<P, L> {
    /// Prepares everything that does not depend on a request.
    pub fn new(apis: Vec<Api>, plugins: P, limits: L) -> Self {
        let routes = RouteTable::new(apis);
        let response_needs =
            routes.by_id().map(|served| response_need(&served.route, &plugins)).collect();
        Self { routes, plugins, limits, response_needs }
    }

    /// What runs the plugins.
    pub fn plugins(&self) -> &P {
        &self.plugins
    }

    /// What counts how much passes.
    pub fn limits(&self) -> &L {
        &self.limits
    }

    /// The routes.
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// Paths that plugins answer themselves, and at which no request would come to them.
    pub fn unreached(&self) -> Vec<Unreached> {
        unreached(&self.routes, &self.plugins)
    }

    /// Takes a request as far as the upstream's door.
    pub async fn admit<I: Incoming>(
        &self,
        arrival: Arrival,
        incoming: &mut I,
        record: &mut Record,
    ) -> Result<Admitted, Rejection> {
        let admitted = self.decide(arrival, incoming, record).await;
        if admitted.is_err() && !record.taken.is_empty() {
            self.limits.give_back(std::mem::take(&mut record.taken)).await;
        }
        record.decision =
            admitted.as_ref().err().map(Rejection::decision).or(record.decision.take());
        match admitted {
            Ok(Admitted::Answer(answer)) => Ok(Admitted::Answer(record.completed(answer))),
            other => other,
        }
    }

    /// Each phase consumes what the phase before it proved, so their order is checked
    /// by the compiler: nothing unauthorized can be forwarded.
    async fn decide<I: Incoming>(
        &self,
        arrival: Arrival,
        incoming: &mut I,
        record: &mut Record,
    ) -> Result<Admitted, Rejection> {
        let request = receive(arrival, incoming)?;
        if let Some(answer) = preflight(&request, &self.routes, incoming, record)? {
            return Ok(Admitted::Answer(answer));
        }
        let request = route(request, &self.routes, incoming, record)?;
        let request = guard(request, incoming, record).await?;
        let request = authorize(request, (&self.plugins, &self.limits), incoming, record).await?;
        let request = limit(request, (&self.plugins, &self.limits), incoming, record).await?;
        let request = validate(request, &self.plugins, incoming, record).await?;
        transform_request(request, &self.plugins, incoming, record).await
    }

    /// What [`answer`](Self::answer) must be given of the response.
    pub fn response_need(&self, forward: &Forward) -> ResponseNeed {
        // A `Forward` of another pipeline has no need here; it keeps its own pipeline.
        self.response_needs.get(forward.route.id.0).copied().unwrap_or(ResponseNeed::Nothing)
    }

    /// Takes a response as far as the client's door.
    ///
    /// Plugins see the request as the client sent it. A body that is `None` is empty.
    /// [`Forward::response_headers`] are the caller's to append.
    pub fn answer<'a, I: Incoming>(
        &'a self,
        forward: &'a Forward,
        incoming: &'a I,
        response: (StatusCode, HeaderMap),
        body: Option<HeldBody>,
        record: &'a mut Record,
    ) -> impl Future<Output = Result<Answered, Rejection>> + Send + 'a {
        // Not an `async fn`: the future would keep `incoming`, which need not be `Sync`.
        let request = Request { forward, head: incoming.head(), held: incoming.held() };
        let body = body.unwrap_or(HeldBody { bytes: Bytes::new(), complete: true });
        async move {
            let answered = transform_response(request, response, body, &self.plugins, record).await;
            record.decision =
                answered.as_ref().err().map(Rejection::decision).or(record.decision.take());
            answered.map(|answered| completed(answered, record))
        }
    }
}

/// What became of a response, with what all answers of its exchange carry.
fn completed(answered: Answered, record: &Record) -> Answered {
    match answered {
        Answered::Replaced(answer) => Answered::Replaced(record.completed(answer)),
        Answered::Edited { status, mut headers, body } => {
            if let Some(cors) = &record.cors {
                cors.apply(&mut headers);
            }
            Answered::Edited { status, headers, body }
        }
    }
}

/// The most that the mapping or any response-transform of the route needs.
fn response_need(route: &Route, plugins: &impl Plugins) -> ResponseNeed {
    let needs = route.response_transforms.iter().map(|transform| {
        match plugins.reads(transform.plugin, Role::ResponseTransform).response_body {
            BodyMode::None => ResponseNeed::Head,
            BodyMode::Peek(bytes) => ResponseNeed::Peek(bytes),
            BodyMode::Buffer(limit) => ResponseNeed::Whole(limit),
        }
    });
    let mapping = route.response.as_ref().map(|mapping| match mapping.body {
        None => ResponseNeed::Head,
        Some(limit) => ResponseNeed::Whole(limit),
    });
    needs.chain(mapping).fold(ResponseNeed::Nothing, |most, need| match (most, need) {
        // A body too long for one of them is refused, so the others need no more.
        (ResponseNeed::Whole(a), ResponseNeed::Whole(b)) => ResponseNeed::Whole(a.min(b)),
        (most, need) => most.max(need),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_send(_: impl Send) {}

    /// Compiles only while the server may move an exchange between threads.
    #[expect(dead_code, reason = "its compilation is the test")]
    fn the_futures_are_send<P: Plugins, L: Limits, I: Incoming>(
        pipeline: &Pipeline<P, L>,
        arrival: Arrival,
        forward: &Forward,
        incoming: &mut I,
        record: &mut Record,
    ) {
        assert_send(pipeline.admit(arrival, incoming, record));
        assert_send(pipeline.answer(
            forward,
            incoming,
            (StatusCode::OK, HeaderMap::new()),
            None,
            record,
        ));
    }
}
