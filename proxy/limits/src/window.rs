//! Windows: so much in each period, or in any stretch of a length.
//!
//! Both go by the calendar's clock, so that gateways, and one gateway before and after a
//! start, mean the same windows. A clock that is set back keeps them in the window they
//! are in.

use std::fmt;

use time::{Date, Month, OffsetDateTime};

use crate::Now;
use crate::bucket::Empty;
use crate::policy::{Standing, Word};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 3600 * SECOND_MS;
const MS_NS: u64 = 1_000_000;

/// A stretch of time that another follows, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// So many milliseconds, the first from 1970-01-01T00:00:00Z.
    Length(u64),
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month of the calendar.
    Month,
}

/// So much in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    limit: u64,
    period: Period,
}

/// So much in any stretch of a length, as estimated from two periods of that length: what
/// the last one took counts by the share of it that the stretch still covers, as though it
/// had come evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindow {
    limit: u32,
    length_ms: u64,
}

/// Why there is no such window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowProblem {
    /// Nothing would ever pass.
    #[error("a limit of zero lets nothing pass")]
    NoLimit,
    /// More than can be counted.
    #[error("a window counts to at most {}", FixedWindow::MOST)]
    TooMany,
    /// Shorter than a second, or longer than 31 days.
    #[error("a window is from 1s to 31d long")]
    Length,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(ms) if ms.is_multiple_of(SECOND_MS) => write!(f, "{} s", ms / SECOND_MS),
            Self::Length(ms) => write!(f, "{ms} ms"),
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
        }
    }
}

impl Period {
    /// Its number since 1970, and when it began and ends.
    fn at(self, unix_ms: u64) -> Turn {
        let even = |length: u64, shift: u64| {
            let number = (unix_ms + shift) / length;
            Turn {
                number,
                begins_ms: (number * length).saturating_sub(shift),
                ends_ms: (number + 1) * length - shift,
            }
        };
        match self {
            Self::Length(length) => even(length.max(1), 0),
            Self::Day => even(DAY_MS, 0),
            // The first of January 1970 was a Thursday.
            Self::Week => even(7 * DAY_MS, 3 * DAY_MS),
            Self::Month => month(unix_ms).unwrap_or_else(|| even(31 * DAY_MS, 0)),
        }
    }

    /// When the period that a moment is in began and when it ends, in milliseconds since
    /// 1970.
    pub fn bounds_ms(self, unix_ms: u64) -> (u64, u64) {
        let turn = self.at(unix_ms);
        (turn.begins_ms, turn.ends_ms)
    }

    /// How long a period is at most, in milliseconds.
    pub fn longest_ms(self) -> u64 {
        match self {
            Self::Length(length) => length,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
            Self::Month => 31 * DAY_MS,
        }
    }
}

/// One of the periods that follow one another.
#[derive(Debug, Clone, Copy)]
struct Turn {
    number: u64,
    begins_ms: u64,
    ends_ms: u64,
}

/// None beyond the year 9999.
fn month(unix_ms: u64) -> Option<Turn> {
    let second = i64::try_from(unix_ms / SECOND_MS).ok()?;
    let date = OffsetDateTime::from_unix_timestamp(second).ok()?.date();
    let (year, month) = (date.year(), date.month());
    let next_year = if month == Month::December { year + 1 } else { year };
    let midnight = |year, month| {
        let date = Date::from_calendar_date(year, month, 1).ok()?;
        let second = date.midnight().assume_utc().unix_timestamp();
        Some(u64::try_from(second).ok()? * SECOND_MS)
    };
    Some(Turn {
        number: u64::try_from(year).ok()? * 12 + u64::from(u8::from(month)),
        begins_ms: midnight(year, month)?,
        ends_ms: midnight(next_year, month.next())?,
    })
}

impl FixedWindow {
    /// The most that a window counts to.
    pub const MOST: u64 = u32::MAX as u64;
    /// The longest window, in milliseconds.
    const LONGEST_MS: u64 = 31 * DAY_MS;

    /// So much in each period.
    ///
    /// # Errors
    ///
    /// Where one of them is out of bounds.
    pub fn new(limit: u64, period: Period) -> Result<Self, WindowProblem> {
        check(limit, period.longest_ms())?;
        Ok(Self { limit, period })
    }

    /// How much in each period.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The period.
    pub fn period(&self) -> Period {
        self.period
    }

    /// The words of it: the period's number plus one, and what was taken in it.
    fn turn(&self, word: Word, now: Now) -> (Turn, Word) {
        let turn = self.period.at(now.unix_ms);
        let mark = turn.number + 1;
        (turn, if word.main < mark { Word { main: mark, extra: 0 } } else { word })
    }

    pub(crate) fn take(&self, word: Word, cost: u64, now: Now) -> Result<Word, Empty> {
        let (turn, word) = self.turn(word, now);
        let extra = word.extra.saturating_add(cost);
        if extra <= self.limit {
            return Ok(Word { extra, ..word });
        }
        let wait = turn.ends_ms.saturating_sub(now.unix_ms) * MS_NS;
        Err(Empty { wait_ns: (cost <= self.limit).then_some(wait) })
    }

    pub(crate) fn give_back(&self, word: Word, after: Word, cost: u64) -> Word {
        if word.main != after.main {
            return word;
        }
        Word { extra: word.extra.saturating_sub(cost), ..word }
    }

