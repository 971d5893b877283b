//! Limiters say what a request is charged to; the gateway counts.

use portcullis_tests::{Gateway, Redis, Site, Upstream, eventually};

use crate::shared_limits;

fn whole(upstream: &Upstream, config: &str) -> String {
    let address = upstream.address();
    let roomy = format!("plugin = \"rate-limit\"\n{}", crate::ROOMY);
    let config = config.replace("plugin = \"rate-limit\"", &roomy);
    format!("authorizer = \"none\"\n{config}\n[upstreams.orders]\nendpoints = [\"{address}\"]\n")
}

fn start(upstream: &Upstream, config: &str) -> Gateway {
    Gateway::start(&whole(upstream, config))
}

/// Statuses of so many requests, one after the other.
fn statuses(
    gateway: &Gateway,
    (target, headers): (&str, &[(&str, &str)]),
    count: usize,
) -> Vec<u16> {
    (0..count).map(|_| gateway.get(target, headers).status).collect()
}

#[test]
fn tiers_have_their_own_limits_and_uses_their_own_cost() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [limiters.plans]
        plugin = "rate-limit"
        [limiters.plans.settings]
        tier = "header:x-tier"
        default_tier = "free"
        limits.free = { limit = 2, per = "31d", by = ["header:x-who"], tiers = ["free"] }
        limits.gold = { limit = 4, per = "31d", by = ["header:x-who"], tiers = ["gold"], costs = { search = 3 } }
        [apis.shop]
        upstream = "orders"
        limiters = ["plans"]
        routes."GET /" = {}
        routes."GET /search" = { limiters = [{ with = "plans", use = "search" }] }
        routes."GET /free" = { limiters = [] }
        "#,
    );

    assert_eq!(statuses(&gateway, ("/", &[("x-who", "a")]), 3), [200, 200, 429]);
    assert_eq!(statuses(&gateway, ("/", &[("x-who", "b")]), 1), [200], "another has its own");
    let gold = [("x-who", "a"), ("x-tier", "gold")];
    assert_eq!(statuses(&gateway, ("/search", &gold), 2), [200, 429], "three and three are six");
    assert_eq!(statuses(&gateway, ("/", &gold), 2), [200, 429], "the refusal took nothing");
    let made_up = [("x-who", "b"), ("x-tier", "platinum")];
    assert_eq!(statuses(&gateway, ("/", &made_up), 2), [200, 429], "as the default tier");
    assert_eq!(statuses(&gateway, ("/free", &gold), 3), [200; 3]);
    let refused = || gateway.metric("portcullis_throttled_total", &[("policy", "gold")]);
    eventually("the last exchange in the books", || (refused() == 2.0).then_some(()));
}

#[test]
fn a_quota_says_when_its_period_ends() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [limiters.quota]
        plugin = "rate-limit"
        settings.limits.monthly = { algorithm = "fixed-window", limit = 1, per = "month" }
        [apis.shop]
        upstream = "orders"
        limiters = ["quota"]
        routes."GET /" = {}
        "#,
    );
    assert_eq!(gateway.get("/", &[]).status, 200);

    let refused = gateway.get("/", &[]);

    // A test at the very end of a month meets the next one.
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds <= 31 * 24 * 3600, "{seconds}");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"monthly\";q=1;w=2678400"));
    let told = format!("\"monthly\";r=0;t={seconds}");
    assert_eq!(refused.header("ratelimit"), Some(told.as_str()));
}

#[test]
fn what_an_invalid_request_took_is_given_back_where_the_limit_says_so() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [limiters.plans]
        plugin = "rate-limit"
        settings.limits.kept = { limit = 3, per = "31d" }
        settings.limits.returned = { limit = 1, per = "31d", gives_back = true }
        [apis.shop]
        upstream = "orders"
        limiters = ["plans"]
        routes."GET /" = { validate = { query = { a = { type = "integer", required = true } } } }
        "#,
    );

    assert_eq!(statuses(&gateway, ("/?a=no", &[]), 2), [400, 400]);
    assert_eq!(statuses(&gateway, ("/?a=1", &[]), 2), [200, 429]);
    let refused = || gateway.metric("portcullis_throttled_total", &[("policy", "kept")]);
    eventually("the last exchange in the books", || (refused() == 1.0).then_some(()));
}

