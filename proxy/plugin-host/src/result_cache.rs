//! Earlier answers, for as long as they are true.
//!
//! The key is a digest of everything the plugin was shown but the time, or of the parts
//! that the operator chose, and of the versions of what it consults in the host; so equal
//! reads get equal answers and nothing else does. Faults are never kept, and refusals only
//! where the operator wants it, with a room of their own, so that they push out no grant.
//! One call is under way for each key; the others wait for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

    /// The answer kept for this key, or the one that `ask` brings.
    pub(crate) async fn get_or(
        &self,
        key: Key,
        time_ms: u64,
        ask: impl Future<Output = Result<Grant, NoGrant>>,
    ) -> Answered {
        if let Some(denials) = &self.denials
            && let Some(denial) = denials.get(&key).await
        {
            return (Err(NoGrant::Denied(Denial::clone(&denial))), CacheUse::Hit);
        }
        let asked = AtomicBool::new(false);
        let fill = async {
            asked.store(true, Ordering::Relaxed);
            let grant = ask.await?;
            let left =
                grant.expires_at_ms.map(|at| Duration::from_millis(at.saturating_sub(time_ms)));
            Ok(Kept {
                grant: Arc::new(grant),
                life: left.map_or(self.life, |left| left.min(self.life)),
            })
        };
        match self.grants.try_get_with_by_ref(&key, fill).await {
            Ok(kept) if asked.load(Ordering::Relaxed) => (Ok(kept.grant), CacheUse::Called),
            Ok(kept) => (Ok(kept.grant), CacheUse::Hit),
            Err(none) => {
                if let (Some(denials), NoGrant::Denied(denial)) = (&self.denials, &*none)
                    && may_be_kept(denial)
                {
                    denials.insert(key, Arc::new(denial.clone())).await;
                }
                ((Err(NoGrant::clone(&none))), CacheUse::Called)
            }
        }
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
    256 + grant.identity.principal.len() + attributes.chain(headers).chain(policies).sum::<usize>()
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
mod tests {
    use super::*;

    fn rule(denials: Option<Duration>) -> CacheRule {
        CacheRule { life: Duration::from_secs(60), by: Vec::new(), denials }
    }

    fn shown((answer, use_): Answered) -> (bool, CacheUse) {
        (answer.is_ok(), use_)
    }

    #[tokio::test]
    async fn a_grant_is_kept_and_a_denial_is_not() {
        let cache = ResultCache::new(&rule(None));
        let grant = || async { Ok(Grant::default()) };
        let denial = || async { Err(NoGrant::Denied(Denial::NotMine)) };

        assert_eq!(shown(cache.get_or([1; 32], 0, denial()).await), (false, CacheUse::Called));
        assert_eq!(shown(cache.get_or([1; 32], 0, grant()).await), (true, CacheUse::Called));
        assert_eq!(shown(cache.get_or([1; 32], 0, denial()).await), (true, CacheUse::Hit));
        assert_eq!(shown(cache.get_or([2; 32], 0, grant()).await), (true, CacheUse::Called));
    }

    #[tokio::test]
    async fn refusals_of_credentials_are_kept_where_that_is_wanted() {
        let cache = ResultCache::new(&rule(Some(Duration::from_secs(60))));
        let fault = NoGrant::Fault(PluginFault::Busy);
        let cases = [
            (NoGrant::Denied(Denial::Unauthenticated(Reason::default())), CacheUse::Hit),
            (NoGrant::Denied(Denial::Forbidden(Reason::default())), CacheUse::Hit),
            (NoGrant::Denied(Denial::NotMine), CacheUse::Called),
            (fault, CacheUse::Called),
        ];

        for (number, (none, expected)) in (0..).zip(cases) {
            let first = cache.get_or([number; 32], 0, async { Err(none) }).await;
            let second = cache.get_or([number; 32], 0, async { Ok(Grant::default()) }).await;
            assert_eq!(shown(first), (false, CacheUse::Called), "{number}");
            assert_eq!(shown(second), (expected == CacheUse::Called, expected), "{number}");
        }
    }

    #[tokio::test]
    async fn a_grant_is_never_kept_past_its_expiry() {
        let cache = ResultCache::new(&rule(None));
        let expired = Grant { expires_at_ms: Some(1_000), ..Grant::default() };

        let first = cache.get_or([1; 32], 1_000, async { Ok(expired) }).await;
        let second = cache.get_or([1; 32], 1_000, async { Ok(Grant::default()) }).await;

        assert_eq!(shown(first), (true, CacheUse::Called));
        assert_eq!(shown(second), (true, CacheUse::Called));
    }
}
