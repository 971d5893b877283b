//! The last configuration that served is kept whole, and serves again only where it is
//! asked for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use portcullis_test_guests::component;
use portcullis_tests::{Client, Gateway, Outcome, Site, Upstream, eventually};
use serde_json::Value;

const FLAG: &str = "--or-last-good";
const TOKEN: &str = "an-admin-token-of-a-test";

fn config(upstream: &Upstream) -> String {
    let address = upstream.address();
    format!(
        r#"
        include = ["routes.toml"]
        state = "state"
        admin = {{ address = "127.0.0.1:0", token = {{ file = "admin-token" }} }}
        [upstreams.orders]
        endpoints = ["{address}"]
        [authorizers.versioned]
        plugin = "versioned"
        {roomy}
        [transforms.tell]
        plugin = "headers"
        settings.response.set = {{ x-version = "${{identity:version}}" }}
        {roomy}
        "#,
        roomy = crate::ROOMY
    )
}

const ROUTES: &str = r#"
    [apis.shop]
    policy = "policy.json"
    [apis.shop.routes."GET /a"]
    authorizer = "versioned"
    upstream = "orders"
    response_transforms = ["tell"]
"#;

const POLICY: &str = r#"{ "Version": "2012-10-17", "Statement": [
    { "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*" } ] }"#;

/// A gateway whose configuration is kept as the last good one.
fn start(upstream: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("admin-token", TOKEN)
        .write("routes.toml", ROUTES)
        .write("policy.json", POLICY)
        .install("versioned", component("version-a"));
    let gateway = site.start(&config(upstream));
    assert_eq!(version(&gateway).as_deref(), Some("1.0.0"));
    wait_until_kept(&gateway, 1.0);
    gateway
}

fn wait_until_kept(gateway: &Gateway, times: f64) {
    gateway.wait_for_metric("a copy of the configuration", |metrics| {
        metrics.sum("portcullis_last_good_kept_total", &[]) == times
    });
}

/// The version of the plugin that answers.
fn version(gateway: &Gateway) -> Option<String> {
    let response = gateway.get("/a", &[]);
    assert_eq!(response.status, 200, "{response:?}");
    response.header("x-version").map(str::to_owned)
}

fn serves_last_good(gateway: &Gateway) -> f64 {
    gateway.metric("portcullis_serves_last_good", &[])
}

/// Waits until the gateway says that the files serve, which it does a moment after their
/// first answer.
fn wait_until_files_serve(gateway: &Gateway) {
    eventually("word that the files serve", || (serves_last_good(gateway) == 0.0).then_some(()));
}

fn last_reload(gateway: &Gateway) -> Value {
    let bearer = ("authorization", "Bearer an-admin-token-of-a-test");
    Client::connect(gateway.admin()).request("GET", "/reloads/last", &[bearer], b"").json()
}

fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "`{word}` is not in {outcome:?}");
    }
}

fn run(site: &Site, arguments: &[&str]) -> Outcome {
    let config = site.config();
    let run = ["run", "--config", config.to_str().unwrap()];
    site.run(&[&run[..], arguments].concat())
}

#[test]
fn the_last_good_configuration_serves_where_it_is_asked_for_until_the_files_are_right() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    assert_eq!(serves_last_good(&gateway), 0.0);
    assert_eq!(last_reload(&gateway)["last_good"], Value::Null);
    let site = gateway.kill();
    let good = fs::read_to_string(site.config()).unwrap();
    site.write("portcullis.toml", format!("{good}\n[apis.shop\nnonsense = = 1\n"));

    refused(&run(&site, &[]), &["portcullis.toml:"]);

    let gateway = site.start_again(&[FLAG]);
    assert_eq!(version(&gateway).as_deref(), Some("1.0.0"));
    assert_eq!(serves_last_good(&gateway), 1.0);
    let said = gateway.wait_for_output("THE LAST GOOD CONFIGURATION SERVES");
    assert!(said.contains("portcullis.toml:"), "the log shows why: {said}");
    let last = last_reload(&gateway);
    assert_eq!(last["outcome"], "refused", "{last}");
    assert!(last["last_good"]["kept"].is_u64(), "{last}");
    assert!(last["last_refused"]["problems"][0]["line"].is_u64(), "{last}");

    let mended = good.replace("${identity:version}", "mended");
    assert_ne!(mended, good);
    gateway.site().write("portcullis.toml", mended);
    eventually("the mended files", || {
        (version(&gateway).as_deref() == Some("mended")).then_some(())
    });
    wait_until_files_serve(&gateway);
    let last = eventually("word of the reload", || {
        Some(last_reload(&gateway)).filter(|last| last["outcome"] == "replaced")
    });
    assert_eq!(last["last_good"], Value::Null);
    wait_until_kept(&gateway, 1.0);
}

