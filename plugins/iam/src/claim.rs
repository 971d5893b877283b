//! What a request says of its signature, in a header or in the query.

use std::borrow::Cow;

use portcullis_plugin_sdk::Request;

use crate::query::Query;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The one algorithm that is verified.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How the algorithm with asymmetric keys is called (SigV4a).
const ASYMMETRIC: &str = "AWS4-ECDSA-P256-SHA256";

/// Longer than any client's header is.
const LONGEST_CLAIM: usize = 16 * 1024;

/// The longest life of a presigned URL: seven days.
const LONGEST_LIFE_SECONDS: u64 = 604_800;

/// What a request says of its signature.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    /// The key and what it is scoped to.
    pub(crate) credential: Cow<'a, str>,
    /// The names of the signed headers, separated by semicolons.
    pub(crate) signed_headers: Cow<'a, str>,
    /// The signature.
    pub(crate) signature: [u8; 32],
    /// When it was signed.
    pub(crate) signed_at: Timestamp,
    /// How long it holds.
    pub(crate) life: Life,
    /// The session token of temporary credentials.
    pub(crate) token: Option<Cow<'a, str>>,
    /// The payload's hash, where the request names one.
    pub(crate) payload: Option<Cow<'a, str>>,
    /// The query it is a part of.
    pub(crate) query: Query<'a>,
}

/// How long a signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// As long as clocks may differ.
    Moment,
    /// So many seconds: a presigned URL.
    Seconds(u64),
}

impl<'a> Claim<'a> {
    /// Finds the signature of a request; none where nothing of Signature Version 4 is.
    pub(crate) fn of(request: &'a Request) -> Result<Option<Self>, Refusal> {
        let in_header = request.headers_all("authorization").any(is_aws4);
        // Before the query is looked at closely: a request of somebody else's may have any.
        let in_query = request.query.as_deref().is_some_and(|raw| {
            raw.split('&').any(|pair| {
                let name = pair.split_once('=').map_or(pair, |(name, _)| name);
                matches!(name, "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Signature")
            })
        });
        match (in_header, in_query) {
            (false, false) => Ok(None),
            (true, true) => Err(Refusal::SeveralClaims),
            (true, false) => {
                Self::in_header(request, Query::parse(request.query.as_deref())?).map(Some)
            }
            (false, true) => {
                Self::in_query(request, Query::parse(request.query.as_deref())?).map(Some)
            }
        }
    }

    fn in_header(request: &'a Request, query: Query<'a>) -> Result<Self, Refusal> {
        if request.headers_all("authorization").count() > 1 {
            return Err(Refusal::SeveralClaims);
        }
        let text = one(request, "authorization")?.unwrap_or_default();
        if text.len() > LONGEST_CLAIM {
            return Err(Refusal::TooLarge);
        }
        let (algorithm, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        check_algorithm(algorithm)?;
        let fields = Fields::parse(rest)?;
        let date = match one(request, "x-amz-date")? {
            Some(date) => Timestamp::parse_basic(date),
            None => Timestamp::parse(one(request, "date")?.ok_or(Refusal::MissingDate)?),
        };
        Ok(Self {
            credential: fields.credential.into(),
            signed_headers: fields.signed_headers.into(),
            signature: signature(fields.signature)?,
            signed_at: date.ok_or(Refusal::MalformedDate)?,
            life: Life::Moment,
            token: one(request, "x-amz-security-token")?.map(Cow::Borrowed),
            payload: one(request, "x-amz-content-sha256")?.map(Cow::Borrowed),
            query,
        })
    }

    fn in_query(request: &'a Request, query: Query<'a>) -> Result<Self, Refusal> {
        let one_of = |name| query.one(name);
        let required = |name| one_of(name)?.ok_or(Refusal::MalformedClaim);
        check_algorithm(&required("X-Amz-Algorithm")?)?;
        let date = one_of("X-Amz-Date")?.ok_or(Refusal::MissingDate)?;
        let life = required("X-Amz-Expires")?;
        let payload =
            either(query.one("X-Amz-Content-Sha256")?, one(request, "x-amz-content-sha256")?)?;
        let token =
            either(query.one("X-Amz-Security-Token")?, one(request, "x-amz-security-token")?)?;
        Ok(Self {
            credential: required("X-Amz-Credential")?,
            signed_headers: required("X-Amz-SignedHeaders")?,
            signature: signature(&required("X-Amz-Signature")?)?,
            signed_at: Timestamp::parse_basic(&date).ok_or(Refusal::MalformedDate)?,
            life: Life::Seconds(seconds(&life).ok_or(Refusal::WrongExpires)?),
            token,
            payload,
            query,
        })
    }
}

/// The value that stands in one place of two.
fn either<'a>(
    parameter: Option<Cow<'a, str>>,
    header: Option<&'a str>,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    match (parameter, header) {
        (Some(_), Some(_)) => Err(Refusal::SeveralClaims),
        (parameter, header) => Ok(parameter.or(header.map(Cow::Borrowed))),
    }
}

/// The fields of the `Authorization` header, in whatever order.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in text.split(',') {
            let (name, value) = field.split_once('=').ok_or(Refusal::MalformedClaim)?;
            let place = match name.trim() {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Refusal::MalformedClaim),
            };
            if place.replace(value.trim()).is_some() {
                return Err(Refusal::MalformedClaim);
            }
        }
        let required = |field: Option<&'a str>| field.ok_or(Refusal::MalformedClaim);
        Ok(Self {
            credential: required(credential)?,
            signed_headers: required(signed_headers)?,
            signature: required(signature)?,
        })
    }
}

/// The one value of a header that may stand once.
fn one<'a>(request: &'a Request, name: &str) -> Result<Option<&'a str>, Refusal> {
    match request.headers_all(name).next() {
        None => Ok(None),
        Some(_) => {
            request.header(name).map(|value| Some(value.trim())).ok_or(Refusal::MalformedClaim)
        }
    }
}

/// Whether a value of `Authorization` is some version of AWS4.
fn is_aws4(value: &[u8]) -> bool {
    value.trim_ascii_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AWS4-"))
}

fn check_algorithm(name: &str) -> Result<(), Refusal> {
    match name {
        ALGORITHM => Ok(()),
        ASYMMETRIC => Err(Refusal::Sigv4a),
        _ => Err(Refusal::UnknownAlgorithm),
    }
}

/// The bytes of a signature: 64 hexadecimal digits, in lower case as every client writes.
fn signature(text: &str) -> Result<[u8; 32], Refusal> {
    let lower = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if text.len() != 64 || !text.bytes().all(lower) {
        return Err(Refusal::MalformedClaim);
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        if let [high, low] = pair {
            *byte = crate::canonical::unhex(*high, *low).ok_or(Refusal::MalformedClaim)?;
        }
    }
    Ok(bytes)
}

fn seconds(text: &str) -> Option<u64> {
    let plain = text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if plain { text.parse().ok()? } else { return None };
    (1..=LONGEST_LIFE_SECONDS).contains(&seconds).then_some(seconds)
}
