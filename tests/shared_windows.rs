//! Several gateways have one window, fixed or sliding, counted by a Redis that may go away.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_tests::{Gateway, Redis, Way, eventually};

use crate::shared_limits::{charges, url};

/// Windows that do not end while a test runs, but where it meets the end of one.
const MONTH: &str = r#"algorithm = "fixed-window", per = "month""#;
const FIXED: &str = r#"algorithm = "fixed-window", per = "31d""#;
const SLIDING: &str = r#"algorithm = "sliding-window", per = "31d""#;
/// Patience with a Redis on a busy machine, where a test is not about its absence.
const PATIENT: &str = "timeout = \"10s\"";

fn whole(redis: &str, settings: &str, limit: &str) -> String {
    format!(
        r#"
        authorizer = "none"
        [shared_limits]
        redis = "{redis}"
        gateways = 2
        {settings}
        [limiters.plans]
        plugin = "rate-limit"
        shared = true
        settings.limits.window = {{ {limit}, by = ["header:x-key"] }}
        {}
        [apis.shop.routes."GET /"]
        respond = {{}}
        limiters = ["plans"]
        [apis.shop.routes."GET /valid"]
        respond = {{}}
        limiters = ["plans"]
        validate = {{ query = {{ a = {{ type = "integer", required = true }} }} }}
        "#,
        crate::ROOMY
    )
}

fn start(redis: &str, settings: &str, limit: &str) -> Gateway {
    let gateway = Gateway::start(&whole(redis, settings, limit));
    wait_until(&gateway, 1.0);
    gateway
}

fn two(redis: &Redis, settings: &str, limit: &str) -> [Gateway; 2] {
    [(); 2].map(|()| start(&url(redis), settings, limit))
}

fn wait_until(gateway: &Gateway, up: f64) {
    gateway.wait_for_metric(&format!("up to be {up}"), |metrics| {
        metrics.sum("portcullis_shared_limits_up", &[]) == up
    });
}

/// Waits until Redis counts so much of the only window, nothing of it taken ahead.
fn wait_for_count(redis: &Redis, count: usize) {
    eventually(&format!("a count of {count}"), || {
        let key = redis.ask(&["KEYS", "*:window:*"]).into_iter().find(|key| !key.is_empty())?;
        redis.ask(&["GET", &key])[0].contains(&format!(" {count} ")).then_some(())
    });
}

/// How many of so many requests pass.
fn passed(gateway: &Gateway, count: usize) -> usize {
    let mut client = gateway.connect();
    let mut passes = || match client.request("GET", "/", &[], b"").status {
        200 => true,
        429 | 503 => false,
        other => panic!("{other}"),
    };
    (0..count).filter(|_| passes()).count()
}

/// How many pass until what others held has come back, and then a few more.
fn passed_at_last(gateways: &[&Gateway], expected: usize) -> usize {
    let mut all = 0;
    eventually("what others held", || {
        all += gateways.iter().map(|gateway| passed(gateway, 20)).sum::<usize>();
        (all >= expected).then_some(())
    });
    all + gateways.iter().map(|gateway| passed(gateway, 5)).sum::<usize>()
}

#[test]
fn exactly_the_window_passes_two_gateways_however_many_come_at_once() {
    for limit in [MONTH, FIXED, SLIDING] {
        let redis = Redis::start();
        let gateways = two(&redis, PATIENT, &format!("limit = 600, {limit}"));

        let at_once: usize = thread::scope(|scope| {
            let ask = |thread: usize| {
                let gateway = &gateways[thread % 2];
                scope.spawn(move || passed(gateway, 200))
            };
            let threads: Vec<_> = (0..4).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });

        assert!((585..=600).contains(&at_once), "{at_once} with {limit}");
        let all = at_once + passed_at_last(&[&gateways[0], &gateways[1]], 600 - at_once);
        assert_eq!(all, 600, "{limit}");
        let refused = gateways[1].get("/", &[]);
        assert_eq!(refused.verdict(), (429, "throttled".into()));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2 * 31 * 86_400).contains(&wait), "{wait} with {limit}");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"window\";q=600;w=2678400"));
        assert!(refused.header("ratelimit").unwrap().starts_with("\"window\";r=0;t="));
        let sum = |by: &str| gateways.iter().map(|it| charges(it, by)).sum::<f64>();
        assert_eq!(sum("away"), 0.0);
        println!("{at_once} of 600 at once; {} waited, {} did not", sum("redis"), sum("lease"));
    }
}

#[test]
fn each_key_has_its_own_and_nobody_reads_of_whom_in_redis() {
    let redis = Redis::start();
    let gateways =
        two(&redis, &format!("{PATIENT}\nprefix = \"edge\""), &format!("limit = 5, {FIXED}"));
    for key in ["a", "b"] {
        let ask = |at: usize| gateways[at % 2].get("/", &[("x-key", key)]).status;
        assert_eq!((0..10).filter(|at| ask(*at) == 200).count(), 5, "{key}");
    }

    let mut keys = redis.ask(&["KEYS", "*"]);
    keys.retain(|key| key != "edge:limit:trial");
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        let name = key.strip_prefix("edge:window:").unwrap();
        assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        let left: u64 = redis.ask(&["TTL", &key])[0].parse().unwrap();
        assert!(left <= 31 * 86_400 + 1, "{left}");
    }
}

