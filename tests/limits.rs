//! What may pass is counted exactly, and what is refused costs nobody anything.

use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::{Gateway, Site, Upstream, eventually};

/// A rate at which nothing comes back while a test runs.
const NEVER: &str = "1/31d";

fn start(upstream: &Upstream, config: &str) -> Gateway {
    Gateway::start(&whole(upstream, config))
}

fn whole(upstream: &Upstream, config: &str) -> String {
    let (address, config) = (upstream.address(), config.replace("NEVER", NEVER));
    format!("authorizer = \"none\"\n{config}\n[upstreams.orders]\nendpoints = [\"{address}\"]\n")
}

/// Statuses of so many requests, one after the other.
fn statuses(gateway: &Gateway, target: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| gateway.get(target, &[]).status).collect()
}

#[test]
fn exactly_the_burst_passes_however_many_come_at_once() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [listeners.public]
        address = "127.0.0.1:0"
        [listeners.other]
        address = "127.0.0.1:0"
        [apis.shop]
        upstream = "orders"
        routes."GET /" = { throttle = { rate = "NEVER", burst = 50 } }
        "#,
    );
    let barrier = Barrier::new(8);

    let passed: usize = thread::scope(|scope| {
        let ask = |thread: usize| {
            let (gateway, barrier) = (&gateway, &barrier);
            move || {
                let listener = if thread.is_multiple_of(2) { "public" } else { "other" };
                let mut client = portcullis_tests::Client::connect(gateway.address(listener));
                barrier.wait();
                let answers = (0..20).map(|_| client.request("GET", "/", &[], b"").status);
                answers.filter(|status| *status == 200).count()
            }
        };
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(ask(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });

    assert_eq!(passed, 50, "over two listeners");
    assert_eq!(upstream.seen().len(), 50);
    let refused = || gateway.metric("portcullis_throttled_total", &[("policy", "route")]);
    eventually("the last exchange in the books", || (refused() == 110.0).then_some(()));
}

#[test]
fn over_time_the_rate_passes_and_not_more() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "orders"
        routes."GET /" = { throttle = { rate = 20, burst = 80 } }
        "#,
    );
    let mut client = gateway.connect();
    let began = Instant::now();
    let mut passed = 0.0;
    // When the bucket was found empty first, and how many had passed. It is full again, and
    // runs over, only when all is looked at.
    let mut empty: Option<(Instant, f64)> = None;

    while empty.is_none_or(|(since, _)| since.elapsed() < Duration::from_secs(4)) {
        let asked = Instant::now();
        match client.request("GET", "/", &[], b"").status {
            200 => passed += 1.0,
            429 => {
                let (since, before) = *empty.get_or_insert((Instant::now(), passed));
                let came_back = 20.0 * asked.saturating_duration_since(since).as_secs_f64();
                assert!(passed - before > came_back - 1.0, "{passed} of {before} + {came_back}");
            }
            other => panic!("{other}"),
        }
        let most = 80.0 + 20.0 * began.elapsed().as_secs_f64();
        assert!(passed <= most, "{passed} of {most}");
        assert!(began.elapsed() < Duration::from_secs(60), "the bucket was never empty");
    }
}

#[test]
fn a_refusal_tells_clients_and_operators_why() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "orders"
        throttle = { rate = 1000, burst = 2000 }
        [apis.shop.routes."GET /orders/{id}"]
        throttle = [{ rate = "1/1h", burst = 2, per = "address" }, { rate = 5, name = "slow" }]
        concurrency = { limit = 9 }
        "#,
    );
    assert_eq!(statuses(&gateway, "/orders/1", 2), [200, 200]);

    let refused = gateway.get("/orders/1", &[]);

    assert_eq!(refused.verdict(), (429, "throttled".into()));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some(
            r#""route-address";q=2;w=7200, "slow";q=5;w=1, "route-in-flight";q=9;qu="concurrent-requests", "api";q=2000;w=2"#
        )
    );
    let limits = refused.header("ratelimit").unwrap();
    assert!(
        limits.starts_with(&format!("\"route-address\";r=0;t={wait}, \"slow\";r=")),
        "{limits}"
    );
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["route-address"]));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let line = gateway.wait_for_line("a line of who passed", |line| line["status"] == 200);
    assert_eq!((&line["path"], &line["code"]), (&"/orders/1".into(), &().into()));
    let line = gateway.wait_for_line("the line of the refusal", |line| line["status"] == 429);
    assert_eq!(line["throttled_by"], serde_json::json!(["route-address"]));
    assert_eq!(
        (line["code"].as_str(), line["reason"].as_str()),
        (Some("throttled"), Some("route-address"))
    );
    let labels = [("api", "shop"), ("route", "GET /orders/{id}"), ("policy", "route-address")];
    assert_eq!(gateway.metric("portcullis_throttled_total", &labels), 1.0);
    assert_eq!(gateway.metric("portcullis_limit_keys", &[("policy", "route-address")]), 1.0);
    assert_eq!(gateway.metric("portcullis_rejections_total", &[("code", "throttled")]), 1.0);
}

