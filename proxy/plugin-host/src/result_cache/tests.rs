use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use portcullis_pipeline::{Answer, Identity};
use tokio::sync::Notify;

use super::*;

fn rule(denials: Option<Duration>) -> CacheRule {
    CacheRule { life: Duration::from_secs(60), by: Vec::new(), denials }
}

fn shown((answer, use_): Answered) -> (bool, CacheUse) {
    (answer.is_ok(), use_)
}

fn denied() -> NoGrant {
    NoGrant::Denied(Denial::Unauthenticated(Reason::default()))
}

fn until(expires_at_ms: u64) -> Result<Grant, NoGrant> {
    Ok(Grant { expires_at_ms: Some(expires_at_ms), ..Grant::default() })
}

#[tokio::test]
async fn a_grant_is_kept_and_a_denial_is_not() {
    let cache = ResultCache::new(&rule(None));
    let grant = || async { Ok(Grant::default()) };
    let denial = || async { Err(NoGrant::Denied(Denial::NotMine)) };

    assert_eq!(shown(cache.get_or([1; 32], || 0, denial()).await), (false, CacheUse::Called));
    assert_eq!(shown(cache.get_or([1; 32], || 0, grant()).await), (true, CacheUse::Called));
    assert_eq!(shown(cache.get_or([1; 32], || 0, denial()).await), (true, CacheUse::Hit));
    assert_eq!(shown(cache.get_or([2; 32], || 0, grant()).await), (true, CacheUse::Called));
}

#[tokio::test]
async fn refusals_of_credentials_are_kept_where_that_is_wanted() {
    let cache = ResultCache::new(&rule(Some(Duration::from_secs(60))));
    let fault = NoGrant::Fault(PluginFault::Busy);
    let cases = [
        (denied(), CacheUse::Hit),
        (NoGrant::Denied(Denial::Forbidden(Reason::default())), CacheUse::Hit),
        (NoGrant::Denied(Denial::NotMine), CacheUse::Called),
        (fault, CacheUse::Called),
    ];

    for (number, (none, expected)) in (0..).zip(cases) {
        let first = cache.get_or([number; 32], || 0, async { Err(none) }).await;
        let second = cache.get_or([number; 32], || 0, async { Ok(Grant::default()) }).await;
        assert_eq!(shown(first), (false, CacheUse::Called), "{number}");
        assert_eq!(shown(second), (expected == CacheUse::Called, expected), "{number}");
    }
}

#[tokio::test]
async fn a_grant_is_never_kept_past_its_expiry() {
    let cache = ResultCache::new(&rule(None));

    let first = cache.get_or([1; 32], || 1_000, async { until(1_000) }).await;
    let second = cache.get_or([1; 32], || 1_000, async { Ok(Grant::default()) }).await;

    assert_eq!(shown(first), (true, CacheUse::Called));
    assert_eq!(shown(second), (true, CacheUse::Called));
}

#[tokio::test]
async fn a_grant_expires_by_the_time_of_its_answer_and_not_of_the_request() {
    let cache = ResultCache::new(&rule(None));
    let time = AtomicU64::new(0);
    let now = || time.load(Ordering::Relaxed);

    // The answer takes longer than the grant lives.
    let slow = async {
        time.store(2_000, Ordering::Relaxed);
        until(1_000)
    };
    assert_eq!(shown(cache.get_or([1; 32], now, slow).await), (true, CacheUse::Called));
    let next = cache.get_or([1; 32], now, async { until(3_000) }).await;
    assert_eq!(shown(next), (true, CacheUse::Called), "an expired grant was kept");

    // What is left is counted from the answer on.
    let kept = cache.kept(&Arc::new(until(3_000).unwrap()), 2_000).map(|kept| kept.life);
    assert_eq!(kept, Some(Duration::from_secs(1)));
    let hit = cache.get_or([1; 32], || 2_999, async { Err(denied()) }).await;
    assert_eq!(shown(hit), (true, CacheUse::Hit));
    let late = cache.get_or([1; 32], || 3_000, async { Err(denied()) }).await;
    assert_eq!(shown(late), (false, CacheUse::Called), "a grant outlived its expiry");
    let after = cache.get_or([1; 32], || 2_999, async { until(4_000) }).await;
    assert_eq!(shown(after), (true, CacheUse::Called), "the expired grant is still there");
}

