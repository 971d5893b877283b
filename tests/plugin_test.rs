//! `portcullis plugin test` grants what a configuration can grant, and answers for services.

use portcullis_test_guests::component;
use portcullis_tests::{Outcome, Site};

/// Runs cases against a guest.
fn test(guest: &str, cases: &str) -> Outcome {
    let site = Site::new();
    site.install(guest, component(guest));
    site.write("cases.toml", cases);
    site.run(&["plugin", "test", &format!("plugins/{guest}.wasm")])
}

#[track_caller]
fn check(outcome: &Outcome, code: i32, expected: &[&str]) {
    assert_eq!(outcome.code, Some(code), "{}", outcome.text());
    for part in expected {
        assert!(outcome.text().contains(part), "`{part}` is not in {}", outcome.text());
    }
}

const CALLING: &str = r#"
settings = { authority = "{answers:authority}" }

[[answer]]
path = "/token"
body = "welcome"

[[case]]
name = "the service says yes"
request = { headers = { x-token = "t" } }
expect = { allow = { principal = "asked", attributes = { said = "welcome" } } }

[[case]]
name = "the service says no"
request = { headers = { x-token = "t" } }
answer = [{ method = "GET", path = "/token", status = 401 }]
expect = { deny = { kind = "unauthenticated", code = "status-401" } }
"#;

#[test]
fn services_answer_what_the_cases_say() {
    check(&test("calls-out", CALLING), 0, &["2 passed, 0 failed"]);
    let elsewhere = CALLING.replace("\"/token\"\nbody", "\"/elsewhere\"\nbody");
    let failed = ["FAILED  the service says yes", "it asked `GET /token`", "1 passed, 1 failed"];
    check(&test("calls-out", &elsewhere), 1, &failed);
}

const COUNTING: &str = r#"
[grants]
keyvalue = {}

[[case]]
name = "the first"
request = {}
expect = { allow = { attributes = { count = "1" } } }

[[case]]
name = "the second"
request = {}
expect = { allow = { attributes = { count = "2" } } }
"#;

#[test]
fn what_a_plugin_keeps_is_there_in_the_next_case() {
    check(&test("counts", COUNTING), 0, &["2 passed, 0 failed"]);
    let ungranted = COUNTING.replace("keyvalue = {}", "");
    check(&test("counts", &ungranted), 1, &["keyvalue"]);
}

#[test]
fn what_is_wrong_in_a_file_of_cases_is_told_with_its_place() {
    let wrong = COUNTING.replace("keyvalue = {}", "keyvalue = { size = \"5\", kyes = 1 }");
    check(&test("counts", &wrong), 1, &["cases.toml:3:", "`5` has no unit", "`keys`"]);
    let typo = COUNTING.replace("request = {}", "requets = {}");
    check(&test("counts", &typo), 1, &["cases.toml:7:1: unknown field `requets`"]);
    let broken = COUNTING.replace("[grants]", "[grants");
    check(&test("counts", &broken), 1, &["cases.toml:2:"]);
    let issuer = "[grants.issuers]\n\"https://a.example\" = { jwks = \"absent.json\" }\n";
    check(&test("verifies", issuer), 1, &["cases.toml:2:", "absent.json"]);
}
