//! The guard looks at requests before anybody is asked who the caller is.

use portcullis_tests::{Gateway, H2Client, Site, Upstream, country_database, eventually};
use serde_json::json;

const GUARDED: &str = r#"
    trusted_proxies = ["127.0.0.1"]
    authorizer = "none"
    [authorizers.never]
    plugin = "trap"

    [guard.rules]
    everywhere = { deny_addresses = ["198.51.100.66"] }

    [apis.plain]
    upstream = "orders"
    [apis.plain.routes."GET /plain"]

    [apis.lists]
    upstream = "orders"
    base_path = "/lists"
    [apis.lists.guard.rules]
    watched = { deny_addresses = ["192.0.2.0/24"], mode = "count" }
    listed = { deny_addresses = ["203.0.113.0/25", "2001:db8:bad::/48", { file = "denied.txt" }] }
    [apis.lists.routes."ANY /{rest+}"]
    [apis.lists.routes."GET /asked"]
    authorizer = "never"

    [apis.office]
    upstream = "orders"
    base_path = "/office"
    [apis.office.guard.rules]
    office = { allow_addresses = ["192.0.2.0/24", "2001:db8::/32"] }
    [apis.office.routes."GET /"]

    [apis.world]
    upstream = "orders"
    base_path = "/world"
    [apis.world.guard]
    country_database = "countries.mmdb"
    rules.embargo = { deny_countries = ["XX"] }
    rules.home = { allow_countries = ["DE", "AT"], mode = "count" }
    [apis.world.routes."GET /"]

    [apis.form]
    upstream = "orders"
    base_path = "/form"
    [apis.form.guard.rules]
    methods = { allow_methods = ["GET", "POST"] }
    json = { allow_content_types = ["application/json", "text/*"] }
    heads = { most = { headers = 8, header_bytes = "100B" } }
    targets = { most = { path_bytes = 30, query_bytes = 20, query_parameters = 3 } }
    [apis.form.routes."ANY /{rest+}"]

    [apis.matched]
    upstream = "orders"
    base_path = "/matched"
    [apis.matched.guard.rules]
    php = { deny_matching = '(?i)\.php$', parts = ["path"] }
    union = { deny_matching = '(?i)union\s+select', parts = ["query", "header:x-q"] }
    one = { deny_matching = '<script', parts = ["query:html"], mode = "count" }
    body = { deny_matching = '(?i)drop\s+table', parts = ["body"], body_limit = "1KiB" }
    [apis.matched.routes."ANY /{rest+}"]

    [apis.attacked]
    upstream = "orders"
    base_path = "/attacked"
    [apis.attacked.guard.rules]
    script = { deny_attacks = ["cross-site-scripting"], parts = ["header:x-html"], mode = "count" }
    attacks = { deny_attacks = ["sql-injection", "cross-site-scripting"], parts = ["path", "query", "header:cookie", "body"], body_limit = "4KiB" }
    [apis.attacked.routes."ANY /{rest+}"]

    [apis.counted]
    upstream = "orders"
    base_path = "/counted"
    [apis.counted.guard.rules]
    body = { deny_matching = 'drop', parts = ["body"], body_limit = "1KiB", mode = "count" }
    [apis.counted.routes."POST /"]
"#;

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("denied.txt", "# the worst\n203.0.113.200 # one\r\n\n2001:db8:1::/64\n");
    let countries = [
        ("81.2.69.0", 24, "DE"),
        ("192.0.2.0", 25, "XX"),
        ("2001:db8::", 32, "AT"),
        ("2001:db9::", 32, "XX"),
    ];
    site.write("countries.mmdb", country_database(&countries));
    site.start(&format!("upstreams.orders.endpoints = [\"{}\"]\n{GUARDED}", orders.address()))
}

/// Sends a GET as a client of this address; the status and the code.
fn from(gateway: &Gateway, address: &str, target: &str) -> (u16, String) {
    gateway.get(target, &[("x-forwarded-for", address)]).verdict()
}

