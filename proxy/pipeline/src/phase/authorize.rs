//! Establishes who the caller is and whether the request may go on.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis_config::Access;

use crate::incoming::Incoming;
use crate::limits::Limits;
use crate::phase::authorization::{Asking, Denied, Granted};
use crate::phase::guard::Guarded;
use crate::phase::limit::{check_failures, note_failure};
use crate::phase::route::Routed;
use crate::phase::scopes;
use crate::plugins::{Denial, Identity, Plugins};
use crate::policy;
use crate::record::Record;
use crate::rejection::Rejection;
use crate::view::{Subject, View};

/// A request whose caller may make it.
#[derive(Debug)]
pub(crate) struct Authorized {
    routed: Routed,
    identity: Option<Arc<Identity>>,
    response_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Authorized {
    /// The request and its route.
    pub(crate) fn routed(&self) -> &Routed {
        &self.routed
    }

    /// What plugins may know of it beside its bytes.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { identity: self.identity.as_deref(), ..self.routed.subject() }
    }

    /// Adds headers for the response to those of the authorizer.
    pub(crate) fn add_response_headers(&mut self, headers: Vec<(HeaderName, HeaderValue)>) {
        self.response_headers.extend(headers);
    }

    /// The request, its caller (none only on a route that the configuration opened
    /// on purpose) and the headers for the response.
    pub(crate) fn into_parts(
        self,
    ) -> (Routed, Option<Arc<Identity>>, Vec<(HeaderName, HeaderValue)>) {
        (self.routed, self.identity, self.response_headers)
    }
}

/// Asks the route's authorizers, unless the configuration opened the route.
///
/// Fails closed: an authorizer that faults has not allowed the request.
pub(crate) async fn authorize<I: Incoming>(
    guarded: Guarded,
    (plugins, limits): (&impl Plugins, &impl Limits),
    incoming: &mut I,
    record: &mut Record,
) -> Result<Authorized, Rejection> {
    let routed = guarded.into_routed();
    let authorization = match &routed.route().access {
        Access::Open => {
            let parts = routed.subject().as_received(incoming);
            policy::check(View::of(&parts), &routed.served().resource, None)?;
            return Ok(Authorized { routed, identity: None, response_headers: Vec::new() });
        }
        Access::By(authorization) => authorization,
    };
    check_failures(routed.subject(), limits, incoming, record).await?;
    let mut asking = Asking { routed: &routed, plugins, incoming };
    let grant = match asking.ask(authorization, None).await? {
        Ok(Granted { grant, by }) => {
            record.authorizers = by;
            grant
        }
        Err(Denied { denial, by, challenges }) => {
            record.authorizers.extend(by);
            if !matches!(denial, Denial::Respond(_)) {
                note_failure(routed.subject(), limits, incoming).await;
            }
            return Err(Rejection::Denied { denial, challenges });
        }
    };
    record.principal = Some(grant.identity.principal.clone());
    scopes::check(routed.route().scopes.as_ref(), &grant.identity)?;
    // Never cached with the grant: the reads a cache compares need not hold the path.
    let subject = Subject { identity: Some(&grant.identity), ..routed.subject() };
    let parts = subject.as_received(incoming);
    policy::check(View::of(&parts), &routed.served().resource, Some(&grant.policies))?;
    Ok(Authorized {
        routed,
        identity: Some(grant.identity),
        response_headers: grant.response_headers,
    })
}
