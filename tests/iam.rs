//! Who signs as AWS's clients sign is let in, and nobody else is.

use std::collections::BTreeMap;
use std::process::Command;

use portcullis_state::{
    Attribute, Attributes, Database, Issued, Kind, NewCredential, PolicyTarget, Session, Status,
};
use portcullis_tests::{Gateway, Site, Upstream, eventually, python, said};
use serde_json::{Value, json};

const SIGNED: &str = r#"
    [authorizers.signed]
    plugin = "iam"
    settings = { regions = ["us-east-1"] }
    grants = { credentials = true }
    BUDGET

    [transforms.caller]
    plugin = "headers"
    settings.request.set = { x-caller = "${identity:principal}", x-key = "${identity:access-key}" }
    BUDGET

    [apis.shop]
    upstream = "orders"
    authorizer = "signed"
    request_transforms = ["caller"]
    body_limit = "2MiB"
    routes."ANY /prod/{rest+}" = {}
"#;

const ARN: &str = "arn:aws:iam::123456789012:user/alice";
const EVERYTHING: &str = r#"{ "Version": "2012-10-17", "Statement": [
    { "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*" } ] }"#;
const ONLY_READ: &str = r#"{ "Version": "2012-10-17", "Statement": [
    { "Effect": "Allow", "Action": "execute-api:*", "Resource": "arn:aws:execute-api:*:*:*/GET/prod/*" },
    { "Effect": "Deny", "Action": "*", "Resource": "arn:aws:execute-api:*:*:*/DELETE/*" } ] }"#;

/// A POST with a body of so many bytes.
fn post(size: usize) -> Value {
    json!({ "path": "/prod/x", "method": "POST", "body": "x", "times": size })
}

/// A gateway, the service behind it and an access key of its store.
struct Shop {
    orders: Upstream,
    gateway: Gateway,
    store: Database,
    key: Issued,
}

impl Shop {
    fn open(policy: &str) -> Self {
        Self::open_with(policy, Session::None, &[])
    }

    fn open_with(policy: &str, session: Session, replace: &[(&str, &str)]) -> Self {
        let orders = Upstream::start();
        let site = Site::new();
        let mut store = Database::open(&site.path().join("state")).unwrap();
        store.add_consumer("alice", &Attributes::new()).unwrap();
        let attributes = BTreeMap::from([("arn".to_owned(), Attribute::Text(ARN.to_owned()))]);
        let new = NewCredential { attributes, ..NewCredential::default() };
        let key = store.add_access_key("alice", new, session).unwrap();
        let target = PolicyTarget::Credential(key.credential.id.clone());
        store.attach_policy(&target, "orders", policy).unwrap();

        let endpoints = format!("endpoints = [\"{}\"]", orders.address());
        let mut config = format!("state = \"state\"\n[upstreams.orders]\n{endpoints}\n{SIGNED}")
            .replace("BUDGET", crate::ROOMY);
        for (from, to) in replace {
            config = config.replace(from, to);
        }
        let gateway = site.start(&config);
        Self { orders, gateway, store, key }
    }

    /// Lets botocore sign and send these.
    fn send(&self, requests: &[Value]) -> Vec<(u16, String)> {
        let completed = |request: &Value| {
            let mut request = request.clone();
            let usual = [
                ("key", Some(self.key.credential.id.as_str())),
                ("secret", Some(self.key.secret.expose())),
                ("token", self.key.session_token.as_ref().map(|token| token.expose())),
            ];
            for (name, value) in usual {
                if request.get(name).is_none() {
                    request[name] = json!(value);
                }
            }
            request
        };
        let requests: Vec<Value> = requests.iter().map(completed).collect();
        let address = self.gateway.address("public").to_string();
        let mut client = python(include_str!("clients/sigv4.py"));
        let answers = said(client.arg(address).arg(Value::from(requests).to_string()));
        serde_json::from_str(&answers).unwrap()
    }

    /// Statuses alone.
    fn statuses(&self, requests: &[Value]) -> Vec<u16> {
        self.send(requests).into_iter().map(|(status, _)| status).collect()
    }
}