#[test]
fn fields_are_on_every_response_or_on_none_where_the_configuration_says_so() {
    let upstream = Upstream::start();
    let config = r#"
        limits.throttle_fields = "FIELDS"
        [apis.shop]
        upstream = "orders"
        [apis.shop.routes]
        "GET /" = { throttle = { rate = "NEVER", burst = 2 } }
        "GET /fixed" = { throttle = { rate = "NEVER", burst = 2 }, respond.status = 204 }
        "GET /free" = {}
        "#;
    let gateway = start(&upstream, &config.replace("FIELDS", "always"));
    for target in ["/", "/fixed"] {
        assert!(
            gateway.get(target, &[]).header("ratelimit").unwrap().starts_with("\"route\";r=1;t=")
        );
    }
    assert_eq!(gateway.get("/free", &[]).header("ratelimit"), None);

    let gateway = start(&upstream, &config.replace("FIELDS", "never"));
    assert_eq!(gateway.get("/", &[]).header("ratelimit"), None);
    assert_eq!(gateway.get("/", &[]).header("ratelimit"), None);
    let refused = gateway.get("/", &[]);
    assert_eq!((refused.status, refused.header("ratelimit")), (429, None));
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn a_wider_limit_that_refuses_leaves_the_narrower_ones_alone() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        throttle = { rate = "NEVER", burst = 4 }
        [apis.shop]
        upstream = "orders"
        throttle = { rate = "NEVER", burst = 3 }
        routes."GET /a" = { throttle = { rate = "NEVER", burst = 2 } }
        routes."GET /b" = { throttle = { rate = "NEVER", burst = 9, per = "client" }, cost = 1 }
        [apis.other]
        upstream = "orders"
        routes."GET /c" = {}
        routes."GET /free" = { cost = 0 }
        "#,
    );
    let named = |target: &str| gateway.get(target, &[]).json()["violated-policies"].clone();

    assert_eq!(statuses(&gateway, "/a", 3), [200, 200, 429]);
    assert_eq!(named("/a"), serde_json::json!(["route"]));
    assert_eq!(statuses(&gateway, "/b", 2), [200, 429]);
    assert_eq!(named("/b"), serde_json::json!(["api"]));
    assert_eq!(named("/a"), serde_json::json!(["route", "api"]));
    assert_eq!(statuses(&gateway, "/c", 2), [200, 429], "refusals took nothing of the account");
    assert_eq!(named("/c"), serde_json::json!(["account"]));
    assert_eq!(statuses(&gateway, "/free", 9), [200; 9]);
    assert_eq!(upstream.seen().len(), 4 + 9);
}

#[test]
fn a_request_takes_what_its_route_costs() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "orders"
        cost = 3
        throttle = { rate = "NEVER", burst = 8 }
        routes."GET /report" = {}
        routes."GET /item" = { cost = 1 }
        "#,
    );

    assert_eq!(statuses(&gateway, "/report", 3), [200, 200, 429]);
    assert_eq!(statuses(&gateway, "/item", 3), [200, 200, 429], "two were left");
}

#[test]
fn a_reload_keeps_what_was_taken_where_the_limit_is_the_same() {
    let upstream = Upstream::start();
    let config = |a: u32, marker: u32| {
        whole(
            &upstream,
            &format!(
                r#"
                [apis.shop]
                upstream = "orders"
                routes."GET /a" = {{ throttle = {{ rate = "NEVER", burst = {a} }} }}
                routes."GET /b" = {{ throttle = {{ rate = "NEVER", burst = 2, per = "client" }} }}
                routes."GET /new{marker}" = {{}}
                "#
            ),
        )
    };
    let gateway = Gateway::start(&config(2, 1));
    assert_eq!(statuses(&gateway, "/a", 3), [200, 200, 429]);
    assert_eq!(statuses(&gateway, "/b", 3), [200, 200, 429]);

    gateway.reload_config(&config(3, 2));
    gateway.wait_for_answer("the new configuration", "/new2", |answer| answer.status == 200);

    assert_eq!(statuses(&gateway, "/a", 4), [200, 200, 200, 429], "this one has changed");
    assert_eq!(statuses(&gateway, "/b", 1), [429], "this one has not");
}

