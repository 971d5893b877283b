//! Asks one authorizer, or several as one, and puts their answers together.
//!
//! ```text
//! any  in order: `not-mine` ─▶ the next;  a grant ─▶ granted;  another denial ─▶ refused
//! all  in order: a grant ─▶ the next, which sees its identity;  a denial ─▶ refused
//! ```
//!
//! A fault refuses wherever it happens: it is never taken for `not-mine`.
//!
//! A denial carries the challenges of those that were asked in vain, and where an `all` lacks
//! a credential also those of the members that it did not come to: each is one that the client
//! may, or must, answer.

use std::pin::Pin;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_config::{Authorization, Role, Use};

use crate::incoming::Incoming;
use crate::phase::hold::hold;
use crate::phase::route::Routed;
use crate::plugins::{CacheUse, Call, Denial, Grant, Identity, Plugins};
use crate::record::Asked;
use crate::rejection::Rejection;
use crate::view::{Subject, View};

/// A grant, and those who gave it in order.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) grant: Grant,
    pub(super) by: Vec<Asked>,
}

/// A denial, and who said it; nobody where nobody knew the credential.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) denial: Denial,
    pub(super) by: Option<Asked>,
    /// How the client may identify itself.
    pub(super) challenges: Vec<HeaderValue>,
}

/// What authorizers say; `Err` where they do not, or where they cannot be asked.
pub(super) type Verdict = Result<Result<Granted, Denied>, Rejection>;

/// What an authorizer is asked about, and by whom.
pub(super) struct Asking<'a, P, I> {
    pub(super) routed: &'a Routed,
    pub(super) plugins: &'a P,
    pub(super) incoming: &'a mut I,
}

impl<P: Plugins, I: Incoming> Asking<'_, P, I> {
    /// Asks whoever is to be asked; `identity` is what is known of the caller so far.
    pub(super) async fn ask(
        &mut self,
        authorization: &Authorization,
        identity: Option<&Identity>,
    ) -> Verdict {
        match authorization {
            Authorization::One(authorizer) => self.ask_one(authorizer, identity).await,
            Authorization::Any(members) => self.ask_any(members, identity).await,
            Authorization::All(members) => self.ask_all(members, identity).await,
        }
    }

    /// A member, which may have members in turn: their future is as large as they are deep.
    fn ask_member<'b>(
        &'b mut self,
        member: &'b Authorization,
        identity: Option<&'b Identity>,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'b>> {
        Box::pin(self.ask(member, identity))
    }

    async fn ask_one(&mut self, authorizer: &Use, identity: Option<&Identity>) -> Verdict {
        let subject = Subject { identity, ..self.routed.subject() };
        let plugin = self.plugins.name(authorizer.plugin);
        let head = subject.as_received(self.incoming);
        let call = Call { target: authorizer, view: View::of(&head) };
        if let Some(lacking) = self.plugins.lacking(call) {
            let asked = Asked { authorizer: plugin, cache: CacheUse::Called };
            return Ok(Err(self.denied(authorizer, Denial::Unidentified(lacking), asked)));
        }
        let reads = self.plugins.reads(authorizer.plugin, Role::Authorizer);
        hold(reads, self.routed.route().body_limit, self.incoming).await?;
        let parts = subject.as_received(self.incoming);
        let call = Call { target: authorizer, view: View::of(&parts) };
        let answer = self.plugins.authorize(call).await;
        let (answer, cache) = match answer {
            Ok(answered) => answered,
            Err(fault) => return Err(Rejection::AuthorizerFault { plugin, fault }),
        };
        let asked = Asked { authorizer: plugin, cache };
        Ok(match answer {
            Ok(grant) => Ok(Granted { grant, by: vec![asked] }),
            Err(denial) => Err(self.denied(authorizer, denial, asked)),
        })
    }

    fn denied(&self, authorizer: &Use, denial: Denial, by: Asked) -> Denied {
        let challenges = self.challenge(authorizer).into_iter().collect();
        Denied { denial, by: Some(by), challenges }
    }

    fn challenge(&self, authorizer: &Use) -> Option<HeaderValue> {
        self.plugins.challenge(authorizer.plugin).cloned()
    }

    async fn ask_any(&mut self, members: &[Authorization], identity: Option<&Identity>) -> Verdict {
        let mut challenges = Vec::new();
        for member in members {
            match self.ask_member(member, identity).await? {
                Err(mut denied) => {
                    challenges.append(&mut denied.challenges);
                    if !denied.denial.is_not_mine() {
                        return Ok(Err(Denied { challenges, ..denied }));
                    }
                }
                granted => return Ok(granted),
            }
        }
        Ok(Err(Denied { denial: Denial::NotMine, by: None, challenges }))
    }

    async fn ask_all(&mut self, members: &[Authorization], identity: Option<&Identity>) -> Verdict {
        let mut known = identity.map(|identity| Arc::new(identity.clone()));
        let mut all: Option<Granted> = None;
        let mut left = members.iter();
        while let Some(member) = left.next() {
            match self.ask_member(member, known.as_deref()).await? {
                Ok(granted) => {
                    known = Some(match known {
                        Some(known) => merged(known, &granted.grant.identity),
                        None => Arc::clone(&granted.grant.identity),
                    });
                    all = Some(match all {
                        Some(all) => all.and(granted),
                        None => granted,
                    });
                }
                Err(mut denied) => {
                    if denied.denial.is_not_mine() {
                        let unasked = left.flat_map(Authorization::uses);
                        denied.challenges.extend(unasked.filter_map(|used| self.challenge(used)));
                    }
                    return Ok(Err(denied));
                }
            }
        }
        // A list without members, which no configuration has, allows nothing.
        let nobody = Denied { denial: Denial::NotMine, by: None, challenges: Vec::new() };
        Ok(all.ok_or(nobody))
    }
}

impl Granted {
    /// This and a later grant as one, which is true for as long as both are.
    fn and(mut self, later: Self) -> Self {
        let expiries = [self.grant.expires_at_ms, later.grant.expires_at_ms];
        self.grant.expires_at_ms = expiries.into_iter().flatten().min();
        self.grant.identity = merged(self.grant.identity, &later.grant.identity);
        self.grant.response_headers.extend(later.grant.response_headers);
        self.grant.policies.extend(later.grant.policies);
        self.by.extend(later.by);
        self
    }
}

/// One caller as two authorizers know them: what the earlier says comes first.
fn merged(earlier: Arc<Identity>, later: &Identity) -> Arc<Identity> {
    let mut earlier = Arc::unwrap_or_clone(earlier);
    for (name, value) in &later.attributes {
        if earlier.attributes.iter().all(|(known, _)| known != name) {
            earlier.attributes.push((name.clone(), value.clone()));
        }
    }
    earlier.usage_key = earlier.usage_key.or_else(|| later.usage_key.clone());
    Arc::new(earlier)
}
