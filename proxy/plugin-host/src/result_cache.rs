//! Earlier answers, for as long as they are true.
//!
//! The key is a digest of everything the plugin was shown but the time, or of the parts
//! that the operator chose, and of the versions of what it consults in the host; so equal
//! reads get equal answers and nothing else does. Faults are never kept, and refusals only
//! where the operator wants it, with a room of their own, so that they push out no grant.
//! One call is under way for each key; the others wait for its answer, and ask for
//! themselves where it is none that is kept: it was made for one request.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use portcullis_config::{CacheRule, RequestPart};
use portcullis_pipeline::{CacheUse, Denial, Grant, PluginFault, Reason, View};

mod key;

pub(crate) use key::{Asking, Key};

/// Bytes of grants that one plugin use may keep.
const GRANT_BYTES: u64 = 32 << 20;
/// Bytes of refusals that one plugin use may keep.
const DENIAL_BYTES: u64 = 4 << 20;

/// Why there is no grant.
#[derive(Debug, Clone)]
pub(crate) enum NoGrant {
    /// The plugin said no.
    Denied(Denial),
    /// The plugin failed.
    Fault(PluginFault),
}

/// Earlier answers of one plugin use.
#[derive(Debug)]
pub(crate) struct ResultCache {
    grants: Cache<Key, Kept>,
    denials: Option<Cache<Key, Arc<Denial>>>,
    life: Duration,
    by: Vec<RequestPart>,
}

#[derive(Debug, Clone)]
struct Kept {
    grant: Arc<Grant>,
    life: Duration,
}

/// What those that waited for a call are told where it brought no grant that is kept.
#[derive(Debug)]
enum Untold {
    /// A refusal that is kept.
    Denied(Arc<Denial>),
    /// Nothing: they ask for themselves.
    Alone,
}

struct KeptLife;

impl Expiry<Key, Kept> for KeptLife {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.life)
    }
}

/// An answer, and where it came from.
pub(crate) type Answered = (Result<Arc<Grant>, NoGrant>, CacheUse);

impl ResultCache {
    /// Keeps answers by this rule.
    pub(crate) fn new(rule: &CacheRule) -> Self {
        let weight = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let grants = Cache::builder()
            .max_capacity(GRANT_BYTES)
            .weigher(move |_: &Key, kept: &Kept| weight(size_of_grant(&kept.grant)))
            .expire_after(KeptLife)
            .build();
        let denials = rule.denials.map(|life| {
            Cache::builder()
                .max_capacity(DENIAL_BYTES)
                .weigher(move |_: &Key, denial: &Arc<Denial>| weight(size_of_denial(denial)))
                .time_to_live(life)
                .build()
        });
        Self { grants, denials, life: rule.life, by: rule.by.clone() }
    }

    /// What the answer about a request is kept by; nothing where none may be.
    pub(crate) fn key(&self, view: &View<'_>, asking: Asking<'_>) -> Option<Key> {
        if self.by.is_empty() {
            Some(key::of_all(view, asking))
        } else {
            key::of_parts(&self.by, view, asking)
        }
    }

    /// The answer kept for this key, or the one that `ask` brings. `now_ms` tells the time,
    /// in milliseconds since 1970.
    pub(crate) async fn get_or(
        &self,
        key: Key,
        now_ms: impl Fn() -> u64,
        ask: impl Future<Output = Result<Grant, NoGrant>>,
    ) -> Answered {
        if let Some(answer) = self.find(&key, &now_ms).await {
            return (answer, CacheUse::Hit);
        }
        let mut ask = pin!(ask);
        let mut own = None;
        let lead = async {
            let answer = ask.as_mut().await.map(Arc::new);
            let told = self.tell(&key, &answer, now_ms()).await;
            own = Some(answer);
            told
        };
        let told = self.grants.try_get_with_by_ref(&key, lead).await;
        if let Some(answer) = own {
            return (answer, CacheUse::Called);
        }
        match &told {
            Ok(kept) if kept.holds(&now_ms) => return (Ok(kept.grant.clone()), CacheUse::Hit),
            Err(untold) if let Untold::Denied(denial) = &**untold => {
                return (Err(NoGrant::Denied(Denial::clone(denial))), CacheUse::Hit);
            }
            Ok(_) | Err(_) => {}
        }
        // Beside the others that waited: slots bound how many.
        let answer = ask.await.map(Arc::new);
        if let Ok(kept) = self.tell(&key, &answer, now_ms()).await {
            self.grants.insert(key, kept).await;
        }
        (answer, CacheUse::Called)
    }