#[test]
fn windows_open_again_and_none_passes_more_than_it_should() {
    let redis = Redis::start();
    for algorithm in ["fixed-window", "sliding-window"] {
        let limit = format!("limit = 200, per = \"1s\", algorithm = \"{algorithm}\"");
        let gateways = two(&redis, &format!("{PATIENT}\nlease = \"200ms\""), &limit);

        let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (began, first) = (Instant::now(), since_1970());
        let passed: usize = thread::scope(|scope| {
            let ask = |thread: usize| {
                let gateway = &gateways[thread % 2];
                scope.spawn(move || {
                    let mut all = 0;
                    while began.elapsed() < Duration::from_secs(5) {
                        all += passed(gateway, 10);
                    }
                    all
                })
            };
            let threads: Vec<_> = (0..4).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let begun = usize::try_from(since_1970() - first + 1).unwrap();

        assert!(passed <= 200 * begun, "{passed} in {begun} periods of {algorithm}");
        // But for the first and the last, less what one gateway may hold of the other's, and
        // of those that slide what the one before still counts.
        let each = if algorithm == "fixed-window" { 140 } else { 50 };
        assert!(passed >= each * (begun - 2), "{passed} in {begun} periods of {algorithm}");
        println!("{algorithm}: {passed} passed in {begun} periods of 200");
    }
}

#[test]
fn what_a_refused_request_took_is_given_back() {
    let redis = Redis::start();
    for window in [FIXED, SLIDING] {
        let limit = format!("limit = 2, gives_back = true, {window}");
        let gateways = two(&redis, PATIENT, &limit);
        let ask = |at: usize, target: &str| gateways[at].get(target, &[]).status;

        assert_eq!([0; 4].map(|at| ask(at, "/valid?a=no")), [400; 4], "{window}");
        assert_eq!(ask(0, "/valid?a=1"), 200, "{window}");
        eventually("what the first gave back", || (ask(1, "/") == 200).then_some(()));
        assert_eq!([0, 1].map(|at| ask(at, "/")), [429; 2], "{window}");
    }
}

#[test]
fn a_gateway_that_is_cut_off_passes_its_part_of_what_was_left_and_tells_of_it_later() {
    let redis = Redis::start();
    let way = Way::to(redis.address());
    let (settings, limit) = ("timeout = \"2s\"", format!("limit = 60, {MONTH}"));
    let near = start(&url(&redis), settings, &limit);
    let far = start(&format!("redis://{}", way.address()), settings, &limit);
    assert_eq!((passed(&near, 10), passed(&far, 10)), (10, 10));

    way.cut();
    wait_until(&far, 0.0);
    assert_eq!(passed(&far, 40), 20, "half of what was left");
    assert_eq!(passed(&near, 5), 5);
    way.mend();
    wait_until(&far, 1.0);

    wait_for_count(&redis, 45);
    assert_eq!(passed_at_last(&[&near, &far], 15), 15, "60 in all");
}

#[test]
fn without_redis_each_gateway_has_its_share_and_what_passes_counts_later() {
    let mut redis = Redis::start();
    redis.kill();
    let limit = format!("limit = 20, {FIXED}");
    let gateways = [(); 2].map(|()| Gateway::start(&whole(&url(&redis), PATIENT, &limit)));
    assert_eq!(gateways.each_ref().map(|gateway| passed(gateway, 7)), [7, 7]);
    assert_eq!(passed(&gateways[0], 20), 3, "the rest of its half");

    redis.start_again();
    gateways.iter().for_each(|gateway| wait_until(gateway, 1.0));
    wait_for_count(&redis, 17);
    assert_eq!(passed_at_last(&[&gateways[0], &gateways[1]], 3), 3, "20 in all");
}

#[test]
fn what_the_configuration_says_holds_while_redis_is_away() {
    for (when_away, expected, later) in [("deny", 0, 15), ("allow", 30, 0)] {
        let redis = Redis::start();
        let way = Way::to(redis.address());
        let settings = format!("timeout = \"2s\"\nwhen_away = \"{when_away}\"");
        let limit = format!("limit = 20, {FIXED}");
        let gateway = start(&format!("redis://{}", way.address()), &settings, &limit);
        assert_eq!(passed(&gateway, 5), 5);

        way.cut();
        wait_until(&gateway, 0.0);
        assert_eq!(passed(&gateway, 30), expected, "{when_away}");
        if when_away == "deny" {
            let refused = gateway.get("/", &[]);
            assert_eq!(refused.verdict(), (503, "limits-unavailable".into()));
        }
        way.mend();
        wait_until(&gateway, 1.0);
        wait_for_count(&redis, 5 + expected);
        assert_eq!(passed(&gateway, 30), later, "{when_away}");
    }
}

#[test]
fn a_window_takes_nothing_where_a_quota_beside_it_refuses() {
    let redis = Redis::start();
    let both = format!("limit = 8, {FIXED}, by = [\"header:x-key\"] }}");
    let limit = format!("{both}\nsettings.limits.less = {{ limit = 3, {MONTH}");
    let more = format!("limit = 8, {FIXED}");
    let [first, _] = two(&redis, PATIENT, &limit);
    assert_eq!(passed(&first, 10), 3);
    let refused = first.get("/", &[]);
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["less"]));

    // The same window is that of gateways without the other one.
    let second = start(&url(&redis), PATIENT, &more);
    let passed = passed_at_last(&[&second], 5);
    assert_eq!(passed, 5, "eight in all");
}