const PASSED: (u16, String) = (200, String::new());

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn addresses_are_denied_by_lists_and_files() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let address = refused(403, "address-refused");

    for denied in [
        "203.0.113.1",
        "::ffff:203.0.113.127",
        "203.0.113.200",
        "2001:db8:bad:1::1",
        "2001:db8:1::9",
    ] {
        assert_eq!(from(&gateway, denied, "/lists/a"), address, "{denied}");
        // Nobody was asked: the authorizer of this route always fails.
        assert_eq!(from(&gateway, denied, "/lists/asked"), address, "{denied}");
    }
    orders.assert_saw_nothing();
    for passed in ["203.0.113.128", "203.0.113.201", "2001:db8:1:1::9", "127.0.0.1"] {
        assert_eq!(from(&gateway, passed, "/lists/a"), PASSED, "{passed}");
    }
    assert_eq!(from(&gateway, "127.0.0.1", "/lists/asked"), refused(503, "plugin-fault"));
    for (client, expected) in [
        ("192.0.2.9", PASSED),
        ("2001:db8::1", PASSED),
        ("192.0.3.1", address.clone()),
        ("2001:db9::1", address),
    ] {
        assert_eq!(from(&gateway, client, "/office"), expected, "{client}");
    }
}

#[test]
fn an_api_without_a_guard_has_the_gateways() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    assert_eq!(from(&gateway, "198.51.100.66", "/plain"), refused(403, "address-refused"));
    assert_eq!(from(&gateway, "198.51.100.66", "/lists/a"), PASSED);
}

#[test]
fn a_changed_file_of_networks_is_read_again() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    assert_eq!(from(&gateway, "198.18.0.1", "/lists/a"), PASSED);

    gateway.site().write("denied.txt", "198.18.0.0/15\n");
    eventually("the refusal of the new network", || {
        (from(&gateway, "198.18.0.1", "/lists/a").0 == 403).then_some(())
    });
    assert_eq!(from(&gateway, "203.0.113.200", "/lists/a"), PASSED);
    gateway.site().write("denied.txt", "203.0.113.200\nnonsense\n");
    let written = gateway.wait_for_output("line 2 is no network");
    assert!(written.contains("denied.txt"), "{written}");
    assert_eq!(from(&gateway, "198.18.0.1", "/lists/a").0, 403);
}

#[test]
fn countries_are_told_by_a_database() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    for embargoed in ["192.0.2.1", "2001:db9::1", "::ffff:192.0.2.1"] {
        assert_eq!(from(&gateway, embargoed, "/world"), refused(403, "country-refused"));
    }
    for passed in ["81.2.69.7", "2001:db8::1", "8.8.8.8", "192.0.2.200"] {
        assert_eq!(from(&gateway, passed, "/world"), PASSED, "{passed}");
    }
    // Of these, only the last two are in no allowed country.
    gateway.wait_for_metric("two matches of `home`", |metrics| {
        let labels = [("api", "world"), ("rule", "home"), ("mode", "count")];
        metrics.sum("portcullis_guard_matches_total", &labels) == 2.0
    });
}