#[test]
fn a_place_in_flight_is_free_again_when_the_exchange_ends_or_the_client_leaves() {
    let (go_on, going_on) = channel::<()>();
    let going_on = Mutex::new(going_on);
    let upstream = Upstream::answering(move |seen, reply| {
        if seen.target == "/slow" {
            // An error means that the test is over.
            let _over = going_on.lock().unwrap().recv_timeout(Duration::from_secs(120));
        }
        reply.send(200, &[], b"ok")
    });
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "orders"
        concurrency = { limit = 1, per = "address" }
        routes."GET /{name}" = {}
        "#,
    );
    let arrived = |count: usize| {
        eventually("the slow request", || (upstream.seen().len() == count).then_some(()));
    };

    let mut first = gateway.connect();
    first.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    arrived(1);
    let refused = gateway.get("/quick", &[]);
    assert_eq!(refused.verdict(), (429, "too-many-in-flight".into()));
    go_on.send(()).unwrap();
    assert_eq!(first.response("GET").unwrap().status, 200);

    // On one connection, a request is read when the one before has given its place back.
    let mut leaves = gateway.connect();
    eventually("a free place", || {
        (leaves.request("GET", "/quick", &[], b"").status == 200).then_some(())
    });
    let seen = upstream.seen().len();
    leaves.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    arrived(seen + 1);
    assert_eq!(gateway.get("/quick", &[]).status, 429);
    drop(leaves);
    gateway.wait_for_answer("the place of who left", "/quick", |answer| answer.status == 200);
}

#[test]
fn an_upgraded_connection_is_in_flight_until_its_end() {
    let upstream = Upstream::answering(|seen, reply| {
        if seen.target != "/socket" {
            return reply.send(200, &[], b"ok");
        }
        reply.begin(101, &[("connection", "Upgrade"), ("upgrade", "websocket")])?;
        while !reply.piece()?.is_empty() {}
        reply.close();
        Ok(())
    });
    let gateway = start(
        &upstream,
        r#"
        [apis.shop]
        upstream = "orders"
        concurrency = { limit = 1 }
        routes."GET /{name}" = {}
        "#,
    );
    let mut socket = gateway.connect();
    socket
        .send(
            b"GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
        )
        .unwrap();
    assert_eq!(socket.head().unwrap().0, 101);

    assert_eq!(statuses(&gateway, "/quick", 3), [429; 3]);
    drop(socket);

    gateway.wait_for_answer("the socket's place", "/quick", |answer| answer.status == 200);
}

#[test]
fn callers_have_their_own_share_and_guessing_ends_before_the_authorizer() {
    let upstream = Upstream::start();
    let site = Site::new();
    for name in ["alice", "bob"] {
        site.write(&format!("{name}.key"), format!("{name}-secret"));
    }
    let config = whole(
        &upstream,
        r#"
        failed_authorizations = { rate = "NEVER", burst = 3 }
        [authorizers.keys]
        plugin = "api-token"
        settings.tokens = { alice = { secret = "alice" }, bob = { secret = "bob" } }
        grants.secrets = { alice = { file = "alice.key" }, bob = { file = "bob.key" } }
        BUDGET
        [apis.shop]
        upstream = "orders"
        authorizer = "keys"
        routes."GET /own" = { throttle = { rate = "NEVER", burst = 1, per = "client" } }
        routes."GET /open" = { authorizer = "none", throttle = { rate = "NEVER", burst = 9 } }
        "#,
    );
    let gateway = site.start(&config.replace("BUDGET", crate::ROOMY));
    let own = |token: &str| {
        gateway.get("/own", &[("authorization", &format!("Bearer {token}"))]).verdict()
    };
    assert_eq!(own("alice-secret").0, 200);
    assert_eq!(own("bob-secret").0, 200);
    assert_eq!(own("alice-secret"), (429, "throttled".into()));

    for _ in 0..3 {
        assert_eq!(own("guess").0, 401);
    }
    let asked = gateway.use_metric("portcullis_plugin_duration_seconds_count", "keys");

    assert_eq!(own("guess"), (429, "too-many-failed-authorizations".into()));
    assert_eq!(own("bob-secret"), (429, "too-many-failed-authorizations".into()));
    assert_eq!(gateway.use_metric("portcullis_plugin_duration_seconds_count", "keys"), asked);
    assert_eq!(gateway.get("/open", &[]).status, 200);
}

