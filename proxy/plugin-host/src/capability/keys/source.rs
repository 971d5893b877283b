//! Where an issuer's keys are fetched from, as grant and plan say together.

use portcullis_config::{KeyTimes, OriginHost, ServiceUrl};

/// Where the keys of an issuer are fetched from, and when. Equal sources share what is
/// fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeySource {
    /// The issuer's name, as tokens write it.
    pub(crate) issuer: String,
    /// Where its keys are.
    pub(crate) place: KeyPlace,
    /// Which private addresses may be asked.
    pub(crate) private: PrivateAddresses,
    /// Authorities to trust in the place of the system's.
    pub(crate) authorities: Option<String>,
    /// When they are fetched.
    pub(crate) times: KeyTimes,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyPlace {
    /// Where the issuer's discovery document says.
    Discovery,
    /// At this URL.
    At(String),
}

/// Which private addresses may be asked for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PrivateAddresses {
    /// None but those that are written as addresses.
    Never,
    /// Those of the host that the operator named.
    OfTheNamedHost,
    /// All of them.
    Always,
}

/// Why an issuer's keys cannot be fetched from where they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}`: {problem}")]
pub(crate) struct SourceProblem {
    url: String,
    problem: &'static str,
}

/// What the issuer's discovery document is called (OpenID Connect Discovery 1.0,
/// section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

impl KeySource {
    /// The document that is fetched first.
    pub(super) fn first_url(&self) -> Result<ServiceUrl, SourceProblem> {
        let url = match &self.place {
            KeyPlace::At(url) => url.clone(),
            KeyPlace::Discovery if self.issuer.contains(['?', '#']) => {
                let problem = "an issuer that is discovered has no query and no fragment";
                return Err(SourceProblem { url: self.issuer.clone(), problem });
            }
            KeyPlace::Discovery => {
                let issuer = self.issuer.strip_suffix('/').unwrap_or(&self.issuer);
                format!("{issuer}{DISCOVERY}")
            }
        };
        ServiceUrl::parse(&url).map_err(|problem| SourceProblem { url, problem })
    }

    /// Whether a name may resolve to private addresses.
    pub(super) fn private_addresses_of(&self, host: &OriginHost, named: &OriginHost) -> bool {
        match self.private {
            PrivateAddresses::Never => false,
            PrivateAddresses::OfTheNamedHost => host == named,
            PrivateAddresses::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::IssuerGrant;

    use super::*;

    fn discovered(issuer: &str) -> Result<ServiceUrl, SourceProblem> {
        let times = IssuerGrant::default().times;
        let (place, private) = (KeyPlace::Discovery, PrivateAddresses::Never);
        let issuer = issuer.to_owned();
        KeySource { issuer, place, private, authorities: None, times }.first_url()
    }

    #[test]
    fn the_discovery_document_is_below_the_issuer() {
        let target = |issuer: &str| discovered(issuer).unwrap().target;

        assert_eq!(target("https://a"), "/.well-known/openid-configuration");
        assert_eq!(target("https://a/"), "/.well-known/openid-configuration");
        assert_eq!(target("https://a/tenant"), "/tenant/.well-known/openid-configuration");
        assert_eq!(target("https://a/tenant/"), "/tenant/.well-known/openid-configuration");
    }

    #[test]
    fn an_issuer_that_leads_elsewhere_is_refused() {
        for issuer in ["https://a?x=", "https://a/#", "ftp://a", "partner"] {
            assert!(discovered(issuer).is_err(), "{issuer}");
        }
    }
}
