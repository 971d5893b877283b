//! People log in at a provider of another make, by a scripted browser and by a real one;
//! what was not sealed here, or answers no login of theirs, opens nothing.

mod browser;

use portcullis_tests::{Client, Gateway, Reply, Seen, Service, Site, Upstream, node, said};
use serde_json::{Value, json};

use browser::Browser;

const CONFIG: &str = r#"
    [upstreams.shop]
    endpoints = ["SHOP"]

    [authorizers.login]
    plugin = "oidc-login"
    settings = { issuer = "ISSUER", client_id = "shop", scopes = ["openid", "email"], after_logout = "/bye", MORE }
    ROOMY

    [authorizers.login.grants]
    secrets.client-secret = { file = "client.key", reveal = true }
    secrets.session-key = { file = "session.key" }
    http = { origins = ["ISSUER"], timeout = "TIMEOUT" }
    issuers."ISSUER" = { timeout = "20s" }

    [apis.shop]
    upstream = "shop"
    authorizer = "login"
    identity_headers = { x-user = "identity:principal", x-email = "identity:claim.email", x-scopes = "identity:scopes" }
    routes."$default" = {}
    routes."GET /staff" = { scopes = ["staff"] }
    routes."GET /bye" = { authorizer = "none" }
"#;

/// A gateway before a shop, and the provider that its people log in at.
struct Shop {
    upstream: Upstream,
    gateway: Gateway,
    provider: Service,
}

impl Shop {
    fn open() -> Self {
        let provider = Service::start(&mut node(include_str!("clients/login.mjs")));
        let upstream = Upstream::answering(|seen, reply| {
            let user = seen.headers.get("x-user").unwrap_or("nobody");
            reply.send(200, &[("content-type", "text/plain")], format!("for {user}").as_bytes())
        });
        let gateway = start(&upstream, provider.announced(), ("", "20s"));
        let shop = Self { upstream, gateway, provider };
        let address = shop.issuer().trim_start_matches("http://").parse().expect("an address");
        let origin = shop.at("");
        let told = Client::connect(address).request("POST", "/site", &[], origin.as_bytes());
        assert_eq!(told.status, 200);
        shop
    }

    fn issuer(&self) -> &str {
        self.provider.announced()
    }

    /// A URL of the shop; the provider is on another site.
    fn at(&self, target: &str) -> String {
        at(&self.gateway, target)
    }
}

fn at(gateway: &Gateway, target: &str) -> String {
    format!("http://localhost:{}{target}", gateway.address("public").port())
}

fn start(upstream: &Upstream, issuer: &str, (more, timeout): (&str, &str)) -> Gateway {
    let site = Site::new();
    site.write("client.key", "the secret of the shop");
    site.write("session.key", "0123456789abcdef0123456789abcdef");
    let config = CONFIG
        .replace("SHOP", &upstream.address().to_string())
        .replace("ISSUER", issuer)
        .replace(", MORE", more)
        .replace("TIMEOUT", timeout)
        .replace("ROOMY", crate::ROOMY);
    let gateway = site.start(&config);
    // Before, nobody knows where to log in.
    gateway.wait_for_metric("the documents of the provider", |metrics| {
        metrics.sum("portcullis_issuer_refreshes_total", &[("outcome", "fetched")]) >= 1.0
    });
    gateway
}

/// Waits until the access log names this reason.
fn wait_for_reason(gateway: &Gateway, reason: &str) {
    portcullis_tests::eventually(&format!("a refusal because of {reason}"), || {
        gateway.access_log().iter().any(|line| line["reason"] == reason).then_some(())
    });
}

