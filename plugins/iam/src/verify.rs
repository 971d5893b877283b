//! Whether a signature holds, and whose it is.

use portcullis_plugin_sdk::credentials::{self, Credential, Kind};
use portcullis_plugin_sdk::crypto::{self, HashAlgorithm, Key};
use portcullis_plugin_sdk::{Grant, Request, Value, log};

use crate::canonical;
use crate::claim::{ALGORITHM, Claim, Life};
use crate::query::Spelling;
use crate::refusal::Refusal;
use crate::scope::{Scope, TERMINATOR};
use crate::settings::{Iam, Path, Policies};
use crate::time::Timestamp;

/// More signed headers than any client has.
const MOST_SIGNED_HEADERS: usize = 128;

/// More than the gateway takes as a head, percent-encoded.
const LARGEST_CANONICAL: usize = 512 * 1024;

/// What stands in the place of a hash where the payload is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

const SHA256: HashAlgorithm = HashAlgorithm::Sha256;

/// Verifies a signature, cheap questions first.
pub(crate) fn verify(iam: &Iam, request: &Request, claim: &Claim<'_>) -> Result<Grant, Refusal> {
    let scope = Scope::parse(&claim.credential)?;
    check_scope(iam, &scope, claim.signed_at)?;
    let until = window(iam, request, claim)?;
    let signed_headers = signed_headers(iam, request, &claim.signed_headers)?;
    let payload = payload(iam, request, claim.payload.as_deref())?;
    let credential = credential(request, scope.access_key, claim.token.as_deref())?;

    let target = Target { request, claim, headers: &signed_headers, payload: &payload };
    let key = signing_key(&scope)?;
    let holds = |spelling| -> Result<bool, Refusal> {
        let text = string_to_sign(claim.signed_at, &scope, &target.canonical(iam.path, spelling)?);
        Ok(key.verify(SHA256, text, claim.signature))
    };
    // What must be encoded in a query and was sent plain was signed plain by some clients
    // and encoded by others. It is the same query: a signature on either is one on it.
    if holds(Spelling::AsSent)? || (claim.query.has_two_spellings() && holds(Spelling::Encoded)?) {
        Ok(grant(iam, &credential, until))
    } else {
        Err(Refusal::WrongSignature)
    }
}

fn check_scope(iam: &Iam, scope: &Scope<'_>, signed_at: Timestamp) -> Result<(), Refusal> {
    if scope.service != iam.service {
        return Err(Refusal::WrongService);
    }
    if !iam.regions.is_empty() && !iam.regions.iter().any(|region| region == scope.region) {
        return Err(Refusal::WrongRegion);
    }
    if scope.date != signed_at.date() {
        return Err(Refusal::WrongScopeDate);
    }
    Ok(())
}

/// When a signature that holds now stops to, in seconds.
fn window(iam: &Iam, request: &Request, claim: &Claim<'_>) -> Result<Timestamp, Refusal> {
    let skew_seconds = iam.clock_skew_seconds;
    let now = request.time / 1000;
    let time = |seconds| Timestamp::from_seconds(seconds).ok_or(Refusal::MalformedDate);
    let (now, signed) = (time(now)?, claim.signed_at);
    let latest = time(now.seconds().saturating_add(skew_seconds))?;
    if signed > latest {
        return Err(Refusal::NotYetCurrent { signed, latest, now, skew_seconds });
    }
    match claim.life {
        Life::Moment => {
            let earliest = time(now.seconds().saturating_sub(skew_seconds))?;
            if signed < earliest {
                return Err(Refusal::Expired { signed, earliest, now, skew_seconds });
            }
            time(signed.seconds().saturating_add(skew_seconds))
        }
        Life::Seconds(life) => {
            let until = time(signed.seconds().saturating_add(life))?;
            if now > until {
                return Err(Refusal::PresignedExpired { until });
            }
            Ok(until)
        }
    }
}

/// The names of the signed headers, once all that must be among them are.
fn signed_headers<'a>(
    iam: &Iam,
    request: &Request,
    list: &'a str,
) -> Result<Vec<&'a str>, Refusal> {
    let names: Vec<&str> = list.split(';').take(MOST_SIGNED_HEADERS + 1).collect();
    if names.len() > MOST_SIGNED_HEADERS {
        return Err(Refusal::TooLarge);
    }
    let sorted = names.windows(2).all(|pair| pair.first() < pair.last());
    if !sorted || !names.iter().all(|name| is_header_name(name)) {
        return Err(Refusal::MalformedClaim);
    }
    if !names.contains(&"host") {
        return Err(Refusal::HostNotSigned);
    }
    for header in &request.headers {
        let name = header.name.as_str();
        let free = name == "x-amz-content-sha256" || iam.unsigned_headers.iter().any(|n| n == name);
        if name.starts_with("x-amz-") && !free && !names.contains(&name) {
            return Err(Refusal::HeaderNotSigned(name.to_owned()));
        }
    }
    Ok(names)
}

/// A token of RFC 9110 §5.6.2, in lower case.
fn is_header_name(name: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    !name.is_empty() && name.bytes().all(plain)
}

