//! A component is audited before it is trusted: what it asks for, what it is granted, and
//! where the two differ.

use portcullis_test_guests::component;
use portcullis_tests::{Outcome, Site};
use serde_json::{Value, json};

const CONFIG: &str = r#"plugins = "plugins"
listeners.public.address = "127.0.0.1:0"
[authorizers.front]
plugin = "door"
settings = { guest = "alice" }
GRANTS
[apis.a.routes."GET /"]
authorizer = "front"
respond = { body = "hello" }
"#;

/// A variable that nobody sets: an audit needs no secrets.
const SECRET: &str = "grants.secrets.key = { env = \"PORTCULLIS_TESTS_NEVER_SET\" }";

fn site(grants: &str) -> Site {
    let site = Site::new();
    site.install("door", component("door"));
    site.write("portcullis.toml", CONFIG.replace("GRANTS", grants));
    site
}

fn audit(site: &Site, arguments: &[&str]) -> Outcome {
    let audit = ["plugin", "audit", "plugins/door.wasm"];
    site.run(&[&audit[..], arguments].concat())
}

fn audited(outcome: &Outcome) -> Value {
    let all: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    all[0].clone()
}

const COMPARED: [&str; 2] = ["--config", "portcullis.toml"];

#[test]
fn grants_that_are_what_is_asked_for_are_found_so_without_the_secrets() {
    let site = site(SECRET);

    let text = audit(&site, &[&COMPARED[..], &["--strict"]].concat());
    assert_eq!(text.code, Some(0), "{text:?}");
    for words in
        ["sha256", "x-api-key", "asked for and not granted  nothing", "not asked for  nothing"]
    {
        assert!(text.stdout.contains(words), "`{words}` is not in {text:?}");
    }

    let outcome = audit(&site, &[&COMPARED[..], &["--strict", "--json"]].concat());
    let found = audited(&outcome);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(found["component"]["secrets"], json!(["key"]));
    assert_eq!(found["use"]["roles"], json!(["authorizer"]));
    assert_eq!(found["use"]["not_granted"], json!([]));
    assert_eq!(found["use"]["not_asked"], json!([]));
    assert_eq!(found["no_image"], Value::Null);
}

#[test]
fn what_is_asked_for_and_not_granted_ends_with_1_and_is_refused_at_load() {
    let site = site("");

    let outcome = audit(&site, &[&COMPARED[..], &["--json"]].concat());

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let missing = &audited(&outcome)["use"]["not_granted"];
    assert_eq!(*missing, json!([{ "kind": "secret", "name": "key" }]));
    let check = site.run(&["check", "portcullis.toml"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.text().contains("`key`"), "{check:?}");
}

#[test]
fn what_is_granted_and_not_asked_for_ends_with_1_only_where_that_is_wanted() {
    let more = format!(
        "{SECRET}\ngrants.secrets.other = {{ file = \"absent\" }}\n\
        grants.http = {{ origins = [\"https://a.test\"] }}\ngrants.keyvalue = {{ size = \"1MiB\" }}\n"
    );
    let site = site(&more);

    assert_eq!(audit(&site, &COMPARED).code, Some(0));
    let outcome = audit(&site, &[&COMPARED[..], &["--strict", "--json"]].concat());

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let found = audited(&outcome);
    assert_eq!(found["use"]["not_granted"], json!([]));
    let wider =
        [("secret", "other"), ("origin", "https://a.test:443"), ("capability", "wasi:keyvalue")];
    let wider: Vec<Value> =
        wider.iter().map(|(kind, name)| json!({ "kind": kind, "name": name })).collect();
    assert_eq!(found["use"]["not_asked"], Value::from(wider));
}

#[test]
fn without_a_configuration_it_is_told_what_would_have_to_be_granted() {
    let site = site("");

    let outcome = audit(&site, &["--settings", "{\"guest\": \"bob\"}"]);

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("grants.secrets.key"), "{outcome:?}");
    let refused = audit(&site, &["--settings", "{\"gast\": 1}"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

#[test]
fn randomness_drawn_in_configure_rules_an_image_out_and_is_said() {
    let site = Site::new();
    site.install("odd", component("random-in-configure"));

    let outcome = site.run(&["plugin", "audit", "plugins/odd.wasm", "--json"]);

    let why = audited(&outcome)["no_image"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("randomness")), "{outcome:?}");
}

#[test]
fn a_plugin_that_the_configuration_does_not_use_can_be_named() {
    let site = site(SECRET);
    site.write("plugins/door-2.wasm", component("door"));
    let new = ["plugin", "audit", "plugins/door-2.wasm", "--config", "portcullis.toml"];

    let unnamed = site.run(&new);
    assert_eq!(unnamed.code, Some(1), "{unnamed:?}");
    assert!(unnamed.stderr.contains("`door-2`"), "{unnamed:?}");
    let named = site.run(&[&new[..], &["--plugin", "door"]].concat());
    assert_eq!(named.code, Some(0), "{named:?}");
}

#[test]
fn what_is_no_plugin_is_refused() {
    let site = site(SECRET);
    site.install("door", b"junk");

    let outcome = audit(&site, &COMPARED);

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("this is not WebAssembly"), "{outcome:?}");
}
