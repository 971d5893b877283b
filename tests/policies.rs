//! Policy documents decide: an API's own, and those that an authorizer grants with.

use portcullis_tests::{Gateway, Site, Upstream};

fn verdict(
    gateway: &Gateway,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    gateway.request(method, target, headers, b"").verdict()
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn denied() -> (u16, String) {
    (403, "policy-denied".into())
}

fn explicitly() -> (u16, String) {
    (403, "policy-explicit-deny".into())
}

const OPEN: &str = r#"
    trusted_proxies = ["127.0.0.0/8"]
    [apis.shop]
    base_path = "/v1"
    authorizer = "none"
    policy = "policies/shop.json"
    upstream = "orders"
    routes."ANY /{rest+}" = {}
"#;

const SHOP: &str = r#"{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "execute-api:Invoke",
            "Resource": ["execute-api:/*/GET/pets/*", "execute-api:/*/POST/pets"]
        },
        {
            "Sid": "NotFromThere",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*",
            "Condition": { "IpAddress": { "aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"] } }
        }
    ]
}"#;

fn start(orders: &Upstream, config: &str, files: &[(&str, &str)]) -> Gateway {
    let site = Site::new();
    std::fs::create_dir(site.path().join("policies")).unwrap();
    for (name, text) in files {
        site.write(name, text);
    }
    site.start(&configured(orders, config))
}

fn configured(orders: &Upstream, config: &str) -> String {
    let config = config.replace("BUDGET", crate::ROOMY);
    // Keys of the top come before every table.
    let (top, tables) = config.split_once("[apis").unwrap();
    let orders = format!("[upstreams.orders]\nendpoints = [\"{}\"]", orders.address());
    format!("{top}\n{orders}\n[apis{tables}")
}

#[test]
fn the_policy_of_an_open_api_decides_by_path_method_and_address() {
    let orders = Upstream::start();
    let gateway = start(&orders, OPEN, &[("policies/shop.json", SHOP)]);
    let from = |address| [("x-forwarded-for", address)];

    assert_eq!(verdict(&gateway, "GET", "/v1/pets/1", &[]), ok());
    assert_eq!(verdict(&gateway, "GET", "/v1/%70ets/1?q=/", &[]), ok());
    assert_eq!(verdict(&gateway, "POST", "/v1/pets", &[]), ok());
    assert_eq!(orders.seen().len(), 3);
    assert_eq!(verdict(&gateway, "GET", "/v1/orders/1", &[]), denied());
    assert_eq!(verdict(&gateway, "DELETE", "/v1/pets/1", &[]), denied());
    assert_eq!(verdict(&gateway, "GET", "/v1/pets/1", &from("192.0.2.7")), explicitly());
    assert_eq!(verdict(&gateway, "GET", "/v1/pets/1", &from("2001:db8::7")), explicitly());
    assert_eq!(orders.seen().len(), 3);
    assert_eq!(verdict(&gateway, "GET", "/v1/pets/1", &from("198.51.100.7")), ok());
}

#[test]
fn a_refusal_by_policy_is_in_the_access_log() {
    let orders = Upstream::start();
    let gateway = start(&orders, OPEN, &[("policies/shop.json", SHOP)]);

    verdict(&gateway, "GET", "/v1/silent", &[]);
    verdict(&gateway, "GET", "/v1/there", &[("x-forwarded-for", "192.0.2.7")]);

    let line = gateway.log_line("/v1/silent");
    assert_eq!((&line["status"], &line["code"]), (&403.into(), &"policy-denied".into()));
    let line = gateway.log_line("/v1/there");
    assert_eq!(line["code"], "policy-explicit-deny");
    assert_eq!(line["detail"], "the API's policy denies this method and path");
}

#[test]
fn a_policy_that_changes_is_loaded_and_one_that_is_broken_changes_nothing() {
    let orders = Upstream::start();
    let gateway = start(&orders, OPEN, &[("policies/shop.json", SHOP)]);
    assert_eq!(verdict(&gateway, "GET", "/v1/orders/1", &[]), denied());

    gateway.site().write("policies/shop.json", SHOP.replace("GET/pets/*", "GET/orders/*"));
    gateway.wait_for_answer("the new policy", "/v1/orders/1", |response| response.status == 200);

    gateway.site().write("policies/shop.json", SHOP.replace("\"Deny\"", "\"Denny\""));
    gateway.wait_for_output("`Denny` is no effect");
    assert_eq!(verdict(&gateway, "GET", "/v1/orders/1", &[]), ok());
}

