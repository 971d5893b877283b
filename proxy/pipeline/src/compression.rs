//! Whether a response is compressed, and how (RFC 9110 §12.5.3).

use std::sync::Arc;

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Version};
use portcullis_config::{Coding, Compression};

/// Digests of what is sent, which another coding would make untrue.
const DIGESTS: [&str; 4] = ["content-digest", "content-md5", "digest", "repr-digest"];

/// What a client takes of the codings that its route has.
#[derive(Debug, Clone)]
pub struct Negotiated {
    rules: Arc<Compression>,
    coding: Option<Coding>,
}

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compressed {
    /// It is none that is compressed for anybody.
    Never,
    /// It is compressed for others.
    ForOthers,
    /// It is compressed so.
    So(Coding),
}

impl Negotiated {
    /// What the client of this request takes.
    pub(crate) fn with(rules: &Arc<Compression>, head: &Parts) -> Self {
        // A length that is not known beforehand needs chunks, which HTTP/1.0 has not.
        let coding = (head.version > Version::HTTP_10)
            .then(|| preferred(&rules.encodings, &head.headers))
            .flatten();
        Self { rules: Arc::clone(rules), coding }
    }

    /// What becomes of a response with this head.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap) -> Compressed {
        let has_own_body = !status.is_informational()
            && !matches!(
                status,
                StatusCode::NO_CONTENT
                    | StatusCode::RESET_CONTENT
                    | StatusCode::PARTIAL_CONTENT
                    | StatusCode::NOT_MODIFIED
            );
        let is_as_it_is = headers.contains_key(CONTENT_ENCODING)
            || headers.contains_key(CONTENT_RANGE)
            || DIGESTS.iter().any(|name| headers.contains_key(*name))
            || forbids_transforms(headers);
        if !has_own_body || is_as_it_is || self.is_short(headers) || !self.is_of_type(headers) {
            return Compressed::Never;
        }
        self.coding.map_or(Compressed::ForOthers, Compressed::So)
    }

    fn is_short(&self, headers: &HeaderMap) -> bool {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length = length.and_then(|text| text.trim().parse::<u64>().ok());
        length.is_some_and(|length| length < self.rules.min_size.max(1))
    }

    fn is_of_type(&self, headers: &HeaderMap) -> bool {
        let written = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = written.and_then(|text| text.split(';').next()).unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            // gRPC compresses each message by itself.
            grpc if grpc.starts_with("application/grpc") => false,
            // Each event is its own small block: worth it only to who asks for it by name.
            "text/event-stream" => self.rules.types.iter().any(|range| range.names(&essence)),
            _ => self.rules.types.iter().any(|range| range.holds(&essence)),
        }
    }
}

fn forbids_transforms(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(','));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
}

