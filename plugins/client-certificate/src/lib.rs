//! Admits clients by the certificate of their TLS connection.
//!
//! The listener has checked the certificate before: that it chains to the `client_ca`,
//! that it has not expired, that the client has its key. What is left to say is whose
//! certificates are allowed here, and by which of their names a client is known.

mod certificate;
mod pattern;
mod rule;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_plugin_sdk::{
    Authorizer, Denial, Grant, Plan, Plugin, Request, SettingsError, export,
};

use crate::certificate::{Certificate, Fact};
use crate::rule::Rule;
use crate::settings::{Principal, Settings};

/// By which names a client is known where the settings do not say: the first kind that
/// the rule speaks of, or else the first that the certificate has.
const NAMES: [Fact; 4] = [Fact::Uri, Fact::Dns, Fact::Email, Fact::CommonName];

/// What is read of every certificate.
const ALWAYS: [Fact; 3] = [Fact::Sha256, Fact::NotBefore, Fact::NotAfter];

/// An authorizer by client certificate.
#[derive(Debug)]
struct ClientCertificate {
    /// Those of which one must match; one without conditions where all are allowed.
    allow: Vec<Rule>,
    principal: Option<Principal>,
    attributes: BTreeMap<String, Fact>,
}

impl TryFrom<Settings> for ClientCertificate {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        let allow = match settings.allow {
            None => vec![Rule::default()],
            Some(rules) if rules.is_empty() => {
                return Err(SettingsError::at(
                    "/allow",
                    "without a rule nobody is admitted; remove `allow` to admit every certificate that the listener takes",
                ));
            }
            Some(rules) => {
                let rules = rules.into_iter().enumerate();
                rules
                    .map(|(index, rule)| Rule::new(rule, &format!("/allow/{index}")))
                    .collect::<Result<_, _>>()?
            }
        };
        Ok(Self { allow, principal: settings.principal, attributes: settings.attributes })
    }
}

impl Plugin for ClientCertificate {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let names = match self.principal {
            Some(principal) => vec![principal.fact()],
            None => NAMES.to_vec(),
        };
        let rules = self.allow.iter().flat_map(Rule::facts);
        let attributes = self.attributes.values().copied();
        let facts: BTreeSet<Fact> =
            ALWAYS.into_iter().chain(names).chain(rules).chain(attributes).collect();
        facts
            .into_iter()
            .fold(Plan::new(), |plan, it| plan.reads_attribute(it.attribute()))
            .cacheable()
    }
}

impl Authorizer for ClientCertificate {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let certificate = Certificate::of(request).ok_or(Denial::NotMine)?;
        let ends = certificate.check_time(request.time)?;
        let rule = self.allow.iter().find(|rule| rule.matches(&certificate));
        let rule = rule.ok_or_else(|| Denial::forbidden("certificate-not-allowed"))?;
        let principal = self.principal(rule, &certificate);
        let principal = principal.ok_or_else(|| Denial::forbidden("certificate-without-name"))?;
        let grant = Grant::to(&principal).with_usage_key(&principal).expires_at_ms(ends);
        let attributes = self.attributes.iter();
        Ok(attributes.fold(grant, |grant, (name, fact)| match certificate.value(*fact) {
            Some(value) => grant.with_attribute(name, value.clone()),
            None => grant,
        }))
    }
}

impl ClientCertificate {
    /// The name that the client is known by: one that the rule matched, before others of
    /// its kind.
    fn principal(&self, rule: &Rule, certificate: &Certificate<'_>) -> Option<String> {
        let named = |fact: Fact| rule.first_of(fact, certificate);
        match self.principal {
            Some(principal) => named(principal.fact()),
            None => {
                let spoken_of = NAMES.into_iter().find(|fact| rule.facts().any(|it| it == *fact));
                spoken_of.map_or_else(|| NAMES.into_iter().find_map(named), named)
            }
        }
    }
}

export!(ClientCertificate: authorizer);

#[cfg(test)]
mod tests;