#[test]
fn a_plugin_that_was_replaced_by_junk_serves_from_the_copy() {
    let upstream = Upstream::start();
    let site = start(&upstream).kill();
    site.install("versioned", b"junk");

    refused(&run(&site, &[]), &["this is not WebAssembly"]);

    let gateway = site.start_again(&[FLAG]);
    assert_eq!(version(&gateway).as_deref(), Some("1.0.0"));
    assert_eq!(serves_last_good(&gateway), 1.0);

    gateway.install("versioned", component("version-b"));
    eventually("the mended plugin", || {
        (version(&gateway).as_deref() == Some("2.0.0")).then_some(())
    });
    wait_until_files_serve(&gateway);
}

#[test]
fn included_files_and_policies_are_part_of_the_copy() {
    let upstream = Upstream::start();
    let site = start(&upstream).kill();
    fs::remove_file(site.path().join("routes.toml")).unwrap();
    site.write("policy.json", "{}");

    refused(&run(&site, &[]), &["routes.toml"]);

    let gateway = site.start_again(&[FLAG]);
    assert_eq!(version(&gateway).as_deref(), Some("1.0.0"));
}

#[test]
fn a_reload_that_is_good_becomes_the_last_good_one_and_a_refused_one_does_not() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    gateway.install("versioned", component("version-b"));
    eventually("the new version", || (version(&gateway).as_deref() == Some("2.0.0")).then_some(()));
    wait_until_kept(&gateway, 2.0);
    gateway.install("versioned", b"junk");
    eventually("a refusal", || (gateway.reloads("Refused") >= 1.0).then_some(()));
    wait_until_kept(&gateway, 2.0);

    let gateway = gateway.kill().start_again(&[FLAG]);

    assert_eq!(version(&gateway).as_deref(), Some("2.0.0"));
}

#[test]
fn secrets_are_not_in_the_copy_and_are_read_anew() {
    let upstream = Upstream::start();
    let site = start(&upstream).kill();
    let copy = site.path().join("state/last-good");
    let bytes = fs::read(&copy).unwrap();
    assert!(bytes.windows(8).any(|window| window == b"[apis.sh"), "the texts are in it");
    assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(site.path().join("state")).unwrap().permissions().mode() & 0o777,
        0o700
    );
    site.install("versioned", b"junk");

    fs::remove_file(site.path().join("admin-token")).unwrap();
    refused(&run(&site, &[FLAG]), &["admin-token", "it cannot serve either"]);
    site.write("admin-token", "another-admin-token");

    let gateway = site.start_again(&[FLAG]);
    let bearer = ("authorization", "Bearer another-admin-token");
    let last = Client::connect(gateway.admin()).request("GET", "/reloads/last", &[bearer], b"");
    assert_eq!(last.status, 200, "{last:?}");
}

#[test]
fn a_copy_that_is_damaged_or_of_others_is_not_used() {
    let upstream = Upstream::start();
    let site = start(&upstream).kill();
    site.install("versioned", b"junk");
    let copy = site.path().join("state/last-good");
    let whole = fs::read(&copy).unwrap();

    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&copy, damaged).unwrap();
    refused(&run(&site, &[FLAG]), &["this is not WebAssembly", "is damaged, and is not used"]);

    fs::write(&copy, &whole).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&run(&site, &[FLAG]), &["others may write to it"]);

    fs::remove_file(&copy).unwrap();
    refused(&run(&site, &[FLAG]), &["none is kept in"]);
}

#[test]
fn the_copy_of_another_configuration_is_not_used() {
    let upstream = Upstream::start();
    let site = start(&upstream).kill();
    site.write("other.toml", "state = \"state\"\nnonsense = 1\n");

    refused(&site.run(&["run", "--config", "other.toml", FLAG]), &["is of the configuration"]);
}

#[test]
fn without_a_state_directory_the_flag_is_refused() {
    let site = Site::new();
    let good = "authorizer = \"none\"\naccess_log = \"off\"\nadmin = \"off\"\n\
        listeners.public.address = \"127.0.0.1:0\"\n[apis.a.routes.\"GET /\"]\nrespond = {}\n";
    site.write("portcullis.toml", good);
    refused(&run(&site, &[FLAG]), &["wants `state`"]);

    site.write("portcullis.toml", "x = = 1");
    refused(&run(&site, &[FLAG]), &["wants `state`"]);
    refused(&run(&site, &["--or-last-good=elsewhere"]), &["none is kept in `elsewhere/last-good`"]);
}