#[test]
fn a_reload_keeps_what_limiters_have_charged() {
    let upstream = Upstream::start();
    let config = |marker: u32, limit: u32| {
        whole(
            &upstream,
            &format!(
                r#"
                throttle = {{ rate = 1000, burst = 100{marker} }}
                [limiters.plans]
                plugin = "rate-limit"
                settings.limits.same = {{ limit = 2, per = "31d", uses = ["same"] }}
                settings.limits.other = {{ limit = {limit}, per = "31d", uses = ["other"] }}
                [apis.shop]
                upstream = "orders"
                routes."GET /same" = {{ limiters = [{{ with = "plans", use = "same" }}] }}
                routes."GET /other" = {{ limiters = [{{ with = "plans", use = "other" }}] }}
                routes."GET /new{marker}" = {{}}
                "#
            ),
        )
    };
    let gateway = Gateway::start(&config(1, 1));
    assert_eq!(statuses(&gateway, ("/same", &[]), 2), [200, 200]);
    assert_eq!(statuses(&gateway, ("/other", &[]), 2), [200, 429]);

    gateway.reload_config(&config(2, 2));
    gateway.wait_for_answer("the new configuration", "/new2", |answer| answer.status == 200);

    assert_eq!(statuses(&gateway, ("/same", &[]), 1), [429]);
    assert_eq!(statuses(&gateway, ("/other", &[]), 3), [200, 200, 429]);
}

#[test]
fn mistakes_are_shown_where_they_are_written() {
    let upstream = Upstream::start();
    let config = |limiter: &str| {
        whole(
            &upstream,
            &format!(
                r#"
                [listeners.public]
                address = "127.0.0.1:0"
                [limiters.plans]
                plugin = "rate-limit"
                settings.limits.a = {{ limit = 1, per = "fortnight" }}
                [apis.shop]
                upstream = "orders"
                limiters = ["{limiter}"]
                routes."GET /" = {{}}
                "#
            ),
        )
    };

    let unknown = Site::new().check(&config("plan"));
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("did you mean `plans`?"), "{unknown:?}");

    let wrong = Site::new().check(&config("plans"));
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("\"fortnight\""), "{wrong:?}");
    assert!(wrong.stderr.contains("write a time as"), "{wrong:?}");
}

#[test]
fn cases_say_what_a_limiter_charges() {
    let cases = r#"
settings.limits.all = { limit = 9, per = "1m" }
settings.limits.searches = { limit = 9, per = "1m", uses = ["search"], cost = 3 }

[[case]]
name = "a search costs more"
argument = "search"
request = {}
expect = { charges = { all = 1, searches = 3 } }

[[case]]
name = "anything else does not"
request = {}
expect = { charges = { all = COST } }
"#;
    let component = portcullis_builtin_plugins::components();
    let (_, component) = component.iter().find(|(name, _)| *name == "rate-limit").unwrap();
    let site = Site::new();
    site.install("rate-limit", component);

    for (cost, code, told) in [("1", 0, "2 passed, 0 failed"), ("2", 1, "charged to {\"all\": 1}")]
    {
        site.write("cases.toml", cases.replace("COST", cost));
        let outcome = site.run(&["plugin", "test", "plugins/rate-limit.wasm"]);
        assert_eq!(outcome.code, Some(code), "{}", outcome.text());
        assert!(outcome.text().contains(told), "{}", outcome.text());
    }
}

const SHARED: &str = r#"
    authorizer = "none"
    [shared_limits]
    redis = "REDIS"
    gateways = 2
    timeout = "10s"
    lease = "1m"
    [limiters.plans]
    plugin = "rate-limit"
    shared = true
    settings.limits.all = { limit = 50, per = "1d", by = ["header:x-key"] }
    BUDGET
    [apis.shop.routes."GET /"]
    respond = {}
    limiters = ["plans"]
"#;

#[test]
fn gateways_that_share_a_limiter_let_pass_what_one_would() {
    let redis = Redis::start();
    let config =
        SHARED.replace("REDIS", &shared_limits::url(&redis)).replace("BUDGET", crate::ROOMY);
    let gateways = [(); 2].map(|()| Gateway::start(&config));
    for gateway in &gateways {
        gateway.wait_for_metric("a Redis", |metrics| {
            metrics.sum("portcullis_shared_limits_up", &[]) == 1.0
        });
    }

    let passed = |key: &str| {
        let ask = |at: usize| gateways[at % 2].get("/", &[("x-key", key)]).status;
        (0..80).filter(|at| ask(*at) == 200).count()
    };

    assert_eq!([passed("a"), passed("b")], [50, 50]);
    let refused = gateways[0].get("/", &[("x-key", "a")]);
    assert_eq!(refused.verdict(), (429, "throttled".into()));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"all\";q=50;w=86400"));
}

#[test]
fn places_in_flight_are_not_shared() {
    let site = Site::new();
    let flight = r#"limit = 50, algorithm = "in-flight""#;
    let config = SHARED.replace("BUDGET", "").replace(r#"limit = 50, per = "1d""#, flight);
    let listener = "[listeners.public]\naddress = \"127.0.0.1:0\"\n";
    let outcome = site.check(&(config.replace("REDIS", "redis://127.0.0.1:1") + listener));

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let text = outcome.text();
    let told = "each gateway counts for itself what is in flight";
    assert!(text.contains(told) && text.contains("portcullis.toml:"), "{text}");
}
