//! Keeps the keys of one issuer fresh: when to fetch next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_config::KeyTimes;

use super::fetch::Fetcher;
use super::issuer::Issuer;

/// How often keys are fetched where neither operator nor issuer says it.
const REFRESH: Duration = Duration::from_secs(60 * 60);
/// Between these an issuer may say how long its keys hold.
const MAX_AGE: (Duration, Duration) =
    (Duration::from_secs(5 * 60), Duration::from_secs(24 * 60 * 60));
/// The pause after the first failure; it doubles with each more.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Fetches now, and again and again.
pub(super) async fn run(issuer: Arc<Issuer>, mut fetcher: Fetcher) {
    let times = issuer.source.times;
    let mut failures = 0;
    loop {
        issuer.begin();
        let fetched = fetcher.fetch().await;
        let pause = match &fetched {
            Ok(fetched) => {
                failures = 0;
                jittered(refresh(times, fetched.max_age))
            }
            Err(_) => {
                failures += 1;
                jittered(back_off(failures).min(times.refresh.unwrap_or(REFRESH)))
            }
        };
        issuer.end(fetched);
        wait(&issuer, Instant::now() + pause).await;
    }
}

/// Waits until then, or until somebody asks for a fetch; keys that have become too old
/// meanwhile are forgotten.
async fn wait(issuer: &Issuer, until: Instant) {
    loop {
        let too_old = issuer.fetched().map(|fetched| fetched + issuer.source.times.max_stale);
        let next = too_old.map_or(until, |too_old| too_old.min(until));
        tokio::select! {
            () = issuer.wanted.notified() => return,
            () = tokio::time::sleep_until(next.into()) => {}
        }
        let now = Instant::now();
        if too_old.is_some_and(|too_old| too_old <= now) {
            issuer.forget();
        }
        if until <= now {
            return;
        }
    }
}

fn refresh(times: KeyTimes, max_age: Option<Duration>) -> Duration {
    let said = max_age.map(|age| age.clamp(MAX_AGE.0, MAX_AGE.1));
    times.refresh.or(said).unwrap_or(REFRESH).min(times.max_stale)
}

fn back_off(failures: u32) -> Duration {
    let doubled = 1 << failures.saturating_sub(1).min(16);
    (PAUSE * doubled).min(LONGEST_PAUSE)
}

/// Between half of it and all of it, so that gateways do not ask all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use portcullis_config::IssuerGrant;

    use super::*;

    #[test]
    fn the_operator_says_how_often_then_the_issuer() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let silent = IssuerGrant::default().times;
        let written = KeyTimes { refresh: seconds(7), ..silent };

        assert_eq!(refresh(written, seconds(600)).as_secs(), 7);
        assert_eq!(refresh(silent, seconds(600)).as_secs(), 600);
        assert_eq!(refresh(silent, seconds(0)).as_secs(), 300);
        assert_eq!(refresh(silent, seconds(u64::MAX)).as_secs(), 86_400);
        assert_eq!(refresh(silent, None).as_secs(), 3600);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u64> = (1..9).map(|failures| back_off(failures).as_secs()).collect();

        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(back_off(u32::MAX).as_secs(), 60);
    }
}
