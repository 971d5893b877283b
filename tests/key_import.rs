//! API keys from a file of comma-separated values, all or none.

use portcullis_tests::{Client, Gateway, Outcome, Site, Upstream, eventually};
use serde_json::Value;

const KEYED: &str = r#"
    state = "state"
    admin = { address = "127.0.0.1:0", token = { file = "admin-token" } }
    [authorizers.keys]
    plugin = "api-key"
    BUDGET
    [apis.shop.routes."GET /orders"]
    authorizer = "keys"
    upstream = "orders"
"#;

/// As the documentation of AWS API Gateway has it, and what people make of it.
const FILE: &str = "Name,key,description,Enabled,usageplanIds,attribute:tier\r\n\
    MyFirstApiKey,apikey1234abcdefghij0123456789,\"An, \"\"imported\"\" key\",TRUE,c7y23b,gold\r\n\
    \r\n\
    MySecondApiKey,apikey2345bcdefghij01234567890,,FALSE,\"c7y23b, d8z34c\",\r\n";
const FIRST: &str = "apikey1234abcdefghij0123456789";
const SECOND: &str = "apikey2345bcdefghij01234567890";

fn start(orders: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("admin-token", "an-admin-token-of-a-test");
    let config = KEYED.replace("BUDGET", crate::ROOMY);
    let upstream = format!("[upstreams.orders]\nendpoints = [\"{}\"]\n", orders.address());
    site.start(&format!("{config}\n{upstream}"))
}

fn import(site: &Site, file: &str, more: &[&str]) -> Outcome {
    site.write("keys.csv", file);
    site.run(&[&["key", "import", "keys.csv"], more].concat())
}

fn listed(site: &Site) -> Value {
    serde_json::from_str(&site.run(&["key", "list", "--json"]).stdout).unwrap()
}

fn wait_for(gateway: &Gateway, key: &str, wanted: u16) {
    eventually(&format!("status {wanted}"), || {
        (gateway.get("/orders", &[("x-api-key", key)]).status == wanted).then_some(())
    });
}

#[test]
fn imported_keys_open_a_running_gateway() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let site = gateway.site();

    let tried = import(site, FILE, &["--dry-run", "--json"]);
    let tried: Value = serde_json::from_str(&tried.stdout).unwrap();
    assert_eq!((&tried["dry_run"], &tried["imported"]["added"]), (&true.into(), &2.into()));
    assert_eq!(listed(site), Value::Array(Vec::new()), "nothing was done");
    let outcome = import(site, FILE, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text());

    wait_for(&gateway, FIRST, 200);
    assert_eq!(gateway.get("/orders", &[("x-api-key", SECOND)]).status, 401, "it is disabled");
    let keys = listed(site);
    let first = keys.as_array().unwrap().iter().find(|key| key["name"] == "MyFirstApiKey");
    let first = first.unwrap();
    assert_eq!(first["consumer"], "MyFirstApiKey", "{keys}");
    assert_eq!(first["attributes"]["description"], "An, \"imported\" key", "{keys}");
    assert_eq!(first["attributes"]["usage-plans"], serde_json::json!(["c7y23b"]), "{keys}");
    assert_eq!(first["attributes"]["tier"], "gold", "{keys}");

    let again = import(site, FILE, &[]);
    assert_eq!(again.code, Some(1), "{}", again.text());
    assert!(again.stderr.contains("keys.csv:4: the key is there already"), "{}", again.text());
    let other = FILE.replace("FALSE", "true").replace("TRUE", "false");
    let replaced = import(site, &other, &["--replace", "--consumer", "partners"]);
    assert!(replaced.stdout.contains("keys replaced   2"), "{}", replaced.text());
    wait_for(&gateway, SECOND, 200);
    wait_for(&gateway, FIRST, 401);
    assert_eq!(listed(site)[0]["consumer"], "partners");

    let seen = keys.to_string() + &again.text() + &outcome.text() + &gateway.stderr();
    for key in [FIRST, SECOND] {
        assert!(!seen.contains(key), "{seen}");
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once_and_nothing_is_kept() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let site = gateway.site();
    let file = "key,name,enabled\n\
        a-key-that-is-good-enough-1,one,\n\
        short,two,true\n\
        a-key-that-is-good-enough-1,three,true\n\
        a-key-that-is-good-enough-4,four\n\
        a-key-that-is-good-enough-5,five,yes\n\
        a-key-that-is-good-enough-6,,true\n\
        a-key-that-is-good-enough-7,no consumer,true\n\
        a-key-that-is-good-enough-8,\"eight,true\n\
        a-key-that-is-good-enough-9,nine,true\n";

    let outcome = import(site, file, &[]);

    assert_eq!(outcome.code, Some(1), "{}", outcome.text());
    for expected in [
        "keys.csv:3: an API key is 20 to 128 visible ASCII characters",
        "keys.csv:4: the key is that of line 2",
        "keys.csv:5: 2 fields, where the header has 3",
        "keys.csv:6: `enabled` is to be true or false",
        "keys.csv:7: `name` is empty",
        "keys.csv:8: `name` cannot be a consumer's",
        "keys.csv:9: ",
        "nothing is imported: 7 problems of the file",
    ] {
        assert!(outcome.stderr.contains(expected), "`{expected}` is not in {}", outcome.text());
    }
    assert!(!outcome.text().contains("good-enough"), "{}", outcome.text());
    let json = import(site, file, &["--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["problems"][0]["line"], 3, "{json}");
    assert_eq!(listed(site), Value::Array(Vec::new()));
    assert_eq!(site.run(&["consumer", "list"]).stdout, "");

    let headless = import(site, &format!("one,{FIRST}\n"), &[]);
    assert!(headless.stderr.contains("keys.csv:1: the first line is to name"), "{headless:?}");
    assert!(!headless.text().contains(FIRST), "{headless:?}");
    let unknown = import(site, "name,key,owner\n", &[]);
    assert!(unknown.stderr.contains("`owner` is no column"), "{unknown:?}");
    let long = import(site, &"x".repeat((16 << 20) + 1), &[]);
    assert!(long.stderr.contains("at most 16 MiB"), "{}", long.stderr);
}

#[test]
fn the_admin_api_imports_too_and_holds_at_once() {
    let orders = Upstream::start();
    let gateway = start(&orders);
    let send = |path: &str, body: &str| {
        let headers =
            [("authorization", "Bearer an-admin-token-of-a-test"), ("content-type", "text/csv")];
        Client::connect(gateway.admin()).request("POST", path, &headers, body.as_bytes())
    };

    let tried = send("/keys/import?consumer=acme&dry_run=true", FILE);
    assert_eq!((tried.status, &tried.json()["added"]), (200, &2.into()), "{tried:?}");
    let imported = send("/keys/import?consumer=acme", FILE);
    assert_eq!(imported.json()["consumers"], serde_json::json!(["acme"]), "{imported:?}");
    assert_eq!(gateway.get("/orders", &[("x-api-key", FIRST)]).status, 200);
    let again = send("/keys/import", FILE);
    assert_eq!(again.verdict(), (422, "bad-file".to_owned()));
    assert_eq!(again.json()["problems"][1]["line"], 4, "{again:?}");
    assert_eq!(send("/keys/import?replace=true", FILE).json()["replaced"], 2);
    assert_eq!(send("/keys/import?replce=true", FILE).verdict().1, "bad-query");
    assert_eq!(send("/access-keys/import", FILE).status, 405);
}
