//! The cookies of a request.

use http::HeaderMap;
use http::header::COOKIE;

/// Every value of a cookie (RFC 6265, section 4.2), in the order received; HTTP/2 may spread
/// cookies over several fields.
///
/// Read as the SDK reads them, so that a plugin and the gateway never take one request for
/// two: pairs end at `;`, a name ends at the first `=`, and space around either is no part of
/// it. A value stands as it was sent, with its quotes, and may be no UTF-8.
pub fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h [u8]> {
    let fields = headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
    fields.flat_map(|field| field.split(|byte| *byte == b';')).filter_map(move |pair| {
        let end = pair.iter().position(|byte| *byte == b'=')?;
        let (found, value) = pair.split_at_checked(end)?;
        (found.trim_ascii() == name.as_bytes())
            .then(|| value.strip_prefix(b"=").unwrap_or_default().trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same table stands in the SDK, `message.rs`.
    const CASES: &[(&[&str], &[&str])] = &[
        (&["session=a"], &["a"]),
        (&["x=1; session=a; y=2"], &["a"]),
        (&["x=1;session=a;y=2"], &["a"]),
        (&["sessions=a; xsession=b; session; =session"], &[]),
        (&["Session=a"], &[]),
        (&["session = b"], &["b"]),
        (&["session=a;\tsession\t=\tb=c ; session="], &["a", "b=c", ""]),
        (&["session=a b"], &["a b"]),
        (&["session=\"a\""], &["\"a\""]),
        (&["session=a,session=b"], &["a,session=b"]),
        (&["session=a; x=1", "session=b"], &["a", "b"]),
        (&["", ";;", "="], &[]),
        (&[], &[]),
    ];

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        for (fields, expected) in CASES {
            let mut headers = HeaderMap::new();
            for field in *fields {
                headers.append(COOKIE, field.parse().unwrap());
            }
            let found: Vec<_> = cookies(&headers, "session").map(String::from_utf8_lossy).collect();
            assert_eq!(&found, expected, "{fields:?}");
        }
    }

    #[test]
    fn fuzz_cookies() {
        let words = &["session", "session=", ";", "; ", "=", " ", "\t", "\"", "x", "session ="];
        portcullis_fuzz::target!("cookies", words, |input| {
            let Ok(field) = http::HeaderValue::from_bytes(input) else { return };
            let headers = HeaderMap::from_iter([(COOKIE, field)]);
            let found: Vec<&[u8]> = cookies(&headers, "session").collect();
            let mut expected = Vec::new();
            for pair in input.split(|byte| *byte == b';') {
                let cut = pair.iter().position(|byte| *byte == b'=');
                if let Some((name, value)) = cut.map(|cut| (&pair[..cut], &pair[cut + 1..]))
                    && name.trim_ascii() == b"session"
                {
                    expected.push(value.trim_ascii());
                }
            }
            assert_eq!(found, expected);
        });
    }
}
