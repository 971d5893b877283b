//! Tokens of other people's libraries and of a real provider open what they should, and
//! nothing that was tampered with does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_tests::{
    Client, Gateway, Response, Service, Site, Upstream, eventually, eventually_within, node,
    python, said,
};
use ring::hmac;
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.com/";
const SECRET: &str = "a secret of sixty-four bytes, as long as the longest digest is !";

const CONFIG: &str = r#"
    [upstreams.orders]
    endpoints = ["ORDERS"]

    AUTHORIZERS

    [apis.shop]
    upstream = "orders"
    request_transforms = ["caller"]
    ROUTES

    [transforms.caller]
    plugin = "headers"
    settings.request.set = { x-caller = "${identity:principal}", x-scopes = "${identity:scopes}" }
    ROOMY
"#;

fn start(orders: &Upstream, authorizers: &str, routes: &str) -> Gateway {
    let site = Site::new();
    site.write("shared.key", SECRET).write("service.key", SERVICE_SECRET);
    let config = CONFIG
        .replace("ORDERS", &orders.address().to_string())
        .replace("AUTHORIZERS", authorizers)
        .replace("ROUTES", routes)
        .replace("ROOMY", crate::ROOMY);
    site.start(&config)
}

fn ask(gateway: &Gateway, target: &str, token: &str) -> Response {
    gateway.get(target, &[("authorization", &format!("Bearer {token}"))])
}

/// A key set, whose members are all texts, as TOML writes it.
fn inline(keys: &Value) -> String {
    let key = |key: &Value| {
        let members = key.as_object().expect("a key").iter();
        let members: Vec<String> = members.map(|(name, text)| format!("{name} = {text}")).collect();
        format!("{{ {} }}", members.join(", "))
    };
    let keys: Vec<String> = keys.as_array().expect("keys").iter().map(key).collect();
    format!("{{ keys = [{}] }}", keys.join(", "))
}