#[test]
fn what_a_request_may_be_is_bounded() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let get = |target: &str, headers: &[(&str, &str)]| gateway.get(target, headers).verdict();
    let post =
        |headers: &[(&str, &str)], body: &[u8]| gateway.post("/form/a", headers, body).verdict();

    let method = gateway.request("DELETE", "/form/a", &[], b"");
    assert_eq!(method.verdict(), refused(405, "method-refused"));
    assert_eq!(method.header("allow"), Some("GET, POST"));
    for kind in ["application/xml", "application", "", "application/json2", "text"] {
        let verdict = post(&[("content-type", kind)], b"{}");
        assert_eq!(verdict, refused(415, "content-type-refused"), "{kind}");
    }
    assert_eq!(post(&[], b"{}"), refused(415, "content-type-refused"));
    let two = [("content-type", "application/json"), ("content-type", "a/b")];
    assert_eq!(post(&two, b"{}"), refused(415, "content-type-refused"));
    let many: Vec<(String, String)> = (0..9).map(|at| (format!("x-{at}"), "1".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(get("/form/a", &many), refused(431, "headers-too-large"));
    let long = "x".repeat(100);
    assert_eq!(get("/form/a", &[("x", &long)]), refused(431, "headers-too-large"));
    for target in [
        format!("/form/{}", "a".repeat(25)),
        format!("/form/a?{}", "a".repeat(21)),
        "/form/a?1&2&3&4".to_owned(),
    ] {
        assert_eq!(get(&target, &[]), refused(414, "target-too-large"), "{target}");
    }
    orders.assert_saw_nothing();
    assert_eq!(get("/form/a?1&2&3&", &[("x", &long[..99])]), PASSED);
    for kind in ["application/json", "Application/JSON; charset=utf-8", "text/csv"] {
        assert_eq!(post(&[("content-type", kind)], b"{}"), PASSED, "{kind}");
    }
    assert_eq!(post(&[], b""), PASSED);
}

#[test]
fn a_body_is_one_over_http_2_without_a_length_too() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let client = H2Client::connect(gateway.address("public"));
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        let response = client.request("POST", "/form/a", headers, body);
        (response.status, response.code())
    };
    let found = refused(415, "content-type-refused");

    assert_eq!(post(&[], b"<a/>"), found);
    assert_eq!(post(&[("content-length", "4")], b"<a/>"), found);
    assert_eq!(post(&[("content-type", "application/xml")], b"<a/>"), found);
    orders.assert_saw_nothing();
    assert_eq!(post(&[("content-type", "application/json")], b"{}"), PASSED);
    assert_eq!(post(&[], b""), PASSED);
}

#[test]
fn expressions_look_at_parts_as_sent_and_decoded() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let get = |target: &str| gateway.get(target, &[]).verdict();
    let post = |body: &[u8]| gateway.post("/matched/a", &[], body).verdict();
    let found = refused(403, "match-refused");

    for target in [
        "/matched/a.php",
        "/matched/a%2ephp",
        "/matched/a.%50HP",
        "/matched/a?q=1+union+select+2",
        "/matched/a?q=1%20UNION%0aSELECT",
        "/matched/a?q=%ff%20union%20select",
    ] {
        assert_eq!(get(target), found, "{target}");
    }
    assert_eq!(gateway.get("/matched/a", &[("x-q", "union select")]).verdict(), found);
    assert_eq!(post(b"\xffDROP  TABLE orders"), found);
    let chunks = (&b"x drop table"[..], 3);
    let chunked = gateway.connect().request_chunked("POST", "/matched/a", &[], chunks);
    assert_eq!(chunked.verdict(), found);
    assert_eq!(post(&[b'x'; 1025]), refused(413, "body-too-large"));
    // What is in it cannot be seen.
    let packed = |coding| {
        let headers = [("content-encoding", coding)];
        gateway.post("/matched/packed", &headers, b"\x1f\x8b").verdict()
    };
    assert_eq!((packed("gzip"), packed("identity, br")), (found.clone(), found.clone()));
    orders.assert_saw_nothing();
    for target in ["/matched/a.php5", "/matched/a?q=union", "/matched/a?html=%3Cscript"] {
        assert_eq!(get(target), PASSED, "{target}");
    }
    assert_eq!(packed("Identity"), PASSED);
    assert_eq!(gateway.get("/matched/a", &[("content-encoding", "gzip")]).verdict(), PASSED);
    assert_eq!(post(&[b'x'; 1024]), PASSED);
    assert_eq!(orders.seen().pop().unwrap().length, 1024);
}

#[test]
fn a_rule_that_counts_looks_at_the_beginning_of_a_body_and_lets_all_of_it_pass() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let early = [&b"drop"[..], &[b'x'; 100_000]].concat();

    assert_eq!(gateway.post("/counted", &[], &early).verdict(), PASSED);
    assert_eq!(gateway.post("/counted", &[], b"drip").verdict(), PASSED);

    let seen = orders.seen();
    assert!(seen[0].body == early && seen[1].body == b"drip");
    gateway.wait_for_metric("one match", |metrics| {
        metrics.sum("portcullis_guard_matches_total", &[("rule", "body")]) == 1.0
    });
}

