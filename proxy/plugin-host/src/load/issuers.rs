//! Where the keys of an issuer come from: what the plan asks for, the grant, and who
//! consents.

use std::sync::Arc;

use portcullis_config::{IssuerGrant, IssuerKeys, OriginHost, ServiceUrl};

use super::plan::Consent;
use super::problem::LoadProblem;
use crate::abi::exports::lifecycle::{Issuer, KeySource as Planned};
use crate::capability::{
    IssuerKeySet, Issuers, KeyPlace, KeySet, KeySource, PrivateAddresses, is_private_address,
};

/// The keys of an issuer that a plan asks for.
pub(super) fn keys(
    asked: &Issuer,
    granted: Option<&IssuerGrant>,
    consent: Consent,
    issuers: &Issuers,
) -> Result<IssuerKeySet, LoadProblem> {
    let issuer = || asked.name.clone();
    let by_settings;
    let grant = match (granted, consent) {
        (Some(grant), _) => grant,
        (None, Consent::BySettings) => {
            by_settings = IssuerGrant::default();
            &by_settings
        }
        (None, Consent::Written) => {
            let (what, table) = ("issuer", "issuers");
            return Err(LoadProblem::Ungranted { what, table, name: issuer() });
        }
    };
    let place = match &grant.keys {
        IssuerKeys::File { path, jwks } => {
            let set = KeySet::parse(jwks).map_err(|problem| LoadProblem::Keys {
                issuer: issuer(),
                path: path.clone(),
                problem,
            })?;
            return Ok(IssuerKeySet::Given(Arc::new(set)));
        }
        IssuerKeys::Discovery => KeyPlace::Discovery,
        IssuerKeys::At(url) => KeyPlace::At(url.clone()),
        IssuerKeys::AsPlanned => match &asked.source {
            Planned::Granted => return Err(LoadProblem::KeysNowhere { issuer: issuer() }),
            Planned::Inline(text) => {
                let set = KeySet::parse_text(text.as_bytes());
                let set =
                    set.map_err(|problem| LoadProblem::PlannedKeys { issuer: issuer(), problem })?;
                return Ok(IssuerKeySet::Given(Arc::new(set)));
            }
            Planned::Discovery => KeyPlace::Discovery,
            Planned::KeySet(url) => {
                planned_url(asked, url, grant, consent)?;
                KeyPlace::At(url.clone())
            }
        },
    };
    let source = KeySource {
        issuer: issuer(),
        place,
        private: match (grant.private_addresses, consent) {
            (true, _) => PrivateAddresses::Always,
            // The host stands in the settings, which the operator wrote.
            (false, Consent::BySettings) => PrivateAddresses::OfTheNamedHost,
            (false, Consent::Written) => PrivateAddresses::Never,
        },
        authorities: grant.authorities.clone(),
        times: grant.times,
    };
    let keys = issuers.open(&source);
    let keys = keys.map_err(|problem| LoadProblem::KeysUnfetched { issuer: issuer(), problem })?;
    Ok(IssuerKeySet::Fetched(keys))
}

/// Checks a URL that no operator wrote: a grant of the issuer is none of whatever address
/// the plugin thinks of.
fn planned_url(
    asked: &Issuer,
    url: &str,
    grant: &IssuerGrant,
    consent: Consent,
) -> Result<(), LoadProblem> {
    let refused = |problem| LoadProblem::PlannedUrl {
        issuer: asked.name.clone(),
        url: url.to_owned(),
        problem,
    };
    let parsed = ServiceUrl::parse(url).map_err(refused)?;
    if consent == Consent::BySettings {
        if !parsed.origin.https && !is_loopback(&parsed.origin.host) {
            tracing::warn!(
                url,
                "whoever is on the way to this issuer can give it other keys: it is no `https`"
            );
        }
        return Ok(());
    }
    if !parsed.origin.https && !asked.name.starts_with("http://") {
        return Err(refused("it is not `https`, as the issuer is"));
    }
    if is_private_address(&parsed.origin.host) && !grant.private_addresses {
        return Err(refused("it is a private address, and `private_addresses` is not granted"));
    }
    Ok(())
}

/// Whether nobody is on the way to a host but this machine.
fn is_loopback(host: &OriginHost) -> bool {
    match host {
        OriginHost::Address(address) => address.is_loopback(),
        OriginHost::Name(name) => name == "localhost",
        OriginHost::Below(_) => false,
    }
}