/// Lets another library's tokens in, and none of them with another claim or signature.
fn check_minted(minted: &str) {
    let minted: Value = serde_json::from_str(minted).expect("JSON");
    let orders = Upstream::start();
    let authorizers = format!(
        r#"
        [authorizers.by-keys]
        plugin = "jwt"
        settings = {{ issuer = "{ISSUER}", audience = ["orders"], keys = {} }}
        {roomy}

        [authorizers.by-secret]
        plugin = "jwt"
        settings = {{ issuer = "{ISSUER}", audience = ["orders"], secret = "shared" }}
        grants.secrets.shared = {{ file = "shared.key" }}
        {roomy}
        "#,
        inline(&minted["keys"]),
        roomy = crate::ROOMY,
    );
    let routes = r#"
    routes."GET /keys" = { authorizer = "by-keys" }
    routes."GET /secret" = { authorizer = "by-secret" }
    "#;
    let gateway = start(&orders, &authorizers, routes);

    let tokens = minted["tokens"].as_object().expect("tokens");
    assert_eq!(tokens.len(), 7);
    for (algorithm, token) in tokens {
        let token = token.as_str().expect("a token");
        let (right, wrong) = match algorithm.as_str() {
            "HS256" => ("/secret", "/keys"),
            _ => ("/keys", "/secret"),
        };
        assert_eq!(ask(&gateway, right, token).status, 200, "{algorithm}");
        assert_eq!(ask(&gateway, wrong, token).status, 401, "{algorithm} at {wrong}");
        for tampered in tampered(token) {
            let refused = ask(&gateway, right, &tampered);
            assert_eq!(refused.status, 401, "{algorithm} {tampered}");
            let challenge = refused.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with(r#"Bearer error="invalid_token""#), "{challenge}");
        }
    }
    let seen = orders.seen();
    assert_eq!(seen.len(), 7);
    assert!(seen.iter().all(|seen| seen.headers.get("x-caller") == Some("alice")));
}

/// The token with one character of each part changed, and without its signature.
fn tampered(token: &str) -> Vec<String> {
    let other = |byte: u8| if byte == b'A' { 'B' } else { 'A' };
    let middles = token.match_indices('.').map(|(dot, _)| dot - 10).chain([token.len() - 10]);
    let changed = middles.map(|place| {
        let mut text = token.to_owned();
        let replacement = other(text.as_bytes()[place]).to_string();
        text.replace_range(place..=place, &replacement);
        text
    });
    let unsigned = token[..=token.rfind('.').expect("two dots")].to_owned();
    changed.chain([unsigned]).collect()
}

#[test]
fn tokens_of_pyjwt_pass_and_tampered_ones_do_not() {
    check_minted(&said(python(include_str!("clients/mint.py")).args([ISSUER, SECRET])));
}

#[test]
fn tokens_of_jose_pass_and_tampered_ones_do_not() {
    check_minted(&said(node(include_str!("clients/mint.mjs")).args([ISSUER, SECRET])));
}

/// A provider of another make, on loopback.
struct Provider(Service);

impl Provider {
    fn start() -> Self {
        Self(Service::start(&mut node(include_str!("clients/provider.mjs"))))
    }

    fn url(&self) -> &str {
        self.0.announced()
    }

    fn post(&self, path: &str, body: &str) -> Response {
        let address = self.url().trim_start_matches("http://").parse().expect("an address");
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            // The client `service` with its secret, in base64.
            ("authorization", "Basic c2VydmljZTp0aGUrc2VjcmV0K29mK3RoZStzZXJ2aWNl"),
        ];
        Client::connect(address).request("POST", path, &headers, body.as_bytes())
    }

    /// An access token for a resource.
    fn token(&self, resource: &str) -> String {
        let scope = "orders%3Aread";
        let body = format!("grant_type=client_credentials&scope={scope}&resource={resource}");
        let answer = self.post("/token", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    fn rotate(&self) {
        assert_eq!(self.post("/rotate", "").status, 200);
    }

    /// An authorizer of its tokens, which finds its keys by discovery.
    fn authorizer(&self, more: &str) -> String {
        format!(
            r#"
            [authorizers.provider]
            plugin = "jwt"
            settings = {{ issuer = "{issuer}", audience = ["orders"] {more} }}
            grants.issuers."{issuer}" = {{ timeout = "20s", min_refresh = "1ms" }}
            {roomy}
            "#,
            issuer = self.url(),
            roomy = crate::ROOMY,
        )
    }
}

/// The secret of the provider's client `service`.
const SERVICE_SECRET: &str = "the secret of the service";

const ROUTES: &str = r#"routes."GET /orders" = { authorizer = "provider" }"#;

#[test]
fn a_providers_access_tokens_pass_by_discovery() {
    let (orders, provider) = (Upstream::start(), Provider::start());
    let gateway = start(&orders, &provider.authorizer(r#", typ = "at+jwt""#), ROUTES);

    let token = provider.token("urn:jwt");
    let (good, bad) =
        (ask(&gateway, "/orders", &token), ask(&gateway, "/orders", &tampered(&token)[1]));

    assert_eq!((good.status, bad.status), (200, 401), "{good:?}");
    let seen = orders.only();
    assert_eq!(seen.headers.get("x-caller"), Some("service"));
    assert_eq!(seen.headers.get("x-scopes"), Some("orders:read"));
}

#[test]
fn no_valid_token_is_refused_while_a_provider_changes_its_keys() {
    let (orders, provider) = (Upstream::start(), Provider::start());
    let gateway = start(&orders, &provider.authorizer(""), ROUTES);
    let (done, asked) = (AtomicBool::new(false), [(); 2].map(|()| AtomicUsize::new(0)));

    let refused = std::thread::scope(|scope| {
        let client = |asked: &AtomicUsize| {
            let mut refused = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let answer = ask(&gateway, "/orders", &provider.token("urn:jwt"));
                asked.fetch_add(1, Ordering::SeqCst);
                if answer.status != 200 {
                    refused.push(answer);
                }
            }
            refused
        };
        let clients = asked.each_ref().map(|asked| scope.spawn(move || client(asked)));
        for rotation in 1..=4 {
            provider.rotate();
            // Of each, so that nobody still asks with a key that the next rotation withdraws.
            for asked in &asked {
                let enough = asked.load(Ordering::SeqCst) + 5 * rotation;
                eventually("more requests", || {
                    (asked.load(Ordering::SeqCst) >= enough).then_some(())
                });
            }
        }
        done.store(true, Ordering::SeqCst);
        clients.map(|client| client.join().expect("a client does not panic")).concat()
    });

    assert!(refused.is_empty(), "{refused:?}");
}

/// A token by the shared secret that holds for a while from now.
fn minted(scope: &str, holds: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "orders", "scope": scope,
        "exp": (now + holds).as_secs_f64(),
    });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{header}.{}", encode(claims.to_string().as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = encode(hmac::sign(&key, message.as_bytes()).as_ref());
    format!("{message}.{signature}")
}

/// A gateway whose grants are kept for an hour, and how many were answered with a kept one.
fn start_keeping(orders: &Upstream, routes: &str) -> (Gateway, impl Fn(&Gateway) -> f64) {
    let authorizer = format!(
        r#"
        [authorizers.by-secret]
        plugin = "jwt"
        cache = "1h"
        settings = {{ issuer = "{ISSUER}", audience = ["orders"], secret = "shared" }}
        grants.secrets.shared = {{ file = "shared.key" }}
        {roomy}
        "#,
        roomy = crate::ROOMY,
    );
    let kept = |gateway: &Gateway| {
        let labels = [("use", "by-secret"), ("decision", "cached")];
        gateway.metric("portcullis_plugin_decisions_total", &labels)
    };
    (start(orders, &authorizer, routes), kept)
}

#[test]
fn a_token_needs_the_scopes_of_each_route_also_when_another_kept_its_grant() {
    let orders = Upstream::start();
    let routes = r#"
    authorizer = "by-secret"
    routes."GET /orders" = { scopes = ["orders:read"] }
    routes."POST /orders" = { scopes = { all = ["orders:read", "orders:write"] } }
    "#;
    let (gateway, kept) = start_keeping(&orders, routes);
    let hour = Duration::from_secs(3600);
    let reader = format!("Bearer {}", minted("profile orders:read", hour));
    let writer = format!("Bearer {}", minted("orders:read orders:write", hour));
    let ask = |method, bearer: &str| {
        gateway.request(method, "/orders", &[("authorization", bearer)], b"")
    };

    for _ in 0..2 {
        assert_eq!(ask("GET", &reader).status, 200);
        let refused = ask("POST", &reader);
        assert_eq!(refused.verdict(), (403, "insufficient-scope".into()));
        let challenge = r#"Bearer error="insufficient_scope", scope="orders:read orders:write""#;
        assert_eq!(refused.header("www-authenticate"), Some(challenge));
        assert_eq!(ask("POST", &writer).status, 200);
    }

    assert!(kept(&gateway) >= 3.0, "the second round was answered by kept grants");
    assert_eq!(orders.seen().len(), 4);
}

#[test]
fn a_kept_grant_ends_with_its_token() {
    let orders = Upstream::start();
    let (gateway, kept) =
        start_keeping(&orders, r#"routes."GET /orders" = { authorizer = "by-secret" }"#);
    // The first request waits for the plugin, so that the token's own has time enough.
    assert_eq!(ask(&gateway, "/orders", &minted("", Duration::from_secs(3600))).status, 200);
    let holds = Duration::from_secs(20);
    let token = minted("", holds);

    assert_eq!(ask(&gateway, "/orders", &token).status, 200);
    assert_eq!(ask(&gateway, "/orders", &token).status, 200);
    assert_eq!(kept(&gateway), 1.0);

    let refused = eventually_within(Duration::from_secs(90), "the end of the token", || {
        let answer = ask(&gateway, "/orders", &token);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.status, 401);
    eventually("the reason in the access log", || {
        gateway.access_log().iter().any(|line| line["reason"] == "expired").then_some(())
    });
}

#[test]
fn a_providers_opaque_tokens_pass_by_introspection_until_they_are_revoked() {
    let (orders, provider) = (Upstream::start(), Provider::start());
    let authorizer = format!(
        r#"
        [authorizers.provider]
        plugin = "jwt"
        grants.secrets.service = {{ file = "service.key", reveal = true }}
        grants.http = {{ origins = ["{issuer}"], timeout = "20s" }}
        {roomy}

        [authorizers.provider.settings]
        principal = "client_id"

        [authorizers.provider.settings.introspection]
        url = "{issuer}/token/introspection"
        client_id = "service"
        client_secret = "service"
        audience = ["orders"]
        "#,
        issuer = provider.url(),
        roomy = crate::ROOMY,
    );
    let gateway = start(&orders, &authorizer, ROUTES);
    let token = provider.token("urn:opaque");

    let (good, unknown) =
        (ask(&gateway, "/orders", &token), ask(&gateway, "/orders", &format!("{token}x")));
    assert_eq!((good.status, unknown.status), (200, 401), "{good:?}");
    let revoked = provider.post("/token/revocation", &format!("token={token}"));
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    assert_eq!(ask(&gateway, "/orders", &token).status, 401);

    let seen = orders.only();
    assert_eq!(seen.headers.get("x-caller"), Some("service"));
    assert_eq!(seen.headers.get("x-scopes"), Some("orders:read"));

    drop(provider);
    let away = ask(&gateway, "/orders", &token);
    assert_eq!(away.status, 503, "{away:?}");
}
