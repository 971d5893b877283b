//! Conditions of a statement, parsed.

use ipnet::IpNet;

use crate::arn::ArnPattern;
use crate::fact::{Facts, Value};
use crate::key::Key;
use crate::pattern::{Pattern, Template};
use crate::time;

/// One key of one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) key: Key,
    pub(crate) quantifier: Quantifier,
    pub(crate) sense: Sense,
    /// What it answers of a request without the key.
    pub(crate) without: bool,
    pub(crate) test: Test,
}

/// Which of several values a request has must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// Any of them; for a negated operator, all.
    Plain,
    /// `ForAnyValue:`.
    Any,
    /// `ForAllValues:`.
    All,
}

/// Whether an operator is negated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sense {
    Is,
    IsNot,
}

/// How two things of an order are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What the values are compared with: one of these must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Text(Vec<Template>),
    TextFolded(Vec<Template>),
    TextLike(Vec<Pattern>),
    Number(Comparison, Vec<Number>),
    Date(Comparison, Vec<i64>),
    Bool(Vec<bool>),
    Address(Vec<IpNet>),
    Arn(Vec<ArnPattern>),
    Null(Vec<bool>),
}

/// A finite number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(f64);

impl Condition {
    /// Whether it holds for a request.
    pub(crate) fn holds(&self, facts: &dyn Facts) -> bool {
        let fact = facts.fact(&self.key).filter(|fact| !fact.is_empty());
        if let Test::Null(wanted) = &self.test {
            return wanted.contains(&fact.is_none());
        }
        let Some(fact) = fact else { return self.without };
        let matches = |value| self.test.matches(value, facts);
        let passes = |value| matches(value) == (self.sense == Sense::Is);
        match self.quantifier {
            Quantifier::Plain => fact.values().any(matches) == (self.sense == Sense::Is),
            Quantifier::Any => fact.values().any(passes),
            Quantifier::All => fact.values().all(passes),
        }
    }
}

impl Test {
    fn matches(&self, value: Value<'_>, facts: &dyn Facts) -> bool {
        match self {
            Self::Text(wanted) => {
                let text = value.text();
                wanted.iter().any(|wanted| wanted.resolve(facts).is_some_and(|it| it == text))
            }
            Self::TextFolded(wanted) => {
                let text = value.text();
                let same = |wanted: &Template| {
                    wanted.resolve(facts).is_some_and(|it| folded(&it).eq(folded(&text)))
                };
                wanted.iter().any(same)
            }
            Self::TextLike(patterns) => {
                let text = value.text();
                patterns.iter().any(|pattern| pattern.matches(&text, facts))
            }
            Self::Number(comparison, wanted) => number(value).is_some_and(|number| {
                wanted.iter().any(|wanted| comparison.holds(&number, wanted))
            }),
            Self::Date(comparison, wanted) => {
                date(value).is_some_and(|date| wanted.iter().any(|it| comparison.holds(&date, it)))
            }
            Self::Bool(wanted) => truth(value).is_some_and(|truth| wanted.contains(&truth)),
            Self::Address(networks) => address(value)
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
            Self::Arn(patterns) => {
                let text = value.text();
                patterns.iter().any(|pattern| pattern.matches(&text, facts))
            }
            // Answered by `Condition::holds`: it asks of the key, not of a value.
            Self::Null(_) => false,
        }
    }
}

impl Comparison {
    fn holds<T: Ord>(self, fact: &T, wanted: &T) -> bool {
        match self {
            Self::Equal => fact == wanted,
            Self::Less => fact < wanted,
            Self::AtMost => fact <= wanted,
            Self::Greater => fact > wanted,
            Self::AtLeast => fact >= wanted,
        }
    }
}

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        // Without a negative zero, which is less than zero in a total order.
        text.bytes().all(plain).then_some(Self(number + 0.0))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// True or false, in whatever case.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A network or an address. A mapped IPv4 network is that IPv4 network.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    const MAPPED_PREFIX: u8 = 96;
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(|it| it.to_canonical().into()))
        .ok()?;
    let IpNet::V6(v6) = network else { return Some(network.trunc()) };
    let mapped = v6.addr().to_ipv4_mapped();
    let mapped = mapped.zip(v6.prefix_len().checked_sub(MAPPED_PREFIX));
    let v4 = mapped.and_then(|(address, prefix)| ipnet::Ipv4Net::new(address, prefix).ok());
    Some(v4.map_or(network, IpNet::V4).trunc())
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn number(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Text(text) => Number::parse(text),
        // Exact to 2^53, as the numbers of JSON are.
        Value::Number(number) => Some(Number(number as f64)),
        Value::Time(_) | Value::Bool(_) | Value::Address(_) => None,
    }
}

fn date(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Text(text) => time::parse(text),
        Value::Number(seconds) => seconds.checked_mul(1000),
        Value::Time(ms) => Some(ms),
        Value::Bool(_) | Value::Address(_) => None,
    }
}

fn truth(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(truth),
        Value::Text(text) => parse_bool(text),
        Value::Number(_) | Value::Time(_) | Value::Address(_) => None,
    }
}

fn address(value: Value<'_>) -> Option<std::net::IpAddr> {
    match value {
        Value::Address(address) => Some(address.to_canonical()),
        Value::Text(text) => text.parse::<std::net::IpAddr>().ok().map(|it| it.to_canonical()),
        Value::Number(_) | Value::Time(_) | Value::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite_and_zero_has_no_sign() {
        assert_eq!(Number::parse("-0"), Number::parse("0.0"));
        assert!(Number::parse("1e3") > Number::parse("999.5"));
        for text in ["", "one", "inf", "NaN", "1e999", "0x10", "1 "] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_mapped_network_is_that_network() {
        let network = |text| parse_network(text).map(|network| network.to_string());
        assert_eq!(network("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.1.2.3/104").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.1.2.3").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(network("2001:db8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(network("::/0").as_deref(), Some("::/0"));
        assert_eq!(network("10.0.0.0/33"), None);
    }
}
