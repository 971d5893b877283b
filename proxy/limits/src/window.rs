//! Windows: so much in each period, or in any stretch of a length.
//!
//! Both go by the calendar's clock, so that gateways, and one gateway before and after a
//! start, mean the same windows. A clock that is set back keeps them in the window they
//! are in.

use std::fmt;

use crate::Now;
use crate::bucket::Empty;
use crate::period::{Day, Period};
use crate::policy::{Standing, Word};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 3600 * SECOND_MS;
const MS_NS: u64 = 1_000_000;

/// Stretches of time that follow one another, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cycle {
    /// So many milliseconds each, the first from 1970-01-01T00:00:00Z.
    Length(u64),
    /// Periods of the calendar.
    Calendar(Period),
}

/// So much in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    limit: u64,
    cycle: Cycle,
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

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(ms) if ms.is_multiple_of(SECOND_MS) => write!(f, "{} s", ms / SECOND_MS),
            Self::Length(ms) => write!(f, "{ms} ms"),
            Self::Calendar(period) => f.write_str(period.as_str()),
        }
    }
}

impl Cycle {
    /// The stretch that a moment is in.
    fn at(self, unix_ms: u64) -> Turn {
        match self {
            Self::Length(length) => {
                let length = length.max(1);
                let number = unix_ms / length;
                Turn { number, begins_ms: number * length, ends_ms: (number + 1) * length }
            }
            Self::Calendar(period) => {
                let day = Day::at(unix_ms);
                let first = period.first(day);
                Turn {
                    number: first.number().into(),
                    begins_ms: first.begins_ms(),
                    ends_ms: period.next(day).begins_ms(),
                }
            }
        }
    }

    /// Until the stretch of a moment ends, in nanoseconds.
    pub fn ends_in_ns(self, unix_ms: u64) -> u64 {
        self.at(unix_ms).ends_ms.saturating_sub(unix_ms).saturating_mul(MS_NS)
    }

    /// When stretches begin, around a moment: the last one, that of the moment, the next one,
    /// and the one after it, in milliseconds since 1970.
    pub fn begins_around(self, unix_ms: u64) -> [u64; 4] {
        let now = self.at(unix_ms);
        let before = self.at(now.begins_ms.saturating_sub(1));
        [before.begins_ms, now.begins_ms, now.ends_ms, self.at(now.ends_ms).ends_ms]
    }

    /// How long a stretch is at most, in milliseconds.
    pub fn longest_ms(self) -> u64 {
        match self {
            Self::Length(length) => length,
            Self::Calendar(Period::Day) => DAY_MS,
            Self::Calendar(Period::Week) => 7 * DAY_MS,
            Self::Calendar(Period::Month) => 31 * DAY_MS,
        }
    }
}

/// One of them.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// Grows from one to the next, by one where all have a length.
    number: u64,
    begins_ms: u64,
    ends_ms: u64,
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
    pub fn new(limit: u64, cycle: Cycle) -> Result<Self, WindowProblem> {
        check(limit, cycle.longest_ms())?;
        Ok(Self { limit, cycle })
    }

    /// How much in each period.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// In which periods.
    pub fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// The words of it: the period's number plus one, and what was taken in it.
    fn turn(&self, word: Word, now: Now) -> (Turn, Word) {
        let turn = self.cycle.at(now.unix_ms);
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
        let turn = Cycle::Length(self.length_ms).at(now.unix_ms);
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