#[test]
fn what_botocore_signs_is_let_in_as_its_keys_owner() {
    let shop = Shop::open(EVERYTHING);
    let requests = [
        json!({ "path": "/prod/x" }),
        json!({ "path": "/prod/pets/a%20b?b=2&a=1&a=0&empty=" }),
        json!({ "path": "/prod/%E4%BD%A0?k=%E5%A5%BD&z=a+b&t=~&flag" }),
        json!({ "path": "/prod/x?next=/a:b@c", "headers": { "X-Test": "  a   b  " } }),
        json!({ "path": "/prod/x", "method": "PUT", "headers": { "Content-Type": "text/plain" } }),
        json!({ "path": "/prod/x", "headers": { "Date": "" } }),
        json!({ "path": "/prod/x?q=1&q=0", "expires": 60 }),
        json!({ "path": "/prod/%40connections/R0oXAdfD0kwCH6w%3D", "method": "POST", "body": "hello" }),
        json!({ "path": "/prod/x", "late": 240 }),
        json!({ "path": "/prod/x", "late": -240 }),
        json!({ "path": "/prod/x", "late": -240, "expires": 600 }),
    ];

    let answers = shop.send(&requests);

    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let seen = shop.orders.seen();
    assert_eq!(seen.len(), requests.len());
    for seen in seen {
        assert_eq!(seen.headers.get("x-caller"), Some(ARN));
        assert_eq!(seen.headers.get("x-key"), Some(shop.key.credential.id.as_str()));
    }
}

#[test]
fn bodies_of_all_sizes_are_signed_and_arrive() {
    let shop = Shop::open(EVERYTHING);
    let sizes = [0, 1, 1024, 70_000, 1 << 20];
    let tampered = json!({
        "path": "/prod/x", "method": "POST", "body": "x", "times": 70_000, "then": { "end": "y" },
    });

    assert_eq!(shop.statuses(&sizes.map(post)), [200; 5]);
    let arrived: Vec<usize> = shop.orders.seen().iter().map(|seen| seen.body.len()).collect();
    assert_eq!(arrived, sizes);
    assert_eq!(shop.statuses(&[tampered]), [403]);
    assert_eq!(shop.orders.seen().len(), sizes.len());
}

#[test]
fn a_body_too_long_to_hold_is_refused_unread() {
    let shop = Shop::open_with(EVERYTHING, Session::None, &[("2MiB", "10KiB")]);

    assert_eq!(shop.statuses(&[post(10 * 1024), post(10 * 1024 + 1)]), [200, 413]);
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    let shop = Shop::open(EVERYTHING);
    let changed = |then: Value| json!({ "path": "/prod/x?a=1", "then": then });
    let presigned = |then: Value| json!({ "path": "/prod/x?a=1", "expires": 60, "then": then });
    let requests = [
        changed(json!({ "method": "DELETE" })),
        changed(json!({ "path": "/prod/y?a=1" })),
        changed(json!({ "path": "/prod/x?a=2" })),
        changed(json!({ "suffix": "&b=1" })),
        changed(json!({ "headers": { "Host": "elsewhere" } })),
        changed(json!({ "headers": { "X-Amz-Date": "20260102T030405Z" } })),
        changed(json!({ "headers": { "X-Amz-Meta": "1" } })),
        changed(json!({ "body": "hello", "method": "GET" })),
        presigned(json!({ "suffix": "&b=1" })),
        presigned(json!({ "method": "POST" })),
        json!({ "path": "/prod/x", "secret": "guess" }),
        json!({ "path": "/prod/x", "key": "AKIDEXAMPLE" }),
        json!({ "path": "/prod/x", "token": "unasked" }),
        json!({ "path": "/prod/x", "region": "eu-central-1" }),
        json!({ "path": "/prod/x", "headers": { "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD" } }),
    ];

    let answers = shop.send(&requests);

    assert!(answers.iter().all(|(status, _)| *status == 403), "{answers:?}");
    shop.orders.assert_saw_nothing();
}

