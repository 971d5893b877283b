//! Claims that are not what a client would send.

use proptest::prelude::*;

use super::*;

fn claimed(authorization: &str) -> Request {
    let mut request = Signer::new().sign();
    set(&mut request, "authorization", authorization);
    request
}

#[test]
fn what_is_no_signature_of_version_4_is_left_to_others() {
    let _host = install(credential());
    let open = Request::get("/a");
    check(json!({}), &open, Some("not-mine"));
    for other in ["Bearer AWS4", "AWS AKID:sig", "Basic AWS4-HMAC-SHA256", "AWS4", ""] {
        check(json!({}), &claimed(other), Some("not-mine"));
    }
    let mut parameters = Request::get("/a");
    parameters.query = Some("x-amz-signature=1&X-Amz-Date=1&q=X-Amz-Algorithm".to_owned());
    check(json!({}), &parameters, Some("not-mine"));
}

#[test]
fn spacing_and_order_are_free() {
    let _host = install(credential());
    let text = authorization(&Signer::new().sign());
    let fields = text.strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let mut parts: Vec<&str> = fields.split(", ").collect();
    let commas = parts.join(",");
    parts.rotate_left(1);
    let turned = parts.join(" ,\t");

    for fields in [fields, &commas, &turned, &format!("  {fields} ")] {
        check(json!({}), &claimed(&format!("AWS4-HMAC-SHA256 {fields}")), None);
    }
    check(json!({}), &claimed(&format!("AWS4-HMAC-SHA256\t{fields}")), None);
}

#[test]
fn a_claim_says_each_thing_once_and_nothing_else() {
    let _host = install(credential());
    let text = authorization(&Signer::new().sign());
    let signature = text.split("Signature=").nth(1).unwrap();

    for broken in [
        "AWS4-HMAC-SHA256".to_owned(),
        "AWS4-HMAC-SHA256 ".to_owned(),
        format!("{text},"),
        format!("{text}, Signature={signature}"),
        format!("{text}, Other=1"),
        text.replace("Signature=", "signature="),
        text.replace(", Signature", " Signature"),
        text.replace(signature, &signature.to_ascii_uppercase()),
        text.replace(signature, &signature[..62]),
        format!("{text}00"),
        text.replace("host;x-amz-date", "x-amz-date;host"),
        text.replace("host;x-amz-date", "host;host;x-amz-date"),
        text.replace("host;x-amz-date", "Host;x-amz-date"),
        text.replace("host;x-amz-date", "host;;x-amz-date"),
        text.replace("host;x-amz-date", ";host;x-amz-date"),
    ] {
        check(json!({}), &claimed(&broken), Some("malformed-signature"));
    }
}

#[test]
fn each_reason_has_its_code() {
    let _host = install(credential());
    let text = authorization(&Signer::new().sign());
    for (from, to, code) in [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "sigv4a-unsupported"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", "unknown-algorithm"),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256", "unknown-algorithm"),
        ("aws4_request", "aws4", "malformed-scope"),
        ("/execute-api", "", "malformed-scope"),
        ("execute-api", "s3", "wrong-service"),
        ("20260102", "20260103", "wrong-scope-date"),
        ("host;", "", "host-not-signed"),
        (";x-amz-date", "", "header-not-signed"),
        ("x-amz-date", "x-amz-date;x-other", "signed-header-missing"),
        ("AKIDEXAMPLE", "AKIDOTHER", "unknown-access-key"),
        ("us-east-1", "us-east-2", "wrong-signature"),
    ] {
        check(json!({}), &claimed(&text.replacen(from, to, 1)), Some(code));
    }
    check(json!({}), &claimed(&"AWS4-HMAC-SHA256 ".repeat(1000)), Some("too-large"));
    let names: Vec<String> = (0..129).map(|name| format!("h{name:03}")).collect();
    let many = text.replace("host;x-amz-date", &names.join(";"));
    check(json!({}), &claimed(&many), Some("too-large"));
}

#[test]
fn a_date_is_needed_and_must_be_one() {
    let _host = install(credential());
    let mut request = Signer::new().sign();
    request.headers.retain(|header| header.name != "x-amz-date");
    check(json!({}), &request, Some("missing-date"));

    set(&mut request, "date", "yesterday");
    check(json!({}), &request, Some("malformed-date"));

    let mut request = Signer::new().sign();
    set(&mut request, "x-amz-date", "Fri, 02 Jan 2026 03:04:05 GMT");
    check(json!({}), &request, Some("malformed-date"));
    let request = Signer::new().sign().with_header("x-amz-date", "20260102T030405Z");
    check(json!({}), &request, Some("malformed-signature"));
}

#[test]
fn two_ways_to_sign_are_none() {
    let _host = install(credential());
    let twice = Signer::new().sign().with_header("authorization", "Bearer a");
    check(json!({}), &twice, Some("several-signatures"));

    let mut both = Signer::new().sign();
    both.query = Some("X-Amz-Signature=1".to_owned());
    check(json!({}), &both, Some("several-signatures"));
}