    pub(crate) fn standing(&self, word: Word, now: Now) -> Standing {
        let (turn, word) = self.turn(word, now);
        let wait = turn.ends_ms.saturating_sub(now.unix_ms) * MS_NS;
        Standing {
            remaining: self.limit.saturating_sub(word.extra),
            wait_ns: Some(if word.extra == 0 { 0 } else { wait }),
        }
    }

    pub(crate) fn is_idle(&self, word: Word, now: Now) -> bool {
        self.turn(word, now).1.extra == 0
    }
}

/// What a sliding window's word says.
#[derive(Debug, Clone, Copy)]
struct Two {
    /// The number of the later period.
    number: u64,
    before: u64,
    current: u64,
    /// How far into the later period it is, in milliseconds.
    into_ms: u64,
}

impl SlidingWindow {
    /// So much in any stretch of this many milliseconds.
    ///
    /// # Errors
    ///
    /// Where one of them is out of bounds.
    pub fn new(limit: u64, length_ms: u64) -> Result<Self, WindowProblem> {
        check(limit, length_ms)?;
        let limit = u32::try_from(limit).map_err(|_| WindowProblem::TooMany)?;
        Ok(Self { limit, length_ms })
    }

    /// How much in any stretch.
    pub fn limit(&self) -> u64 {
        u64::from(self.limit)
    }

    /// How long the stretch is, in milliseconds.
    pub fn length_ms(&self) -> u64 {
        self.length_ms
    }

    fn read(&self, word: Word, now: Now) -> Two {
        let turn = Period::Length(self.length_ms).at(now.unix_ms);
        let into_ms = now.unix_ms.saturating_sub(turn.begins_ms);
        let (before, current) = (word.extra >> 32, word.extra & u64::from(u32::MAX));
        let mark = turn.number + 1;
        let number = turn.number;
        match mark.checked_sub(word.main) {
            Some(0) => Two { number, before, current, into_ms },
            Some(1) if word.main > 0 => Two { number, before: current, current: 0, into_ms },
            Some(_) => Two { number, before: 0, current: 0, into_ms },
            // The clock was set back: the later window has only begun.
            None => Two { number: word.main - 1, before, current, into_ms: 0 },
        }
    }

    /// What counts of it now, never too little.
    fn used(&self, two: &Two) -> u64 {
        two.current.saturating_add(self.weighed(two.before, two.into_ms))
    }

    fn weighed(&self, before: u64, into_ms: u64) -> u64 {
        let left = self.length_ms.saturating_sub(into_ms);
        let share = (u128::from(before) * u128::from(left)).div_ceil(u128::from(self.length_ms));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// How far into a period no more than `room` counts of the `before`.
    fn until(&self, before: u64, room: u64) -> u64 {
        let covered = u128::from(room) * u128::from(self.length_ms);
        let covered = covered.checked_div(u128::from(before)).unwrap_or(u128::MAX);
        self.length_ms.saturating_sub(u64::try_from(covered).unwrap_or(u64::MAX))
    }

    /// Until there would be so much, in nanoseconds; `None` for never.
    fn wait_ns(&self, two: &Two, cost: u64) -> Option<u64> {
        let most = self.limit().checked_sub(cost)?;
        let at = match most.checked_sub(two.current) {
            Some(room) => self.until(two.before, room),
            None => self.length_ms + self.until(two.current, most),
        };
        Some(at.saturating_sub(two.into_ms) * MS_NS)
    }

    pub(crate) fn take(&self, word: Word, cost: u64, now: Now) -> Result<Word, Empty> {
        let two = self.read(word, now);
        if self.used(&two).saturating_add(cost) > self.limit() {
            return Err(Empty { wait_ns: self.wait_ns(&two, cost) });
        }
        Ok(Self::word(&two, two.current + cost))
    }

    /// Counts are within a limit of 32 bits.
    fn word(two: &Two, current: u64) -> Word {
        Word { main: two.number + 1, extra: (two.before << 32) | current }
    }

    pub(crate) fn give_back(&self, word: Word, after: Word, cost: u64) -> Word {
        let (before, current) = (word.extra >> 32, word.extra & u64::from(u32::MAX));
        let (before, current) = match word.main.checked_sub(after.main) {
            Some(0) => (before, current.saturating_sub(cost)),
            Some(1) => (before.saturating_sub(cost), current),
            _ => return word,
        };
        Word { extra: (before << 32) | current, ..word }
    }

    pub(crate) fn standing(&self, word: Word, now: Now) -> Standing {
        let two = self.read(word, now);
        let remaining = self.limit().saturating_sub(self.used(&two));
        let wait_ns =
            if remaining < self.limit() { self.wait_ns(&two, remaining + 1) } else { Some(0) };
        Standing { remaining, wait_ns }
    }

    pub(crate) fn is_idle(&self, word: Word, now: Now) -> bool {
        let two = self.read(word, now);
        two.before == 0 && two.current == 0
    }
}

fn check(limit: u64, length_ms: u64) -> Result<(), WindowProblem> {
    if limit == 0 {
        return Err(WindowProblem::NoLimit);
    }
    if limit > FixedWindow::MOST {
        return Err(WindowProblem::TooMany);
    }
    if !(SECOND_MS..=FixedWindow::LONGEST_MS).contains(&length_ms) {
        return Err(WindowProblem::Length);
    }
    Ok(())
}
