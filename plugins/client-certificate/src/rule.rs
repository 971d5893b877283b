//! Which certificates are allowed.

use portcullis_plugin_sdk::{SettingsError, Value};

use crate::certificate::{Certificate, Fact};
use crate::pattern::Pattern;
use crate::settings::RuleSettings;

/// A rule: every condition must be met.
#[derive(Debug, Default)]
pub(crate) struct Rule(Vec<Condition>);

/// A fact of which one value must match one of the patterns.
#[derive(Debug)]
struct Condition {
    fact: Fact,
    patterns: Vec<Pattern>,
}

impl Rule {
    /// Checks a rule of the settings, which the pointer names.
    pub(crate) fn new(settings: RuleSettings, pointer: &str) -> Result<Self, SettingsError> {
        let written = [
            (Fact::Subject, "subject", settings.subject),
            (Fact::CommonName, "common_name", settings.common_name),
            (Fact::Organization, "organization", settings.organization),
            (Fact::OrganizationalUnit, "organizational_unit", settings.organizational_unit),
            (Fact::Issuer, "issuer", settings.issuer),
            (Fact::Dns, "dns", settings.dns),
            (Fact::Email, "email", settings.email),
            (Fact::Uri, "uri", settings.uri),
            (Fact::Ip, "ip", settings.ip),
            (Fact::Sha256, "sha256", settings.sha256),
        ];
        let mut conditions = Vec::new();
        for (fact, key, texts) in written {
            let Some(texts) = texts else { continue };
            let pointer = format!("{pointer}/{key}");
            if texts.is_empty() {
                return Err(SettingsError::at(pointer, "an empty list matches no certificate"));
            }
            let pattern = |(index, text): (usize, &String)| {
                Pattern::read(fact, text)
                    .map_err(|problem| SettingsError::at(format!("{pointer}/{index}"), problem))
            };
            let patterns = texts.iter().enumerate().map(pattern).collect::<Result<_, _>>()?;
            conditions.push(Condition { fact, patterns });
        }
        match conditions.is_empty() {
            true => Err(SettingsError::at(pointer, "a rule without conditions allows everybody")),
            false => Ok(Self(conditions)),
        }
    }

    /// The facts it speaks of.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        self.0.iter().map(|condition| condition.fact)
    }

    pub(crate) fn matches(&self, certificate: &Certificate<'_>) -> bool {
        self.0.iter().all(|condition| condition.matched(certificate).is_some())
    }

    /// The first value of a fact that the rule matches, where it speaks of the fact; else
    /// the first that the certificate has.
    pub(crate) fn first_of(&self, fact: Fact, certificate: &Certificate<'_>) -> Option<String> {
        match self.0.iter().find(|condition| condition.fact == fact) {
            Some(condition) => condition.matched(certificate),
            None => match certificate.value(fact)? {
                value @ Value::Bytes(_) => Some(value.to_string()),
                _ => certificate.texts(fact).first().cloned(),
            },
        }
    }
}

impl Condition {
    /// The first value that one of the patterns matches.
    fn matched(&self, certificate: &Certificate<'_>) -> Option<String> {
        if let Some(value @ Value::Bytes(bytes)) = certificate.value(self.fact) {
            let is_it = self.patterns.iter().any(|pattern| pattern.matches_bytes(bytes));
            return is_it.then(|| value.to_string());
        }
        let mut texts = certificate.texts(self.fact).iter();
        let is_it = |text: &&String| self.patterns.iter().any(|pattern| pattern.matches(text));
        texts.find(is_it).cloned()
    }
}
