//! Usage plans open routes to API keys, and what a key has used is kept whatever happens.

use portcullis_tests::{Client, Gateway, Response, Site, Upstream, eventually};
use serde_json::{Value, json};

const BEARER: (&str, &str) = ("authorization", "Bearer an-admin-token-of-a-test");

const CONFIG: &str = r#"
    state = "state"
    admin = { address = "127.0.0.1:0", token = { file = "admin-token" } }
    PLANS
    [authorizers.keys]
    plugin = "api-key"
    cache = "5m"
    BUDGET
    [apis.shop]
    upstream = "orders"
    authorizer = "keys"
    usage_plan = "required"
    routes."GET /a" = {}
    routes."GET /b" = {}
    routes."GET /free" = { usage_plan = "off" }
    routes."GET /small" = { throttle = { rate = "1/31d", burst = 1 } }
"#;

fn config(orders: &Upstream, plans: &str) -> String {
    let config = CONFIG.replace("PLANS", plans).replace("BUDGET", crate::ROOMY);
    format!("{config}\n[upstreams.orders]\nendpoints = [\"{}\"]\n", orders.address())
}

fn site() -> Site {
    let site = Site::new();
    site.write("admin-token", "an-admin-token-of-a-test\n");
    site
}

fn start(orders: &Upstream, plans: &str) -> Gateway {
    let gateway = site().start(&config(orders, plans));
    admin(&gateway, ("POST", "/consumers"), &json!({ "name": "alice" }));
    gateway
}

fn admin(gateway: &Gateway, (method, path): (&str, &str), body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = Client::connect(gateway.admin()).request(method, path, &[BEARER], body.as_bytes());
    assert!(answer.status < 300, "{method} {path}: {answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// A key's id and the key itself.
fn key(gateway: &Gateway, plan: Option<&str>) -> (String, String) {
    let new = json!({ "consumer": "alice", "plan": plan });
    let added = admin(gateway, ("POST", "/keys"), &new);
    assert_eq!(added["plan"], json!(plan));
    let text = |name: &str| added[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

fn ask(gateway: &Gateway, key: &str, target: &str) -> Response {
    gateway.get(target, &[("x-api-key", key)])
}

fn statuses(gateway: &Gateway, key: &str, target: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| ask(gateway, key, target).status).collect()
}

fn usage(gateway: &Gateway, id: &str) -> Value {
    admin(gateway, ("GET", &format!("/keys/{id}/usage")), &Value::Null)
}

/// Requests in all.
fn requests(usage: &Value) -> u64 {
    usage["days"].as_array().unwrap().iter().map(|day| day["requests"].as_u64().unwrap()).sum()
}

fn line_of_refusal(gateway: &Gateway, code: &str) -> Value {
    eventually(&format!("a line with {code}"), || {
        gateway.access_log().into_iter().find(|line| line["code"] == code)
    })
}

#[test]
fn a_spent_quota_is_429_until_the_period_ends() {
    let upstream = Upstream::start();
    let plans = "plans.gold.quota = { limit = 3, per = \"month\" }";
    let gateway = start(&upstream, plans);
    let (id, key) = key(&gateway, Some("gold"));

    assert_eq!(statuses(&gateway, &key, "/free", 5), [200; 5], "these count for nothing");
    assert_eq!(statuses(&gateway, &key, "/a", 3), [200; 3]);
    let refused = ask(&gateway, &key, "/b");

    assert_eq!(refused.verdict(), (429, "quota-exceeded".into()));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=31 * 24 * 3600).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"plan-gold-quota\";q=3"));
    let standing = refused.header("ratelimit").unwrap();
    assert!(standing.starts_with("\"plan-gold-quota\";r=0;t="), "{standing}");
    assert_eq!(refused.json()["violated-policies"], json!(["plan-gold-quota"]));
    assert_eq!(statuses(&gateway, &key, "/free", 1), [200]);
    assert_eq!(upstream.seen().len(), 5 + 3 + 1);
    let line = line_of_refusal(&gateway, "quota-exceeded");
    assert_eq!(line["usage_plan"], "gold");
    assert_eq!(line["reason"], "plan-gold-quota");
    let labels = [("policy", "plan-gold-quota"), ("api", "shop")];
    assert_eq!(gateway.metric("portcullis_throttled_total", &labels), 1.0);

    let usage = usage(&gateway, &id);
    assert_eq!(requests(&usage), 3, "{usage}");
    assert_eq!((&usage["quota"]["limit"], &usage["quota"]["remaining"]), (&json!(3), &json!(0)));
}

