//! Asks whether a request is what its route promises the upstream.

use portcullis_config::{BodyRule, Role, Use};

use crate::incoming::Incoming;
use crate::phase::authorize::Authorized;
use crate::phase::body::{self, BodyCheck};
use crate::phase::hold::hold;
use crate::phase::limit::Limited;
use crate::phase::{parameters, skip_or_reject};
use crate::plugins::{Call, Plugins, Violation};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::view::View;

/// A request that the rules and every validator of its route let pass.
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

/// Asks everybody, so that the client learns all that is wrong at once: first the rules of
/// parameters and media types, which need no body.
pub(crate) async fn validate<I: Incoming>(
    limited: Limited,
    plugins: &impl Plugins,
    incoming: &mut I,
    record: &mut Record,
) -> Result<Validated, Rejection> {
    let authorized = limited.into_authorized();
    let route = authorized.routed().route();
    let mut violations = Vec::new();
    if !route.rules.parameters.is_empty() {
        let subject = authorized.subject();
        let path = |name: &str| subject.route.parameter(subject.path, name);
        violations = parameters::judge(&route.rules.parameters, incoming.head(), path);
    }
    for rule in &route.rules.bodies {
        match body::check(rule, &incoming.head().headers)? {
            BodyCheck::Nothing => {}
            BodyCheck::Judged(judge) => {
                if is_there(rule, incoming, &mut violations).await? {
                    ask(judge, &authorized, plugins, (incoming, record), &mut violations).await?;
                }
            }
            BodyCheck::Presence => drop(is_there(rule, incoming, &mut violations).await?),
            BodyCheck::Absence => {
                if is_there(rule, incoming, &mut violations).await? {
                    return Err(body::unsupported(rule));
                }
            }
        }
    }
    for validator in &route.validators {
        ask(validator, &authorized, plugins, (incoming, record), &mut violations).await?;
    }
    if violations.is_empty() {
        Ok(Validated { authorized })
    } else {
        Err(Rejection::Invalid(violations))
    }
}

/// Whether there is a body; notes where there should be one.
async fn is_there<I: Incoming>(
    rule: &BodyRule,
    incoming: &mut I,
    violations: &mut Vec<Violation>,
) -> Result<bool, Rejection> {
    incoming.fill(1).await?;
    let is_there = !incoming.held().is_absent();
    if !is_there && rule.required {
        let message = "a body is required".to_owned();
        violations.push(Violation { location: String::new(), message });
    }
    Ok(is_there)
}

/// Asks a validator, with as much of the body as it reads.
async fn ask<I: Incoming>(
    validator: &Use,
    authorized: &Authorized,
    plugins: &impl Plugins,
    (incoming, record): (&mut I, &mut Record),
    violations: &mut Vec<Violation>,
) -> Result<(), Rejection> {
    let limit = authorized.routed().route().body_limit;
    hold(plugins.reads(validator.plugin, Role::Validator), limit, incoming).await?;
    let parts = authorized.subject().as_received(incoming);
    match plugins.validate(Call { target: validator, view: View::of(&parts) }).await {
        Ok(found) => violations.extend(found),
        Err(fault) => skip_or_reject(plugins, validator.plugin, fault, record)?,
    }
    Ok(())
}