#[test]
fn a_broken_policy_is_shown_where_it_is_broken() {
    let orders = Upstream::start();
    let site = Site::new();
    std::fs::create_dir(site.path().join("policies")).unwrap();
    site.write("policies/shop.json", SHOP.replace("IpAddress", "IpAdress"));

    let config = configured(&orders, OPEN);
    let outcome = site.check(&format!("{config}\n[listeners.a]\naddress = \"127.0.0.1:0\""));

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let text = outcome.text();
    assert!(text.contains("policies/shop.json:16:28"), "{text}");
    assert!(text.contains("did you mean `IpAddress`?"), "{text}");
}

const GRANTED: &str = r#"
    account = "111122223333"
    region = "eu-central-1"
    trusted_proxies = ["127.0.0.0/8"]

    [authorizers.documents]
    plugin = "grants-policy"
    cache = "1h"
    BUDGET
    [authorizers.documents.settings]
    attributes = { username = "alice", "tag.team" = "blue" ARN }
    policies = ['''{
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "execute-api:Invoke",
                "Resource": "arn:aws:execute-api:eu-central-1:111122223333:shop/*/GET/${aws:username}/*",
                "Condition": {
                    "IpAddress": { "aws:SourceIp": "198.51.100.0/24" },
                    "StringEquals": { "aws:PrincipalTag/team": "blue" },
                    "StringNotLike": { "aws:UserAgent": "Crawler/*" },
                    "DateGreaterThan": { "aws:CurrentTime": "2020-01-01T00:00:00Z" }
                }
            },
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*/secret",
                "Condition": { "Bool": { "aws:SecureTransport": "false" } }
            }
        ]
    }''']

    [apis.shop]
    authorizer = "documents"
    upstream = "orders"
    POLICY
    routes."ANY /{rest+}" = {}
"#;

fn granted(arn: &str, policy: &str) -> String {
    GRANTED.replace("ARN", arn).replace("POLICY", policy)
}

#[test]
fn a_granted_policy_decides_by_path_method_address_and_caller() {
    let orders = Upstream::start();
    let gateway = start(&orders, &granted("", ""), &[]);
    let ask = |method, target, address| {
        let headers = [("x-user", "alice"), ("x-forwarded-for", address)];
        verdict(&gateway, method, target, &headers)
    };

    assert_eq!(ask("GET", "/alice/1", "198.51.100.7"), ok());
    assert_eq!(ask("GET", "/alice/2", "198.51.100.8"), ok());
    assert_eq!(ask("GET", "/bob/1", "198.51.100.7"), denied());
    assert_eq!(ask("POST", "/alice/1", "198.51.100.7"), denied());
    assert_eq!(ask("GET", "/alice/1", "203.0.113.7"), denied());
    assert_eq!(ask("GET", "/alice/secret", "198.51.100.7"), explicitly());
    assert_eq!(orders.seen().len(), 2);
    assert_eq!(gateway.log_line("/alice/secret")["principal"], "alice");
}

#[test]
fn a_kept_grant_s_policy_is_evaluated_for_each_request() {
    let orders = Upstream::start();
    let gateway = start(&orders, &granted("", ""), &[]);
    let ask = |agent| {
        let headers =
            [("x-user", "alice"), ("x-forwarded-for", "198.51.100.7"), ("user-agent", agent)];
        verdict(&gateway, "GET", "/alice/1", &headers)
    };

    assert_eq!(ask("Browser/1"), ok());
    assert_eq!(ask("Crawler/1"), denied());
    assert_eq!(ask("Browser/2"), ok());

    let decisions = |decision| {
        let labels = [("use", "documents"), ("decision", decision)];
        gateway.metric("portcullis_plugin_decisions_total", &labels)
    };
    assert_eq!((decisions("allowed"), decisions("cached")), (1.0, 2.0));
}

/// Allows two accounts whatever ends in `open`, and denies everybody `alice/closed`.
const SIDES: &str = r#"{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": { "AWS": ["111122223333", "444455556666"] },
            "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*/*/open"
        },
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*/alice/closed"
        }
    ]
}"#;