/// Asks three times at once: the first is answered with `first` when all have asked, the
/// others with a grant of their own. Tells how often the plugin was asked, and the answers.
async fn together(
    cache: &ResultCache,
    first: Result<Grant, NoGrant>,
) -> (usize, [(bool, CacheUse); 3]) {
    let (gate, asked) = (Notify::new(), AtomicUsize::new(0));
    let first = async {
        asked.fetch_add(1, Ordering::Relaxed);
        gate.notified().await;
        first
    };
    let own = || async {
        asked.fetch_add(1, Ordering::Relaxed);
        Ok(Grant::default())
    };
    // Polled in this order.
    let (first, second, third, ()) = tokio::join!(
        biased;
        cache.get_or([1; 32], || 1_000, first),
        cache.get_or([1; 32], || 1_000, own()),
        cache.get_or([1; 32], || 1_000, own()),
        async { gate.notify_one() },
    );
    (asked.into_inner(), [shown(first), shown(second), shown(third)])
}

#[tokio::test]
async fn those_who_wait_share_a_grant() {
    let expected = [(true, CacheUse::Called), (true, CacheUse::Hit), (true, CacheUse::Hit)];

    let cache = ResultCache::new(&rule(None));
    assert_eq!(together(&cache, Ok(Grant::default())).await, (1, expected));
}

#[tokio::test]
async fn those_who_wait_share_a_refusal_where_it_is_kept() {
    let shared = [(false, CacheUse::Called), (false, CacheUse::Hit), (false, CacheUse::Hit)];
    let alone = [(false, CacheUse::Called), (true, CacheUse::Called), (true, CacheUse::Called)];

    let keeping = ResultCache::new(&rule(Some(Duration::from_secs(60))));
    assert_eq!(together(&keeping, Err(denied())).await, (1, shared));
    let other = ResultCache::new(&rule(None));
    assert_eq!(together(&other, Err(denied())).await, (3, alone));
}

#[tokio::test]
async fn what_was_answered_to_one_request_is_told_to_no_other() {
    let whole = Answer {
        status: http::StatusCode::FOUND,
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let none = [
        NoGrant::Denied(Denial::Respond(Box::new(whole))),
        NoGrant::Denied(Denial::NotMine),
        NoGrant::Fault(PluginFault::WallTime),
    ];
    let answers = none.into_iter().map(Err).chain([until(1_000)]);

    for answer in answers {
        let cache = ResultCache::new(&rule(Some(Duration::from_secs(60))));
        let what = format!("{answer:?}");
        let own = (true, CacheUse::Called);
        let first = (answer.is_ok(), CacheUse::Called);
        assert_eq!(together(&cache, answer).await, (3, [first, own, own]), "{what}");
        // What those who waited were told is kept.
        let later = cache.get_or([1; 32], || 1_000, async { Err(denied()) }).await;
        assert_eq!(shown(later), (true, CacheUse::Hit), "{what}");
    }
}

#[test]
fn a_grant_weighs_all_its_texts() {
    let sized = |identity: Identity| {
        size_of_grant(&Grant { identity: Arc::new(identity), ..Grant::default() })
    };
    let text = || "x".repeat(10_000);

    assert!(sized(Identity { principal: text(), ..Identity::default() }) > 10_000);
    assert!(sized(Identity { usage_key: Some(text()), ..Identity::default() }) > 10_000);
    let attributes = vec![(text(), portcullis_pipeline::Value::Text(text()))];
    assert!(sized(Identity { attributes, ..Identity::default() }) > 20_000);
}
