//! Several gateways, each with a state directory of its own, have one quota for each API key.

use std::fs;
use std::thread;

use portcullis_tests::{Client, Gateway, Redis, Site, Way, eventually};
use serde_json::Value;

use crate::shared_limits::{charges, passed, start, url};

const ADMIN_TOKEN: &str = "an-admin-token-of-a-test";
const CONFIG: &str = r#"
    state = "state"
    admin = { address = "127.0.0.1:0", token = { file = "admin-token" } }
    [shared_limits]
    redis = "redis://REDIS"
    gateways = 2
    lease = "200ms"
    SETTINGS
    [plans.gold]
    PLAN
    [authorizers.keys]
    plugin = "api-key"
    cache = "5m"
    BUDGET
    [apis.shop]
    authorizer = "keys"
    usage_plan = "required"
    routes."GET /" = { respond = {} }
    routes."GET /free" = { respond = {}, usage_plan = "off" }
"#;
/// Patience with a Redis on a busy machine, where a test is not about its absence.
const PATIENT: &str = "timeout = \"5s\"";

/// Gateways that know the same key, each in a state directory of its own.
struct Fleet {
    gateways: Vec<Gateway>,
    id: String,
    key: String,
}

fn config(redis: &str, settings: &str, plan: &str) -> String {
    let config = CONFIG.replace("REDIS", redis).replace("SETTINGS", settings);
    config.replace("PLAN", plan).replace("BUDGET", crate::ROOMY)
}

fn quota(limit: u64) -> String {
    format!("quota = {{ limit = {limit}, per = \"month\", shared = true }}")
}

impl Fleet {
    fn start(configs: &[String]) -> Self {
        let sites: Vec<Site> = configs.iter().map(|_| Site::new()).collect();
        for site in &sites {
            site.write("admin-token", ADMIN_TOKEN);
        }
        sites[0].configure(&configs[0]);
        let ran = |arguments: &[&str]| {
            let run = sites[0].run(arguments);
            assert_eq!(run.code, Some(0), "{}", run.text());
            run.stdout
        };
        ran(&["consumer", "add", "alice"]);
        let added = ran(&["key", "add", "alice", "--plan", "gold", "--json"]);
        let added: Value = serde_json::from_str(&added).unwrap();
        for site in &sites[1..] {
            copy(&sites[0], site);
        }
        let gateways =
            sites.into_iter().zip(configs).map(|(site, config)| site.start(config)).collect();
        let text = |name: &str| added[name].as_str().unwrap().to_owned();
        Self { gateways, id: text("id"), key: text("key") }
    }

    fn two(redis: &Redis, plan: &str) -> Self {
        let config = config(&redis.address().to_string(), PATIENT, plan);
        Self::start(&[config.clone(), config])
    }

    fn ask(&self, at: usize) -> (u16, String) {
        let answer = self.gateways[at].get("/", &[("x-api-key", &self.key)]);
        match answer.status {
            200 => (200, String::new()),
            _ => answer.verdict(),
        }
    }

    /// How many of so many requests pass.
    fn passed(&self, at: usize, count: usize) -> usize {
        let mut client = self.gateways[at].connect();
        let mut passes =
            || match client.request("GET", "/", &[("x-api-key", &self.key)], b"").status {
                200 => true,
                429 => false,
                other => panic!("{other}"),
            };
        (0..count).filter(|_| passes()).count()
    }

    /// How many pass until nothing has come back for longer than leases are held.
    fn passed_at_last(&self, expected: usize) -> usize {
        let mut passed = 0;
        eventually("what others held", || {
            passed += (0..self.gateways.len()).map(|at| self.passed(at, 20)).sum::<usize>();
            (passed >= expected).then_some(())
        });
        passed + self.passed(0, 5) + self.passed(self.gateways.len() - 1, 5)
    }

    /// Waits until the first gateway finds Redis, or has lost it.
    fn wait_until(&self, up: f64) {
        self.gateways[0].wait_for_metric(&format!("up to be {up}"), |metrics| {
            metrics.sum("portcullis_shared_limits_up", &[]) == up
        });
    }

    fn usage(&self, at: usize) -> Value {
        let shown = self.gateways[at].site().run(&["usage", "show", &self.id, "--json"]);
        assert_eq!(shown.code, Some(0), "{}", shown.text());
        serde_json::from_str(&shown.stdout).unwrap()
    }

