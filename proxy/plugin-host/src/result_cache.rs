//! Earlier grants, for as long as they are true.
//!
//! The key is a digest of everything the plugin was shown but the time, and of the
//! generation of what it can find outside, so equal reads get equal answers and nothing
//! else does. Denials and faults are never kept.
//! One call is under way for each key; the others wait for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use portcullis_pipeline::{CacheUse, Denial, Grant, PluginFault};
use sha2::{Digest as _, Sha256};

use crate::abi::imports::types::{Request, Value};
use crate::code_cache::Digest;

/// Bytes of grants that one plugin use may keep.
const CACHE_BYTES: u64 = 32 << 20;

/// A digest of what a plugin was shown.
pub(crate) type Key = Digest;

/// Why there is no grant.
#[derive(Debug, Clone)]
pub(crate) enum NoGrant {
    /// The plugin said no.
    Denied(Denial),
    /// The plugin failed.
    Fault(PluginFault),
}

/// Earlier grants of one plugin use.
#[derive(Debug)]
pub(crate) struct ResultCache {
    grants: Cache<Key, Kept>,
    life: Duration,
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

impl ResultCache {
    /// Keeps grants for at most `life`.
    pub(crate) fn new(life: Duration) -> Self {
        let size =
            |_: &Key, kept: &Kept| u32::try_from(size_of_grant(&kept.grant)).unwrap_or(u32::MAX);
        let grants =
            Cache::builder().max_capacity(CACHE_BYTES).weigher(size).expire_after(KeptLife).build();
        Self { grants, life }
    }

    /// The grant kept for this key, or the one that `ask` brings.
    pub(crate) async fn get_or(
        &self,
        key: Key,
        time_ms: u64,
        ask: impl Future<Output = Result<Grant, NoGrant>>,
    ) -> Result<(Arc<Grant>, CacheUse), NoGrant> {
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
        let kept = self
            .grants
            .try_get_with(key, fill)
            .await
            .map_err(|none: Arc<NoGrant>| (*none).clone())?;
        let use_ = if asked.load(Ordering::Relaxed) { CacheUse::Called } else { CacheUse::Hit };
        Ok((kept.grant, use_))
    }
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

/// Digests everything a request shows but its time, in this generation. Each part is
/// preceded by its length, so that no two requests digest alike by moving a border.
pub(crate) fn key(request: &Request, generation: u64) -> Key {
    let mut hash = Parts(Sha256::new());
    hash.part(&generation.to_le_bytes());
    for part in [
        &request.method,
        &request.scheme,
        &request.authority,
        &request.raw_path,
        &request.client_address,
    ] {
        hash.part(part.as_bytes());
    }
    hash.optional(request.query.as_deref());
    hash.optional(request.argument.as_deref());
    hash.count(request.headers.len());
    for header in &request.headers {
        hash.part(header.name.as_bytes());
        hash.part(&header.value);
    }
    hash.count(request.parameters.len());
    for parameter in &request.parameters {
        hash.part(parameter.name.as_bytes());
        hash.part(parameter.value.as_bytes());
    }
    hash.count(request.attributes.len());
    for attribute in &request.attributes {
        hash.part(attribute.name.as_bytes());
        hash.value(&attribute.value);
    }
    match &request.body {
        None => hash.count(0),
        Some(body) => {
            hash.count(if body.complete { 1 } else { 2 });
            hash.part(&body.bytes);
        }
    }
    hash.0.finalize().into()
}

/// The key of the same request while other keys of issuers are trusted.
pub(crate) fn under(key: Key, keys_generation: u64) -> Key {
    if keys_generation == 0 {
        return key;
    }
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(keys_generation.to_le_bytes());
    hash.finalize().into()
}

struct Parts(Sha256);

impl Parts {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn part(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.count(usize::from(text.is_some()));
        self.part(text.unwrap_or_default().as_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.count(1);
                self.part(text.as_bytes());
            }
            Value::Integer(number) => {
                self.count(2);
                self.part(&number.to_le_bytes());
            }
            Value::Boolean(truth) => {
                self.count(3);
                self.part(&[u8::from(*truth)]);
            }
            Value::Texts(texts) => {
                self.count(4);
                self.count(texts.len());
                texts.iter().for_each(|text| self.part(text.as_bytes()));
            }
            Value::Bytes(bytes) => {
                self.count(5);
                self.part(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::imports::types::Header;

    fn request(headers: &[(&str, &str)]) -> Request {
        let header = |(name, value): &(&str, &str)| Header {
            name: (*name).into(),
            value: value.as_bytes().to_vec(),
        };
        Request {
            method: "GET".into(),
            scheme: "http".into(),
            authority: "a".into(),
            raw_path: "/".into(),
            path: "/".into(),
            query: None,
            client_address: "::1".into(),
            time: 0,
            argument: None,
            headers: headers.iter().map(header).collect(),
            parameters: Vec::new(),
            attributes: Vec::new(),
            body: None,
        }
    }

    #[test]
    fn keys_differ_wherever_the_reads_differ() {
        let key = |request: &Request| super::key(request, 7);
        let one = key(&request(&[("a", "bc")]));

        assert_eq!(
            one,
            key(&Request { time: 99, ..request(&[("a", "bc")]) }),
            "the time is no read"
        );
        assert_ne!(one, super::key(&request(&[("a", "bc")]), 8), "another generation");
        assert_ne!(one, key(&request(&[("ab", "c")])));
        assert_ne!(one, key(&request(&[("a", "bc"), ("a", "bc")])));
        assert_ne!(one, key(&Request { argument: Some(String::new()), ..request(&[("a", "bc")]) }));
        assert_ne!(one, key(&Request { query: Some(String::new()), ..request(&[("a", "bc")]) }));
        assert_eq!(one, under(one, 0));
        assert_ne!(one, under(one, 1));
        assert_ne!(under(one, 1), under(one, 2));
    }

    #[tokio::test]
    async fn a_grant_is_kept_and_a_denial_is_not() {
        let cache = ResultCache::new(Duration::from_secs(60));
        let grant = || async { Ok(Grant::default()) };
        let denial = || async { Err(NoGrant::Denied(Denial::NotMine)) };

        assert!(cache.get_or([1; 32], 0, denial()).await.is_err());
        assert_eq!(
            cache.get_or([1; 32], 0, grant()).await.map(|(_, use_)| use_).ok(),
            Some(CacheUse::Called)
        );
        assert_eq!(
            cache.get_or([1; 32], 0, denial()).await.map(|(_, use_)| use_).ok(),
            Some(CacheUse::Hit)
        );
        assert_eq!(
            cache.get_or([2; 32], 0, grant()).await.map(|(_, use_)| use_).ok(),
            Some(CacheUse::Called)
        );
    }

    #[tokio::test]
    async fn a_grant_is_never_kept_past_its_expiry() {
        let cache = ResultCache::new(Duration::from_secs(60));
        let expired = Grant { expires_at_ms: Some(1_000), ..Grant::default() };

        let first = cache.get_or([1; 32], 1_000, async { Ok(expired) }).await;
        let second = cache.get_or([1; 32], 1_000, async { Ok(Grant::default()) }).await;

        assert!(first.is_ok());
        assert_eq!(second.map(|(_, use_)| use_).ok(), Some(CacheUse::Called));
    }
}
