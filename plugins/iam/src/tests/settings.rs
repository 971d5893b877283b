//! What settings open, close and refuse.

use super::*;

#[test]
fn a_region_is_checked_where_regions_are_named() {
    let _host = install(credential());
    let request = Signer { region: "eu-central-1", ..Signer::new() }.sign();

    check(json!({}), &request, None);
    check(json!({ "regions": ["us-east-1", "eu-central-1"] }), &request, None);
    check(json!({ "regions": ["us-east-1"] }), &request, Some("wrong-region"));
}

#[test]
fn a_signature_for_another_service_is_none() {
    let _host = install(credential());

    check(json!({ "service": "s3" }), &Signer::new().sign(), Some("wrong-service"));
}

#[test]
fn a_payload_may_stay_unsigned_only_where_settings_say_so() {
    let _host = install(credential());
    let mut signer = Signer { payload: Some("UNSIGNED-PAYLOAD"), ..Signer::new() };
    signer.headers.insert(1, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
    let request = signer.sign();

    check(json!({}), &request, Some("unsigned-payload"));
    check(json!({ "unsigned_payload": true }), &request, None);
}

#[test]
fn a_header_that_something_on_the_way_adds_may_be_named() {
    let _host = install(credential());
    let request = Signer::new().sign().with_header("x-amz-cf-id", "1");

    check(json!({}), &request, Some("header-not-signed"));
    check(json!({ "unsigned_headers": ["X-Amz-Cf-Id"] }), &request, None);
}

#[test]
fn a_path_may_be_signed_as_it_is_sent() {
    let _host = install(credential());
    let mut request = Signer { path: "/a%20b", ..Signer::new() }.sign();
    request.raw_path = "/a%20b".to_owned();

    check(json!({}), &request, Some("wrong-signature"));
    check(json!({ "path": "as-sent" }), &request, None);
}

#[test]
fn clocks_may_differ_as_far_as_settings_say() {
    let _host = install(credential());
    let at = |seconds: u64| {
        let mut request = Signer::new().sign();
        request.time = seconds * 1000;
        request
    };

    for (settings, skew) in [(json!({}), 300), (json!({ "clock_skew_seconds": 10 }), 10)] {
        check(settings.clone(), &at(SIGNED_AT + skew), None);
        check(settings.clone(), &at(SIGNED_AT - skew), None);
        check(settings.clone(), &at(SIGNED_AT + skew + 1), Some("signature-expired"));
        check(settings, &at(SIGNED_AT - skew - 1), Some("signature-not-yet-current"));
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let pointer = |settings: Value| configured::<Iam>(settings).unwrap_err().pointer;

    assert_eq!(pointer(json!({ "clock_skew_seconds": 3601 })), "/clock_skew_seconds");
    assert_eq!(pointer(json!({ "refuse_with": 200 })), "/refuse_with");
    assert_eq!(pointer(json!({ "service": "" })), "/service");
    assert_eq!(pointer(json!({ "unsigned_headers": ["x-amz-a", "x-b"] })), "/unsigned_headers/1");
    assert_eq!(pointer(json!({ "unsigned_headers": ["X-Amz-Date"] })), "/unsigned_headers/0");
    assert_eq!(pointer(json!({ "path": "encoded" })), "/path");
}
