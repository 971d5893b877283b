//! API keys of the store open routes while they hold, and no longer.

use portcullis_tests::{Gateway, Site, Upstream, eventually};
use serde_json::Value;

const KEYED: &str = r#"
    state = "state"
    [authorizers.keys]
    plugin = "api-key"
    cache = "5m"
    BUDGET
    [apis.shop.routes."GET /orders"]
    authorizer = "keys"
    upstream = "orders"
"#;

fn start(orders: &Upstream) -> Gateway {
    let config = KEYED.replace("BUDGET", crate::ROOMY);
    // Top-level keys come before every table.
    let upstream = format!("[upstreams.orders]\nendpoints = [\"{}\"]\n", orders.address());
    Site::new().start(&format!("{config}\n{upstream}"))
}

fn command(site: &Site, arguments: &[&str]) -> Value {
    let outcome = site.run(&[arguments, &["--json"]].concat());
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.text());
    serde_json::from_str(&outcome.stdout).expect("a command prints JSON")
}

fn status(gateway: &Gateway, key: &str) -> u16 {
    gateway.get("/orders", &[("x-api-key", key)]).status
}

fn wait_for(gateway: &Gateway, key: &str, wanted: u16) {
    eventually(&format!("status {wanted}"), || (status(gateway, key) == wanted).then_some(()));
}

#[test]
fn a_key_holds_from_its_adding_to_its_end() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let run = |arguments: &[&str]| command(gateway.site(), arguments);
    assert_eq!(status(&gateway, "pk_nobody-has-this-key-at-all"), 401);

    run(&["consumer", "add", "alice", "--attribute", "plan=gold"]);
    let added = run(&["key", "add", "alice"]);
    let (id, key) = (added["id"].as_str().unwrap(), added["key"].as_str().unwrap());
    wait_for(&gateway, key, 200);
    assert_eq!(status(&gateway, key), 200, "from the cache");

    run(&["key", "disable", id]);
    wait_for(&gateway, key, 401);
    run(&["key", "enable", id]);
    wait_for(&gateway, key, 200);

    let next = run(&["key", "rotate", id, "--grace", "1h"]);
    let next_key = next["key"].as_str().unwrap();
    wait_for(&gateway, next_key, 200);
    assert_eq!(status(&gateway, key), 200, "its grace");
    run(&["key", "remove", id]);
    wait_for(&gateway, key, 401);
    assert_eq!(status(&gateway, next_key), 200);

    let listed = run(&["key", "list"]).to_string();
    let written = gateway.stdout() + &gateway.stderr();
    for secret in [key, next_key] {
        assert!(!listed.contains(secret) && !written.contains(secret));
    }
}

#[test]
fn a_broken_database_is_told_of_at_the_start() {
    let site = Site::new();
    std::fs::create_dir(site.path().join("state")).unwrap();
    let config = "state = \"state\"\n[listeners.a]\naddress = \"127.0.0.1:0\"\n";
    site.write("portcullis.toml", config);
    command(&site, &["consumer", "add", "alice"]);
    site.write("state/portcullis.db", "no database, ".repeat(1_000));
    for beside in ["state/portcullis.db-wal", "state/portcullis.db-shm"] {
        let _absent = std::fs::remove_file(site.path().join(beside));
    }
    use std::os::unix::fs::PermissionsExt as _;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(site.path().join("state/portcullis.db"), private).unwrap();

    let outcome = site.run(&["run"]);

    assert_eq!(outcome.code, Some(1), "{}", outcome.text());
    assert!(outcome.stderr.contains("cannot be used as the database"), "{}", outcome.text());
}
