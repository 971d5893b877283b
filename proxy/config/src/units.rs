//! Durations and sizes as people write them: `5s`, `1m30s`, `10MiB`.

use std::time::Duration;

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitProblem {
    /// A number without a unit.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit nobody knows.
    #[error("`{0}` is no unit here")]
    UnknownUnit(String),
    /// Something else than a number before a unit.
    #[error("`{0}` is not a number and a unit")]
    NoNumber(String),
    /// More than can be counted.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Units of time, in milliseconds.
const TIMES: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size, in bytes.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Parses a duration: one or more numbers with units, as `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitProblem> {
    let mut total: u64 = 0;
    let mut rest = text;
    loop {
        let (amount, unit, after) = quantity(rest, text)?;
        let part = scaled(amount, unit, TIMES, text)?;
        total = total.checked_add(part).ok_or_else(|| UnitProblem::TooLarge(text.to_owned()))?;
        if after.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        rest = after;
    }
}

/// Parses a size: a number with a unit, as `10MiB`.
pub(crate) fn size(text: &str) -> Result<u64, UnitProblem> {
    let (amount, unit, after) = quantity(text, text)?;
    if !after.is_empty() {
        return Err(UnitProblem::NoNumber(text.to_owned()));
    }
    scaled(amount, unit, SIZES, text)
}

/// The first number and unit of a text, and what follows them.
fn quantity<'t>(text: &'t str, whole: &str) -> Result<(u64, &'t str, &'t str), UnitProblem> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err(UnitProblem::NoNumber(whole.to_owned()));
    }
    let amount = number.parse().map_err(|_| UnitProblem::TooLarge(whole.to_owned()))?;
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    Ok((amount, unit, after))
}

fn scaled(amount: u64, unit: &str, units: &[(&str, u64)], whole: &str) -> Result<u64, UnitProblem> {
    if unit.is_empty() {
        return Err(UnitProblem::NoUnit(whole.to_owned()));
    }
    let known = units.iter().find(|(name, _)| *name == unit);
    let (_, factor) = known.ok_or_else(|| UnitProblem::UnknownUnit(unit.to_owned()))?;
    amount.checked_mul(*factor).ok_or_else(|| UnitProblem::TooLarge(whole.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up() {
        let millis = |text| duration(text).unwrap().as_millis();
        assert_eq!(millis("5s"), 5_000);
        assert_eq!(millis("250ms"), 250);
        assert_eq!(millis("1m30s"), 90_000);
        assert_eq!(millis("1h"), 3_600_000);
        assert_eq!(millis("2d"), 172_800_000);
    }

    #[test]
    fn sizes_know_both_kinds_of_unit() {
        assert_eq!(size("10MiB"), Ok(10 << 20));
        assert_eq!(size("64KiB"), Ok(64 << 10));
        assert_eq!(size("1MB"), Ok(1_000_000));
        assert_eq!(size("7B"), Ok(7));
    }

    #[test]
    fn what_is_no_quantity_says_why() {
        assert_eq!(duration("5"), Err(UnitProblem::NoUnit("5".into())));
        assert_eq!(duration("5 s"), Err(UnitProblem::UnknownUnit(" s".into())));
        assert_eq!(duration(""), Err(UnitProblem::NoNumber(String::new())));
        assert_eq!(
            duration("99999999999999d"),
            Err(UnitProblem::TooLarge("99999999999999d".into()))
        );
        assert_eq!(size("1MiB2"), Err(UnitProblem::NoNumber("1MiB2".into())));
        assert_eq!(size("1mb"), Err(UnitProblem::UnknownUnit("mb".into())));
    }
}