    fn wait_for_usage(&self, remaining: u64, requests: u64) {
        eventually(&format!("{requests} requests, {remaining} more"), || {
            let usages = [0, self.gateways.len() - 1].map(|at| self.usage(at));
            let are = |usage: &Value| {
                let days = usage["days"].as_array().unwrap().iter();
                let sum: u64 = days.map(|day| day["requests"].as_u64().unwrap()).sum();
                usage["quota"]["remaining"] == remaining && sum == requests
            };
            usages.iter().all(are).then_some(())
        });
    }
}

fn copy(from: &Site, to: &Site) {
    use std::os::unix::fs::DirBuilderExt as _;
    let (from, to) = (from.path().join("state"), to.path().join("state"));
    fs::DirBuilder::new().mode(0o700).create(&to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn exactly_the_quota_passes_two_gateways_however_many_come_at_once() {
    let redis = Redis::start();
    let fleet = Fleet::two(&redis, &quota(1_000));

    let at_once: usize = thread::scope(|scope| {
        let fleet = &fleet;
        let ask = |at: usize| scope.spawn(move || fleet.passed(at % 2, 300));
        let threads: Vec<_> = (0..4).map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });

    assert!((980..=1_000).contains(&at_once), "{at_once}");
    let all = at_once + fleet.passed_at_last(1_000 - at_once);
    assert_eq!(all, 1_000);
    assert_eq!(fleet.ask(1), (429, "quota-exceeded".into()));
    let refused = fleet.gateways[0].get("/", &[("x-api-key", &fleet.key)]);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"plan-gold-quota\";q=1000"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=31 * 24 * 3600).contains(&wait), "{wait}");
    fleet.wait_for_usage(0, 1_000);
    let charges = |by: &str| -> f64 {
        let sum = |it: &Gateway| it.metric("portcullis_shared_limit_charges_total", &[("by", by)]);
        fleet.gateways.iter().map(sum).sum()
    };
    println!("{at_once} of 1000 at once; {} of {} waited", charges("redis"), charges("lease"));
}

