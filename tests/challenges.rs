//! A client without credentials is told how to identify itself, by everyone it may turn to.

use portcullis_tests::{Gateway, Response, Site};

const CONFIG: &str = r#"
    [authorizers.tokens]
    plugin = "jwt"
    settings = { issuer = "https://login.test/", audience = "*", secret = "shared", realm = "orders" }
    grants.secrets.shared = { file = "shared.key" }
    ROOMY

    [authorizers.partners]
    plugin = "api-token"
    settings.tokens.acme = { secret = "acme" }
    grants.secrets.acme = { file = "acme.key" }
    ROOMY

    [authorizers.keys]
    plugin = "api-token"
    settings = { header = "x-api-key", tokens.alice = { secret = "alice" } }
    grants.secrets.alice = { file = "alice.key" }
    ROOMY

    [authorizers.people]
    plugin = "reads"
    settings = { headers = ["x-user"], challenge = 'Basic realm="people"' }
    identity_sources = ["header:x-user"]
    ROOMY

    [apis.shop]
    authorizer = { any = ["keys", "tokens", "people", "partners"] }
    routes."GET /any" = { respond = { body = "in" } }
    routes."GET /tokens" = { authorizer = "tokens", respond = { body = "in" } }
    routes."GET /keys" = { authorizer = "keys", respond = { body = "in" } }
    routes."GET /people" = { authorizer = "people", respond = { body = "in" } }
    routes."GET /all" = { authorizer = { all = ["people", "partners", "tokens"] }, respond = { body = "in" } }
"#;

fn start() -> Gateway {
    let site = Site::new();
    site.write("shared.key", "a secret of sixty-four bytes, as long as the longest digest is !");
    site.write("acme.key", "sesame").write("alice.key", "tahini");
    site.start(&CONFIG.replace("ROOMY", crate::ROOMY))
}

fn challenges(response: &Response) -> Vec<&str> {
    assert_eq!(response.verdict(), (401, "unauthenticated".into()), "{response:?}");
    response.headers.all("www-authenticate").collect()
}

#[test]
fn who_brings_nothing_is_told_every_scheme_once_and_in_order() {
    let gateway = start();
    let (orders, people) = (r#"Bearer realm="orders""#, r#"Basic realm="people""#);

    assert_eq!(challenges(&gateway.get("/any", &[])), [orders, people, "Bearer"]);
    assert_eq!(challenges(&gateway.get("/tokens", &[])), [orders]);
    assert_eq!(challenges(&gateway.get("/people", &[])), [people]);
    assert_eq!(challenges(&gateway.get("/keys", &[])), [""; 0]);
    assert_eq!(challenges(&gateway.get("/all", &[])), [people, "Bearer", orders]);
    assert_eq!(challenges(&gateway.get("/all", &[("x-user", "alice")])), ["Bearer", orders]);
}

#[test]
fn who_brings_what_does_not_hold_is_told_by_who_refused_it() {
    let gateway = start();
    let bad = [("authorization", "Bearer a.b.c")];
    let refused = r#"Bearer realm="orders", error="invalid_token", error_description="the token is malformed""#;

    assert_eq!(challenges(&gateway.get("/tokens", &bad)), [refused]);
    assert_eq!(challenges(&gateway.get("/any", &bad)), [refused]);
    assert_eq!(challenges(&gateway.get("/any", &[("x-api-key", "guess")])), [""; 0]);
    let granted = gateway.get("/any", &[("x-api-key", "tahini")]);
    assert_eq!((granted.status, granted.header("www-authenticate")), (200, None));
}
