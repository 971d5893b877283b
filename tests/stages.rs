//! An API is served at each of its stages, with an address, values, upstreams and limits of
//! the stage's own.

use portcullis_tests::{Gateway, H2Client, Response, Seen, Site, Upstream, eventually};

const STAGED: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    settings.tokens.alice = { secret = "alice" }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [transforms.tell]
    plugin = "headers"
    settings.request = { set = { x-told = "${stage:colour} ${route:stage} ${request:arn}" } }
    settings.response = { set = { x-told = "${stage:colour}" } }
    BUDGET

    [apis.shop]
    upstream = "blue"
    authorizer = "none"
    base_path = "/v1"
    cors = { origins = ["https://page.example"], methods = ["GET"] }
    request.set = { "header:x-stage" = "{route:stage}", "header:x-colour" = "{stage:colour}" }
    response.set = { "header:x-colour" = "{stage:colour}" }

    [apis.shop.routes]
    "GET /orders/{id}" = { throttle = { rate = "1/1d", burst = 3 } }
    "GET /stripped/{id}" = { rewrite = { strip_prefix = "/v1/stripped", add_prefix = "/api" } }
    "GET /told" = { request_transforms = ["tell"], response_transforms = ["tell"], authorizer = "keys", identity_headers = { x-mine = "stage:colour" } }
    "GET /mock" = { respond = { json = { stage = "{route:stage}", colour = "{stage:colour}", arn = "{request:arn}" } } }
    "GET /" = { respond = { body = "root" } }
    "$default" = { respond = { status = 404, body = "no page" } }

    [apis.shop.stages."$default"]
    values = { colour = "blue" }

    [apis.shop.stages.dev]
    values = { colour = "green" }
    upstreams = { blue = "green" }
    routes = { "GET /orders/{id}" = { throttle = { rate = "1/1d", burst = 1 } } }

    [apis.shop.stages.beta]
    hosts = ["beta.example.com"]
    values = { colour = "red" }
    throttle = { rate = "1/1d", burst = 2 }

    [apis.other]
    authorizer = "none"
    routes."GET /{a}/{b}/{c}" = { respond = { body = "other" } }
"#;

const BEARER: (&str, &str) = ("authorization", "Bearer sesame");
const BETA: (&str, &str) = ("host", "beta.example.com");

fn start(blue: &Upstream, green: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let upstreams = format!(
        "upstreams.blue.endpoints = [\"{}\"]\nupstreams.green.endpoints = [\"{}\"]\n",
        blue.address(),
        green.address()
    );
    site.start(&format!("{upstreams}{}", STAGED.replace("BUDGET", crate::ROOMY)))
}

fn last(upstream: &Upstream) -> Seen {
    upstream.seen().pop().unwrap()
}

fn colours(response: &Response, seen: &Seen) -> [Option<String>; 3] {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let (stage, colour) = (seen.headers.get("x-stage"), seen.headers.get("x-colour"));
    [own(stage), own(colour), own(response.header("x-colour"))]
}

fn named(stage: &str, colour: &str) -> [Option<String>; 3] {
    [stage, colour, colour].map(|text| Some(text.to_owned()))
}

#[test]
fn each_stage_has_an_address_values_and_upstreams_and_the_same_routes() {
    let (blue, green) = (Upstream::start(), Upstream::start());
    let gateway = start(&blue, &green);

    let response = gateway.get("/v1/orders/7?a=1", &[]);
    let seen = last(&blue);
    assert_eq!((response.status, seen.target.as_str()), (200, "/v1/orders/7?a=1"));
    assert_eq!(colours(&response, &seen), named("$default", "blue"));

    // The upstream does not see the stage in the path.
    let response = gateway.get("/dev/v1/orders/%37?a=1", &[]);
    let seen = last(&green);
    assert_eq!((response.status, seen.target.as_str()), (200, "/v1/orders/%37?a=1"));
    assert_eq!(colours(&response, &seen), named("dev", "green"));

    let response = gateway.get("/v1/orders/7", &[BETA]);
    let seen = last(&blue);
    assert_eq!((response.status, seen.target.as_str()), (200, "/v1/orders/7"));
    assert_eq!(colours(&response, &seen), named("beta", "red"));
    assert_eq!(gateway.get("/dev/v1/orders/7", &[BETA]).status, 404);

    for prefix in ["", "/dev"] {
        let upstream = if prefix.is_empty() { &blue } else { &green };
        assert_eq!(gateway.get(&format!("{prefix}/v1/stripped/9"), &[]).status, 200);
        assert_eq!(last(upstream).target, "/api/9");
        assert_eq!(gateway.get(&format!("{prefix}/v1"), &[]).text(), "root");
        assert_eq!(gateway.get(&format!("{prefix}/v1/none"), &[]).text(), "no page");
    }
}