#[test]
fn what_is_taken_ahead_comes_back_and_is_not_counted_as_usage() {
    let redis = Redis::start();
    let mut fleet = Fleet::two(&redis, &quota(10_000));
    assert_eq!((fleet.passed(0, 40), fleet.passed(1, 20)), (40, 20));
    fleet.wait_for_usage(9_940, 60);
    assert_eq!(fleet.usage(0)["counted_by"], "shared-limits");

    // A clean stop gives back at once; `kill -9` loses no more than a lease.
    assert_eq!(fleet.passed(1, 40), 40);
    fleet.gateways[1].terminate();
    assert!(fleet.gateways[1].wait_exit().success());
    let remaining = fleet.usage(1)["quota"]["remaining"].as_u64().unwrap();
    assert_eq!(remaining, 9_900);

    assert_eq!(fleet.passed(0, 40), 40);
    let killed = fleet.gateways.remove(0).kill();
    let shown = killed.run(&["usage", "show", &fleet.id, "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let remaining = shown["quota"]["remaining"].as_u64().unwrap();
    assert!((9_860 - 75..=9_860).contains(&remaining), "{remaining}");
}

#[test]
fn a_reset_and_an_extension_are_seen_by_all() {
    let redis = Redis::start();
    let fleet = Fleet::two(&redis, &quota(20));
    assert_eq!(fleet.passed(0, 10) + fleet.passed(1, 30), 20);
    fleet.wait_for_usage(0, 20);

    let run = fleet.gateways[0].site().run(&["usage", "extend", &fleet.id, "5"]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    fleet.wait_for_usage(5, 20);
    assert_eq!(fleet.passed_at_last(5), 5);

    let run = fleet.gateways[1].site().run(&["usage", "reset", &fleet.id]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    fleet.wait_for_usage(20, 25);
    assert_eq!(fleet.passed_at_last(20), 20);
    fleet.wait_for_usage(0, 45);
}

#[test]
fn a_gateway_that_is_cut_off_passes_its_part_of_what_was_left_and_tells_of_it_later() {
    let redis = Redis::start();
    let way = Way::to(redis.address());
    let settings = "timeout = \"2s\"";
    let near = config(&redis.address().to_string(), settings, &quota(60));
    let far = config(&way.address().to_string(), settings, &quota(60));
    let fleet = Fleet::start(&[near, far]);
    let up = |value: f64| {
        fleet.gateways[1].wait_for_metric(&format!("up to be {value}"), |metrics| {
            metrics.sum("portcullis_shared_limits_up", &[]) == value
        });
    };
    assert_eq!((fleet.passed(0, 10), fleet.passed(1, 10)), (10, 10));
    fleet.wait_for_usage(40, 20);
    assert_eq!(fleet.passed(1, 1), 1);

    way.cut();
    up(0.0);
    let alone = fleet.passed(1, 40);
    assert!((19..=21).contains(&alone), "half of what was left: {alone}");
    assert_eq!(fleet.passed(0, 5), 5);
    way.mend();
    up(1.0);

    fleet.wait_for_usage(60 - 26 - alone as u64, 26 + alone as u64);
    assert_eq!(fleet.passed_at_last(34 - alone), 34 - alone);
}

#[test]
fn a_redis_that_keeps_its_data_goes_on_where_it_was_and_one_that_lost_it_begins_with_the_ledger() {
    for keeps in [true, false] {
        let keep = ["--appendonly", "yes", "--appendfsync", "always"];
        let mut redis = Redis::start_with(if keeps { &keep } else { &[] });
        let settings = "timeout = \"2s\"\nwhen_away = \"deny\"";
        let config = config(&redis.address().to_string(), settings, &quota(30));
        let fleet = Fleet::start(&[config]);
        assert_eq!(fleet.passed(0, 12), 12);
        fleet.wait_for_usage(18, 12);

        redis.kill();
        fleet.gateways[0].wait_for_metric("Redis to be away", |metrics| {
            metrics.sum("portcullis_shared_limits_up", &[]) == 0.0
        });
        let refused = fleet.gateways[0].get("/", &[("x-api-key", &fleet.key)]);
        assert_eq!(refused.verdict(), (503, "limits-unavailable".into()));
        assert_eq!(refused.header("retry-after"), Some("1"));
        let label = [("code", "limits-unavailable")];
        fleet.gateways[0].wait_for_metric("the refusal", |metrics| {
            metrics.sum("portcullis_rejections_total", &label) >= 1.0
        });
        let shown = fleet.gateways[0].site().run(&["usage", "show", &fleet.id]);
        assert_ne!(shown.code, Some(0), "half the truth is not shown: {}", shown.text());
        redis.start_again();
        fleet.gateways[0].wait_for_metric("Redis to be back", |metrics| {
            metrics.sum("portcullis_shared_limits_up", &[]) == 1.0
        });

        assert_eq!(fleet.passed_at_last(18), 18, "{keeps}");
    }
}

#[test]
fn what_passes_without_redis_where_that_is_allowed_is_counted_once_it_is_back() {
    let redis = Redis::start();
    let way = Way::to(redis.address());
    let settings = "timeout = \"2s\"\nwhen_away = \"allow\"";
    let fleet = Fleet::start(&[config(&way.address().to_string(), settings, &quota(10))]);
    assert_eq!(fleet.passed(0, 4), 4);
    fleet.wait_for_usage(6, 4);

    way.cut();
    fleet.wait_until(0.0);
    assert_eq!(fleet.passed(0, 20), 20, "more than the quota");
    way.mend();
    fleet.wait_until(1.0);

    fleet.wait_for_usage(0, 24);
    eventually("the quota to hold again", || {
        (fleet.ask(0) == (429, "quota-exceeded".into())).then_some(())
    });
}

#[test]
fn what_nobody_can_count_now_is_neither_shown_nor_changed() {
    let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let fleet = Fleet::two(&redis, &quota(30));
    assert_eq!((fleet.passed(0, 5), fleet.passed(1, 7)), (5, 7));
    fleet.wait_for_usage(18, 12);
    redis.kill();

    let (site, id) = (fleet.gateways[0].site(), fleet.id.as_str());
    for arguments in [&["show", id, "--json"][..], &["reset", id], &["extend", id, "5"]] {
        let run = site.run(&[&["usage"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.text());
        assert!(run.text().contains("the quota is shared, and the Redis that counts it"));
    }
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let admin = |method: &str, path: &str, body: &str| {
        let headers = [("authorization", bearer.as_str())];
        let path = format!("/keys/{id}/usage{path}");
        let mut client = Client::connect(fleet.gateways[0].admin());
        client.request(method, &path, &headers, body.as_bytes())
    };
    for (method, path, body) in
        [("GET", "", ""), ("POST", "/reset", ""), ("POST", "/extend", r#"{"requests": 5}"#)]
    {
        let answer = admin(method, path, body);
        assert_eq!(answer.verdict(), (503, "shared-limits-away".into()), "{}", answer.text());
    }

    redis.start_again();
    fleet.wait_for_usage(18, 12);
    let answer = admin("GET", "", "");
    assert_eq!((answer.status, &answer.json()["quota"]["remaining"]), (200, &18.into()));
}

#[test]
fn a_reload_that_changes_how_limits_are_shared_gives_back_what_was_taken_ahead() {
    let redis = Redis::start();
    let config = config(&redis.address().to_string(), PATIENT, &quota(10_000));
    let config = config.replace("200ms", "1m");
    let fleet = Fleet::start(std::slice::from_ref(&config));
    assert_eq!(fleet.passed(0, 40), 40);
    let remaining = fleet.usage(0)["quota"]["remaining"].as_u64().unwrap();
    assert!(remaining < 9_960, "some are taken ahead: {remaining}");

    fleet.gateways[0].reload_config(
        &config.replace("lease = \"1m\"", "lease = \"59s\"").replace("/free", "/other"),
    );

    fleet.gateways[0].wait_for_answer("the new route", "/other", |answer| answer.status != 404);
    fleet.wait_for_usage(9_960, 40);
    assert_eq!(fleet.passed(0, 5), 5);
}

#[test]
fn throttles_of_plans_are_shared() {
    let redis = Redis::start();
    let fleet = Fleet::two(&redis, r#"throttle = { rate = "2/31d", burst = 10, shared = true }"#);

    assert_eq!((fleet.passed(0, 6), fleet.passed(1, 10)), (6, 4));

    assert_eq!(fleet.ask(0), (429, "throttled".into()));
}

#[test]
fn a_spent_quota_takes_nothing_of_throttles() {
    let redis = Redis::start();
    let throttle = r#"throttle = { rate = "2/31d", burst = 30, shared = true }"#;
    let config = config(&redis.address().to_string(), PATIENT, &quota(20));
    let config = config.replace(
        "usage_plan = \"required\"\n",
        &format!("usage_plan = \"required\"\n{throttle}\n"),
    );
    let config = config.replace("200ms", "30s");
    let mut fleet = Fleet::start(&[config]);
    let gateway = &fleet.gateways[0];
    let run = gateway.site().run(&["key", "add", "alice", "--plan", "gold", "--json"]);
    let other: Value = serde_json::from_str(&run.stdout).unwrap();
    let other = other["key"].as_str().unwrap().to_owned();
    assert_eq!(fleet.passed(0, 30), 20);

    fleet.key = other;
    let status = || fleet.gateways[0].get("/", &[("x-api-key", &fleet.key)]).status;
    eventually("the other key", || (status() == 200).then_some(()));

    assert_eq!(fleet.passed(0, 30), 9, "the API's throttle has all that the quota refused");
    assert_eq!(fleet.ask(0), (429, "throttled".into()));
}

#[test]
fn keys_in_redis_say_nothing_of_accounts_and_expire() {
    let redis = Redis::start();
    let fleet = Fleet::two(&redis, &quota(20));
    assert_eq!(fleet.passed(0, 3), 3);

    let keys = redis.ask(&["KEYS", "portcullis:*"]);

    for kind in ["quota", "usage"] {
        let start = format!("portcullis:{kind}:");
        let key = keys.iter().find(|key| key.starts_with(&start)).expect("a key");
        assert!(!key.contains(&fleet.id), "{key}");
        let left: u64 = redis.ask(&["TTL", key])[0].parse().unwrap();
        assert!(left <= 400 * 86_400, "{left}");
    }
}

#[test]
fn a_gateway_that_stops_gives_back_what_it_took_ahead() {
    let redis = Redis::start();
    let settings = format!("gateways = 2\n{PATIENT}\nlease = \"1m\"");
    let throttle = r#"rate = "20000/1d", burst = 20000"#;
    let mut gateways = [(); 2].map(|()| start(&url(&redis), &settings, throttle));
    assert_eq!(passed(&gateways[0], 40), 40);
    assert!(charges(&gateways[0], "redis") < 40.0, "it took several at a time");
    gateways[0].terminate();
    assert!(gateways[0].wait_exit().success());

    let key = redis.ask(&["KEYS", "portcullis:limit:*"]);
    let key = key.iter().find(|key| !key.ends_with("trial")).expect("a bucket");
    let missing = redis.ask(&["GET", key])[0].clone();
    let missing: f64 = missing.split(' ').next().unwrap().parse().unwrap();
    // A token has as many units as it takes microseconds to come back.
    let missing = missing / (86_400e6 / 20_000.0);
    assert!((30.0..=40.0).contains(&missing), "{missing} tokens, where forty were used");
}
