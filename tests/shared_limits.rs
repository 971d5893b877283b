//! Several gateways have one limit, counted by a Redis that may go away.

use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::{Authority, Client, Gateway, Redis, Site, Way, eventually, free_port};

/// A rate at which nothing comes back while a test runs, and of which two may have a half.
const NEVER: &str = "2/31d";
/// Patience with a Redis on a busy machine, where a test is not about its absence.
const PATIENT: &str = "timeout = \"10s\"";
/// The same, where what passes is counted exactly: what is taken ahead, and not used before a
/// lease ends, is lost.
const EXACT: &str = "timeout = \"10s\"\nlease = \"1m\"";

/// A gateway that shares what is at `/` with others, and has found its Redis; `NEVER` is
/// filled in.
pub(crate) fn start(redis: &str, settings: &str, throttle: &str) -> Gateway {
    let gateway = Gateway::start(&whole(redis, settings, throttle));
    wait_until(&gateway, 1.0);
    gateway
}

fn whole(redis: &str, settings: &str, throttle: &str) -> String {
    let throttle = throttle.replace("NEVER", NEVER);
    format!(
        r#"
        authorizer = "none"
        [shared_limits]
        redis = "{redis}"
        {settings}
        [apis.shop.routes."GET /"]
        respond = {{}}
        throttle = {{ {throttle}, shared = true }}
        [apis.shop.routes."GET /health"]
        respond = {{}}
        "#
    )
}

pub(crate) fn url(redis: &Redis) -> String {
    format!("redis://{}", redis.address())
}

/// How many of so many requests pass.
pub(crate) fn passed(gateway: &Gateway, count: usize) -> usize {
    let mut client = gateway.connect();
    (0..count).filter(|_| passes(&mut client)).count()
}

fn passes(client: &mut Client) -> bool {
    match client.request("GET", "/", &[], b"").status {
        200 => true,
        429 | 503 => false,
        other => panic!("{other}"),
    }
}

pub(crate) fn charges(gateway: &Gateway, by: &str) -> f64 {
    gateway.metric("portcullis_shared_limit_charges_total", &[("by", by)])
}

fn wait_until(gateway: &Gateway, up: f64) {
    gateway.wait_for_metric(&format!("up to be {up}"), |metrics| {
        metrics.sum("portcullis_shared_limits_up", &[]) == up
    });
}

#[test]
fn exactly_the_burst_passes_two_gateways_however_many_come_at_once() {
    let redis = Redis::start();
    let settings = format!("gateways = 2\n{EXACT}");
    let throttle = r#"rate = "NEVER", burst = 50"#;
    let gateways = [(); 2].map(|()| start(&url(&redis), &settings, throttle));

    let together: usize = thread::scope(|scope| {
        let ask = |thread: usize| {
            let gateway = &gateways[thread % 2];
            scope.spawn(move || passed(gateway, 20))
        };
        let threads: Vec<_> = (0..8).map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });

    assert_eq!(together, 50);
    let refused = gateways[0].get("/", &[]);
    assert_eq!(refused.verdict(), (429, "throttled".into()));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 15 * 86_400, "{wait}");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"route\";q=50;w=66960000"));
    assert!(refused.header("ratelimit").unwrap().starts_with("\"route\";r=0;t="));
}

/// What passed two gateways under load.
struct Run {
    passed: f64,
    seconds: f64,
    /// From the first request to the beginning of the last one that was refused.
    refused_after: f64,
    waited: f64,
    charges: f64,
}

