//! Days, weeks and months in UTC.

use std::fmt;
use std::str::FromStr;

use time::{Date, Month};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// The Julian day of 1970-01-01.
const EPOCH: i32 = 2_440_588;

/// A day in UTC, up to the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

/// A text that names no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a day as `2026-11-29`")]
pub struct DayProblem;

impl Day {
    /// The day of a moment in milliseconds since 1970.
    pub fn at(time_ms: u64) -> Self {
        Self::from_number(u32::try_from(time_ms / DAY_MS).unwrap_or(u32::MAX))
    }

    /// The day so many days after 1970-01-01; the last one there is for larger numbers.
    pub fn from_number(number: u32) -> Self {
        let julian = i32::try_from(number).ok().and_then(|number| number.checked_add(EPOCH));
        Self(julian.and_then(|day| Date::from_julian_day(day).ok()).unwrap_or(Date::MAX))
    }

    /// How many days after 1970-01-01 it is.
    pub fn number(self) -> u32 {
        u32::try_from(self.0.to_julian_day() - EPOCH).unwrap_or(0)
    }

    /// When it begins, in milliseconds since 1970.
    pub fn begins_ms(self) -> u64 {
        u64::from(self.number()) * DAY_MS
    }

    fn plus(self, days: u32) -> Self {
        Self::from_number(self.number().saturating_add(days))
    }

    fn minus(self, days: u32) -> Self {
        Self::from_number(self.number().saturating_sub(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl FromStr for Day {
    type Err = DayProblem;

    fn from_str(text: &str) -> Result<Self, DayProblem> {
        let number = |text: Option<&str>, digits: usize| {
            let text = text.filter(|text| text.len() == digits).ok_or(DayProblem)?;
            text.parse::<u16>().map_err(|_| DayProblem)
        };
        let mut parts = text.split('-');
        let year = number(parts.next(), 4)?;
        let month = u8::try_from(number(parts.next(), 2)?).map_err(|_| DayProblem)?;
        let day = u8::try_from(number(parts.next(), 2)?).map_err(|_| DayProblem)?;
        let month = Month::try_from(month).map_err(|_| DayProblem)?;
        let date = Date::from_calendar_date(year.into(), month, day).map_err(|_| DayProblem)?;
        match parts.next() {
            None if year >= 1970 => Ok(Self(date)),
            _ => Err(DayProblem),
        }
    }
}

/// What a quota is counted by. Weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// As it is written and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the period that a day is in.
    pub fn first(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            Self::Week => day.minus(day.0.weekday().number_days_from_monday().into()),
            Self::Month => day.minus(u32::from(day.0.day()) - 1),
        }
    }

    /// The first day after the period that a day is in.
    pub fn next(self, day: Day) -> Day {
        match self {
            Self::Day => day.plus(1),
            // The first week of 1970 has no Monday here.
            Self::Week => day.plus(7 - u32::from(day.0.weekday().number_days_from_monday())),
            Self::Month => {
                let first = self.first(day);
                first.plus(first.0.month().length(first.0.year()).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        assert_eq!(Day::at(0), day("1970-01-01"));
        assert_eq!(Day::at(DAY_MS - 1), day("1970-01-01"));
        assert_eq!(Day::at(DAY_MS), day("1970-01-02"));
        let last_of_february = Day::at(1_709_251_199_999);
        assert_eq!(last_of_february.to_string(), "2024-02-29");
        assert_eq!(Day::at(1_709_251_200_000).to_string(), "2024-03-01");
        assert_eq!(day("2024-03-01").begins_ms(), 1_709_251_200_000);
        assert_eq!(Day::at(u64::MAX).to_string(), "9999-12-31");
        for text in ["2023-02-29", "2024-13-01", "2024-1-1", "2024-01-01-01", "1969-12-31", "today"]
        {
            assert_eq!(text.parse::<Day>(), Err(DayProblem), "{text}");
        }
    }

    #[test]
    fn periods_end_where_the_calendar_says() {
        for (period, within, first, next) in [
            (Period::Day, "2026-12-31", "2026-12-31", "2027-01-01"),
            (Period::Week, "2026-11-29", "2026-11-23", "2026-11-30"),
            (Period::Week, "2026-11-30", "2026-11-30", "2026-12-07"),
            (Period::Week, "2027-01-01", "2026-12-28", "2027-01-04"),
            (Period::Week, "2024-02-29", "2024-02-26", "2024-03-04"),
            (Period::Month, "2026-11-01", "2026-11-01", "2026-12-01"),
            (Period::Month, "2026-12-31", "2026-12-01", "2027-01-01"),
            (Period::Month, "2024-02-29", "2024-02-01", "2024-03-01"),
            (Period::Month, "2023-02-28", "2023-02-01", "2023-03-01"),
            (Period::Month, "2000-02-10", "2000-02-01", "2000-03-01"),
            (Period::Month, "2100-02-28", "2100-02-01", "2100-03-01"),
        ] {
            assert_eq!(period.first(day(within)).to_string(), first, "{period:?} of {within}");
            assert_eq!(period.next(day(within)).to_string(), next, "{period:?} of {within}");
        }
    }

    #[test]
    fn every_day_is_in_the_period_that_it_names() {
        for number in 0..30_000 {
            let day = Day::from_number(number);
            assert_eq!(day.to_string().parse(), Ok(day));
            for period in Period::ALL {
                let (first, next) = (period.first(day), period.next(day));
                assert!(first <= day && day < next, "{day}");
                assert_eq!(period.first(next), next, "{day}");
            }
        }
    }
}
