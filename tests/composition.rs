//! Several authorizers decide as one.

use portcullis_tests::{Gateway, Site, Upstream};

const COMPOSED: &str = r#"
    [authorizers.partners]
    plugin = "api-token"
    settings.tokens.acme = { secret = "acme", attributes = { plan = "gold", region = "eu" } }
    grants.secrets.acme = { file = "acme.key" }
    BUDGET

    [authorizers.keys]
    plugin = "api-token"
    settings = { header = "x-api-key", tokens.alice = { secret = "alice", attributes.plan = "free" } }
    grants.secrets.alice = { file = "alice.key" }
    BUDGET

    [authorizers.witness]
    plugin = "reads"
    settings.attributes = ["identity:*"]
    BUDGET

    [authorizers.broken]
    plugin = "trap"
    BUDGET

    [authorizers]
    either = { any = ["partners", "keys"] }
    both = { all = ["partners", "keys", { with = "witness", use = "w" }] }
    hopeless = { any = ["broken", "keys"] }
    last-hope = { any = ["either", "broken"] }

    [transforms.caller]
    plugin = "headers"
    settings.request.set = { x-caller = "${identity:principal}", x-plan = "${identity:plan}", x-seen = "${identity:attributes}" }
    BUDGET

    [apis.shop]
    upstream = "orders"
    authorizer = "either"
    request_transforms = ["caller"]
    routes."GET /either" = {}
    routes."GET /both" = { authorizer = "both" }
    routes."GET /hopeless" = { authorizer = "hopeless" }
    routes."GET /last-hope" = { authorizer = "last-hope" }
    routes."GET /here" = { authorizer = { all = ["keys", "partners"] } }
"#;

const ACME: (&str, &str) = ("authorization", "Bearer sesame");
const ALICE: (&str, &str) = ("x-api-key", "tahini");

fn site(orders: &Upstream) -> (Site, String) {
    let site = Site::new();
    site.write("acme.key", "sesame");
    site.write("alice.key", "tahini");
    let config = COMPOSED.replace("BUDGET", crate::ROOMY);
    let config = format!("upstreams.orders.endpoints = [\"{}\"]\n{config}", orders.address());
    (site, config)
}

fn start(orders: &Upstream) -> Gateway {
    let (site, config) = site(orders);
    site.start(&config)
}

#[test]
fn either_credential_is_enough_and_a_bad_one_is_not_overlooked() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    assert_eq!(gateway.get("/either", &[ACME]).status, 200);
    assert_eq!(gateway.get("/either", &[ALICE]).status, 200);
    let neither = gateway.get("/either", &[]);
    let forged = gateway.get("/either", &[("authorization", "Bearer guess"), ALICE]);

    assert_eq!(neither.verdict(), (401, "unauthenticated".into()));
    assert_eq!(neither.header("www-authenticate"), Some("Bearer"));
    assert_eq!(forged.verdict(), (401, "unauthenticated".into()));
    assert_eq!(forged.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    let callers: Vec<_> =
        orders.seen().iter().map(|seen| seen.headers.get("x-caller").map(str::to_owned)).collect();
    assert_eq!(callers, [Some("acme".into()), Some("alice".into())]);
}

#[test]
fn all_credentials_are_needed_and_make_one_caller() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    for lacking in [&[ACME][..], &[ALICE], &[ACME, ("x-api-key", "guess")]] {
        assert_eq!(gateway.get("/both", lacking).status, 401);
        assert_eq!(gateway.get("/here", lacking).status, 401);
    }
    orders.assert_saw_nothing();
    assert_eq!(gateway.get("/both", &[ACME, ALICE]).status, 200);

    let seen = orders.only();
    assert_eq!(seen.headers.get("x-caller"), Some("acme"));
    assert_eq!(seen.headers.get("x-plan"), Some("gold"));
    let witnessed = seen.headers.get("x-seen").unwrap_or_default();
    for fact in ["identity:principal=acme", "identity:plan=gold", "identity:region=eu"] {
        assert!(witnessed.contains(fact), "{witnessed}");
    }
    assert!(!witnessed.contains("free"), "{witnessed}");
}

#[test]
fn a_member_that_fails_is_never_skipped() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    assert_eq!(gateway.get("/hopeless", &[ALICE]).verdict(), (503, "plugin-fault".into()));
    assert_eq!(gateway.get("/last-hope", &[]).verdict(), (503, "plugin-fault".into()));
    assert_eq!(gateway.get("/last-hope", &[ALICE]).status, 200);
    assert_eq!(orders.only().target, "/last-hope");
}

#[test]
fn the_access_log_names_whose_word_it_was() {
    let orders = Upstream::start();
    let gateway = start(&orders);

    gateway.get("/either", &[ALICE]);
    gateway.get("/both", &[ACME, ALICE]);
    gateway.get("/here", &[ALICE]);

    assert_eq!(gateway.log_line("/either")["authorizer"], "keys");
    let both = gateway.log_line("/both");
    assert_eq!(both["authorizer"], "partners+keys+witness");
    assert_eq!((&both["authorizer_cache"], &both["principal"]), (&"called".into(), &"acme".into()));
    assert_eq!(gateway.log_line("/here")["authorizer"], "partners");
}

#[test]
fn commands_show_compositions() {
    let orders = Upstream::start();
    let (site, config) = site(&orders);
    site.configure(&config);

    let routes = site.run(&["routes", "portcullis.toml"]);
    let explained =
        site.run(&["explain", "GET", "http://a/last-hope", "--config", "portcullis.toml"]);

    assert!(routes.stdout.contains("all of [partners, keys, witness(w)]"), "{routes:?}");
    assert!(routes.stdout.contains("all of [keys, partners]"), "{routes:?}");
    let nested = "any of [any of [partners, keys], broken]";
    assert!(explained.stdout.contains(nested), "{explained:?}");
}
