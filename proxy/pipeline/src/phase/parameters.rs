//! Judges query, headers, path parameters and cookies, which need neither a plugin nor
//! the body.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::HeaderName;
use http::request::Parts;
use portcullis_config::{
    Edge, Items, Many, ParameterAt, ParameterRule, Scalar, TextFormat, ValueKind, ValueRule,
};

use crate::cookies::cookies;
use crate::plugins::Violation;
use crate::query::query_pairs;

/// Violations of one request's parameters at the most: clients choose how many values
/// they send.
const MOST: usize = 100;

/// Lists everything wrong with the parameters; `path` finds a path parameter by its name.
pub(crate) fn judge(
    rules: &[ParameterRule],
    head: &Parts,
    path: impl Fn(&str) -> Option<String>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for rule in rules {
        let values = values(&rule.at, head, &path);
        for message in wrong(rule, &values) {
            if violations.len() < MOST {
                violations.push(Violation { location: rule.at.to_string(), message });
            }
        }
    }
    violations
}

/// The values of a parameter, in the order received.
fn values<'h>(
    at: &ParameterAt,
    head: &'h Parts,
    path: impl Fn(&str) -> Option<String>,
) -> Vec<Cow<'h, str>> {
    match at {
        ParameterAt::Query(name) => {
            let pairs = query_pairs(head.uri.query());
            pairs.filter(|(found, _)| found == name).map(|(_, value)| value).collect()
        }
        ParameterAt::Header(name) => fields(head, name).collect(),
        ParameterAt::Path(name) => path(name).map(Cow::Owned).into_iter().collect(),
        ParameterAt::Cookie(name) => {
            cookies(&head.headers, name).map(String::from_utf8_lossy).collect()
        }
    }
}

/// The values of a header; bytes that are no UTF-8 are shown as such.
fn fields<'h>(head: &'h Parts, name: &HeaderName) -> impl Iterator<Item = Cow<'h, str>> {
    head.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// Everything wrong with a parameter of these values.
fn wrong(rule: &ParameterRule, values: &[Cow<'_, str>]) -> Vec<String> {
    if values.iter().all(|value| value.trim().is_empty()) && rule.required {
        return vec![match values {
            [] => "is required".to_owned(),
            _ => "is required and must not be blank".to_owned(),
        }];
    }
    match (&rule.many, values) {
        (_, []) => Vec::new(),
        (Many::One, [value]) => wrong_value(&rule.value, value),
        (Many::One | Many::Separated(..), [_, _, ..]) => vec!["is given more than once".to_owned()],
        (Many::Repeated(items), values) => {
            let values: Vec<&str> = values.iter().map(Cow::as_ref).collect();
            wrong_list(&rule.value, *items, &values)
        }
        (Many::Separated(mark, items), [value]) => {
            let values: Vec<&str> = value.split(*mark).map(str::trim).collect();
            wrong_list(&rule.value, *items, &values)
        }
    }
}

fn wrong_list(rule: &ValueRule, items: Items, values: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(least) = items.least.filter(|least| values.len() < *least) {
        wrong.push(format!("must have at least {least} items"));
    }
    if let Some(most) = items.most.filter(|most| values.len() > *most) {
        wrong.push(format!("must have at most {most} items"));
    }
    if items.distinct {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            wrong.push("must not have equal items".to_owned());
        }
    }
    for message in values.iter().flat_map(|value| wrong_value(rule, value)) {
        if !wrong.contains(&message) {
            wrong.push(message);
        }
    }
    wrong
}

fn wrong_value(rule: &ValueRule, text: &str) -> Vec<String> {
    let number = match rule.kind {
        ValueKind::Text => None,
        ValueKind::Boolean if matches!(text, "true" | "false") => None,
        ValueKind::Boolean => return vec!["must be true or false".to_owned()],
        ValueKind::Integer => match integer(text) {
            Some(number) => Some(number),
            None => return vec!["must be a whole number".to_owned()],
        },
        ValueKind::Number => match decimal(text) {
            Some(number) => Some(number),
            None => return vec!["must be a number".to_owned()],
        },
    };
    let mut wrong = Vec::new();
    if let Some(one_of) = &rule.one_of
        && !one_of.iter().any(|value| is(value, text, number))
    {
        let shown: Vec<String> = one_of.iter().map(shown).collect();
        wrong.push(format!("must be one of {}", shown.join(", ")));
    }
    if let Some(number) = number {
        wrong.extend(beyond(rule, number));
    } else {
        wrong.extend(wrong_text(rule, text));
    }
    wrong
}

fn beyond(rule: &ValueRule, number: f64) -> Option<String> {
    match (rule.range.least, rule.range.most) {
        (Some((least, Edge::Within)), _) if number < least => {
            Some(format!("must be at least {least}"))
        }
        (Some((least, Edge::Beyond)), _) if number <= least => {
            Some(format!("must be greater than {least}"))
        }
        (_, Some((most, Edge::Within))) if number > most => Some(format!("must be at most {most}")),
        (_, Some((most, Edge::Beyond))) if number >= most => {
            Some(format!("must be less than {most}"))
        }
        _ => None,
    }
}