/// The coding that the client likes best; of those it likes the same, the operator's
/// first. None where the client says nothing, or likes none better than the plain body.
fn preferred(offered: &[Coding], headers: &HeaderMap) -> Option<Coding> {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<(&str, u16)> =
        values.flat_map(|value| value.split(',')).filter_map(weighted).collect();
    let weight = |names: &[&str]| {
        let is_named = |name: &str| names.iter().any(|other| name.eq_ignore_ascii_case(other));
        accepted.iter().find(|(name, _)| is_named(name)).map(|(_, weight)| *weight)
    };
    let others = weight(&["*"]);
    let plain = weight(&["identity"]).unwrap_or(0);
    let mut best: Option<(Coding, u16)> = None;
    for coding in offered {
        let own = match coding {
            Coding::Gzip => weight(&["gzip", "x-gzip"]),
            Coding::Brotli | Coding::Zstd => weight(&[coding.as_str()]),
        };
        let weight = own.or(others).unwrap_or(0);
        if weight > 0 && weight >= plain && best.is_none_or(|(_, most)| weight > most) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// A coding and its weight in thousandths; none where it is not written as it should be.
fn weighted(element: &str) -> Option<(&str, u16)> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(parameter) = parts.next() else { return Some((name, 1000)) };
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some((name, fraction)),
        "1" if fraction == 0 => Some((name, 1000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use http::HeaderValue;

    use super::*;

    fn check(accepted: &[&'static str], expected: Option<&str>) {
        let values =
            accepted.iter().map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
        let offered = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
        let found = preferred(&offered, &values.collect());
        assert_eq!(found.map(Coding::as_str), expected, "{accepted:?}");
    }

    #[test]
    fn the_client_chooses_and_the_operator_breaks_ties() {
        check(&[], None);
        check(&[""], None);
        check(&["identity"], None);
        check(&["gzip, deflate, br"], Some("br"));
        check(&["gzip", "zstd"], Some("zstd"));
        check(&["GZIP"], Some("gzip"));
        check(&["x-gzip;q=0.1"], Some("gzip"));
        check(&["br;q=0.5, gzip;q=0.8"], Some("gzip"));
        check(&["br;q=0, gzip;q=0, *"], Some("zstd"));
        check(&["*"], Some("br"));
        check(&["*;q=0"], None);
        check(&["gzip;q=0, *;q=0"], None);
        check(&["identity;q=0, gzip;q=0.001"], Some("gzip"));
        check(&["identity;q=1, gzip;q=0.5"], None);
        check(&["gzip ; q=0.5 , br ; q=0.499"], Some("gzip"));
        check(&["deflate"], None);
        check(&["br;q=2, gzip;q=x, zstd;q=0.1234"], None);
        check(&["brotli, gzipped"], None);
    }

    fn judged(status: u16, headers: &[(&'static str, &'static str)]) -> Compressed {
        let rules = Compression {
            min_size: 10,
            types: Compression::usual_types(),
            encodings: vec![Coding::Gzip],
        };
        let negotiated = Negotiated { rules: Arc::new(rules), coding: Some(Coding::Gzip) };
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static(value))
        });
        negotiated.judge(StatusCode::from_u16(status).unwrap(), &headers.collect())
    }

    #[test]
    fn a_response_is_left_alone_where_its_bytes_matter() {
        const JSON: (&str, &str) = ("content-type", "Application/JSON; charset=utf-8");
        let yes = Compressed::So(Coding::Gzip);
        assert_eq!(judged(200, &[JSON]), yes);
        assert_eq!(judged(404, &[JSON, ("content-length", "10")]), yes);
        assert_eq!(judged(200, &[JSON, ("cache-control", "public, max-age=1")]), yes);
        for headers in [
            &[][..],
            &[("content-type", "image/png")],
            &[("content-type", "application/grpc+json")],
            &[("content-type", "text/event-stream")],
            &[JSON, ("content-length", "9")],
            &[JSON, ("content-encoding", "br")],
            &[JSON, ("content-range", "bytes 0-1/2")],
            &[JSON, ("cache-control", "public, No-Transform")],
            &[JSON, ("content-digest", "sha-256=:x:")],
        ] {
            assert_eq!(judged(200, headers), Compressed::Never, "{headers:?}");
        }
        for status in [101, 103, 204, 205, 206, 304] {
            assert_eq!(judged(status, &[JSON]), Compressed::Never, "{status}");
        }
    }

    /// What a client takes, by another reading of RFC 9110, section 12.4.2.
    fn weights(text: &str) -> HashMap<String, f64> {
        let mut weights = HashMap::new();
        for element in text.split(['\n', ',']) {
            let (name, parameter) = match element.split_once(';') {
                None => (element, "q=1".to_owned()),
                Some((name, rest)) => {
                    (name, rest.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
                }
            };
            let name = name.trim().to_ascii_lowercase();
            let Some(value) = parameter.strip_prefix("q=").filter(|_| !name.is_empty()) else {
                continue;
            };
            let is_weight = match value.as_bytes() {
                [b'0' | b'1'] => true,
                [b'0', b'.', digits @ ..] => {
                    digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit)
                }
                [b'1', b'.', zeros @ ..] => zeros.len() <= 3 && zeros.iter().all(|b| *b == b'0'),
                _ => false,
            };
            if is_weight {
                let name = if name == "x-gzip" { "gzip".to_owned() } else { name };
                weights.entry(name).or_insert(value.parse().unwrap());
            }
        }
        weights
    }

    #[test]
    fn fuzz_accept_encoding() {
        let words = &[
            "gzip", "x-gzip", "br", "zstd", "identity", "deflate", "*", ",", ";", "q=", ";Q=", "0",
            "1", "0.5", "0.001", "1.000", ".", " ", "\t", "\n", ";q=0", ";q=0.9",
        ];
        let offered = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
        portcullis_fuzz::target!("accept-encoding", words, |input| {
            // A field for each line.
            let text = String::from_utf8_lossy(input);
            let fields: Result<Vec<HeaderValue>, _> = text.split('\n').map(str::parse).collect();
            let Some(fields) = fields.ok().filter(|_| text.is_ascii()) else { return };
            let headers = fields.into_iter().map(|value| (ACCEPT_ENCODING, value));
            let found = preferred(&offered, &headers.collect());
            let weights = weights(&text);
            let weight = |name: &str| weights.get(name).copied();
            let of = |coding: &Coding| weight(coding.as_str()).or(weight("*")).unwrap_or(0.0);
            let most = offered.iter().map(of).fold(0.0, f64::max);
            let is_worth_it = most > 0.0 && most >= weight("identity").unwrap_or(0.0);
            let best = offered.into_iter().find(|coding| is_worth_it && of(coding) >= most);
            assert_eq!(found, best, "{text:?}");
        });
    }
}
