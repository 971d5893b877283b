//! `grants.issuers`: where the keys of issuers are.

use super::{Resolver, files};
use crate::document;
use crate::gateway::{IssuerGrant, IssuerKeys, KeyTimes};
use crate::service_url::ServiceUrl;

pub(super) fn issuer(
    name: &str,
    written: &document::Issuer,
    resolver: &mut Resolver<'_>,
) -> Option<IssuerGrant> {
    let keys = keys(name, written, resolver)?;
    Some(IssuerGrant {
        keys,
        private_addresses: written.private_addresses,
        authorities: written.ca.as_ref().and_then(|file| files::certificates(file, resolver)),
        times: KeyTimes {
            timeout: written.timeout.0,
            refresh: written.refresh.map(|refresh| refresh.0),
            min_refresh: written.min_refresh.0,
            max_stale: written.max_stale.0,
        },
    })
}

fn keys(name: &str, written: &document::Issuer, resolver: &mut Resolver<'_>) -> Option<IssuerKeys> {
    match (&written.jwks, &written.jwks_url, written.discovery) {
        (Some(file), None, false) => files::issuer_keys(file, resolver),
        (None, Some(url), false) => match ServiceUrl::parse(&url.value) {
            Ok(_) => Some(IssuerKeys::At(url.value.clone())),
            Err(help) => {
                let message = format!("`{}` is no URL of keys", url.value);
                resolver.problem_with_help(&url.place, message, help);
                None
            }
        },
        (None, None, true) => match ServiceUrl::parse(name) {
            Ok(_) => Some(IssuerKeys::Discovery),
            Err(help) => {
                let message = format!("`{name}` is no URL, so nothing can be discovered there");
                resolver.problem_with_help(&written.place, message, help);
                None
            }
        },
        (None, None, false) => Some(IssuerKeys::AsPlanned),
        _ => {
            let message = "an issuer has one of `jwks`, `jwks_url` and `discovery`";
            resolver.problem(&written.place, message);
            None
        }
    }
}