#[test]
fn a_session_token_comes_exactly_where_the_key_has_one() {
    let with = |value: &'static str| {
        let mut signer = Signer::new();
        signer.headers.push(("x-amz-security-token", value));
        signer.sign()
    };
    {
        let _host = install(temporary());
        check(json!({}), &with(TOKEN), None);
        check(json!({}), &with("TOKEN/123="), Some("wrong-session-token"));
        check(json!({}), &with(""), Some("wrong-session-token"));
        check(json!({}), &Signer::new().sign(), Some("missing-session-token"));
        let beside = Signer::new().sign().with_header("x-amz-security-token", TOKEN);
        check(json!({}), &beside, Some("header-not-signed"));
    }
    let _host = install(credential());
    check(json!({}), &with(TOKEN), Some("unexpected-session-token"));
}

#[test]
fn an_expired_key_is_none() {
    let key = |expires_at| Credential { expires_at: Some(expires_at), ..credential() };
    {
        let _host = install(key(SIGNED_AT * 1000));
        check(json!({}), &Signer::new().sign(), Some("expired-access-key"));
    }
    let _host = install(key(SIGNED_AT * 1000 + 1));
    check(json!({}), &Signer::new().sign(), None);
}

#[test]
fn an_api_key_is_no_access_key() {
    let _host = Host::new().with_credential(Kind::ApiKey, credential(), SECRET).install();

    check(json!({}), &Signer::new().sign(), Some("unknown-access-key"));
}

#[test]
fn a_payload_is_whole_and_hashed() {
    let _host = install(credential());
    let stated = |value: &'static str| {
        let mut signer = Signer { payload: Some(value), ..Signer::new() };
        signer.headers.insert(1, ("x-amz-content-sha256", value));
        signer.sign()
    };
    let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

    check(json!({}), &stated(streaming), Some("streaming-payload"));
    check(json!({ "unsigned_payload": true }), &stated(streaming), Some("streaming-payload"));
    check(json!({}), &stated("unsigned-payload"), Some("wrong-payload"));
    check(json!({}), &stated(""), Some("wrong-payload"));

    let mut unheld = Signer::new().sign();
    unheld.attributes.clear();
    let undecided = Err(Denial::unavailable("store-unavailable"));
    assert_eq!(plugin(json!({})).authorize(&unheld), undecided);
}

#[test]
fn a_presigned_url_is_whole() {
    let _host = install(credential());
    let whole = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fexecute-api%2Faws4_request\
        &X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=6066f02fc399d6d39de18bc16595259fc53fb9a3f346ff0e6c077acfa902126a";
    let query = |query: String, seconds| {
        let mut request = request("GET", "/prod", Some(&query), b"", seconds);
        request.authority = "abc.execute-api.us-east-1.amazonaws.com".to_owned();
        request
    };
    check(json!({}), &query(whole.to_owned(), SIGNED_AT), None);
    check(json!({}), &query(whole.to_owned(), SIGNED_AT + 60), None);
    check(json!({}), &query(whole.to_owned(), SIGNED_AT + 61), Some("presigned-expired"));
    check(json!({}), &query(whole.to_owned(), SIGNED_AT - 301), Some("signature-not-yet-current"));
    for (from, to, code) in [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "sigv4a-unsupported"),
        ("X-Amz-Algorithm=", "x=", "malformed-signature"),
        ("X-Amz-Credential=", "x=", "malformed-signature"),
        ("X-Amz-Date=", "x=", "missing-date"),
        ("20260102T", "2026010T", "malformed-date"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=a", "host-not-signed"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60", "malformed-signature"),
        ("X-Amz-Expires=60", "X-Amz-Expires=0", "wrong-expires"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", "wrong-expires"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1", "wrong-expires"),
        ("X-Amz-Expires=60", "X-Amz-Expires=61", "wrong-signature"),
        ("&X-Amz-Expires=60", "", "malformed-signature"),
        ("%2F20260102", "%2F20260103", "wrong-scope-date"),
        ("%2F20260102", "%2", "malformed-signature"),
    ] {
        check(json!({}), &query(whole.replacen(from, to, 1), SIGNED_AT), Some(code));
    }
}

proptest! {
    #[test]
    fn no_claim_is_a_panic(
        authorization in "(AWS4-HMAC-SHA256)? ?((Credential|SignedHeaders|Signature)?=?[a-z0-9/;,= ]{0,20}){0,4}",
        query in "(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=\\PC{0,12}&?){0,6}",
        path in "\\PC{0,30}",
    ) {
        let _host = install(credential());
        let mut request = request("GET", &path, Some(&query), b"", SIGNED_AT);
        let plugin = plugin(json!({}));
        prop_assert!(plugin.authorize(&request).is_err());
        request.query = None;
        set(&mut request, "authorization", &authorization);
        prop_assert!(plugin.authorize(&request).is_err());
    }

    #[test]
    fn a_time_outside_the_window_is_refused(away in 301_u64..1_000_000_000) {
        let _host = install(credential());
        let mut request = Signer::new().sign();
        let plugin = plugin(json!({}));
        for (time, expected) in [
            (SIGNED_AT + away, "signature-expired"),
            (SIGNED_AT - away, "signature-not-yet-current"),
        ] {
            request.time = time * 1000;
            prop_assert_eq!(code(&plugin, &request), Some(expected.to_owned()));
        }
    }
}