#[test]
fn a_rule_that_counts_refuses_no_body_that_cannot_be_held() {
    let orders = Upstream::start();
    let gateway = Gateway::start(&format!(
        r#"
        authorizer = "none"
        limits.held_body_bytes = "0B"
        upstreams.orders.endpoints = ["{}"]
        apis.counted.base_path = "/counted"
        apis.counted.upstream = "orders"
        apis.counted.routes."POST /" = {{}}
        [apis.counted.guard.rules]
        one = {{ deny_matching = "x", parts = ["body"], mode = "count" }}
        two = {{ deny_attacks = ["sql-injection"], parts = ["body"], mode = "count" }}
        [apis.blocked]
        upstream = "orders"
        base_path = "/blocked"
        guard.rules.one = {{ deny_matching = "y", parts = ["body"] }}
        routes."POST /" = {{}}
        "#,
        orders.address()
    ));
    let body = vec![b'x'; 300_000];

    assert_eq!(gateway.post("/blocked", &[], b"x").status, 503);
    orders.assert_saw_nothing();
    assert_eq!(gateway.post("/counted", &[], b"x").verdict(), PASSED);
    assert_eq!(gateway.post("/counted", &[], &body).verdict(), PASSED);
    let client = H2Client::connect(gateway.address("public"));
    assert_eq!(client.request("POST", "/counted", &[], &body).status, 200);

    let lengths: Vec<_> = orders.seen().iter().map(|seen| seen.length).collect();
    assert_eq!(lengths, [1, 300_000, 300_000]);
    assert_eq!(gateway.metric("portcullis_guard_matches_total", &[]), 0.0);
}

const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];
const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8")];

