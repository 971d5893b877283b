//! What becomes of tokens while their issuer is away: a client throws a token away that
//! receives 401, so it receives that only where the token can be judged.

use portcullis_tests::{Gateway, Response, Site, Upstream, eventually};

use super::issuer::{self, Issuer, Signer};
use super::wait_for_refreshes;

const CONFIG: &str = r#"
    [upstreams.orders]
    endpoints = ["ORDERS"]

    [authorizers.tokens]
    plugin = "jwt"
    settings = { issuer = "ISSUER", audience = ["orders"] }
    cache = { life = "1h", denials = "1h" }
    budget = { cpu_time = "20s", wall_time = "WALL", breaker_after = 2, breaker_pause = "100ms" }

    [authorizers.tokens.grants.issuers."ISSUER"]
    TIMES

    [apis.shop]
    upstream = "orders"
    routes."GET /orders" = { authorizer = "tokens" }
"#;

fn start(orders: &Upstream, issuer: &Issuer, (wall, times): (&str, &str)) -> Gateway {
    let config = CONFIG
        .replace("ORDERS", &orders.address().to_string())
        .replace("ISSUER", &issuer.url())
        .replace("WALL", wall)
        .replace("TIMES", times);
    Site::new().start(&config)
}

fn ask(gateway: &Gateway, issuer: &Issuer, signer: &Signer) -> Response {
    let token = format!("Bearer {}", signer.token(&issuer.url(), "orders"));
    gateway.get("/orders", &[("authorization", &token)])
}

/// Refused because it cannot be told whether the token holds.
fn check_undecided(answer: &Response) {
    assert_eq!(answer.verdict(), (503, "plugin-fault".into()), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), None);
}

fn wait_for_detail(gateway: &Gateway, detail: &str) {
    eventually(&format!("a refusal that says {detail}"), || {
        let said = |line: &serde_json::Value| {
            line["detail"].as_str().is_some_and(|said| said.contains(detail))
        };
        gateway.access_log().iter().any(said).then_some(())
    });
}

#[test]
fn tokens_of_an_issuer_that_is_down_are_503_and_pass_once_it_is_back() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    issuer.answer_keys_with(Some(String::new()));
    // Too little for any but the first to wait until keys may be asked for again.
    let gateway = start(&orders, &issuer, ("8s", "timeout = '20s'"));

    check_undecided(&ask(&gateway, &issuer, &signer));
    wait_for_detail(&gateway, "could not decide: unavailable");
    // Neither what was asked for once more, nor what the breaker refuses, is a 401.
    for id in ["one", "two", "three", "four"] {
        check_undecided(&ask(&gateway, &issuer, &Signer::new(id)));
    }

    issuer.publish(&[&signer]);
    eventually("keys", || (ask(&gateway, &issuer, &signer).status == 200).then_some(()));
    assert_eq!(ask(&gateway, &issuer, &Signer::new("two")).status, 401);
}

#[test]
fn tokens_of_an_issuer_that_says_nothing_in_time_are_503() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    issuer.answer_keys_with(Some(issuer::NOTHING.to_owned()));
    let gateway = start(&orders, &issuer, ("4s", "timeout = '60s'"));

    check_undecided(&ask(&gateway, &issuer, &signer));

    wait_for_detail(&gateway, "could not decide: unavailable");
}

#[test]
fn tokens_by_other_keys_than_those_known_are_401_also_while_the_issuer_is_down() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[&signer]);
    let gateway = start(&orders, &issuer, ("60s", "timeout = '20s'\nmin_refresh = '1ms'"));
    assert_eq!(ask(&gateway, &issuer, &signer).status, 200);
    let unknown = |id: &str| ask(&gateway, &issuer, &Signer::new(id));

    assert_eq!(unknown("up").status, 401);
    issuer.answer_keys_with(Some(String::new()));
    let refused: Vec<u16> =
        (0..8).map(|number| unknown(&format!("down-{number}")).status).collect();

    assert_eq!(refused, [401; 8]);
    wait_for_refreshes(&gateway, "failed", 1.0);
    super::wait_for_reason(&gateway, "unknown-key");
    assert_eq!(ask(&gateway, &issuer, &signer).status, 200);
}

#[test]
fn a_kept_refusal_ends_when_the_issuer_has_another_key() {
    let (orders, signer, late) = (Upstream::start(), Signer::new("one"), Signer::new("late"));
    let issuer = Issuer::start(&[&signer]);
    let gateway = start(&orders, &issuer, ("60s", "timeout = '20s'\nmin_refresh = '1ms'"));
    let headers = [("authorization", format!("Bearer {}", late.token(&issuer.url(), "orders")))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let again = || gateway.get("/orders", &headers).status;

    assert_eq!((again(), again()), (401, 401));
    assert_eq!(gateway.metric("portcullis_plugin_decisions_total", &[("decision", "cached")]), 1.0);
    issuer.publish(&[&signer, &late]);
    // Somebody else's token, by a key that is unknown too.
    assert_eq!(ask(&gateway, &issuer, &Signer::new("other")).status, 401);

    assert_eq!(again(), 200);
}

#[test]
fn tokens_of_an_issuer_that_has_no_keys_at_all_are_401() {
    let (orders, signer) = (Upstream::start(), Signer::new("one"));
    let issuer = Issuer::start(&[]);
    let gateway = start(&orders, &issuer, ("60s", "timeout = '20s'"));

    assert_eq!(ask(&gateway, &issuer, &signer).status, 401);
}
