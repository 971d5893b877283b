//! Asks whether there is room for a request within the limits of its route.
//!
//! ```text
//! usage plan first: quota
//! limiters then:    what they say, in order
//! own share then:   route ▸ api ▸ plan, each per API key; route ▸ api ▸ gateway, each per key
//! last for all:     route ▸ api ▸ gateway
//! ```
//!
//! All of them are checked before any is charged, so a refused request takes nothing.

use std::sync::Arc;

use portcullis_config::{Limit, LimitFields};
use portcullis_limits::{Charge, Exceeded, Receipt, Standing};

use crate::incoming::Incoming;
use crate::limits::{Limits, ThrottleKind, Throttled, Untaken};
use crate::phase::authorize::Authorized;
use crate::phase::limit::key::Keys;
use crate::phase::limit::plan::subscription;
use crate::plugins::Plugins;
use crate::record::Record;
use crate::rejection::Rejection;
use crate::view::{Subject, View};

mod fields;
mod key;
mod limiters;
mod plan;

/// A request that has been counted.
#[derive(Debug)]
pub(crate) struct Limited {
    authorized: Authorized,
}

impl Limited {
    /// The request and its caller.
    pub(crate) fn into_authorized(self) -> Authorized {
        self.authorized
    }
}

/// Charges a request to every limit of its route, of its plan and of its limiters, or
/// refuses it.
pub(crate) async fn limit<I: Incoming>(
    mut authorized: Authorized,
    (plugins, limits): (&impl Plugins, &impl Limits),
    incoming: &mut I,
    record: &mut Record,
) -> Result<Limited, Rejection> {
    let route = authorized.routed().route();
    let (limiters, route) = (&route.limiters, &route.limits);
    let identity = authorized.subject().identity;
    let subscription = subscription(route, identity, limits, record)?;
    let ladder = subscription.as_ref().map_or(&route.ladder[..], |own| own.ladder());
    if ladder.is_empty() && subscription.is_none() && limiters.is_empty() {
        return Ok(Limited { authorized });
    }
    if let Some(subscription) = &subscription {
        subscription.check(limits, route, record)?;
    }
    let said = limiters::ask(&authorized, plugins, (incoming, record)).await?;
    let all = said.before(ladder);
    let parts = authorized.subject().as_received(incoming);
    let account = subscription.as_ref().map(|own| own.account());
    let keys = Keys::of(ladder, (View::of(&parts), account), route.ipv6_prefix);
    let own = charges((ladder, route.cost), &keys);
    let charges: Vec<Charge<'_>> = said.charges().chain(own).collect();
    let taken = limits.take(&charges).await.map_err(|untaken| match untaken {
        Untaken::Exceeded(exceeded) => refusal((&all, route.fields), &exceeded, record),
        Untaken::Unavailable => Rejection::LimitsUnavailable,
    })?;
    if let Some(subscription) = &subscription
        && let Err(refused) = subscription.count(limits, route, record).await
    {
        limits.undo(&charges, taken).await;
        return Err(refused);
    }
    record.permits.extend(taken.permits);
    let returns = |receipt: &Receipt| said.gives_back(receipt.charge());
    record.taken.extend(taken.receipts.into_iter().filter(returns));
    if route.fields == LimitFields::Always {
        let quota = subscription.as_ref().and_then(|own| own.told(limits));
        let told = fields::fields(&all, &taken.standings, quota);
        authorized.add_response_headers(told);
    }
    Ok(Limited { authorized })
}

/// Refuses an address that has caused too many refusals of authorizers.
pub(crate) async fn check_failures(
    subject: Subject<'_>,
    limits: &impl Limits,
    incoming: &mut impl Incoming,
    record: &mut Record,
) -> Result<(), Rejection> {
    let route = &subject.route.route.limits;
    let Some(limit) = &route.failed_authorizations else { return Ok(()) };
    let keys = key_of_failures(limit, subject, incoming);
    let charge = Charge { limit: limit.index, key: keys.get(0), cost: 1 };
    let Err(exceeded) = limits.check(&[charge]).await else { return Ok(()) };
    let limits = vec![limit.spec.name.clone()];
    record.throttled_by.clone_from(&limits);
    Err(Rejection::Throttled(Throttled {
        kind: ThrottleKind::FailedAuthorizations,
        limits,
        retry_after_s: retry_after(&exceeded),
        fields: Vec::new(),
    }))
}

/// Counts a refusal of an authorizer to its address.
pub(crate) async fn note_failure(
    subject: Subject<'_>,
    limits: &impl Limits,
    incoming: &mut impl Incoming,
) {
    let route = &subject.route.route.limits;
    let Some(limit) = &route.failed_authorizations else { return };
    let keys = key_of_failures(limit, subject, incoming);
    let charge = Charge { limit: limit.index, key: keys.get(0), cost: 1 };
    // Where others of the same address were quicker, there is nothing left to take.
    let _spent = limits.take(&[charge]).await;
}

/// Whose refusals count, by the address.
fn key_of_failures(limit: &Arc<Limit>, subject: Subject<'_>, incoming: &mut impl Incoming) -> Keys {
    let parts = subject.as_received(incoming);
    let ipv6_prefix = subject.route.route.limits.ipv6_prefix;
    Keys::of(std::slice::from_ref(limit), (View::of(&parts), None), ipv6_prefix)
}

fn charges<'a>(
    (ladder, cost): (&'a [Arc<Limit>], u64),
    keys: &'a Keys,
) -> impl Iterator<Item = Charge<'a>> {
    ladder.iter().enumerate().map(move |(at, limit)| Charge {
        limit: limit.index,
        key: keys.get(at),
        cost: if limit.spec.policy.is_in_flight() { 1 } else { cost },
    })
}

fn refusal(
    (limits, told): (&[Arc<Limit>], LimitFields),
    exceeded: &Exceeded,
    record: &mut Record,
) -> Rejection {
    let short: Vec<&Limit> = exceeded
        .short
        .iter()
        .filter_map(|short| limits.get(short.charge).map(AsRef::as_ref))
        .collect();
    let kind = match short.first().is_some_and(|limit| limit.spec.policy.is_in_flight()) {
        true => ThrottleKind::InFlight,
        false => ThrottleKind::Rate,
    };
    let names: Vec<String> = short.iter().map(|limit| limit.spec.name.clone()).collect();
    record.throttled_by.clone_from(&names);
    let fields = match told {
        LimitFields::Refusals | LimitFields::Always => {
            fields::fields(limits, &standings(exceeded), None)
        }
        LimitFields::Never => Vec::new(),
    };
    let retry_after_s = retry_after(exceeded);
    Rejection::Throttled(Throttled { kind, limits: names, retry_after_s, fields })
}

/// How the limits stand, where those that refuse have nothing and say when they will.
fn standings(exceeded: &Exceeded) -> Vec<Standing> {
    let mut standings = exceeded.standings.clone();
    for short in &exceeded.short {
        if let Some(standing) = standings.get_mut(short.charge) {
            *standing = Standing { remaining: 0, wait_ns: short.wait_ns };
        }
    }
    standings
}

/// Seconds until all of those that refuse would have enough.
fn retry_after(exceeded: &Exceeded) -> u64 {
    let longest = exceeded.short.iter().filter_map(|short| short.wait_ns).max();
    longest.unwrap_or_default().div_ceil(1_000_000_000).max(1)
}