#[test]
fn an_apis_policy_and_a_callers_decide_together() {
    let orders = Upstream::start();
    let policy = r#"policy = "policies/shop.json""#;
    let files = [("policies/shop.json", SIDES)];
    let headers = [("x-user", "alice"), ("x-forwarded-for", "198.51.100.7")];
    let ask = |gateway: &Gateway, target| verdict(gateway, "GET", target, &headers);

    let own = r#", arn = "arn:aws:iam::111122223333:user/alice""#;
    let gateway = start(&orders, &granted(own, policy), &files);
    assert_eq!(ask(&gateway, "/alice/1"), ok(), "the caller's policy is enough");
    assert_eq!(ask(&gateway, "/open"), ok(), "the API's policy is enough");
    assert_eq!(ask(&gateway, "/else"), denied());
    assert_eq!(ask(&gateway, "/alice/closed"), explicitly(), "a deny wins over the grant");
    assert_eq!(gateway.log_line("/alice/closed")["principal"], "alice");

    let foreign = r#", arn = "arn:aws:iam::444455556666:user/alice""#;
    let gateway = start(&orders, &granted(foreign, policy), &files);
    assert_eq!(ask(&gateway, "/alice/1"), denied(), "another account needs both");
    assert_eq!(ask(&gateway, "/open"), denied(), "another account needs both");
    assert_eq!(ask(&gateway, "/alice/open"), ok());
}

#[test]
fn a_granted_document_that_is_no_policy_is_a_fault_and_allows_nothing() {
    let orders = Upstream::start();
    let config = granted("", "").replace("DateGreaterThan", "DateMuchGreater");
    let gateway = start(&orders, &config, &[]);

    let answer = verdict(&gateway, "GET", "/alice/1", &[("x-user", "alice")]);

    assert_eq!(answer, (503, "plugin-fault".into()));
    orders.assert_saw_nothing();
    let detail = gateway.log_line("/alice/1")["detail"].to_string();
    assert!(detail.contains("no condition operator `DateMuchGreater`"), "{detail}");
}

#[test]
fn what_the_policy_of_an_api_decides_is_explained() {
    let site = Site::new();
    std::fs::create_dir(site.path().join("policies")).unwrap();
    site.write("policies/shop.json", SHOP);
    let orders = Upstream::start();
    let listener = "[listeners.public]\naddress = \"127.0.0.1:0\"\n";
    let config = configured(&orders, OPEN);
    site.write("portcullis.toml", format!("{config}\n{listener}"));
    let explain = |config: &str, method: &str, more: &[&str]| {
        let url = "http://a/v1/pets/1";
        let arguments = [&["explain", method, url, "--config", config], more].concat();
        let outcome = site.run(&arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.text());
        outcome.stdout
    };
    let says = |text: &str, lines: &[&str]| {
        let found: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("policy     ")).collect();
        assert_eq!(found, lines, "{text}");
    };

    let unknown = explain("portcullis.toml", "GET", &[]);
    let by_address = "statement 2 (Deny) may apply, by aws:SourceIp";
    let allow = "statement 1 (Allow) applies";
    says(&unknown, &["depends on what is unknown", allow, by_address]);
    let allowed = explain("portcullis.toml", "GET", &["--address", "198.51.100.7"]);
    says(&allowed, &["allows it", allow]);
    let denied = explain("portcullis.toml", "GET", &["--address", "192.0.2.7"]);
    says(&denied, &["refuses it", allow, "statement 2 (Deny) applies"]);
    let silent = explain("portcullis.toml", "PUT", &["--address", "198.51.100.7"]);
    says(&silent, &["refuses it: no statement allows it"]);

    let json = explain("portcullis.toml", "GET", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["policy"]["verdict"], "unknown", "{json}");
    assert_eq!(json["policy"]["statements"][1]["unknown"][0], "aws:SourceIp", "{json}");

    let of_alice = SHOP.replace("\"*\",", "{ \"AWS\": \"arn:aws:iam::000000000000:user/alice\" },");
    site.write("policies/shop.json", of_alice);
    let closed = config.replace("authorizer = \"none\"", "authorizer = \"keys\"");
    let keys = "[authorizers.keys]\nplugin = \"api-key\"\n";
    site.write("closed.toml", format!("state = \"state\"\n{closed}\n{keys}{listener}"));
    let asked = ["--address", "198.51.100.7"];
    let unsaid = explain("closed.toml", "GET", &asked);
    says(
        &unsaid,
        &["depends on what is unknown", "statement 1 (Allow) may apply, by aws:PrincipalArn"],
    );
    let alice = "arn=arn:aws:iam::000000000000:user/alice";
    let said = explain(
        "closed.toml",
        "GET",
        &[&asked[..], &["--principal", "alice", "--attribute", alice]].concat(),
    );
    assert!(said.contains("policy     allows it to callers of its account"), "{said}");
    let other = explain("closed.toml", "GET", &[&asked[..], &["--principal", "bob"]].concat());
    assert!(other.contains("policy     allows it to no caller but those"), "{other}");
}
