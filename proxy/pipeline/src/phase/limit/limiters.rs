//! What limiters charge a request to.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_config::{Limit, Role};
use portcullis_limits::Charge;

use crate::incoming::Incoming;
use crate::phase::authorize::Authorized;
use crate::phase::hold::hold;
use crate::phase::skip_or_reject;
use crate::plugins::{Call, GivesBack, Plugins};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::view::View;

/// What the limiters of a route said, in order.
#[derive(Default)]
pub(super) struct Said {
    limits: Vec<Arc<Limit>>,
    shares: Vec<Share>,
}

/// What is taken of a limit.
struct Share {
    key: Vec<u8>,
    cost: u64,
    gives_back: GivesBack,
}

/// Asks every limiter of the route.
pub(super) async fn ask<I: Incoming>(
    authorized: &Authorized,
    plugins: &impl Plugins,
    (incoming, record): (&mut I, &mut Record),
) -> Result<Said, Rejection> {
    let mut said = Said::default();
    let route = authorized.routed().route();
    for limiter in &route.limiters {
        let reads = plugins.reads(limiter.plugin, Role::Limiter);
        hold(reads, route.body_limit, incoming).await?;
        let parts = authorized.subject().as_received(incoming);
        let call = Call { target: limiter, view: View::of(&parts) };
        let charges = match plugins.charge(call).await {
            Ok(charges) => charges,
            Err(fault) => {
                skip_or_reject(plugins, limiter.plugin, fault, record)?;
                continue;
            }
        };
        let known = plugins.limits(limiter.plugin);
        for charge in charges {
            let Some(known) = known.get(charge.limit) else { continue };
            said.limits.push(Arc::clone(&known.limit));
            said.shares.push(Share {
                key: charge.key,
                cost: match known.limit.spec.policy.is_in_flight() {
                    true => charge.cost.min(1),
                    false => charge.cost,
                },
                gives_back: known.gives_back,
            });
        }
    }
    Ok(said)
}

impl Said {
    /// The limits charged, before those of the configuration.
    pub(super) fn before<'a>(&self, ladder: &'a [Arc<Limit>]) -> Cow<'a, [Arc<Limit>]> {
        if self.limits.is_empty() {
            return Cow::Borrowed(ladder);
        }
        Cow::Owned(self.limits.iter().chain(ladder).cloned().collect())
    }

    /// The charges.
    pub(super) fn charges(&self) -> impl Iterator<Item = Charge<'_>> {
        let both = self.limits.iter().zip(&self.shares);
        both.map(|(limit, share)| Charge { limit: limit.index, key: &share.key, cost: share.cost })
    }

    /// Whether the charge at this place is given back where a later phase refuses.
    pub(super) fn gives_back(&self, at: usize) -> bool {
        self.shares.get(at).is_some_and(|share| share.gives_back == GivesBack::IfRefused)
    }
}