#[test]
fn a_path_that_begins_with_a_stage_is_that_stages() {
    let (blue, green) = (Upstream::start(), Upstream::start());
    let gateway = start(&blue, &green);

    assert_eq!(gateway.get("/devs/v1/x", &[]).text(), "other");
    // Another API's pattern would match, and this stage has no such route but its own default.
    assert_eq!(gateway.get("/dev/v1/x", &[]).text(), "no page");
    let h2 = H2Client::connect(gateway.address("public"));
    assert_eq!(h2.request("GET", "/dev/v1/orders/1", &[], b"").status, 200);
    assert_eq!(last(&green).target, "/v1/orders/1");
}

#[test]
fn pages_of_others_are_told_the_same_at_each_stage() {
    let (blue, green) = (Upstream::start(), Upstream::start());
    let gateway = start(&blue, &green);
    let origin = ("origin", "https://page.example");
    let asked = [origin, ("access-control-request-method", "GET")];
    let allowed = |response: &Response| {
        response.header("access-control-allow-origin") == Some("https://page.example")
    };

    for prefix in ["", "/dev"] {
        let target = format!("{prefix}/v1/orders/1");
        let preflight = gateway.request("OPTIONS", &target, &asked, b"");
        assert_eq!((preflight.status, allowed(&preflight)), (204, true), "{preflight:?}");
        assert!(allowed(&gateway.get(&format!("{prefix}/v1/none"), &[origin])));
    }
    // Outside of the API's base path there is no API that says so.
    assert!(!allowed(&gateway.get("/dev/none", &[origin])));
    blue.assert_saw_nothing();
    green.assert_saw_nothing();
}

#[test]
fn plugins_policies_and_logs_know_the_stage() {
    let (blue, green) = (Upstream::start(), Upstream::start());
    let gateway = start(&blue, &green);

    let response = gateway.get("/dev/v1/told", &[BEARER, ("x-mine", "forged")]);

    assert_eq!((response.status, response.header("x-told")), (200, Some("green")), "{response:?}");
    let seen = last(&green);
    let arn = "arn:aws:execute-api:local:000000000000:shop/dev/GET/told";
    assert_eq!(seen.headers.get("x-told"), Some(format!("green dev {arn}").as_str()));
    assert_eq!(seen.headers.all("x-mine").collect::<Vec<_>>(), ["green"]);
    let mock = gateway.get("/dev/v1/mock", &[]).json();
    assert_eq!((&mock["stage"], &mock["colour"]), (&"dev".into(), &"green".into()));
    assert_eq!(mock["arn"], "arn:aws:execute-api:local:000000000000:shop/dev/GET/mock");
    let mock = gateway.get("/v1/mock", &[]).json();
    assert_eq!(mock["arn"], "arn:aws:execute-api:local:000000000000:shop/$default/GET/mock");
    assert_eq!(gateway.log_line("/dev/v1/told")["stage"], "dev");
    let line = gateway.log_line("/v1/mock");
    assert_eq!((&line["api"], &line["stage"]), (&"shop".into(), &"$default".into()));
    let labels = [("api", "shop"), ("route", "GET /mock"), ("stage", "dev")];
    gateway.wait_for_metric("a request at the stage", |metrics| {
        metrics.sum("portcullis_requests_total", &labels) == 1.0
    });
    gateway.get("/a/b/c", &[]);
    let metrics = gateway.wait_for_metric("a request of no stage", |metrics| {
        metrics.sum("portcullis_requests_total", &[("api", "other")]) == 1.0
    });
    assert!(metrics.labels("portcullis_requests_total", "stage").contains(&"dev"));
    let printed = gateway.site().run(&["routes", "portcullis.toml"]).text();
    assert!(printed.contains("shop/dev"), "{printed}");
    assert!(printed.contains("GET /dev/v1/orders/{id}"), "{printed}");
    assert!(printed.contains("on beta.example.com"), "{printed}");
}

#[test]
fn each_stage_counts_for_itself_within_what_its_api_may() {
    let (blue, green) = (Upstream::start(), Upstream::start());
    let gateway = start(&blue, &green);
    let statuses = |target: &str, headers: &[(&str, &str)], count: usize| -> Vec<u16> {
        (0..count).map(|_| gateway.get(target, headers).status).collect()
    };

    // The route's own, three; the stage says one of it in its place; the stage's own, two.
    assert_eq!(statuses("/v1/orders/1", &[], 4), [200, 200, 200, 429]);
    assert_eq!(statuses("/dev/v1/orders/1", &[], 2), [200, 429]);
    assert_eq!(statuses("/v1/orders/1", &[BETA], 1), [200]);
    assert_eq!(statuses("/v1/mock", &[BETA], 2), [200, 429]);
    assert_eq!(statuses("/v1/mock", &[], 3), [200, 200, 200]);
    let labels = [("stage", "dev"), ("policy", "route")];
    gateway.wait_for_metric("a refusal at the stage", |metrics| {
        metrics.sum("portcullis_throttled_total", &labels) == 1.0
    });
}

