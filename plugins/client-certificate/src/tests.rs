use portcullis_plugin_sdk::Value;
use portcullis_plugin_sdk::testing::configured;
use serde_json::{Value as Json, json};

use super::*;

/// When the tests take place: seconds since 1970.
const NOW: u64 = 1_800_000_000;

fn fact(name: &str) -> String {
    format!("tls:client-certificate.{name}")
}

fn texts(texts: &[&str]) -> Value {
    Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// A request of a client that shows a certificate with these facts beside the usual.
fn showing(facts: &[(&str, Value)]) -> Request {
    let (begins, ends) = (NOW.cast_signed() - 60, NOW.cast_signed() + 60);
    let usual = [
        ("sha256", Value::Bytes(vec![0xab; 32])),
        ("not-before", Value::Integer(begins)),
        ("not-after", Value::Integer(ends)),
        ("subject", Value::Text("CN=alice,O=Example".to_owned())),
        ("issuer", Value::Text("CN=ca".to_owned())),
        ("serial", Value::Text("0a".to_owned())),
    ];
    let all = usual.into_iter().filter(|(name, _)| facts.iter().all(|(other, _)| other != name));
    let all = all.chain(facts.iter().cloned());
    let request = Request { time: NOW * 1000, ..Request::get("/") };
    all.fold(request, |request, (name, value)| request.with_attribute(&fact(name), value))
}

fn ask(settings: Json, request: &Request) -> Result<Grant, Denial> {
    let plugin: ClientCertificate = configured(settings).unwrap();
    plugin.authorize(request)
}

fn check(settings: Json, facts: &[(&str, Value)], expected: Result<&str, &str>) {
    let shown = format!("{settings} {facts:?}");
    let answer = ask(settings, &showing(facts)).map(|grant| grant.identity.principal);
    let expected = expected.map(str::to_owned).map_err(Denial::forbidden);
    assert_eq!(answer, expected, "{shown}");
}

const NOT_ALLOWED: Result<&str, &str> = Err("certificate-not-allowed");

#[test]
fn without_a_certificate_the_request_is_left_to_others() {
    let plain = Request { time: NOW * 1000, ..Request::get("/") };

    assert_eq!(ask(json!({}), &plain), Err(Denial::NotMine));
}

#[test]
fn the_certificate_becomes_the_identity() {
    let uri = [("uri", texts(&["spiffe://a/b"]))];

    let grant = ask(json!({}), &showing(&uri)).unwrap();
    let attributes = json!({ "attributes": { "tag.unit": "organizational-unit", "id": "uri" } });
    let other = ask(attributes, &showing(&uri)).unwrap();

    assert_eq!(grant.identity.principal, "spiffe://a/b");
    assert_eq!(grant.identity.usage_key.as_deref(), Some("spiffe://a/b"));
    assert_eq!(grant.expires_at, Some((NOW + 61) * 1000), "the last second counts");
    let told = |grant: &Grant| -> Vec<String> {
        let attributes = grant.identity.attributes.iter();
        attributes.map(|it| format!("{}={}", it.name, it.value)).collect()
    };
    let digest = format!("sha256={}", "ab".repeat(32));
    assert_eq!(told(&grant), ["issuer=CN=ca", "serial=0a", &digest, "subject=CN=alice,O=Example"]);
    assert_eq!(told(&other), ["id=spiffe://a/b"]);
}

#[test]
fn the_principal_is_the_name_that_was_let_in() {
    let names = [
        ("uri", texts(&["spiffe://a/1", "spiffe://a/2"])),
        ("dns", texts(&["a.example.com", "b.example.com"])),
        ("email", texts(&["a@example.com"])),
        ("common-name", Value::Text("alice".to_owned())),
    ];
    let allow = |rule: Json| json!({ "allow": [rule] });

    check(json!({}), &names, Ok("spiffe://a/1"));
    check(json!({}), &names[1..], Ok("a.example.com"));
    check(json!({}), &names[2..], Ok("a@example.com"));
    check(json!({}), &names[3..], Ok("alice"));
    check(json!({}), &[], Err("certificate-without-name"));
    check(allow(json!({ "uri": ["spiffe://a/2"] })), &names, Ok("spiffe://a/2"));
    check(allow(json!({ "dns": ["b.example.com"] })), &names, Ok("b.example.com"));
    check(allow(json!({ "common_name": ["alice"] })), &names, Ok("alice"));
    check(allow(json!({ "issuer": ["CN=ca"] })), &names, Ok("spiffe://a/1"));
    for (principal, expected) in [
        ("uri", "spiffe://a/1"),
        ("dns", "a.example.com"),
        ("email", "a@example.com"),
        ("common-name", "alice"),
        ("subject", "CN=alice,O=Example"),
        ("sha256", &"ab".repeat(32)),
    ] {
        check(json!({ "principal": principal }), &names, Ok(expected));
    }
    check(json!({ "principal": "ip" }), &names, Err("certificate-without-name"));
    let second = json!({ "principal": "dns", "allow": [{ "dns": ["b.example.com"] }] });
    check(second, &names, Ok("b.example.com"));
}

#[test]
fn a_certificate_that_does_not_hold_now_is_refused() {
    let at = |seconds: i64| Value::Integer(NOW.cast_signed() + seconds);
    let name = ("common-name", Value::Text("alice".to_owned()));
    let with = |key, value| [name.clone(), (key, value)];

    check(json!({}), &with("not-after", at(0)), Ok("alice"));
    check(json!({}), &with("not-after", at(-1)), Err("certificate-expired"));
    check(json!({}), &with("not-after", Value::Integer(-1)), Err("certificate-expired"));
    check(json!({}), &with("not-before", at(0)), Ok("alice"));
    check(json!({}), &with("not-before", at(1)), Err("certificate-not-yet-valid"));
    let untimed = Value::Text("never".to_owned());
    check(json!({}), &with("not-after", untimed), Err("certificate-without-validity"));
}

#[test]
fn one_rule_must_match_with_all_it_says() {
    let names = [
        ("common-name", Value::Text("alice".to_owned())),
        ("organizational-unit", texts(&["Orders", "Billing"])),
    ];
    let rules = |rules: Json| json!({ "allow": rules });

    check(rules(json!([{ "organizational_unit": ["Billing"] }])), &names, Ok("alice"));
    check(rules(json!([{ "organizational_unit": ["Other", "Orders"] }])), &names, Ok("alice"));
    check(rules(json!([{ "organizational_unit": ["orders"] }])), &names, NOT_ALLOWED);
    let both = json!([{ "organizational_unit": ["Orders"], "common_name": ["bob"] }]);
    check(rules(both), &names, NOT_ALLOWED);
    let either = json!([{ "organizational_unit": ["Orders"], "common_name": ["bob"] }, { "issuer": ["CN=ca"] }]);
    check(rules(either), &names, Ok("alice"));
    check(rules(json!([{ "subject": ["CN=alice,O=Example"] }])), &names, Ok("alice"));
    check(rules(json!([{ "subject": ["CN=alice"] }])), &names, NOT_ALLOWED);
    check(rules(json!([{ "organization": ["Example"] }])), &names, NOT_ALLOWED);
}

#[test]
fn fingerprints_pin_single_certificates() {
    let name = [("common-name", Value::Text("alice".to_owned()))];
    let pinned = |text: &str| json!({ "allow": [{ "sha256": [text] }] });
    let colons = vec!["AB"; 32].join(":");

    check(pinned(&colons), &name, Ok("alice"));
    check(pinned(&"ab".repeat(32)), &name, Ok("alice"));
    check(pinned(&"ac".repeat(32)), &name, NOT_ALLOWED);
}

fn matches(key: &str, pattern: &str, value: &str) -> bool {
    let facts = [(key, texts(&[value])), ("common-name", Value::Text("alice".to_owned()))];
    let settings = json!({ "allow": [{ key: [pattern] }] });
    ask(settings, &showing(&facts)).is_ok()
}

#[test]
fn host_names_match_whole_labels() {
    assert!(matches("dns", "a.example.com", "A.Example.com"));
    assert!(matches("dns", "*.example.com", "a-1.example.com"));
    for other in [
        "example.com",
        "b.a.example.com",
        ".example.com",
        "*.example.com",
        "a.example.com.",
        "a.example.community",
        "aexample.com",
    ] {
        assert!(!matches("dns", "*.example.com", other), "{other}");
    }
}

#[test]
fn uris_match_whole_segments() {
    let below = "spiffe://example.org/shop/*";
    assert!(matches("uri", "spiffe://example.org/shop", "spiffe://example.org/shop"));
    assert!(matches("uri", below, "spiffe://example.org/shop/orders"));
    assert!(matches("uri", below, "spiffe://example.org/shop/orders/v1.2"));
    assert!(matches("uri", "spiffe://example.org/*", "spiffe://example.org/shop/orders"));
    for other in [
        "spiffe://example.org/shop",
        "spiffe://example.org/shop/",
        "spiffe://example.org/shopping/orders",
        "spiffe://example.org/shop/../admin",
        "spiffe://example.org/shop/./a",
        "spiffe://example.org/shop//a",
        "spiffe://example.org/shop/%2e%2e/admin",
        "spiffe://example.org/shop/a?b",
        "spiffe://example.org/shop/a#b",
        "spiffe://example.org.evil.com/shop/a",
        "SPIFFE://example.org/shop/a",
    ] {
        assert!(!matches("uri", below, other), "{other}");
    }
    assert!(!matches("uri", "spiffe://example.org/*", "spiffe://example.organic/a"));
}

#[test]
fn addresses_and_mail_match_as_they_are() {
    assert!(matches("ip", "192.0.2.7", "192.0.2.7"));
    assert!(matches("ip", "2001:DB8:0::7", "2001:db8::7"));
    assert!(!matches("ip", "192.0.2.7", "192.0.2.70"));
    assert!(matches("email", "a@example.com", "a@example.com"));
    assert!(!matches("email", "a@example.com", "b@example.com"));
}

#[test]
fn settings_that_match_nothing_or_everything_are_refused() {
    let pointer = |settings: Json| {
        configured::<ClientCertificate>(settings.clone())
            .map_err(|error| error.pointer)
            .expect_err(&settings.to_string())
    };
    let rule = |key: &str, text: &str| json!({ "allow": [{ "common_name": ["a"] }, { key: ["x=y:/z", text] }] });

    assert_eq!(pointer(json!({ "allow": [] })), "/allow");
    assert_eq!(pointer(json!({ "allow": [{}] })), "/allow/0");
    assert_eq!(pointer(json!({ "allow": [{ "dns": [] }] })), "/allow/0/dns");
    assert_eq!(pointer(json!({ "allow": [{ "cn": ["a"] }] })), "/allow/0/cn");
    assert_eq!(pointer(json!({ "principal": "not-after" })), "/principal");
    assert_eq!(pointer(json!({ "attributes": { "a": "der" } })), "/attributes/a");
    for (key, text) in [
        ("common_name", ""),
        ("subject", "alice"),
        ("subject", "CN=alice, O=Example"),
        ("issuer", "/O=Example/CN=ca"),
        ("uri", "spiffe"),
        ("uri", "spiffe://*"),
        ("uri", "spiffe://example.org/a*"),
        ("uri", "spiffe://*/a"),
    ] {
        assert_eq!(pointer(rule(key, text)), format!("/allow/1/{key}/1"), "{text}");
    }
    for (key, text) in [
        ("dns", "*"),
        ("dns", "*.*.example.com"),
        ("dns", "a*.example.com"),
        ("dns", "https://a"),
        ("ip", "192.0.2.0/24"),
        ("sha256", "abcd"),
        ("sha256", &"zz".repeat(32)),
        ("sha256", &["ab"; 31].join(":")),
        ("sha256", &format!("a:{}", "ab".repeat(31))),
    ] {
        let settings = json!({ "allow": [{ key: [text] }] });
        assert_eq!(pointer(settings), format!("/allow/0/{key}/0"), "{text}");
    }
}

#[test]
fn only_what_is_decided_by_is_read() {
    let reads = |settings: Json| {
        let plugin: ClientCertificate = configured(settings).unwrap();
        format!("{:?}", plugin.plan())
    };

    let plan = reads(json!({ "principal": "uri", "attributes": {}, "allow": [{ "dns": ["a"] }] }));

    for name in ["uri", "dns", "sha256", "not-before", "not-after"] {
        assert!(plan.contains(&format!("\"{}\"", fact(name))), "{plan}");
    }
    assert_eq!(plan.matches("tls:").count(), 5, "{plan}");
}