#[test]
fn nobody_passes_without_a_plan_that_opens_the_route() {
    let upstream = Upstream::start();
    let plans = r#"
        [plans.gold]
        [plans.small.routes]
        "shop GET /a" = {}
    "#;
    let gateway = start(&upstream, plans);
    let (id, gold) = key(&gateway, Some("gold"));
    let (_, small) = key(&gateway, Some("small"));
    let (_, none) = key(&gateway, None);
    let (_, gone) = key(&gateway, Some("gone"));
    let verdict = |key: &str, target: &str| ask(&gateway, key, target).verdict();

    assert_eq!(statuses(&gateway, &gold, "/a", 2), [200, 200]);
    assert_eq!(ask(&gateway, &small, "/a").status, 200);
    assert_eq!(verdict(&small, "/b"), (403, "not-in-usage-plan".into()));
    assert_eq!(verdict(&none, "/a"), (403, "no-usage-plan".into()));
    assert_eq!(verdict(&gone, "/a"), (403, "unknown-usage-plan".into()));
    assert_eq!(statuses(&gateway, &none, "/free", 1), [200]);
    assert_eq!(line_of_refusal(&gateway, "no-usage-plan")["reason"], "no-plan");
    assert_eq!(line_of_refusal(&gateway, "unknown-usage-plan")["usage_plan"], "gone");
    let label = [("code", "unknown-usage-plan")];
    assert_eq!(gateway.metric("portcullis_rejections_total", &label), 1.0);

    let path = format!("/keys/{id}/plan");
    assert_eq!(admin(&gateway, ("PUT", &path), &json!({ "plan": "small" }))["plan"], "small");
    assert_eq!(verdict(&gold, "/b"), (403, "not-in-usage-plan".into()));
    admin(&gateway, ("DELETE", &path), &Value::Null);
    assert_eq!(verdict(&gold, "/a"), (403, "no-usage-plan".into()));
    let run = gateway.site().run(&["key", "plan", &id, "gold"]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    gateway.wait_for_answer("the plan of the command", "/free", |_| {
        ask(&gateway, &gold, "/b").status == 200
    });
    let listed = gateway.site().run(&["key", "list"]).stdout;
    assert!(listed.contains("gold") && listed.contains("gone"), "{listed}");
}

#[test]
fn each_key_has_its_own_throttle_and_a_refusal_counts_for_nothing() {
    let upstream = Upstream::start();
    let plans = r#"
        [plans.gold]
        throttle = { rate = "1/31d", burst = 3 }
        quota = { limit = 100, per = "month" }
        routes = { shop = {}, "shop GET /b" = { throttle = { rate = "1/31d", burst = 1 } } }
    "#;
    let gateway = start(&upstream, plans);
    let (id, one) = key(&gateway, Some("gold"));
    let (_, other) = key(&gateway, Some("gold"));

    assert_eq!(statuses(&gateway, &one, "/b", 2), [200, 429]);
    let refused = ask(&gateway, &one, "/b");
    assert_eq!(refused.verdict(), (429, "throttled".into()));
    assert_eq!(refused.json()["violated-policies"], json!(["plan-gold-route"]));
    assert_eq!(statuses(&gateway, &one, "/a", 3), [200, 200, 429], "the plan's, over all routes");
    assert_eq!(statuses(&gateway, &other, "/b", 2), [200, 429], "the other key has its own");
    assert_eq!(statuses(&gateway, &other, "/small", 2), [200, 429], "the route's own holds too");
    assert_eq!(requests(&usage(&gateway, &id)), 3);
}

#[test]
fn what_is_used_outlives_the_process() {
    let upstream = Upstream::start();
    let plans = "plans.gold.quota = { limit = 40, per = \"month\" }";
    let gateway = start(&upstream, plans);
    let (id, key) = key(&gateway, Some("gold"));

    // What is read here is in the database, and nobody asked the gateway to write it there.
    let written = |site: &Site| {
        let shown = site.run(&["usage", "show", &id, "--json"]);
        assert_eq!(shown.code, Some(0), "{}", shown.text());
        requests(&serde_json::from_str(&shown.stdout).unwrap())
    };

    assert_eq!(statuses(&gateway, &key, "/a", 25), [200; 25]);
    eventually("all of them in the database", || (written(gateway.site()) == 25).then_some(()));
    assert_eq!(statuses(&gateway, &key, "/a", 10), [200; 10]);
    let site = gateway.kill();
    let kept = written(&site);
    assert!((25..=35).contains(&kept), "{kept} of 25 that were written and 10 that may not be");

    let mut gateway = site.start_again(&[]);
    let left = 40 - usize::try_from(kept).unwrap();
    let all = statuses(&gateway, &key, "/a", left + 1);
    assert!(all[..left].iter().all(|status| *status == 200), "{all:?}");
    assert_eq!(all[left], 429);
    gateway.terminate();
    assert!(gateway.wait_exit().success());
    assert_eq!(written(&gateway.kill()), 40, "a process that ends writes all down");
}

#[test]
fn processes_on_one_database_add_up() {
    let upstream = Upstream::start();
    let plans = "plans.gold.quota = { limit = 10, per = \"month\" }";
    let gateway = start(&upstream, plans);
    let (id, key) = key(&gateway, Some("gold"));
    let state = gateway.site().path().join("state");
    let own = config(&upstream, plans);
    let shared = own.replace("state = \"state\"", &format!("state = \"{}\"", state.display()));
    let other = site().start(&shared);
    assert_eq!(statuses(&gateway, &key, "/a", 6), [200; 6]);
    other.wait_for_answer("what the first one counted", "/free", |_| {
        usage(&other, &id)["quota"]["remaining"] == json!(4)
    });
    // It takes over what others wrote and then reads what it shows; others may write in
    // between. A second look takes over what the first one showed.
    assert_eq!(usage(&other, &id)["quota"]["remaining"], 4);

    assert_eq!(statuses(&other, &key, "/a", 5), [200, 200, 200, 200, 429]);
    gateway.wait_for_answer("what the other one counted", "/free", |_| {
        ask(&gateway, &key, "/a").status == 429
    });
}

#[test]
fn a_quota_is_reset_and_extended() {
    let upstream = Upstream::start();
    let plans = "plans.gold.quota = { limit = 2, per = \"day\" }";
    let gateway = start(&upstream, plans);
    let (id, key) = key(&gateway, Some("gold"));
    assert_eq!(statuses(&gateway, &key, "/a", 3), [200, 200, 429]);

    let extend = format!("/keys/{id}/usage/extend");
    let extended = admin(&gateway, ("POST", &extend), &json!({ "requests": 1 }));
    assert_eq!(extended["quota"]["remaining"], 1);
    assert_eq!(statuses(&gateway, &key, "/a", 2), [200, 429]);
    let reset = admin(&gateway, ("POST", &format!("/keys/{id}/usage/reset")), &Value::Null);
    assert_eq!(reset["quota"]["remaining"], 2);
    assert_eq!(statuses(&gateway, &key, "/a", 3), [200, 200, 429]);
    assert_eq!(requests(&usage(&gateway, &id)), 5, "what was forgiven was still asked");

    let run = gateway.site().run(&["usage", "extend", &id, "3"]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    gateway.wait_for_answer("the extension", "/free", |_| ask(&gateway, &key, "/a").status == 200);
    let run = gateway.site().run(&["usage", "reset", &id]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let shown = gateway.site().run(&["usage", "show", &id, "--from", "2020-01-01"]).stdout;
    assert!(shown.contains("plan gold") && shown.contains("quota 2 per day"), "{shown}");
    let wrong = gateway.site().run(&["usage", "show", &id, "--from", "yesterday"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.text());
}

#[test]
fn usage_is_counted_on_while_the_database_is_away() {
    let upstream = Upstream::start();
    let plans = "plans.gold.quota = { limit = 3, per = \"month\" }";
    let gateway = start(&upstream, plans);
    let (id, key) = key(&gateway, Some("gold"));
    let state = gateway.site().path().join("state");
    std::fs::rename(state.join("portcullis.db"), state.join("away")).unwrap();

    assert_eq!(statuses(&gateway, &key, "/a", 4), [200, 200, 200, 429]);
    gateway.wait_for_output("usage cannot be written down");
    assert!(gateway.metric("portcullis_usage_write_failures_total", &[]) > 0.0);
    assert_eq!(statuses(&gateway, &key, "/a", 1), [429]);
    std::fs::rename(state.join("away"), state.join("portcullis.db")).unwrap();

    gateway.wait_for_output("usage can be written down again");
    assert_eq!(requests(&usage(&gateway, &id)), 3);
    assert_eq!(gateway.metric("portcullis_usage_unwritten", &[]), 0.0);
}

#[test]
fn commands_show_what_plans_say_of_a_route() {
    let site = site();
    let upstream = Upstream::start();
    let plans = r#"
        [plans.gold]
        throttle = { rate = 100, burst = 200 }
        quota = { limit = 100_000, per = "week" }
    "#;
    site.configure(&config(&upstream, plans));

    let explained = site.run(&["explain", "GET", "http://a/a", "--config", "portcullis.toml"]);

    for line in ["usage plan gold: 100000 per week", "plan-gold: 100/s, burst 200 per api-key"] {
        assert!(explained.stdout.contains(line), "{line} is not in\n{}", explained.text());
    }
}
