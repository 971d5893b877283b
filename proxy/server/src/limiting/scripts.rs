//! What Redis is asked: each question is one script, which runs as a whole, about keys whose
//! names tell nothing of clients.

use portcullis_limits::{Ask, CommonBucket, CommonWindow, Cycle, Day, Grant, Period};
use redis::{Script, ScriptInvocation};
use ring::digest::{Context, SHA256};

use super::leases::KeyId;

const DAY_MS: u64 = 24 * 3_600_000;
const MS_NS: u64 = 1_000_000;
/// How long the requests of a day are shown after the last one of their month.
const SHOWN_MS: u64 = 400 * DAY_MS;

/// The scripts, and what the names of their keys begin with.
pub(super) struct Scripts {
    prefix: String,
    take: Script,
    quota: Script,
    forgive: Script,
    window: Script,
}

/// What Redis answers who asks for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    /// What it grants.
    pub(super) grant: Grant,
    /// In which epoch of a quota, or period of a window; 0 for buckets.
    pub(super) epoch: u64,
    /// Until the period of a window ends, in nanoseconds; else for ever.
    pub(super) lasts_ns: u64,
}

/// A quota of somebody on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommonQuota {
    /// Whose it is: see [`account_id`].
    pub(super) account: KeyId,
    /// How many requests in a period.
    pub(super) limit: u64,
    /// Which period.
    pub(super) period: Period,
    /// The day on which requests count.
    pub(super) today: Day,
    /// What this gateway counted of the period by itself.
    pub(super) own: i64,
    /// At most one part of so many of what is left is granted at a time.
    pub(super) parts: u64,
}

/// What is told of a quota or of a window beside what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// Requests that were taken and not made.
    pub(super) back: u64,
    /// When these were taken.
    pub(super) epoch: u64,
    /// Requests that were made and not taken.
    pub(super) owed: u64,
}

/// How many requests of a quota are forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgiven {
    /// All.
    All,
    /// So many.
    Some(u64),
}

impl CommonQuota {
    /// Until the period ends, in nanoseconds.
    pub(super) fn ends_in_ns(&self, unix_ms: u64) -> u64 {
        self.ends_in_ms(unix_ms).saturating_mul(1_000_000)
    }

    fn ends_in_ms(&self, unix_ms: u64) -> u64 {
        self.period.next(self.today).begins_ms().saturating_sub(unix_ms)
    }

    /// What it is known by in a table: a day of a quota.
    pub(super) fn id(&self) -> KeyId {
        let own = u128::from(self.today.number()) << 8 | self.period as u128;
        (u128::from_be_bytes(self.account) ^ own).to_be_bytes()
    }
}

