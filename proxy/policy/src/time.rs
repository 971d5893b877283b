//! Dates, as policies write them.

use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

/// Parses a date of ISO 8601, or seconds since 1970-01-01T00:00:00Z, to milliseconds
/// since then. A date without an offset is in UTC, one without a time begins its day.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1000);
    }
    let format = &Iso8601::DEFAULT;
    let date = OffsetDateTime::parse(text, format)
        .or_else(|_| PrimitiveDateTime::parse(text, format).map(PrimitiveDateTime::assume_utc))
        .or_else(|_| {
            Date::parse(text, format).map(|date| date.with_time(Time::MIDNIGHT).assume_utc())
        });
    i64::try_from(date.ok()?.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A date of milliseconds since 1970-01-01T00:00:00Z, as RFC 3339 writes it to the
/// second.
pub(crate) fn written(ms: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_several_ways() {
        let noon = Some(1_350_475_200_000);
        for text in [
            "2012-10-17T12:00:00Z",
            "2012-10-17T12:00:00.000Z",
            "2012-10-17T14:00:00+02:00",
            "2012-10-17T12:00Z",
            "2012-10-17T12:00:00",
            "1350475200",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2012-10-17"), Some(1_350_432_000_000));
        for text in
            ["", "tomorrow", "2012-13-01", "2012-10-17T25:00:00Z", "-1", "99999999999999999999"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(written(1_350_475_200_999), "2012-10-17T12:00:00Z");
    }
}
