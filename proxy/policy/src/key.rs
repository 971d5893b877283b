//! Condition keys: what a policy may ask of a request.

use std::fmt;

use crate::problem::Problem;
use crate::suggest;

/// A condition key. Names are taken without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// `aws:CurrentTime`: when the request arrived, a date.
    CurrentTime,
    /// `aws:EpochTime`: the same in seconds since 1970-01-01T00:00:00Z.
    EpochTime,
    /// `aws:PrincipalAccount`: the caller's account.
    PrincipalAccount,
    /// `aws:PrincipalArn`: the caller's ARN.
    PrincipalArn,
    /// `aws:PrincipalTag/NAME`: a tag of the caller, with its name as written.
    PrincipalTag(String),
    /// `aws:PrincipalType`: `Account`, `User`, `AssumedRole`, `FederatedUser` or
    /// `Anonymous`.
    PrincipalType,
    /// `aws:Referer`: the `Referer` header.
    Referer,
    /// `aws:SecureTransport`: whether the client used TLS.
    SecureTransport,
    /// `aws:SourceIp`: the client's address.
    SourceIp,
    /// `aws:TokenIssueTime`: when the caller's credential was issued, a date.
    TokenIssueTime,
    /// `aws:UserAgent`: the `User-Agent` header.
    UserAgent,
    /// `aws:userid`: the caller's unique id.
    UserId,
    /// `aws:username`: the caller's name.
    Username,
    /// A key of AWS for things that are not here, which no request has.
    Absent,
}

const NAMED: &[(&str, Key)] = &[
    ("aws:CurrentTime", Key::CurrentTime),
    ("aws:EpochTime", Key::EpochTime),
    ("aws:PrincipalAccount", Key::PrincipalAccount),
    ("aws:PrincipalArn", Key::PrincipalArn),
    ("aws:PrincipalType", Key::PrincipalType),
    ("aws:Referer", Key::Referer),
    ("aws:SecureTransport", Key::SecureTransport),
    ("aws:SourceIp", Key::SourceIp),
    ("aws:TokenIssueTime", Key::TokenIssueTime),
    ("aws:UserAgent", Key::UserAgent),
    ("aws:userid", Key::UserId),
    ("aws:username", Key::Username),
];

/// Global keys of AWS that no request here has: policies written for AWS name them, and
/// mean there what they mean here, that the key is missing.
const ABSENT: &[&str] = &[
    "aws:AssumedRoot",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ChatbotSourceArn",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
];

impl Key {
    /// The key of this name.
    pub(crate) fn parse(name: &str) -> Result<Self, (Problem, Option<String>)> {
        if let Some((_, key)) = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Ok(key.clone());
        }
        if ABSENT.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(Self::Absent);
        }
        match name.split_once('/') {
            Some((family, tag)) if !tag.is_empty() => {
                if family.eq_ignore_ascii_case("aws:PrincipalTag") {
                    return Ok(Self::PrincipalTag(tag.to_owned()));
                }
                let absent = ["aws:RequestTag", "aws:ResourceTag"];
                if absent.iter().any(|known| family.eq_ignore_ascii_case(known)) {
                    return Ok(Self::Absent);
                }
            }
            _ => {}
        }
        let known: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        let help = match suggest::nearest(name, ABSENT.iter().copied().chain(["aws:PrincipalTag/"]))
        {
            Some(near) if suggest::nearest(name, known.iter().copied()).is_none() => {
                format!("did you mean `{near}`?")
            }
            _ => suggest::word(name, &known),
        };
        Err((Problem::UnknownKey(name.to_owned()), Some(help)))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrincipalTag(tag) => write!(f, "aws:PrincipalTag/{tag}"),
            named => {
                let name = NAMED.iter().find(|(_, key)| key == named).map(|(name, _)| *name);
                f.write_str(name.unwrap_or("a key that no request has"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_misspelt_ones_are_mended() {
        assert_eq!(Key::parse("AWS:sourceIP"), Ok(Key::SourceIp));
        assert_eq!(Key::parse("aws:principaltag/Team"), Ok(Key::PrincipalTag("Team".into())));
        assert_eq!(Key::parse("aws:SourceVpce"), Ok(Key::Absent));
        assert_eq!(Key::parse("aws:RequestTag/x"), Ok(Key::Absent));
        let help = |name| Key::parse(name).unwrap_err().1.unwrap();
        assert_eq!(help("aws:SourceIpp"), "did you mean `aws:SourceIp`?");
        assert_eq!(
            help("aws:MultiFactorAuthPresence"),
            "did you mean `aws:MultiFactorAuthPresent`?"
        );
        assert!(help("s3:prefix").starts_with("known: `aws:CurrentTime`"));
        assert!(Key::parse("aws:PrincipalTag/").is_err());
    }
}