    async fn find(
        &self,
        key: &Key,
        now_ms: impl Fn() -> u64,
    ) -> Option<Result<Arc<Grant>, NoGrant>> {
        if let Some(denials) = &self.denials
            && let Some(denial) = denials.get(key).await
        {
            return Some(Err(NoGrant::Denied(Denial::clone(&denial))));
        }
        let kept = self.grants.get(key).await?;
        if kept.holds(now_ms) {
            return Some(Ok(kept.grant));
        }
        self.grants.invalidate(key).await;
        None
    }

    /// What others may be told of an answer that was made now. A refusal is kept in passing.
    async fn tell(
        &self,
        key: &Key,
        answer: &Result<Arc<Grant>, NoGrant>,
        now_ms: u64,
    ) -> Result<Kept, Untold> {
        match (answer, &self.denials) {
            (Ok(grant), _) => self.kept(grant, now_ms).ok_or(Untold::Alone),
            (Err(NoGrant::Denied(denial)), Some(denials)) if may_be_kept(denial) => {
                let denial = Arc::new(denial.clone());
                denials.insert(*key, Arc::clone(&denial)).await;
                Err(Untold::Denied(denial))
            }
            (Err(_), _) => Err(Untold::Alone),
        }
    }

    /// A grant for as long as it may be kept from now on; nothing where it is expired.
    fn kept(&self, grant: &Arc<Grant>, now_ms: u64) -> Option<Kept> {
        let life = match grant.expires_at_ms {
            None => self.life,
            Some(at) => {
                let left = at.checked_sub(now_ms).filter(|left| *left > 0)?;
                self.life.min(Duration::from_millis(left))
            }
        };
        Some(Kept { grant: Arc::clone(grant), life })
    }
}

impl Kept {
    /// Whether the grant is not expired. Entries end by another clock, which does not
    /// follow where the machine's time is set.
    fn holds(&self, now_ms: impl Fn() -> u64) -> bool {
        self.grant.expires_at_ms.is_none_or(|at| now_ms() < at)
    }
}

/// Whether a refusal is one of a credential. What a request lacked, the next may have,
/// and a whole response is made for one request.
fn may_be_kept(denial: &Denial) -> bool {
    matches!(denial, Denial::Unauthenticated(_) | Denial::Forbidden(_))
}

fn size_of_denial(denial: &Denial) -> usize {
    match denial {
        Denial::Unauthenticated(reason) | Denial::Forbidden(reason) => size_of_reason(reason),
        Denial::NotMine | Denial::Unidentified(_) | Denial::Respond(_) => 256,
    }
}

fn size_of_reason(reason: &Reason) -> usize {
    let headers = reason.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64);
    let text = reason.public_text.as_ref().map_or(0, String::len);
    256 + reason.code.len() + text + headers.sum::<usize>()
}

fn size_of_grant(grant: &Grant) -> usize {
    let attributes = grant
        .identity
        .attributes
        .iter()
        .map(|(name, value)| name.len() + size_of_value(value) + 64);
    let headers =
        grant.response_headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64);
    let policies = grant.policies.iter().map(|policy| policy.size());
    let usage_key = grant.identity.usage_key.as_ref().map_or(0, String::len);
    let texts = grant.identity.principal.len() + usage_key;
    256 + texts + attributes.chain(headers).chain(policies).sum::<usize>()
}

fn size_of_value(value: &portcullis_pipeline::Value) -> usize {
    use portcullis_pipeline::Value as V;
    match value {
        V::Text(text) => text.len(),
        V::Integer(_) | V::Boolean(_) => 8,
        V::Texts(texts) => texts.iter().map(|text| text.len() + 24).sum(),
        V::Bytes(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests;
