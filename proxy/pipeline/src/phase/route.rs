//! Finds what to do with a request.

use std::sync::Arc;

use portcullis_config::Route;

use crate::compression::Negotiated;
use crate::cors::CorsReply;
use crate::incoming::Incoming;
use crate::phase::receive::Received;
use crate::record::Record;
use crate::rejection::Rejection;
use crate::route_table::{RouteTable, ServedRoute};
use crate::view::Subject;

/// A request whose route is known, and whose body is none that the route refuses
/// unseen.
#[derive(Debug)]
pub(crate) struct Routed {
    received: Received,
    route: Arc<ServedRoute>,
}

impl Routed {
    /// What to do with it.
    pub(crate) fn route(&self) -> &Route {
        &self.route.route
    }

    /// Its route, with the API it belongs to.
    pub(crate) fn served(&self) -> &Arc<ServedRoute> {
        &self.route
    }

    /// What plugins may know of it beside its bytes.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            arrival: self.received.arrival(),
            authority: self.received.authority(),
            path: self.received.path(),
            route: &self.route,
            identity: None,
        }
    }

    /// The request and its route, for good.
    pub(crate) fn into_parts(self) -> (Received, Arc<ServedRoute>) {
        (self.received, self.route)
    }
}

/// Finds the route and refuses a body that is declared longer than it allows.
pub(crate) fn route(
    received: Received,
    routes: &RouteTable,
    incoming: &impl Incoming,
    record: &mut Record,
) -> Result<Routed, Rejection> {
    let head = incoming.head();
    let found = routes.find(received.host(), &head.method, received.path());
    let nearest = match &found {
        Ok(_) => None,
        Err(_) => routes.nearest(received.host(), received.path()),
    };
    let cors = match &found {
        Ok(route) => route.route.cors.as_ref(),
        Err(_) => nearest.and_then(|nearest| nearest.api_cors.as_ref()),
    };
    record.cors = cors.map(|cors| CorsReply::to(cors, &head.headers));
    record.errors = found.as_ref().ok().or(nearest).map(|it| it.errors).unwrap_or_default();
    let route = found?;
    record.route = Some(Arc::clone(&route));
    let compression = route.route.compression.as_ref();
    record.compression = compression.map(|rules| Negotiated::with(rules, head));
    let limit = route.route.body_limit;
    if incoming.declared_length().is_some_and(|length| length > limit) {
        return Err(Rejection::BodyTooLarge { limit });
    }
    Ok(Routed { received, route })
}