impl Scripts {
    /// Scripts about keys with this prefix.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            take: Script::new(include_str!("take.lua")),
            quota: Script::new(include_str!("quota.lua")),
            forgive: Script::new(include_str!("forgive.lua")),
            window: Script::new(include_str!("window.lua")),
        }
    }

    /// Takes tokens of a bucket, and puts some back.
    pub(super) fn take(
        &self,
        id: &KeyId,
        (bucket, ask, back): (&CommonBucket, Ask, u64),
    ) -> ScriptInvocation<'_> {
        self.take_of(&format!("{:032x}", u128::from_be_bytes(*id)), (bucket, ask, back))
    }

    /// Takes a token of a bucket that is nobody's.
    pub(super) fn trial(&self, bucket: &CommonBucket) -> ScriptInvocation<'_> {
        self.take_of("trial", (bucket, Ask { need: 0, wish: 1 }, 0))
    }

    fn take_of(
        &self,
        name: &str,
        (bucket, ask, back): (&CommonBucket, Ask, u64),
    ) -> ScriptInvocation<'_> {
        let CommonBucket { tick_us, per_tick, per_token, capacity } = *bucket;
        let mut call = self.take.key(format!("{}:limit:{name}", self.prefix));
        for number in [tick_us, per_tick, per_token, capacity, ask.need, ask.wish, back] {
            call.arg(number);
        }
        call
    }

    /// Takes of a window, puts some back, and adds what passed without asking.
    pub(super) fn window(
        &self,
        id: &KeyId,
        (window, ask, told): (&CommonWindow, Ask, Told),
        unix_ms: u64,
    ) -> ScriptInvocation<'_> {
        let CommonWindow { limit, cycle, slides, parts } = *window;
        let id = u128::from_be_bytes(*id);
        let mut call = self.window.key(format!("{}:window:{id:032x}", self.prefix));
        let (need, wish, Told { back, epoch, owed }) = (ask.need, ask.wish, told);
        let (slides, length) = (u64::from(slides), cycle.longest_ms());
        for number in [limit, slides, length, need, wish, parts, back, epoch, owed] {
            call.arg(number);
        }
        if let Cycle::Calendar(_) = cycle {
            for begins in cycle.begins_around(unix_ms) {
                call.arg(begins);
            }
        }
        call
    }

    /// Takes requests of a quota, and puts some back.
    pub(super) fn quota(
        &self,
        quota: &CommonQuota,
        (ask, told): (Ask, Told),
        unix_ms: u64,
    ) -> ScriptInvocation<'_> {
        let mut call = self.quota.key(self.period(quota));
        call.key(self.month(&quota.account, quota.today));
        for number in
            [quota.limit, ask.need, ask.wish, quota.parts, told.back, told.epoch, told.owed]
        {
            call.arg(number);
        }
        call.arg(quota.own).arg(kept_ms(quota, unix_ms)).arg(quota.today.number()).arg(SHOWN_MS);
        call
    }

    /// Forgives requests of a quota.
    pub(super) fn forgive(
        &self,
        quota: &CommonQuota,
        forgiven: Forgiven,
        unix_ms: u64,
    ) -> ScriptInvocation<'_> {
        let mut call = self.forgive.key(self.period(quota));
        match forgiven {
            Forgiven::All => call.arg("all"),
            Forgiven::Some(requests) => call.arg(requests),
        };
        call.arg(quota.own).arg(kept_ms(quota, unix_ms));
        call
    }

    /// The key that counts a period of a quota.
    pub(super) fn period(&self, quota: &CommonQuota) -> String {
        let (account, period) = (u128::from_be_bytes(quota.account), quota.period);
        let first = period.first(quota.today);
        format!("{}:quota:{account:032x}:{}:{first}", self.prefix, period.as_str())
    }

    /// The key that has the requests of a month, by day.
    pub(super) fn month(&self, account: &KeyId, day: Day) -> String {
        let account = u128::from_be_bytes(*account);
        format!("{}:usage:{account:032x}:{}", self.prefix, Period::Month.first(day))
    }
}

/// For how long a period is remembered: until it has ended by everybody's clock.
fn kept_ms(quota: &CommonQuota, unix_ms: u64) -> u64 {
    quota.ends_in_ms(unix_ms).saturating_add(DAY_MS)
}

/// What an account is called where gateways share its quota: a digest of its name.
pub(super) fn account_id(account: &str) -> KeyId {
    let mut digest = Context::new(&SHA256);
    digest.update(b"quota of ");
    digest.update(account.as_bytes());
    shortened(digest)
}

/// As much of a digest as tells keys apart.
pub(super) fn shortened(digest: Context) -> KeyId {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest.finish().as_ref()) {
        *to = *from;
    }
    id
}

/// What a bucket's script answers: tokens, tokens left, microseconds.
pub(super) fn of_bucket((tokens, left, wait_us): (u64, u64, u64)) -> Answered {
    let grant = Grant { tokens, left, wait_ns: wait_us.saturating_mul(1000) };
    Answered { grant, epoch: 0, lasts_ns: u64::MAX }
}

/// What a quota's script answers: requests, requests left, the epoch.
pub(super) fn of_quota((tokens, left, epoch): (u64, u64, u64), ends_in_ns: u64) -> Answered {
    let wait_ns = if tokens > 0 { 0 } else { ends_in_ns };
    Answered { grant: Grant { tokens, left, wait_ns }, epoch, lasts_ns: u64::MAX }
}

/// What a window's script answers: tokens, tokens left, the period, milliseconds until it ends,
/// and milliseconds to wait.
pub(super) fn of_window(answer: (u64, u64, u64, u64, u64)) -> Answered {
    let (tokens, left, epoch, ends_ms, wait_ms) = answer;
    let grant = Grant { tokens, left, wait_ns: wait_ms.saturating_mul(MS_NS) };
    // The server's millisecond may be nearly over: so a lease never outlasts its period.
    Answered { grant, epoch, lasts_ns: ends_ms.saturating_sub(1).saturating_mul(MS_NS) }
}

#[cfg(test)]
mod tests;