#[test]
fn everybody_has_the_share_that_the_key_gives_them() {
    let upstream = Upstream::start();
    let config = whole(
        &upstream,
        r#"
        state = "state"
        trusted_proxies = ["127.0.0.1"]
        [authorizers.keys]
        plugin = "api-key"
        BUDGET
        [apis.shop]
        upstream = "orders"
        authorizer = "keys"
        [apis.shop.routes]
        "GET /key" = { throttle = { rate = "NEVER", burst = 1, per = "usage-key" } }
        "GET /principal" = { throttle = { rate = "NEVER", burst = 1, per = "principal" } }
        "GET /claim" = { throttle = { rate = "NEVER", burst = 1, per = "identity:tenant" } }
        "GET /header" = { authorizer = "none", throttle = { rate = "NEVER", burst = 1, per = "header:x-tenant" } }
        "GET /address" = { authorizer = "none", throttle = { rate = "NEVER", burst = 1, per = "address" } }
        "GET /path/{id}" = { authorizer = "none", throttle = { rate = "NEVER", burst = 1, per = "path:id" } }
        "#,
    );
    let gateway = Site::new().start(&config.replace("BUDGET", crate::ROOMY));
    let run = |arguments: &[&str]| {
        let outcome = gateway.site().run(&[arguments, &["--json"]].concat());
        serde_json::from_str::<serde_json::Value>(&outcome.stdout).expect("JSON")
    };
    let key_of =
        |consumer: &str| run(&["key", "add", consumer])["key"].as_str().unwrap().to_owned();
    for (consumer, tenant) in
        [("alice", "tenant=red"), ("bob", "tenant=red"), ("carol", "tenant=blue")]
    {
        run(&["consumer", "add", consumer, "--attribute", tenant]);
    }
    let [alice, again, bob, carol] = ["alice", "alice", "bob", "carol"].map(key_of);
    let known = |key: &str| gateway.get("/key", &[("x-api-key", key)]).status != 401;
    for key in [&alice, &again, &bob, &carol] {
        eventually("the key", || known(key).then_some(()));
    }
    let by = |target: &str, name: &str, values: &[&str]| -> Vec<u16> {
        let status = |value: &&str| gateway.get(target, &[(name, *value)]).status;
        values.iter().map(status).collect()
    };

    let keys = [&*alice, &again, &bob, &carol];
    assert_eq!(by("/key", "x-api-key", &keys), [429; 4], "each has taken its own");
    assert_eq!(by("/principal", "x-api-key", &keys), [200, 429, 200, 200]);
    assert_eq!(by("/claim", "x-api-key", &keys), [200, 429, 429, 200]);
    assert_eq!(by("/header", "x-tenant", &["a", "b", "a"]), [200, 200, 429]);
    assert_eq!(by("/header", "x-other", &["a", "b"]), [200, 429], "without it all have one");
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::2"];
    assert_eq!(by("/address", "x-forwarded-for", &addresses), [200, 200, 429, 200, 429]);
    assert_eq!(statuses(&gateway, "/path/1", 2), [200, 429]);
    assert_eq!(statuses(&gateway, "/path/2", 2), [200, 429]);
}

#[test]
fn preflights_take_nothing_and_pages_may_read_why_they_were_refused() {
    let upstream = Upstream::start();
    let gateway = start(
        &upstream,
        r#"
        throttle = { rate = "NEVER", burst = 1 }
        [apis.shop]
        upstream = "orders"
        cors = { origins = ["https://a.example"], expose = ["ratelimit", "ratelimit-policy", "retry-after"] }
        routes."GET /" = {}
        "#,
    );
    let origin = ("origin", "https://a.example");
    let preflight = [origin, ("access-control-request-method", "GET")];
    let ask = || gateway.request("OPTIONS", "/", &preflight, b"").status;

    assert_eq!((0..3).map(|_| ask()).collect::<Vec<_>>(), [204; 3]);
    assert_eq!(gateway.get("/", &[origin]).status, 200);
    let refused = gateway.get("/", &[origin]);

    assert_eq!(refused.verdict(), (429, "throttled".into()));
    assert_eq!(refused.header("access-control-allow-origin"), Some(origin.1));
    let exposed = refused.header("access-control-expose-headers").unwrap();
    for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
        assert!(exposed.split(", ").any(|other| other == name), "{exposed}");
        assert!(refused.header(name).is_some(), "{name}");
    }
    assert_eq!(ask(), 204, "with nothing left");
}

#[test]
fn commands_show_the_limits_of_a_route() {
    let site = Site::new();
    site.configure(
        r#"
        authorizer = "none"
        throttle = { rate = 10000, burst = 5000 }
        [apis.shop]
        cost = 2
        [apis.shop.routes."GET /a"]
        respond = {}
        throttle = { rate = 0.5, burst = 7, per = "header:X-Tenant" }
        concurrency = { limit = 3 }
        "#,
    );

    let explained = site.run(&["explain", "GET", "http://a/a", "--config", "portcullis.toml"]);

    let text = explained.stdout;
    for line in [
        "limit      route-header: 5/10s, burst 7 per header:x-tenant",
        "limit      route-in-flight: 3 in flight",
        "limit      account: 10000/s, burst 5000",
        "cost       2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