const PLANNED: &str = r#"
    state = "state"
    [plans.live]
    routes = { "shop/live" = {} }
    [plans.all]
    routes = { "shop" = { throttle = { rate = "1/1d", burst = 3 } }, "shop/dev GET /a" = { throttle = { rate = "1/1d", burst = 1 } } }
    [authorizers.keys]
    plugin = "api-key"
    BUDGET
    [apis.shop]
    authorizer = "keys"
    usage_plan = "required"
    routes."GET /a" = { respond = { body = "a" } }
    routes."GET /known" = { respond = {}, usage_plan = "off" }
    stages.live = { hosts = ["live.example.com"] }
    stages.dev = {}
"#;

#[test]
fn a_plan_opens_stages() {
    let gateway = Site::new().start(&PLANNED.replace("BUDGET", crate::ROOMY));
    let add = |plan: &str| {
        let site = gateway.site();
        assert_eq!(site.run(&["consumer", "add", plan]).code, Some(0));
        let added = site.run(&["key", "add", plan, "--plan", plan, "--json"]);
        let added: serde_json::Value = serde_json::from_str(&added.stdout).unwrap();
        added["key"].as_str().unwrap().to_owned()
    };
    let (live, all) = (add("live"), add("all"));
    let ask = |key: &str, target: &str, host: &str| {
        let response = gateway.get(target, &[("x-api-key", key), ("host", host)]);
        (response.status, response.header("content-type") == Some("application/problem+json"))
    };
    for key in [&live, &all] {
        eventually("the key is known", || {
            (ask(key, "/known", "live.example.com").0 == 200).then_some(())
        });
    }
    assert_eq!(ask(&live, "/a", "live.example.com").0, 200);

    assert_eq!(ask(&live, "/dev/a", "h"), (403, true));
    let at_dev: Vec<u16> = (0..2).map(|_| ask(&all, "/dev/a", "h").0).collect();
    assert_eq!(at_dev, [200, 429]);
    // Of all stages together the plan lets three pass, and the refused one took nothing.
    let at_live: Vec<u16> = (0..3).map(|_| ask(&all, "/a", "live.example.com").0).collect();
    assert_eq!(at_live, [200, 200, 429]);
}

const ONE_AUTHORIZER: &str = r#"
    [authorizers.keys]
    plugin = "api-token"
    cache = { life = "1h", by = ["header:authorization"] }
    settings.tokens.alice = { secret = "alice" }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET
    [apis.shop]
    authorizer = "keys"
    routes."GET /a" = { respond = { body = "a" } }
    stages.live = {}
    stages.dev = {}
    throttle = { rate = "1/1d", burst = 100 }
    [apis."a.stages.dev"]
    base_path = "/z"
    authorizer = "none"
    routes."GET /x" = { respond = {}, throttle = { rate = "1/1d", burst = 1 } }
    [apis.a]
    authorizer = "none"
    base_path = "/y"
    routes."GET /x" = { respond = {}, throttle = { rate = "1/1d", burst = 1 } }
    stages.dev = {}
"#;

#[test]
fn a_kept_grant_is_for_the_stage_that_it_was_made_at() {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let gateway = site.start(&ONE_AUTHORIZER.replace("BUDGET", crate::ROOMY));

    for target in ["/live/a", "/dev/a", "/live/a", "/dev/a"] {
        assert_eq!(gateway.get(target, &[BEARER]).status, 200, "{target}");
    }

    let mut lines = eventually("four lines", || {
        let lines = gateway.access_log();
        (lines.len() == 4).then_some(lines)
    });
    lines.sort_by_key(|line| (line["path"].to_string(), line["authorizer_cache"].to_string()));
    let text = |line: &serde_json::Value, member: &str| line[member].as_str().unwrap().to_owned();
    let cache: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {}", text(line, "path"), text(line, "authorizer_cache")))
        .collect();
    assert_eq!(cache, ["/dev/a cached", "/dev/a called", "/live/a cached", "/live/a called"]);
}

#[test]
fn what_a_stage_has_counted_outlives_a_reload_and_is_nobody_elses() {
    let site = Site::new();
    site.write("alice.key", "sesame");
    let config = ONE_AUTHORIZER.replace("BUDGET", crate::ROOMY);
    let gateway = site.start(&config);
    assert_eq!(gateway.get("/dev/y/x", &[]).status, 200);
    assert_eq!(gateway.get("/dev/y/x", &[]).status, 429);

    gateway.reload_config(&format!("{config}    routes.\"GET /new\" = {{ respond = {{}} }}\n"));
    gateway.wait_for_answer("the new route", "/dev/y/new", |it| it.status == 200);

    assert_eq!(gateway.get("/dev/y/x", &[]).status, 429);
    // Another API, whose name is what the stage's limits could be known by.
    assert_eq!(gateway.get("/z/x", &[]).status, 200);
}