fn run(gateways: &[Gateway], threads: usize, time: Duration) -> Run {
    let began = Instant::now();
    let counts: Vec<(usize, f64)> = thread::scope(|scope| {
        let ask = |thread: usize| {
            let gateway = &gateways[thread % gateways.len()];
            scope.spawn(move || {
                let mut client = gateway.connect();
                let (mut passed, mut refused) = (0, 0.0_f64);
                while began.elapsed() < time {
                    let asked = began.elapsed().as_secs_f64();
                    match passes(&mut client) {
                        true => passed += 1,
                        false => refused = asked,
                    }
                }
                (passed, refused)
            })
        };
        let threads: Vec<_> = (0..threads).map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    let sum = |by: &str| gateways.iter().map(|gateway| charges(gateway, by)).sum::<f64>();
    assert_eq!(sum("away"), 0.0);
    Run {
        passed: counts.iter().map(|(passed, _)| *passed as f64).sum(),
        refused_after: counts.iter().map(|(_, refused)| *refused).fold(0.0, f64::max),
        seconds,
        waited: sum("redis"),
        charges: sum("lease") + sum("redis"),
    }
}

#[test]
fn over_time_two_gateways_pass_one_rate_and_not_more() {
    let redis = Redis::start();
    for (rate, burst, lease_ms) in [(20, 20, 1000), (200, 100, 500), (1000, 200, 1000)] {
        let settings = format!("gateways = 2\n{PATIENT}\nlease = \"{lease_ms}ms\"");
        let throttle = format!("rate = {rate}, burst = {burst}");
        let gateways = [(); 2].map(|()| start(&url(&redis), &settings, &throttle));

        let run = run(&gateways, 4, Duration::from_secs(4));

        let (rate, burst, lease) = (f64::from(rate), f64::from(burst), f64::from(lease_ms) / 1e3);
        let most = burst + rate * run.seconds;
        assert!(run.passed <= most, "{} of {most} at {rate}", run.passed);
        // Somebody was refused then, so all but this was used up: what others may hold, and
        // what came since the bucket was looked at.
        let held = 2.0 * (rate * lease / 2.0).min(burst / 4.0).max(1.0);
        let unseen = rate * (lease / 16.0 + 0.5);
        let least = burst + rate * run.refused_after - held - unseen;
        assert!(run.passed >= least, "{} where {least} should at {rate}", run.passed);
        println!(
            "{rate}/s: {} passed, at most {most:.0}; {} of {} charges waited",
            run.passed, run.waited, run.charges
        );
    }
}

#[test]
fn requests_rarely_wait_for_redis() {
    let redis = Redis::start();
    let settings = format!("gateways = 2\n{PATIENT}\nlease = \"10s\"");
    let gateway = start(&url(&redis), &settings, "rate = 100000, burst = 100000");

    assert_eq!(passed(&gateway, 500), 500);

    let waited = charges(&gateway, "redis");
    assert!(waited <= 20.0, "{waited} of 500 requests waited");
    assert_eq!(waited + charges(&gateway, "lease"), 500.0);
    let granted = gateway.metric("portcullis_shared_limit_asks_total", &[("outcome", "granted")]);
    assert!(granted <= 20.0, "{granted}");
    assert_eq!(gateway.metric("portcullis_shared_limit_leases", &[]), 1.0);
}

#[test]
fn what_the_configuration_says_holds_while_redis_hangs_and_ends_with_that() {
    for (when_away, expected) in [("local", 10), ("deny", 0), ("allow", 30)] {
        let redis = Redis::start();
        let settings =
            format!("gateways = 2\ntimeout = \"4s\"\nlease = \"1m\"\nwhen_away = \"{when_away}\"");
        let gateway = start(&url(&redis), &settings, r#"rate = "NEVER", burst = 20"#);
        assert_eq!(passed(&gateway, 15), 15, "{when_away}");

        redis.hang();
        let (mut client, mut waits) = (gateway.connect(), 0);
        let ask = |_: &usize| {
            let began = Instant::now();
            let does = passes(&mut client);
            waits += usize::from(began.elapsed() >= Duration::from_secs(4));
            does
        };
        assert_eq!((0..30).filter(ask).count(), expected, "{when_away}");
        assert!(waits <= 1, "{waits} requests waited with {when_away}");
        assert_eq!(gateway.metric("portcullis_shared_limits_up", &[]), 0.0);
        assert!(charges(&gateway, "away") >= 29.0);
        assert_eq!(gateway.get("/health", &[]).status, 200, "what is not shared is not concerned");
        if when_away == "deny" {
            let refused = gateway.get("/", &[]);
            assert_eq!(refused.verdict(), (503, "limits-unavailable".into()));
            assert_eq!(refused.header("retry-after"), Some("1"));
        }

        redis.go_on();
        wait_until(&gateway, 1.0);
        let left = passed(&gateway, 30);
        // What was asked for as it hung is taken once it goes on, and used by nobody.
        assert!((3..=5).contains(&left), "{left} with {when_away}");
        let said = eventually("word that it is back", || {
            let said = gateway.stdout() + &gateway.stderr();
            (said.matches("are counted by the Redis").count() >= 2).then_some(said)
        });
        assert_eq!(said.matches("is away").count(), 1, "{said}");
        assert_eq!(said.matches("are counted by the Redis").count(), 2, "{said}");
        assert_eq!(gateway.metric("portcullis_shared_limits_away_total", &[]), 1.0);
    }
}

#[test]
fn a_redis_that_is_killed_is_noticed_without_requests_and_found_again() {
    let mut redis = Redis::start();
    let settings = format!("gateways = 2\n{PATIENT}\nlease = \"5s\"");
    let gateway = start(&url(&redis), &settings, r#"rate = "NEVER", burst = 20"#);
    assert_eq!(passed(&gateway, 30), 20);

    redis.kill();
    wait_until(&gateway, 0.0);
    assert_eq!(passed(&gateway, 30), 10, "a share");

    redis.start_again();
    wait_until(&gateway, 1.0);
    // That the old one was empty is believed for as long as a lease.
    eventually("a request that passes", || (passed(&gateway, 1) == 1).then_some(()));
    assert_eq!(passed(&gateway, 30), 19, "the new one knows nothing");
}

#[test]
fn a_redis_that_answers_with_errors_is_away_until_it_counts_again() {
    let redis = Redis::start();
    let settings = format!("gateways = 1\n{EXACT}\nwhen_away = \"deny\"");
    let gateway = start(&url(&redis), &settings, r#"rate = "NEVER", burst = 20"#);
    assert_eq!(passed(&gateway, 1), 1);

    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(passed(&gateway, 30) < 19);
    assert_eq!(gateway.metric("portcullis_shared_limits_up", &[]), 0.0);
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);

    wait_until(&gateway, 1.0);
    assert!(passed(&gateway, 30) > 0);
    assert_eq!(gateway.metric("portcullis_shared_limits_away_total", &[]), 1.0);
}

#[test]
fn a_gateway_starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start();
    redis.kill();
    let settings = format!("gateways = 1\n{EXACT}\nwhen_away = \"deny\"");
    let throttle = r#"rate = "NEVER", burst = 5"#;
    let gateway = Gateway::start(&whole(&url(&redis), &settings, throttle));
    assert_eq!(passed(&gateway, 3), 0);

    redis.start_again();
    wait_until(&gateway, 1.0);

    assert_eq!(passed(&gateway, 10), 5);
}

#[test]
fn a_gateway_that_is_cut_off_goes_on_with_its_share_and_the_others_with_the_limit() {
    let redis = Redis::start();
    let way = Way::to(redis.address());
    let throttle = r#"rate = "NEVER", burst = 20"#;
    let settings = format!("gateways = 2\n{EXACT}");
    let near = start(&url(&redis), &settings, throttle);
    let far = start(&format!("redis://{}", way.address()), &settings, throttle);
    assert_eq!((passed(&near, 4), passed(&far, 4)), (4, 4));

    way.cut();
    wait_until(&far, 0.0);
    assert_eq!(passed(&far, 30), 10, "its share");
    assert_eq!(passed(&near, 6), 6);
    assert_eq!(near.metric("portcullis_shared_limits_up", &[]), 1.0);

    way.mend();
    wait_until(&far, 1.0);
    assert_eq!(passed(&far, 4), 4);
    assert_eq!(passed(&near, 30) + passed(&far, 30), 2, "20 in all, but for the share");
}

#[test]
fn a_redis_that_forgot_the_script_is_told_again() {
    let redis = Redis::start();
    let settings = format!("gateways = 2\n{EXACT}");
    let gateway = start(&url(&redis), &settings, r#"rate = "NEVER", burst = 20"#);
    assert_eq!(passed(&gateway, 5), 5);

    redis.ask(&["SCRIPT", "FLUSH"]);

    assert_eq!(passed(&gateway, 30), 15);
    assert_eq!(charges(&gateway, "away"), 0.0);
}

#[test]
fn keys_in_redis_say_nothing_of_clients_and_expire() {
    let redis = Redis::start();
    let settings = format!("gateways = 2\n{PATIENT}\nprefix = \"edge\"");
    // A token comes back in a minute: they are there for as long.
    let throttle = r#"rate = "60/1h", burst = 120, per = "header:x-tenant""#;
    let gateway = start(&url(&redis), &settings, throttle);
    for tenant in ["alpha", "beta"] {
        assert_eq!(gateway.get("/", &[("x-tenant", tenant)]).status, 200);
    }

    let mut keys = redis.ask(&["KEYS", "*"]);
    keys.retain(|key| key != "edge:limit:trial");

    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        let name = key.strip_prefix("edge:limit:").unwrap();
        assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        let left: u64 = redis.ask(&["TTL", &key])[0].parse().unwrap();
        assert!(left <= 61, "{left}");
    }
}

#[test]
fn the_slowest_and_the_fastest_limits_are_counted_too() {
    let redis = Redis::start();
    for throttle in [
        r#"rate = "2/31d", burst = 100000000"#,
        r#"rate = 1000000000, burst = 1000000000"#,
        r#"rate = "999983/1ms", burst = 7"#,
        r#"rate = 0.000002, burst = 1"#,
    ] {
        let gateway = start(&url(&redis), &format!("gateways = 2\n{PATIENT}"), throttle);

        assert_eq!(gateway.get("/", &[]).status, 200, "{throttle}");

        assert_eq!(charges(&gateway, "redis"), 1.0, "{throttle}");
        let failed = [("outcome", "failed")];
        assert_eq!(
            gateway.metric("portcullis_shared_limit_asks_total", &failed),
            0.0,
            "{throttle}"
        );
    }
}

#[test]
fn a_shared_limit_on_the_ladder_takes_nothing_where_another_refuses() {
    let redis = Redis::start();
    let gateway = Gateway::start(&format!(
        r#"
        authorizer = "none"
        shared_limits = {{ redis = "{}", gateways = 2, {} }}
        [apis.shop]
        throttle = {{ rate = "{NEVER}", burst = 8, shared = true }}
        [apis.shop.routes."GET /a"]
        respond = {{}}
        throttle = {{ rate = "{NEVER}", burst = 3 }}
        [apis.shop.routes."GET /b"]
        respond = {{}}
        throttle = {{ rate = "{NEVER}", burst = 6, shared = true }}
        "#,
        url(&redis),
        EXACT.replace('\n', ", "),
    ));
    wait_until(&gateway, 1.0);
    let passed = |target: &str| (0..10).filter(|_| gateway.get(target, &[]).status == 200).count();

    assert_eq!(passed("/a"), 3);
    assert_eq!(passed("/b"), 5, "what the API has left");

    let refused = gateway.get("/a", &[]);
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["route"]));
    let refused = gateway.get("/b", &[]);
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["api"]));
}