#[test]
fn a_person_logs_in_once_and_is_known_until_the_logout() {
    let (shop, mut browser) = (Shop::open(), Browser::default());

    let page = browser.logs_in(&shop.at("/orders?x=1"), "alice");

    assert_eq!(page.url, shop.at("/orders?x=1"));
    assert_eq!((page.response.status, page.response.text().as_str()), (200, "for alice"));
    let seen = shop.upstream.only();
    assert_eq!(seen.headers.get("x-email"), Some("alice@example.com"));
    assert_eq!(seen.headers.get("x-scopes"), Some("openid,email"));
    assert_eq!(browser.cookies(&page.url).keys().collect::<Vec<_>>(), ["session"]);
    // Its tokens end within a minute, so a navigation asks the provider for new ones.
    let before = browser.cookies(&page.url)["session"].clone();
    assert_eq!(browser.fetches(&shop.at("/a")).text(), "for alice");
    assert_eq!(browser.cookies(&page.url)["session"], before);
    assert_eq!(browser.steps(&shop.at("/a")).text(), "for alice");
    let after = browser.cookies(&page.url)["session"].clone();
    assert_ne!(after, before);
    assert_eq!(browser.steps(&shop.at("/staff")).verdict().1, "insufficient-scope");

    let leaving = browser.sends(&shop.at("/oidc/logout"), "");

    assert!(leaving.url.starts_with(shop.issuer()), "{}", leaving.url);
    let words = leaving.response.text();
    let xsrf = words.split("name=\"xsrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = format!("xsrf={}&logout=yes", xsrf.expect("a form"));
    let gone = browser.sends(&format!("{}/session/end/confirm", shop.issuer()), &form);
    assert_eq!((gone.url, gone.response.status), (shop.at("/bye"), 200));
    assert!(browser.cookies(&page.url).is_empty());
    let refused = browser.fetches(&shop.at("/orders"));
    assert_eq!(refused.verdict(), (401, "unauthenticated".to_owned()));
    wait_for_reason(&shop.gateway, "login-required");
    assert!(browser.goes(&shop.at("/orders")).url.contains("/interaction/"), "nobody is known");
    let written = shop.gateway.stdout() + &shop.gateway.stderr();
    assert!(!written.contains("the secret of") && !written.contains(&after));
}

#[test]
fn two_tabs_log_in_at_once_and_nobody_uses_anothers_login() {
    let shop = Shop::open();
    let (mut alice, mut mallory) = (Browser::default(), Browser::default());
    let first = alice.goes(&shop.at("/first"));
    let page = alice.logs_in(&shop.at("/second"), "alice");
    assert_eq!(page.url, shop.at("/second"));
    let page = alice.sends(&first.url, "prompt=login&login=alice&password=any");
    assert_eq!((page.url.as_str(), page.response.status), (shop.at("/first").as_str(), 200));

    // Whoever makes others use a login of theirs is not believed, and no answer counts twice.
    let sent = mallory.logs_in_but_for_the_last_step(&shop.at("/orders"), "mallory");
    let refused = alice.steps(&sent);
    assert_eq!(refused.status, 401);
    wait_for_reason(&shop.gateway, "unknown-login");
    let again = mallory.clone();
    assert_eq!(mallory.steps(&sent).status, 302);
    assert_eq!(mallory.steps(&sent).status, 401);
    let mut mallory = again;
    assert_eq!(mallory.steps(&sent).status, 401, "the provider gives nothing for a used code");
    wait_for_reason(&shop.gateway, "code-refused");
}

#[test]
fn a_session_that_was_tampered_with_is_none() {
    let (shop, mut browser) = (Shop::open(), Browser::default());
    let url = browser.logs_in(&shop.at("/orders"), "alice").url;
    let seen = shop.upstream.seen().len();
    let good = browser.cookies(&url)["session"].clone();
    let flipped = |at: usize| {
        let mut value = good.clone();
        let other = if &value[at..=at] == "A" { "B" } else { "A" };
        value.replace_range(at..=at, other);
        value
    };
    let cut = good[..good.len() - 1].to_owned();

    for bad in [flipped(2), flipped(good.len() / 2), cut, format!("1.{}", "A".repeat(200))] {
        browser.cookies(&url).insert("session".to_owned(), bad);
        assert_eq!(browser.fetches(&shop.at("/orders")).status, 401);
        assert_eq!(browser.clone().steps(&shop.at("/orders")).status, 302);
    }
    wait_for_reason(&shop.gateway, "bad-session");
    assert_eq!(shop.upstream.seen().len(), seen);
    browser.cookies(&url).insert("session".to_owned(), good);
    assert_eq!(browser.fetches(&shop.at("/orders")).status, 200);
    let refused = shop.gateway.post("/oidc/logout", &[("sec-fetch-site", "cross-site")], b"");
    assert_eq!(refused.status, 403);
}

#[test]
fn a_token_endpoint_that_stalls_or_pours_out_lets_nobody_in() {
    let stalls = |_: &Seen, reply: &mut Reply<'_>| {
        while !reply.piece()?.is_empty() {}
        Ok(())
    };
    let pours = |_: &Seen, reply: &mut Reply<'_>| reply.send(200, &[], &[b' '; 80 << 10]);
    check_token_endpoint(stalls, ("2s", "token-endpoint-unavailable"));
    check_token_endpoint(pours, ("20s", "token-endpoint-malformed"));
}

