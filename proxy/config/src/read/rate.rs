//! Rates as people write them: `100` or `0.5` in a second, `"100/1m"`.

use portcullis_limits::RateProblem;
use serde_json::{Value as Json, json};

use super::Read;
use crate::diagnostic::{Diagnostic, Problems};
use crate::tree::{Node, Value};
use crate::units;

/// Digits after the point that a rate may have.
const DECIMALS: usize = 6;

/// So many in so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// The rate.
    pub(crate) rate: portcullis_limits::Rate,
    /// The number in it: how many come at once where nothing else is said.
    pub(crate) number: u64,
}

impl Read for Rate {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Integer(_) | Value::Float(_) | Value::String(_))
    }

    fn expected() -> String {
        "a rate, as `100` in a second or `\"100/1m\"`".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let parsed = match &node.value {
            Value::Integer(number) => per_second(&number.to_string()).map(Self::of_second),
            Value::Float(number) => per_second(&number.to_string()).map(Self::of_second),
            Value::String(text) => in_period(text).map(|rate| Self { rate, number: rate.count() }),
            _ => return None,
        };
        let help = "rates are written as `100` or `0.5` in a second, or `\"100/1m\"`";
        match parsed {
            Ok(rate) => return Some(rate),
            Err(problem @ Problem::Rate(RateProblem::Zero)) => problems.add(
                Diagnostic::at(&node.place, problem.to_string())
                    .with_help("to close a route, take it out or `respond`"),
            ),
            Err(problem) => {
                problems.add(Diagnostic::at(&node.place, problem.to_string()).with_help(help));
            }
        }
        None
    }

    fn schema() -> Json {
        json!({ "title": "rate", "oneOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": "^[0-9]+/([0-9]+(ms|s|m|h|d))+$" },
        ] })
    }
}

impl Rate {
    /// A fraction counts as one.
    fn of_second(rate: portcullis_limits::Rate) -> Self {
        let number = (rate.count() * 1_000_000_000).div_ceil(rate.period_ns());
        Self { rate, number }
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("this is no rate")]
    NoRate,
    #[error("a rate has at most {DECIMALS} digits after the point")]
    Decimals,
    #[error("{0}")]
    Rate(#[from] RateProblem),
}

/// A decimal number of them in a second, as exactly as it is written.
fn per_second(text: &str) -> Result<portcullis_limits::Rate, Problem> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(Problem::NoRate);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > DECIMALS {
        return Err(Problem::Decimals);
    }
    let count = format!("{whole}{fraction}").parse().map_err(|_| RateProblem::TooMany)?;
    let period_ms = fraction.bytes().fold(1000, |period, _| period * 10);
    Ok(portcullis_limits::Rate::new(count, period_ms)?)
}

/// So many in a duration.
fn in_period(text: &str) -> Result<portcullis_limits::Rate, Problem> {
    let (count, period) = text.split_once('/').ok_or(Problem::NoRate)?;
    let count: u64 = count.trim().parse().map_err(|_| Problem::NoRate)?;
    let period = units::duration(period.trim()).map_err(|_| Problem::NoRate)?;
    let period_ms = u64::try_from(period.as_millis()).map_err(|_| RateProblem::Period)?;
    Ok(portcullis_limits::Rate::new(count, period_ms)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rate: Result<portcullis_limits::Rate, Problem>) -> String {
        rate.map_or_else(|problem| problem.to_string(), |rate| rate.to_string())
    }

    #[test]
    fn rates_are_taken_as_written() {
        for (text, expected) in [
            ("100", "100/s"),
            ("0.5", "5/10s"),
            ("2.50", "25/10s"),
            ("0.000001", "1/1000000s"),
            ("0.0000001", "a rate has at most 6 digits after the point"),
            ("0", "a rate of zero lets nothing pass"),
            ("-1", "this is no rate"),
            ("inf", "this is no rate"),
            ("1e300", "this is no rate"),
            ("99999999999999999999999", "a rate counts to at most 1000000000"),
        ] {
            assert_eq!(shown(per_second(text)), expected, "{text}");
        }
        for (text, expected) in [
            ("100/1m", "100/m"),
            ("5 / 1h30m", "5/90m"),
            ("5", "this is no rate"),
            ("5/m", "this is no rate"),
            ("x/1m", "this is no rate"),
            ("5/0s", "a rate's period is from 1ms to 31d"),
            ("5/32d", "a rate's period is from 1ms to 31d"),
        ] {
            assert_eq!(shown(in_period(text)), expected, "{text}");
        }
    }
}
