//! So many in so long.

use std::fmt;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// A count in a period, as `100/s` or `5/1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u64,
    period_ns: u64,
}

/// Why there is no such rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateProblem {
    /// Nothing would ever pass.
    #[error("a rate of zero lets nothing pass")]
    Zero,
    /// More than can be counted.
    #[error("a rate counts to at most {}", Rate::MOST)]
    TooMany,
    /// Shorter than a millisecond, or longer than 31 days.
    #[error("a rate's period is from 1ms to 31d")]
    Period,
}

impl Rate {
    /// The most that a rate counts to.
    pub const MOST: u64 = 1_000_000_000;
    /// The longest period, in milliseconds.
    const LONGEST_MS: u64 = 31 * 24 * 3600 * 1000;

    /// So many in so many milliseconds.
    ///
    /// # Errors
    ///
    /// Where one of them is out of bounds.
    pub fn new(count: u64, period_ms: u64) -> Result<Self, RateProblem> {
        if count == 0 {
            return Err(RateProblem::Zero);
        }
        if count > Self::MOST {
            return Err(RateProblem::TooMany);
        }
        if period_ms == 0 || period_ms > Self::LONGEST_MS {
            return Err(RateProblem::Period);
        }
        Ok(Self { count, period_ns: period_ms * MS })
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// In how many nanoseconds.
    pub fn period_ns(&self) -> u64 {
        self.period_ns
    }

    /// How many whole ones in a second.
    pub fn per_second(&self) -> u64 {
        let in_second = u128::from(self.count) * u128::from(SECOND) / u128::from(self.period_ns);
        u64::try_from(in_second).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("d", 86_400 * SECOND), ("h", 3_600 * SECOND), ("m", 60 * SECOND)];
        let units = units.into_iter().chain([("s", SECOND), ("ms", MS)]);
        for (unit, length) in units {
            if self.period_ns.is_multiple_of(length) {
                return match self.period_ns / length {
                    1 => write!(f, "{}/{unit}", self.count),
                    several => write!(f, "{}/{several}{unit}", self.count),
                };
            }
        }
        write!(f, "{}/{}ns", self.count, self.period_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shown_with_their_longest_unit() {
        let shown = |count, period_ms| Rate::new(count, period_ms).map(|rate| rate.to_string());
        assert_eq!(shown(100, 1000), Ok("100/s".into()));
        assert_eq!(shown(5, 60_000), Ok("5/m".into()));
        assert_eq!(shown(1, 2000), Ok("1/2s".into()));
        assert_eq!(shown(7, 36 * 3_600_000), Ok("7/36h".into()));
        assert_eq!(shown(7, 250), Ok("7/250ms".into()));
        assert_eq!(shown(0, 250), Err(RateProblem::Zero));
        assert_eq!(shown(1 << 30, 250), Err(RateProblem::TooMany));
        assert_eq!(shown(1, 32 * 24 * 3_600_000), Err(RateProblem::Period));
        assert_eq!(Rate::new(5, 60_000).unwrap().per_second(), 0);
    }
}