fn check_token_endpoint(
    answers: impl Fn(&Seen, &mut Reply<'_>) -> std::io::Result<()> + Send + Sync + 'static,
    (timeout, expected): (&str, &str),
) {
    let upstream = Upstream::start();
    let provider = Upstream::answering(move |seen, reply| match seen.target.as_str() {
        "/.well-known/openid-configuration" => {
            let issuer = format!("http://{}", seen.headers.get("host").unwrap_or_default());
            let document = json!({
                "issuer": issuer, "jwks_uri": format!("{issuer}/keys"),
                "authorization_endpoint": format!("{issuer}/auth"),
                "token_endpoint": format!("{issuer}/token"),
            });
            reply.send(200, &[], document.to_string().as_bytes())
        }
        "/keys" => reply.send(200, &[], br#"{"keys":[]}"#),
        _ => answers(seen, reply),
    });
    let issuer = format!("http://{}", provider.address());
    let gateway = start(&upstream, &issuer, ("", timeout));
    let mut browser = Browser::default();
    let sent = browser.steps(&at(&gateway, "/orders"));
    let state = sent.header("location").and_then(|it| it.split("&state=").nth(1));
    let state = state.and_then(|rest| rest.split('&').next()).expect("a state").to_owned();

    let refused = browser.steps(&at(&gateway, &format!("/oidc/callback?code=a&state={state}")));

    assert_eq!(refused.status, 503, "{expected}");
    gateway.wait_for_output(match expected {
        "token-endpoint-malformed" => "answer is too long",
        _ => "did not answer in time",
    });
    assert!(upstream.seen().is_empty());
}

#[test]
fn what_cannot_work_is_said_when_the_configuration_is_checked() {
    let site = Site::new();
    site.write("client.key", "secret").write("session.key", "key");
    let config = CONFIG
        .replace("SHOP", "127.0.0.1:9")
        .replace("ISSUER", "https://login.example.com")
        .replace("TIMEOUT", "2s")
        .replace("ROOMY", "");
    let listener = "\n[listeners.public]\naddress = \"127.0.0.1:0\"\n";
    let check = |config: String, expected: &str| {
        let outcome = site.check(&(config + listener));
        assert!(outcome.code == Some(1) && outcome.text().contains(expected), "{}", outcome.text());
    };

    check(
        config
            .replace("MORE", "callback_path = \"oidc\"")
            .replace("secrets.session-key", "secrets.x"),
        "write a path alone",
    );
    let ungranted = config.replace(", MORE", "").replace("secrets.session-key", "secrets.x");
    check(ungranted, "session-key");
}

#[test]
fn a_real_browser_logs_in_reloads_logs_out_and_is_asked_again() {
    let shop = Shop::open();
    let script = concat!(include_str!("clients/chromium.mjs"), include_str!("clients/browser.mjs"));

    let said = said(node(script).args([shop.at("").as_str(), "/usr/bin/chromium"]));

    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        said,
        json!({
            "loggedIn": "for alice", "reloaded": "for alice", "seenByScripts": "",
            "cookies": ["session"], "loggedOut": "for nobody", "askedAgain": true,
        })
    );
}