#[test]
fn a_password_and_tls_are_used_and_never_shown() {
    let (authority, site) = (Authority::new(), Site::new());
    let issued = authority.issue("localhost");
    site.write("ca.pem", authority.pem()).write("password", "open sesame\n");
    site.write("redis.pem", &issued.certificate).write("redis.key", &issued.key);
    let port = free_port().to_string();
    let file = |name: &str| site.path().join(name).display().to_string();
    let (certificate, key, ca) = (file("redis.pem"), file("redis.key"), file("ca.pem"));
    let _redis = Redis::start_with(&[
        "--requirepass",
        "open sesame",
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ]);
    let settings =
        format!("gateways = 2\n{EXACT}\nca = \"ca.pem\"\npassword = {{ file = \"password\" }}");
    let url = format!("rediss://localhost:{port}");
    let gateway = site.start(&whole(&url, &settings, r#"rate = "NEVER", burst = 2"#));
    wait_until(&gateway, 1.0);

    assert_eq!(passed(&gateway, 5), 2);
    assert_eq!(charges(&gateway, "away"), 0.0);
    let said = gateway.stdout() + &gateway.stderr();
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn a_reload_keeps_what_was_taken_and_takes_up_another_redis() {
    let (redis, other) = (Redis::start(), Redis::start());
    let settings = format!("gateways = 2\n{EXACT}");
    let throttle = r#"rate = "NEVER", burst = 10"#;
    let gateway = start(&url(&redis), &settings, throttle);
    assert_eq!(passed(&gateway, 6), 6);

    let more = whole(&url(&redis), &settings, throttle).replace("/health", "/alive");
    gateway.reload_config(&more);
    gateway.wait_for_answer("the new route", "/alive", |answer| answer.status == 200);
    assert_eq!(passed(&gateway, 30), 4);

    gateway.reload_config(&whole(&url(&other), &settings, throttle));
    gateway.wait_for_answer("the old route", "/health", |answer| answer.status == 200);
    wait_until(&gateway, 1.0);
    assert_eq!(passed(&gateway, 30), 10);
    eventually("the first Redis to be left", || {
        let clients = redis.ask(&["CLIENT", "LIST"]);
        (clients.iter().filter(|line| !line.is_empty()).count() == 1).then_some(())
    });
}

#[test]
fn keys_that_find_no_room_for_a_lease_are_counted_exactly() {
    let redis = Redis::start();
    let settings = format!("gateways = 2\n{EXACT}\n[limits]\nthrottle_keys = 1");
    let throttle = r#"rate = "NEVER", burst = 3, per = "header:x-tenant""#;
    let gateways = [(); 2].map(|()| start(&url(&redis), &settings, throttle));
    let mut clients = [gateways[0].connect(), gateways[1].connect()];

    for tenant in 0..150 {
        let tenant = tenant.to_string();
        let ask = |at: usize| {
            let headers = [("x-tenant", tenant.as_str())];
            clients[at % 2].request("GET", "/", &headers, b"").status
        };
        let passed = (0..5).map(ask).filter(|status| *status == 200).count();
        assert_eq!(passed, 3, "{tenant}");
    }

    assert!(gateways[0].metric("portcullis_shared_limit_leases", &[]) <= 64.0);
    assert_eq!(charges(&gateways[0], "away"), 0.0);
}

/// Prints what sharing costs; run by hand: `cargo test --test gateway -- --ignored --nocapture
/// sharing_costs`.
#[test]
#[ignore = "it measures"]
fn what_sharing_costs() {
    let redis = Redis::start();
    // The rate, and the pause between two requests: far from the limit, half of it, over it.
    for (rate, pause_us) in [(1_000_000, 0), (1000, 2000), (10, 200_000), (1000, 0), (200, 0)] {
        let settings = format!("gateways = 2\n{PATIENT}");
        let throttle = format!("rate = {rate}, burst = {rate}");
        let shared = start(&url(&redis), &settings, &throttle);
        let text = whole(&url(&redis), &settings, &throttle).replace(", shared = true", "");
        let own = Gateway::start(&text);
        let (mut with, mut without) = (shared.connect(), own.connect());
        let mut times = [Vec::new(), Vec::new()];
        let count = if pause_us > 10_000 { 50 } else { 5000 };
        for _ in 0..count {
            for (client, times) in [&mut with, &mut without].into_iter().zip(&mut times) {
                let began = Instant::now();
                passes(client);
                times.push(began.elapsed());
            }
            thread::sleep(Duration::from_micros(pause_us));
        }
        for (name, times) in ["shared", "own"].iter().zip(&mut times) {
            times.sort_unstable();
            let at = |part: f64| times[(times.len() as f64 * part) as usize];
            println!("  {name}: p50 {:?}, p99 {:?}", at(0.5), at(0.99));
        }
        let (waited, leased) = (charges(&shared, "redis"), charges(&shared, "lease"));
        println!("{rate}/s, {pause_us} us: {waited} of {} waited for Redis", waited + leased);
    }
}