#[test]
fn values_that_look_like_attacks_are_refused() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let get = |target: &str| gateway.get(target, &[]).verdict();
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        gateway.post("/attacked/a", headers, body).verdict()
    };
    let found = refused(403, "attack-refused");

    for target in [
        "/attacked/a?id=1'%20or%20'1'='1",
        "/attacked/a?q=a&id=1+union+select+password+from+users",
        "/attacked/a?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/attacked/a?%3Cimg%20src=x%20onerror=1%3E",
        // Encoded twice, for an upstream that decodes twice.
        "/attacked/a?id=1%2527%2520or%25201%253D1--",
        "/attacked/1'%20or%201=1--",
        // What is no UTF-8 hides nothing.
        "/attacked/a?id=1'%20or%201=1--%ff",
    ] {
        assert_eq!(get(target), found, "{target}");
    }
    let cookie = gateway.get("/attacked/a", &[("cookie", "a=b; session=1' or 1=1--; c=d")]);
    assert_eq!(cookie.verdict(), found);
    for (headers, body) in [
        (FORM, &b"name=x&id=1%27+or+1%3D1--"[..]),
        (JSON, br#"{"lines": [{"sku": "1\u0027 or 1=1--"}]}"#),
        (JSON, br#"{"<script>": 1}"#),
        // JSON that does not say so, and that is cut.
        (&[], br#" [{"id": "1' or 1=1--"#),
        (&[], b"1' or 1=1--"),
    ] {
        assert_eq!(post(headers, body), found, "{}", String::from_utf8_lossy(body));
    }
    // What cannot be read is not let pass, nor what is too much.
    assert_eq!(post(&[("content-encoding", "gzip")], b"\x1f\x8b"), found);
    assert_eq!(post(JSON, &[b' '; 4097]), refused(413, "body-too-large"));
    let many = format!("[{}]", vec![r#""'""#; 1000].join(","));
    assert_eq!(post(JSON, many.as_bytes()), PASSED);
}

#[test]
fn innocent_values_pass_and_a_rule_about_attacks_may_count() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    for target in [
        "/attacked/O'Brien?q=please+select+one+from+the+list",
        "/attacked/a?mail=alice@example.com&sort=price,asc&url=https%3A%2F%2Fa.example%2F%3Fb%3Dc",
    ] {
        assert_eq!(gateway.get(target, &[]).verdict(), PASSED, "{target}");
    }
    let text = br#"{"name": "O'Brien", "notes": "drop me a line at the table; *thanks*"}"#;
    assert_eq!(gateway.post("/attacked/a", JSON, text).verdict(), PASSED);
    assert_eq!(gateway.post("/attacked/a", FORM, b"name=D'Angelo+%26+Sons").verdict(), PASSED);
    let html = gateway.get("/attacked/html", &[("x-html", "<svg onload=alert(1)>")]);
    assert_eq!(html.verdict(), PASSED);

    assert_eq!(gateway.log_line("/attacked/html")["guard"], json!(["script: count"]));
    gateway.get("/attacked/sql?id=1'+or+1=1--", &[]);
    let blocked = gateway.log_line("/attacked/sql");
    assert_eq!(
        (&blocked["code"], &blocked["reason"]),
        (&json!("attack-refused"), &json!("attacks"))
    );
    for (rule, mode) in [("script", "count"), ("attacks", "block")] {
        let labels = [("api", "attacked"), ("rule", rule), ("mode", mode)];
        gateway.wait_for_metric(rule, |metrics| {
            metrics.sum("portcullis_guard_matches_total", &labels) == 1.0
        });
    }
}

#[test]
fn the_access_log_and_metrics_name_the_rule() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    from(&gateway, "203.0.113.1", "/lists/blocked");
    from(&gateway, "192.0.2.9", "/lists/counted");

    let blocked = gateway.log_line("/lists/blocked");
    assert_eq!(blocked["code"], "address-refused", "{blocked}");
    assert_eq!(blocked["reason"], "listed", "{blocked}");
    assert_eq!(blocked["guard"], json!(["listed: block"]), "{blocked}");
    let counted = gateway.log_line("/lists/counted");
    assert_eq!((&counted["guard"], &counted["code"]), (&json!(["watched: count"]), &json!(null)));
    for (rule, mode) in [("listed", "block"), ("watched", "count")] {
        let labels = [("api", "lists"), ("rule", rule), ("mode", mode)];
        gateway.wait_for_metric(rule, |metrics| {
            metrics.sum("portcullis_guard_matches_total", &labels) == 1.0
        });
    }
    let labels = [("code", "address-refused")];
    assert_eq!(gateway.metric("portcullis_rejections_total", &labels), 1.0);
    // What the rule is called is nobody else's business.
    let response = gateway.get("/lists/a", &[("x-forwarded-for", "203.0.113.1")]);
    assert!(!response.text().contains("listed"), "{response:?}");
}

#[test]
fn what_the_guard_would_say_is_explained() {
    let site = Site::new();
    site.write("denied.txt", "");
    site.write("countries.mmdb", country_database(&[("192.0.2.0", 24, "XX")]));
    let head = "listeners.public.address = \"127.0.0.1:0\"\n\
        upstreams.orders.endpoints = [\"127.0.0.1:9\"]\n";
    site.write("portcullis.toml", format!("{head}{GUARDED}"));
    let explain = |url: &str, more: &[&str]| {
        let arguments = [&["explain", "GET", url, "--config", "portcullis.toml"], more].concat();
        site.run(&arguments).stdout
    };

    let listed = explain("http://a/lists/a", &["--address", "203.0.113.1"]);
    assert!(listed.contains("guard      watched (count): finds nothing"), "{listed}");
    assert!(listed.contains("guard      listed (block): finds the client's address"), "{listed}");
    let world = explain("http://a/world", &["--address", "192.0.2.1"]);
    assert!(world.contains("embargo (block): finds the country"), "{world}");
    let unsaid = explain("http://a/lists/a", &[]);
    assert!(unsaid.contains("listed (block): tell it a client's `--address`"), "{unsaid}");
    let matched = explain("http://a/matched/a.php?q=1", &[]);
    assert!(matched.contains("php (block): finds a match in path"), "{matched}");
    let attacked = explain("http://a/attacked/a?id=1'+or+1=1--", &[]);
    assert!(attacked.contains("attacks (block): finds SQL injection in query"), "{attacked}");
    let json = explain("http://a/lists/a", &["--address", "203.0.113.1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["guard"][1]["found"], "the client's address", "{json}");
}