/// What the canonical request ends in: the body's hash, or that it is not signed.
fn payload(iam: &Iam, request: &Request, stated: Option<&str>) -> Result<String, Refusal> {
    match stated {
        Some(UNSIGNED) if iam.unsigned_payload => Ok(UNSIGNED.to_owned()),
        Some(UNSIGNED) => Err(Refusal::UnsignedPayload),
        Some(streaming) if streaming.starts_with("STREAMING-") => Err(Refusal::StreamingPayload),
        Some(_) | None => {
            // Computed by the host, which holds the body; without it there is nothing to
            // compare, and nothing is assumed.
            let Some(Value::Bytes(digest)) = request.attribute_value("body:sha256") else {
                log::error("the host gave no digest of the body");
                return Err(Refusal::Undecided);
            };
            let computed = hex(digest);
            match stated.is_none_or(|stated| stated == computed) {
                true => Ok(computed),
                false => Err(Refusal::WrongPayload),
            }
        }
    }
}

/// The credential that an access key's id names, which holds now and has this token.
fn credential(request: &Request, id: &str, token: Option<&str>) -> Result<Credential, Refusal> {
    let found = credentials::get(Kind::AccessKey, id).map_err(|error| undecided(&error))?;
    let credential = found.ok_or(Refusal::UnknownKey)?;
    if credential.expires_at.is_some_and(|expires| expires <= request.time) {
        return Err(Refusal::ExpiredKey);
    }
    match (&credential.session_digest, token) {
        (None, None) => Ok(credential),
        (Some(_), None) => Err(Refusal::MissingToken),
        (None, Some(_)) => Err(Refusal::UnexpectedToken),
        (Some(digest), Some(token)) => {
            let presented = crypto::digest(SHA256, token);
            match crypto::equal(presented, digest) {
                true => Ok(credential),
                false => Err(Refusal::WrongToken),
            }
        }
    }
}

/// The key of this day, region and service, by handle.
fn signing_key(scope: &Scope<'_>) -> Result<Key, Refusal> {
    let secret =
        credentials::as_key(scope.access_key, "AWS4").map_err(|error| undecided(&error))?;
    // Gone since it was found.
    let secret = secret.ok_or(Refusal::UnknownKey)?;
    let parts = [scope.date, scope.region, scope.service, TERMINATOR];
    Ok(parts.iter().fold(secret, |key, part| key.derive(SHA256, part)))
}

fn undecided(error: &credentials::CredentialError) -> Refusal {
    log::error(format!("the store of access keys cannot be asked: {error:?}"));
    Refusal::Undecided
}

fn string_to_sign(signed_at: Timestamp, scope: &Scope<'_>, canonical: &[u8]) -> String {
    let hash = hex(&crypto::digest(SHA256, canonical));
    format!("{ALGORITHM}\n{signed_at}\n{}\n{hash}", scope.without_key())
}

/// What a signature is of.
struct Target<'a> {
    request: &'a Request,
    claim: &'a Claim<'a>,
    headers: &'a [&'a str],
    payload: &'a str,
}

impl Target<'_> {
    /// The canonical request.
    fn canonical(&self, path: Path, spelling: Spelling) -> Result<Vec<u8>, Refusal> {
        let request = self.request;
        let path = match path {
            Path::Normalized => canonical::path(&request.raw_path),
            Path::AsSent => request.raw_path.clone(),
        };
        let query = self.claim.query.canonical(spelling);
        let mut text = format!("{}\n{path}\n{query}\n", request.method).into_bytes();
        for name in self.headers {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            self.header(name, &mut text)?;
            text.push(b'\n');
        }
        let end = format!("\n{}\n{}", self.claim.signed_headers, self.payload);
        text.extend_from_slice(end.as_bytes());
        match text.len() > LARGEST_CANONICAL {
            true => Err(Refusal::TooLarge),
            false => Ok(text),
        }
    }

    /// A signed header as it is signed. HTTP/2 has an authority in the place of `Host`.
    fn header(&self, name: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let request = self.request;
        if request.headers_all(name).next().is_some() {
            canonical::header_values(out, request.headers_all(name));
        } else if name == "host" {
            out.extend_from_slice(request.authority.as_bytes());
        } else {
            return Err(Refusal::SignedHeaderMissing);
        }
        Ok(())
    }
}

fn grant(iam: &Iam, credential: &Credential, until: Timestamp) -> Grant {
    let arn = credential.attributes.iter().find_map(|attribute| match &attribute.value {
        Value::Text(arn) if attribute.name == "arn" => Some(arn.as_str()),
        _ => None,
    });
    let mut grant = Grant::to(arn.unwrap_or(&credential.consumer))
        .with_attribute("access-key", &credential.id)
        .with_attribute("consumer", &credential.consumer);
    let own = |name: &str| matches!(name, "access-key" | "consumer");
    let written = credential.attributes.iter().filter(|attribute| !own(&attribute.name));
    grant.identity.attributes.extend(written.cloned());
    if iam.policies == Policies::Attached {
        grant = grant.with_policies_attached_to(&credential.id);
    }
    let until_ms = until.seconds().saturating_mul(1000);
    grant.expires_at_ms(credential.expires_at.map_or(until_ms, |expires| expires.min(until_ms)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
