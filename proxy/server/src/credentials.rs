//! The operator's store of credentials, as plugins see it.

use std::path::Path;
use std::sync::Arc;

use portcullis_pipeline::Value;
use portcullis_plugin_host::{CredentialKind, CredentialSource, KnownCredential};
use portcullis_policy::Policy;
use portcullis_state::{Attribute, CredentialStore, Database, Kind, Known, StateError};
use zeroize::Zeroizing;

/// The store, behind the plugin host's port.
#[derive(Debug)]
struct Source(Arc<CredentialStore>);

/// The store as plugins see it.
pub(crate) fn source(store: &Arc<CredentialStore>) -> Arc<dyn CredentialSource> {
    Arc::new(Source(Arc::clone(store)))
}

/// The store of a state directory for whoever checks a configuration: what is there is
/// read, and nothing is made.
pub(crate) fn source_to_check(directory: &Path) -> Result<Arc<dyn CredentialSource>, StateError> {
    if Database::is_there(directory) {
        Ok(source(&CredentialStore::open(directory)?))
    } else {
        Ok(Arc::new(Empty))
    }
}

impl CredentialSource for Source {
    fn version(&self) -> u64 {
        self.0.version()
    }

    fn find(&self, presented: &[u8], time_ms: u64) -> Option<KnownCredential> {
        self.0.find(presented, time_ms).map(known)
    }

    fn get(&self, kind: CredentialKind, id: &str, time_ms: u64) -> Option<KnownCredential> {
        let kind = match kind {
            CredentialKind::ApiKey => Kind::ApiKey,
            CredentialKind::AccessKey => Kind::AccessKey,
        };
        self.0.get(kind, id, time_ms).map(known)
    }

    fn secret(&self, id: &str, time_ms: u64) -> Option<Zeroizing<Vec<u8>>> {
        self.0.secret(id, time_ms)
    }

    fn attached(&self, id: &str) -> Arc<Policy> {
        self.0.attached(id)
    }
}

fn known(found: Known) -> KnownCredential {
    let attribute = |(name, value)| {
        let value = match value {
            Attribute::Text(text) => Value::Text(text),
            Attribute::Integer(number) => Value::Integer(number),
            Attribute::Boolean(truth) => Value::Boolean(truth),
            Attribute::Texts(texts) => Value::Texts(texts),
        };
        (name, value)
    };
    KnownCredential {
        id: found.id,
        consumer: found.consumer,
        attributes: found.attributes.into_iter().map(attribute).collect(),
        session_digest: found.session_digest,
        expires_at_ms: found.expires_at,
    }
}

/// A store that nobody has made yet.
#[derive(Debug)]
struct Empty;

impl CredentialSource for Empty {
    fn version(&self) -> u64 {
        0
    }

    fn find(&self, _: &[u8], _: u64) -> Option<KnownCredential> {
        None
    }

    fn get(&self, _: CredentialKind, _: &str, _: u64) -> Option<KnownCredential> {
        None
    }

    fn secret(&self, _: &str, _: u64) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    fn attached(&self, _: &str) -> Arc<Policy> {
        portcullis_state::nothing_allowed()
    }
}