#[test]
fn a_clock_that_is_wrong_is_told_so() {
    let shop = Shop::open(EVERYTHING);

    let answers = shop.send(&[
        json!({ "path": "/prod/late", "late": -400 }),
        json!({ "path": "/prod/early", "late": 400 }),
        json!({ "path": "/prod/over", "late": -100, "expires": 60 }),
    ]);

    for ((status, body), (path, reason, text)) in answers.iter().zip([
        ("/prod/late", "signature-expired", "Signature expired: "),
        ("/prod/early", "signature-not-yet-current", "Signature not yet current: "),
        ("/prod/over", "presigned-expired", "Signature expired: "),
    ]) {
        assert_eq!(*status, 403, "{body}");
        assert!(body.contains(text) && body.contains(r#""code":"forbidden""#), "{body}");
        let line = shop.gateway.log_line(path);
        assert_eq!(line["reason"], reason);
    }
}

#[test]
fn who_signs_nothing_is_asked_to() {
    let shop = Shop::open(EVERYTHING);

    let unsigned = shop.gateway.get("/prod/x", &[]);
    let dots = shop.gateway.get("/prod//a/../b/./c", &[]);

    assert_eq!(unsigned.verdict(), (401, "unauthenticated".into()));
    assert_eq!(unsigned.header("www-authenticate"), Some("AWS4-HMAC-SHA256"));
    assert_eq!(dots.verdict(), (400, "bad-path".into()));
}

#[test]
fn a_session_token_is_needed_where_the_key_has_one() {
    let shop = Shop::open_with(EVERYTHING, Session::Token, &[]);

    let statuses = shop.statuses(&[
        json!({ "path": "/prod/x" }),
        json!({ "path": "/prod/x", "expires": 60 }),
        json!({ "path": "/prod/x", "token": null }),
        json!({ "path": "/prod/x", "token": "guess" }),
        json!({ "path": "/prod/x", "token": "guess", "expires": 60 }),
    ]);

    assert_eq!(statuses, [200, 200, 403, 403, 403]);
}

#[test]
fn a_policy_says_what_a_key_may_do() {
    let shop = Shop::open(ONLY_READ);
    let asking = |method: &str| json!({ "path": "/prod/x", "method": method });

    assert_eq!(shop.statuses(&["GET", "POST", "DELETE"].map(asking)), [200, 403, 403]);
    assert_eq!(shop.orders.only().method, "GET");
}

#[test]
fn a_key_that_is_disabled_stops_and_goes_on_once_enabled() {
    let mut shop = Shop::open(EVERYTHING);
    let id = shop.key.credential.id.clone();

    for (status, expected) in [(Status::Disabled, 403), (Status::Enabled, 200)] {
        shop.store.set_status(Kind::AccessKey, &id, status).unwrap();
        eventually("the store is read again", || {
            (shop.statuses(&[json!({ "path": "/prod/x" })]) == [expected]).then_some(())
        });
    }
}

#[test]
fn curl_is_let_in() {
    let shop = Shop::open(EVERYTHING);
    let curl = |secret: &str, body: &str| {
        let user = format!("{}:{secret}", shop.key.credential.id);
        let url = format!("http://{}/prod/x?a=1&b=2", shop.gateway.address("public"));
        said(
            Command::new("curl")
                .args(["--silent", "--aws-sigv4", "aws:amz:us-east-1:execute-api", "--user"])
                .args([&user, "--data", body, "--write-out", "%{http_code}", "--output", "-"])
                .arg(url),
        )
    };

    let right = curl(shop.key.secret.expose(), "hello");
    let wrong = curl("guess", "hello");

    assert!(right.ends_with("200"), "{right}");
    assert!(wrong.ends_with("403"), "{wrong}");
    assert_eq!(shop.orders.only().body, b"hello");
}

#[test]
fn boto3_posts_to_a_connection() {
    let shop = Shop::open(EVERYTHING);
    let script = "import boto3, sys
address, key, secret = sys.argv[1:]
client = boto3.client('apigatewaymanagementapi', endpoint_url=f'http://{address}/prod',
    region_name='us-east-1', aws_access_key_id=key, aws_secret_access_key=secret)
client.post_to_connection(ConnectionId='R0oXAdfD0kwCH6w=', Data=b'hello')";
    let address = shop.gateway.address("public").to_string();
    let id = shop.key.credential.id.as_str();

    said(python(script).args([&address, id, shop.key.secret.expose()]));

    let seen = shop.orders.only();
    assert_eq!(seen.target, "/prod/@connections/R0oXAdfD0kwCH6w%3D");
    assert_eq!(seen.body, b"hello");
}
