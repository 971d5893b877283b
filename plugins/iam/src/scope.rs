//! What a credential is scoped to: a key, a day, a region and a service.

use crate::refusal::Refusal;

/// Longer than any access key's id.
const LONGEST_KEY: usize = 128;

/// `KEY/DATE/REGION/SERVICE/aws4_request`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// What every scope ends in.
pub(crate) const TERMINATOR: &str = "aws4_request";

impl<'a> Scope<'a> {
    /// Reads a credential.
    pub(crate) fn parse(credential: &'a str) -> Result<Self, Refusal> {
        let mut parts = credential.split('/');
        let mut next = || parts.next().filter(|part| is_part(part)).ok_or(Refusal::MalformedScope);
        let scope = Self { access_key: next()?, date: next()?, region: next()?, service: next()? };
        if next()? != TERMINATOR || parts.next().is_some() {
            return Err(Refusal::MalformedScope);
        }
        Ok(scope)
    }

    /// The scope without the key, as the string to sign has it.
    pub(crate) fn without_key(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

fn is_part(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_five_parts_and_its_end() {
        let read = Scope::parse("AK/20260102/us-east-1/execute-api/aws4_request").unwrap();
        assert_eq!((read.access_key, read.region), ("AK", "us-east-1"));
        assert_eq!(read.without_key(), "20260102/us-east-1/execute-api/aws4_request");

        let long = format!("{}/20260102/r/s/aws4_request", "A".repeat(129));
        for text in [
            "",
            "AK",
            "/20260102/r/s/aws4_request",
            "AK/20260102//s/aws4_request",
            "AK/20260102/r/s/aws4_request/",
            "AK/20260102/r/s/aws4_requests",
            "A K/20260102/r/s/aws4_request",
            "A/K/20260102/r/s/aws4_request",
            &long,
        ] {
            assert_eq!(Scope::parse(text), Err(Refusal::MalformedScope), "{text}");
        }
    }
}