fn wrong_text(rule: &ValueRule, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if rule.min_length.is_some() || rule.max_length.is_some() {
        let length = text.chars().count();
        if let Some(least) = rule.min_length.filter(|least| length < *least) {
            wrong.push(format!("must have at least {least} characters"));
        }
        if let Some(most) = rule.max_length.filter(|most| length > *most) {
            wrong.push(format!("must have at most {most} characters"));
        }
    }
    if let Some(pattern) = rule.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        wrong.push(format!("must match the pattern {pattern}"));
    }
    if let Some(format) = rule.format.filter(|format| !has_format(*format, text)) {
        wrong.push(format!("must be of the format {}", format.as_str()));
    }
    wrong
}

fn is(value: &Scalar, text: &str, number: Option<f64>) -> bool {
    match value {
        Scalar::Text(value) => value == text,
        Scalar::Number(value) => number.or_else(|| decimal(text)) == Some(*value),
        Scalar::Boolean(value) => text == if *value { "true" } else { "false" },
    }
}

fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Boolean(truth) => truth.to_string(),
    }
}

/// A whole number as JSON writes it, of at most 19 digits or so: within an `i64`.
fn integer(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    // Bounds are compared as doubles, as JSON has them.
    let number = text.parse::<i64>().ok().filter(|_| is_plain)?;
    Some(number as f64)
}

/// A number as JSON writes it.
fn decimal(text: &str) -> Option<f64> {
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    // A blank around it is none of the number's.
    number.as_f64().filter(|number| number.is_finite() && !text.contains(char::is_whitespace))
}

fn has_format(format: TextFormat, text: &str) -> bool {
    match format {
        TextFormat::Date => is_date(text),
        TextFormat::DateTime => {
            let split = text.split_once(['T', 't']);
            split.is_some_and(|(date, time)| is_date(date) && is_time(time))
        }
        TextFormat::Uuid => {
            let groups: Vec<&str> = text.split('-').collect();
            let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
            lengths == [8, 4, 4, 4, 12]
                && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        TextFormat::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
        TextFormat::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
    }
}

/// Two digits or four, as dates have them.
fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A full-date of RFC 3339.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let year = parts.next().and_then(|it| digits(it, 4));
    let month = parts.next().and_then(|it| digits(it, 2));
    let day = parts.next().and_then(|it| digits(it, 2));
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return false };
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// A full-time of RFC 3339.
fn is_time(text: &str) -> bool {
    let Some(zone) = text.find(['Z', 'z', '+', '-']) else { return false };
    let (time, zone) = text.split_at(zone);
    let is_zone = match zone {
        "Z" | "z" => true,
        zone => {
            let offset = zone.get(1..).unwrap_or_default();
            let split = offset.split_once(':');
            split.is_some_and(|(hour, minute)| within(hour, 23) && within(minute, 59))
        }
    };
    let whole = match time.split_once('.') {
        None => time,
        Some((whole, part)) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => {
            whole
        }
        Some(_) => return false,
    };
    let parts: Vec<&str> = whole.split(':').collect();
    is_zone
        && matches!(parts.as_slice(), [hour, minute, second]
            if within(hour, 23) && within(minute, 59) && within(second, 60))
}

fn within(text: &str, most: u32) -> bool {
    digits(text, 2).is_some_and(|number| number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_json() {
        for (text, whole, number) in [
            ("0", true, true),
            ("-12", true, true),
            ("9223372036854775808", false, true),
            ("1.5", false, true),
            ("1e3", false, true),
            ("007", false, false),
            ("+1", false, false),
            ("", false, false),
            ("1 ", false, false),
            ("0x10", false, false),
            ("1e999", false, false),
            ("NaN", false, false),
        ] {
            assert_eq!(integer(text).is_some(), whole, "{text}");
            assert_eq!(decimal(text).is_some(), number, "{text}");
        }
    }

    #[test]
    fn formats_are_as_their_standards_say() {
        let has = has_format;
        assert!(has(TextFormat::Date, "2024-02-29"));
        for text in ["2023-02-29", "2024-13-01", "2024-1-01", "24-01-01", "2024-01-01T"] {
            assert!(!has(TextFormat::Date, text), "{text}");
        }
        for text in ["2026-11-28T23:59:60Z", "2026-11-28t00:00:00.5+01:00"] {
            assert!(has(TextFormat::DateTime, text), "{text}");
        }
        for text in
            ["2026-11-28", "2026-11-28T1:00:00Z", "2026-11-28T00:00:00", "2026-11-28T00:00:00.Z"]
        {
            assert!(!has(TextFormat::DateTime, text), "{text}");
        }
        assert!(has(TextFormat::Uuid, "9f0c1e2d-0000-4000-8000-0123456789AB"));
        assert!(!has(TextFormat::Uuid, "9f0c1e2d00004000800000123456789ab"));
        assert!(has(TextFormat::Ipv4, "192.0.2.1") && !has(TextFormat::Ipv4, "192.0.2"));
        assert!(has(TextFormat::Ipv6, "::1") && !has(TextFormat::Ipv6, "1"));
    }
}
