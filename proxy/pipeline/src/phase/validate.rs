//! Asks whether a request is what its route promises the upstream.

use portcullis_config::Role;

use crate::incoming::Incoming;
use crate::phase::authorize::Authorized;
use crate::phase::hold::hold;
use crate::phase::limit::Limited;
use crate::phase::skip_or_reject;
use crate::plugins::{Call, Plugins};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::view::View;

/// A request that every validator of its route let pass.
#[derive(Debug)]
pub(crate) struct Validated {
    authorized: Authorized,
}

impl Validated {
    /// The request and its caller.
    pub(crate) fn authorized(&self) -> &Authorized {
        &self.authorized
    }

    /// The request and its caller, for good.
    pub(crate) fn into_authorized(self) -> Authorized {
        self.authorized
    }
}

/// Asks every validator, so that the client learns all that is wrong at once.
pub(crate) async fn validate<I: Incoming>(
    limited: Limited,
    plugins: &impl Plugins,
    incoming: &mut I,
    record: &mut Record,
) -> Result<Validated, Rejection> {
    let authorized = limited.into_authorized();
    let route = authorized.routed().route();
    let mut violations = Vec::new();
    for validator in &route.validators {
        hold(plugins.reads(validator.plugin, Role::Validator), route.body_limit, incoming).await?;
        let parts = authorized.subject().as_received(incoming);
        match plugins.validate(Call { target: validator, view: View::of(&parts) }).await {
            Ok(found) => violations.extend(found),
            Err(fault) => skip_or_reject(plugins, validator.plugin, fault, record)?,
        }
    }
    if violations.is_empty() {
        Ok(Validated { authorized })
    } else {
        Err(Rejection::Invalid(violations))
    }
}
