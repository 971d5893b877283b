//! Looks at a request by the rules of its API, before anybody is asked who the caller is.

use portcullis_config::{GuardMode, GuardRule};

use crate::guard::{GuardView, find};
use crate::incoming::{BodyFault, Incoming};
use crate::phase::hold::hold_whole;
use crate::phase::route::Routed;
use crate::record::{Guarding, Record};
use crate::rejection::Rejection;

/// A request that no rule of its API's guard refuses.
#[derive(Debug)]
pub(crate) struct Guarded {
    routed: Routed,
}

impl Guarded {
    /// The request and its route, for good.
    pub(crate) fn into_routed(self) -> Routed {
        self.routed
    }
}

/// Asks the rules in order, until one refuses.
pub(crate) async fn guard<I: Incoming>(
    routed: Routed,
    incoming: &mut I,
    record: &mut Record,
) -> Result<Guarded, Rejection> {
    let Some(guard) = &routed.served().guard else { return Ok(Guarded { routed }) };
    for rule in &guard.rules {
        match hold_for(rule, routed.route().body_limit, incoming).await? {
            Sight::Clear => {}
            Sight::Blocked => continue,
        }
        let subject = routed.subject();
        let view = GuardView {
            client: subject.arrival.client,
            head: incoming.head(),
            path: subject.path,
            body: incoming.held(),
        };
        let Some(found) = find(rule, view) else { continue };
        record.guarding.push(Guarding { rule: rule.name.clone(), mode: rule.mode });
        if rule.mode == GuardMode::Block {
            return Err(Rejection::Guarded { rule: rule.name.clone(), found });
        }
    }
    Ok(Guarded { routed })
}

/// Whether a rule can see what it looks at.
#[derive(Debug, Clone, Copy)]
enum Sight {
    /// It can.
    Clear,
    /// The body cannot be held, and the rule is not one that refuses.
    Blocked,
}

/// Holds what a rule looks at of the body: one that blocks sees all of it, or the body is
/// refused; one that counts sees as much as it may hold, or nothing.
async fn hold_for<I: Incoming>(
    rule: &GuardRule,
    route_limit: u64,
    incoming: &mut I,
) -> Result<Sight, Rejection> {
    let Some(limit) = rule.condition.body_limit() else { return Ok(Sight::Clear) };
    let limit = limit.min(route_limit);
    match rule.mode {
        GuardMode::Block => hold_whole(limit, incoming).await.map(|()| Sight::Clear),
        GuardMode::Count => match incoming.fill(limit).await {
            Ok(()) => Ok(Sight::Clear),
            Err(BodyFault::TimedOut | BodyFault::NoRoom) => Ok(Sight::Blocked),
            // Nobody is left to answer.
            Err(fault @ BodyFault::Broken) => Err(fault.into()),
        },
    }
}
