//! A Redis that answers too late, or with what cannot be read, is no harm to requests.

use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::{Gateway, Redis, Way, eventually};

use crate::shared_limits::{charges, passed, start, url};

/// A rate at which nothing comes back while a test runs.
const NEVER: &str = "2/31d";
/// Answers that are under way for so long are waited for by nobody.
const LATE: Duration = Duration::from_secs(100);
/// Long enough for whatever a busy machine does, and less than an answer that is late.
const SOON: Duration = Duration::from_secs(60);

fn is_up(gateway: &Gateway) -> bool {
    gateway.metric("portcullis_shared_limits_up", &[]) == 1.0
}

fn wait_until_up(gateway: &Gateway) {
    gateway.wait_for_metric("Redis to be back", |metrics| {
        metrics.sum("portcullis_shared_limits_up", &[]) == 1.0
    });
}

fn away(gateway: &Gateway) -> f64 {
    gateway.metric("portcullis_shared_limits_away_total", &[])
}

#[test]
fn what_the_configuration_says_holds_while_redis_is_slow_and_ends_with_that() {
    for (when_away, expected) in [("local", 10), ("deny", 0), ("allow", 30)] {
        let redis = Redis::start();
        let way = Way::to(redis.address());
        let settings =
            format!("gateways = 2\ntimeout = \"4s\"\nlease = \"1m\"\nwhen_away = \"{when_away}\"");
        let throttle = r#"rate = "NEVER", burst = 20"#;
        let gateway = start(&format!("redis://{}", way.address()), &settings, throttle);
        assert_eq!(passed(&gateway, 15), 15, "{when_away}");

        way.slow_down(LATE);
        let (mut client, mut waits, mut passes) = (gateway.connect(), 0, 0);
        for _ in 0..30 {
            let began = Instant::now();
            let answer = client.request("GET", "/", &[], b"");
            let took = began.elapsed();
            assert!(took < SOON, "{took:?} with {when_away}");
            waits += usize::from(took >= Duration::from_secs(4));
            passes += usize::from(answer.status == 200);
            if when_away == "deny" {
                assert_eq!(answer.verdict(), (503, "limits-unavailable".into()));
                assert_eq!(answer.header("retry-after"), Some("1"));
            }
        }
        assert_eq!(passes, expected, "{when_away}");
        assert!(waits <= 1, "{waits} requests waited with {when_away}");
        assert!(!is_up(&gateway), "{when_away}");
        assert_eq!(away(&gateway), 1.0, "{when_away}");
        assert!(charges(&gateway, "away") >= 30.0, "{when_away}");
        assert_eq!(gateway.get("/health", &[]).status, 200, "what is not shared is not concerned");

        way.slow_down(Duration::ZERO);
        wait_until_up(&gateway);
        let left = passed(&gateway, 30);
        // What was asked for as it was slow is taken, and used by nobody.
        assert!((3..=5).contains(&left), "{left} with {when_away}");
        assert!(is_up(&gateway) && away(&gateway) == 1.0, "{when_away}");
        let said = eventually("word that it is back", || {
            let said = gateway.stdout() + &gateway.stderr();
            (said.matches("are counted by the Redis").count() >= 2).then_some(said)
        });
        assert_eq!(said.matches("is away").count(), 1, "{said}");
    }
}

#[test]
fn a_redis_that_is_slow_is_noticed_without_requests_and_by_many_at_once() {
    let redis = Redis::start();
    let way = Way::to(redis.address());
    let settings = "gateways = 1\ntimeout = \"4s\"\nlease = \"1m\"\nwhen_away = \"deny\"";
    let throttle = r#"rate = "NEVER", burst = 1000"#;
    let gateway = start(&format!("redis://{}", way.address()), settings, throttle);

    way.slow_down(LATE);
    // All of these come before anybody knows, or after.
    let began = Instant::now();
    let passed: usize = thread::scope(|scope| {
        let ask = || scope.spawn(|| passed(&gateway, 5));
        let threads: Vec<_> = (0..20).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(passed, 0);

    way.slow_down(Duration::ZERO);
    wait_until_up(&gateway);
    way.slow_down(LATE);
    gateway.wait_for_metric("its absence to be noticed", |metrics| {
        metrics.sum("portcullis_shared_limits_up", &[]) == 0.0
    });
    assert_eq!(away(&gateway), 2.0);
}

#[test]
fn a_redis_that_connects_in_time_and_answers_late_stays_away() {
    let redis = Redis::start();
    let way = Way::to(redis.address());
    // A connection may take a second to be made, an answer less.
    let settings = "gateways = 1\ntimeout = \"100ms\"\nwhen_away = \"deny\"";
    let gateway = start(
        &format!("redis://{}", way.address()),
        settings,
        &format!(r#"rate = "{NEVER}", burst = 1000"#),
    );

    way.slow_down(Duration::from_millis(400));
    gateway.wait_for_metric("its absence to be noticed", |metrics| {
        metrics.sum("portcullis_shared_limits_up", &[]) == 0.0
    });
    // In this time it is tried again several times.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        assert_eq!(gateway.get("/", &[]).verdict(), (503, "limits-unavailable".into()));
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!is_up(&gateway));

    way.slow_down(Duration::ZERO);
    eventually("a request that passes", || (passed(&gateway, 1) == 1).then_some(()));
}

#[test]
fn what_somebody_else_wrote_is_told_of_once_and_counted_anew() {
    let redis = Redis::start();
    let settings = "gateways = 1\ntimeout = \"10s\"\nwhen_away = \"deny\"\nprefix = \"edge\"";
    let throttle = r#"rate = "NEVER", burst = 3, per = "header:x-tenant""#;
    let gateway = start(&url(&redis), settings, throttle);
    let ask = |tenant: &str| gateway.get("/", &[("x-tenant", tenant)]).status;
    for tenant in ["alpha", "beta"] {
        assert_eq!([(); 4].map(|()| ask(tenant)), [200, 200, 200, 429], "{tenant}");
    }

    let mut keys = redis.ask(&["KEYS", "edge:limit:*"]);
    keys.retain(|key| key != "edge:limit:trial");
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        redis.ask(&["SET", key, "sesame"]);
    }

    // That the buckets were empty is believed for as long as a lease.
    for tenant in ["alpha", "beta"] {
        eventually("a request that passes", || (ask(tenant) == 200).then_some(()));
        assert_eq!([(); 3].map(|()| ask(tenant)), [200, 200, 429], "{tenant}");
    }
    assert!(is_up(&gateway) && away(&gateway) == 0.0);
    let said = eventually("word of what could not be read", || {
        let said = gateway.stdout() + &gateway.stderr();
        said.contains("had no count under `edge:limit:").then_some(said)
    });
    assert_eq!(said.matches("had no count under").count(), 1, "{said}");
    assert!(!said.contains("sesame"), "{said}");
}
