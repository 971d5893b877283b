//! `grants`: what a plugin may do beyond computing and logging.

use std::collections::BTreeMap;

use super::{Resolver, files, issuer};
use crate::diagnostic::Place;
use crate::document;
use crate::gateway::{Grants, HttpGrant, KeyValueGrant};

pub(super) fn grants(written: &document::Grants, resolver: &mut Resolver<'_>) -> Grants {
    let mut grants = Grants { random: written.random, clock: written.clock, ..Grants::default() };
    grants.credentials = written.credentials.as_ref().is_some_and(|written| written.value);
    for entry in &written.secrets.entries {
        let secret = entry.value.as_ref().and_then(|secret| files::secret(secret, resolver));
        grants.secrets.extend(secret.map(|secret| (entry.name.clone(), secret)));
    }
    for entry in &written.issuers.entries {
        let written = entry.value.as_ref();
        let granted = written.and_then(|written| issuer::issuer(&entry.name, written, resolver));
        grants.issuers.extend(granted.map(|granted| (entry.name.clone(), granted)));
    }
    grants.http = written.http.as_ref().map(|written| http(written, resolver));
    grants.keyvalue = written.keyvalue.as_ref().map(|written| KeyValueGrant {
        size_bytes: written.size.in_memory(),
        keys: usize::try_from(written.keys.0).unwrap_or(usize::MAX),
    });
    grants
}

/// Where each secret that is granted is written.
pub(super) fn secret_places(written: &document::Grants) -> BTreeMap<String, Place> {
    let entries = written.secrets.entries.iter();
    entries.map(|entry| (entry.name.clone(), entry.place.clone())).collect()
}

fn http(written: &document::HttpGrant, resolver: &mut Resolver<'_>) -> HttpGrant {
    if written.whole && written.origins.is_empty() {
        resolver.problem(&written.place, "this grants nothing: name an origin, or remove it");
    }
    let mut origins = Vec::new();
    for text in &written.origins {
        match text.value.parse() {
            Ok(origin) => origins.push(origin),
            Err(help) => {
                let message = format!("`{}` is no origin", text.value);
                resolver.problem_with_help(&text.place, message, help);
            }
        }
    }
    let authorities = written.ca.as_ref().and_then(|file| files::certificates(file, resolver));
    HttpGrant {
        origins,
        private_addresses: written.private_addresses,
        authorities,
        timeout: written.timeout.0,
        request_bytes: written.request.in_memory(),
        response_bytes: written.response.in_memory(),
        requests: written.requests.0,
    }
}
