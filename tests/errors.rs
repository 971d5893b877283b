//! Refusals are worded as an API says: as problem details, or as Amazon API Gateway does.

use portcullis_tests::{Gateway, Response, Site, Upstream};
use serde_json::{Value, json};

/// The routes of each API, below its base path.
const ROUTES: &str = r#"
    routes."GET /open" = { authorizer = "none" }
    routes."GET /token" = { authorizer = "tokens" }
    routes."GET /broken" = { authorizer = "broken" }
    routes."GET /scope" = { authorizer = "people", scopes = ["orders"] }
    routes."GET /once" = { authorizer = "none", throttle = { rate = "1/31d" } }
    routes."GET /needs" = { authorizer = "none", validate = [{ query.page = { type = "integer", required = true }, headers.x-tenant = { required = true } }] }
    routes."GET /denied" = { authorizer = "none" }
    routes."POST /small" = { authorizer = "none", body_limit = "4B" }
    routes."GET /gone" = { authorizer = "none", upstream = "gone" }
    guard.rules.php = { deny_matching = "php", parts = ["query"] }
    policy = "policy.json"
    upstream = "orders"
    cors = { origins = ["https://app.test"] }
"#;

const POLICY: &str = r#"{ "Version": "2012-10-17", "Statement": [
    { "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*" },
    { "Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*/denied" } ] }"#;

fn config(upstream: &Upstream) -> String {
    let apis: String = [("problem", ""), ("http", "aws-http-api"), ("rest", "aws-rest-api")]
        .map(|(name, errors)| {
            let errors = match errors {
                "" => String::new(),
                errors => format!("errors = \"{errors}\""),
            };
            format!("[apis.{name}]\nbase_path = \"/{name}\"\n{errors}\n{ROUTES}\n")
        })
        .concat();
    format!(
        r#"
        upstreams.orders.endpoints = ["{}"]
        upstreams.gone = {{ endpoints = ["127.0.0.1:1"], timeouts.connect = "2s" }}
        [authorizers.tokens]
        plugin = "jwt"
        settings = {{ issuer = "https://login.test/", audience = "*", secret = "shared" }}
        grants.secrets.shared = {{ file = "shared.key" }}
        {roomy}
        [authorizers.people]
        plugin = "reads"
        settings = {{ headers = ["x-user"] }}
        {roomy}
        [authorizers.broken]
        plugin = "trap"
        {roomy}
        {apis}
        "#,
        upstream.address(),
        roomy = crate::ROOMY,
    )
}

fn start(upstream: &Upstream) -> Gateway {
    let site = Site::new();
    site.write("shared.key", "a secret of sixty-four bytes, as long as the longest digest is !");
    site.write("policy.json", POLICY);
    site.start(&config(upstream))
}

/// Status, type of error and body.
fn said(response: &Response) -> (u16, Option<&str>, Value) {
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    (response.status, response.header("x-amzn-errortype"), response.json())
}

/// Status and message of an HTTP API.
type OfHttp = (u16, &'static str);
/// Status, type of error and body of a REST API.
type OfRest = (u16, &'static str, Value);

/// Every refusal that a client can cause here: what is asked, and how each kind of API
/// answers.
fn cases() -> Vec<(&'static str, &'static str, OfHttp, OfRest)> {
    let message = |text: &str| json!({ "message": text });
    let denied = |text: &str| json!({ "Message": text });
    let waf = "WafFilteredException";
    let absent = "MissingAuthenticationTokenException";
    let lacking = message("Missing required request parameters: [x-tenant, page]");
    let no_access = denied("User is not authorized to access this resource");
    let explicit = denied("User is not authorized to access this resource with an explicit deny");
    let network = message("Network error communicating with endpoint");
    vec![
        (
            "GET",
            "/nowhere",
            (404, "Not Found"),
            (403, absent, message("Missing Authentication Token")),
        ),
        (
            "PUT",
            "/open",
            (404, "Not Found"),
            (403, absent, message("Missing Authentication Token")),
        ),
        (
            "GET",
            "/token",
            (401, "Unauthorized"),
            (401, "UnauthorizedException", message("Unauthorized")),
        ),
        (
            "GET",
            "/broken",
            (500, "Internal Server Error"),
            (500, "AuthorizerFailureException", message_null()),
        ),
        ("GET", "/scope", (403, "Forbidden"), (403, "AccessDeniedException", no_access)),
        ("GET", "/denied", (403, "Forbidden"), (403, "AccessDeniedException", explicit)),
        (
            "GET",
            "/once",
            (429, "Too Many Requests"),
            (429, "TooManyRequestsException", message("Too Many Requests")),
        ),
        ("GET", "/needs", (400, "Bad Request"), (400, "BadRequestException", lacking)),
        (
            "POST",
            "/small",
            (413, "Request Entity Too Large"),
            (413, "RequestTooLargeException", message("Request Too Long")),
        ),
        (
            "GET",
            "/gone",
            (503, "Service Unavailable"),
            (500, "InternalServerErrorException", network),
        ),
        ("GET", "/open?a=php", (403, "Forbidden"), (403, waf, message("Forbidden"))),
    ]
}

fn message_null() -> Value {
    json!({ "message": null })
}

#[test]
fn refusals_are_worded_as_amazons_where_an_api_says_so() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let headers = [("x-user", "alice"), ("origin", "https://app.test")];
    for api in ["http", "rest", "problem"] {
        assert_eq!(gateway.get(&format!("/{api}/once"), &headers).status, 200);
    }
    for (method, target, (status, message), (rest_status, error, body)) in cases() {
        let ask =
            |api: &str| gateway.request(method, &format!("/{api}{target}"), &headers, b"a body");
        let response = ask("http");
        assert_eq!(said(&response), (status, None, json!({ "message": message })), "{target}");
        assert!(response.header("apigw-requestid").is_some_and(|id| !id.is_empty()));
        assert_eq!(response.header("access-control-allow-origin"), Some("https://app.test"));
        assert_eq!(response.header("allow"), None);

        let response = ask("rest");
        assert_eq!(said(&response), (rest_status, Some(error), body), "{target}");
        assert_eq!(response.header("x-amzn-requestid"), response.header("x-request-id"));

        let response = ask("problem");
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_eq!(response.json()["status"], response.status, "{target}");
    }
}

#[test]
fn what_helps_a_client_stays() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for api in ["http", "rest"] {
        let target = format!("/{api}/once");
        assert_eq!(gateway.get(&target, &[]).status, 200);
        let refused = gateway.get(&target, &[]);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert!(refused.header("ratelimit").is_some(), "{refused:?}");
        let refused = gateway.get(&format!("/{api}/token"), &[]);
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let line = gateway.log_line("/rest/token");
    assert_eq!((&line["status"], &line["code"]), (&json!(401), &json!("unauthenticated")));
}
