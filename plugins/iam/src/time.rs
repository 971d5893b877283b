//! The times that signatures are made of, in seconds since 1970-01-01T00:00:00Z.

use std::fmt;

const DAY: u64 = 86_400;

/// A second between the years 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    /// A count of seconds; none past the year 9999.
    pub(crate) fn from_seconds(seconds: u64) -> Option<Self> {
        (seconds < days_from_civil(10_000, 1, 1)? * DAY).then_some(Self(seconds))
    }

    /// Reads `20260102T030405Z`, or what `Date` may hold.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::parse_basic(text).or_else(|| Self::parse_date(text))
    }

    /// Reads the basic format of ISO 8601: `20260102T030405Z`.
    pub(crate) fn parse_basic(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        if date.len() != 8 || time.len() != 6 {
            return None;
        }
        let part = |text: &str, from: usize, to: usize| digits(text.get(from..to)?);
        let day = days_from_civil(part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?)?;
        Self::at(day, part(time, 0, 2)?, part(time, 2, 4)?, part(time, 4, 6)?)
    }

    /// Reads `Fri, 02 Jan 2026 03:04:05 GMT` (RFC 9110 §5.6.7); Python writes `-0000`.
    fn parse_date(text: &str) -> Option<Self> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (_weekday, rest) = text.split_once(", ")?;
        let mut words = rest.split(' ');
        let day = digits(words.next()?)?;
        let month = words.next()?;
        let month = MONTHS.iter().position(|name| *name == month)?;
        let year = digits(words.next()?)?;
        let time = words.next()?;
        if !matches!(words.next()?, "GMT" | "UTC" | "-0000" | "+0000") || words.next().is_some() {
            return None;
        }
        let mut clock = time.split(':').map(digits);
        let mut next = || clock.next().flatten();
        let (hour, minute, second) = (next()?, next()?, next()?);
        if clock.next().is_some() {
            return None;
        }
        let day = days_from_civil(year, u64::try_from(month).ok()? + 1, day)?;
        Self::at(day, hour, minute, second)
    }

    fn at(day: u64, hour: u64, minute: u64, second: u64) -> Option<Self> {
        let holds = hour < 24 && minute < 60 && second < 60;
        holds.then(|| Self(day * DAY + hour * 3600 + minute * 60 + second))
    }

    /// The seconds.
    pub(crate) fn seconds(self) -> u64 {
        self.0
    }

    /// The day, as a credential's scope names it: `20260102`.
    pub(crate) fn date(self) -> String {
        let (year, month, day) = civil_from_days(self.0 / DAY);
        format!("{year:04}{month:02}{day:02}")
    }
}

/// The basic format of ISO 8601.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0 % DAY;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{}T{hour:02}{minute:02}{:02}Z", self.date(), second % 60)
    }
}

fn digits(text: &str) -> Option<u64> {
    let holds = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if holds { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar; none before 1970 and for a
/// day that its month does not have.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=month_length(year, month)).contains(&day)
    {
        return None;
    }
    let months: u64 = (1..month).map(|before| month_length(year, before)).sum();
    Some(days_before(year) + months + day - 1)
}

/// The year, month and day that a count of days since 1970-01-01 is.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // Not later than the year sought, and at most a few years before it.
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year);
    let mut month = 1;
    while rest >= month_length(year, month) {
        rest -= month_length(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

/// Days from 1970-01-01 to the first of a year from 1970 on.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    (year - 1970) * 365 + leaps(year) - leaps(1970)
}

fn month_length(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(Timestamp::parse(text).map(Timestamp::seconds), expected, "{text}");
    }

    #[test]
    fn times_are_read_in_the_forms_clients_send() {
        check("20260102T030405Z", Some(1_767_323_045));
        check("Fri, 02 Jan 2026 03:04:05 GMT", Some(1_767_323_045));
        check("Fri, 02 Jan 2026 03:04:05 -0000", Some(1_767_323_045));
        check("19700101T000000Z", Some(0));
        check("20000229T235959Z", Some(951_868_799));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "T",
            "20260102T030405",
            "20260102T030405z",
            "20260102t030405Z",
            "2026-01-02T03:04:05Z",
            "20260230T000000Z",
            "20260102T240000Z",
            "20260102T006000Z",
            "20260102T000060Z",
            "+0260102T030405Z",
            "19691231T235959Z",
            "20261301T000000Z",
            "20210229T000000Z",
            "Fri, 02 Jan 2026 03:04:05 CET",
            "Fri, 02 Foo 2026 03:04:05 GMT",
            "Fri, 02 Jan 2026 03:04 GMT",
            "Fri, 02 Jan 2026 03:04:05:06 GMT",
            "Fri, 02 Jan 2026 03:04:05 GMT x",
            "2026010éT0304Z",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0..253_402_300_800_u64) {
            let time = Timestamp::from_seconds(seconds).unwrap();
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
