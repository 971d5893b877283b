use http::Version;

use crate::scripted::Scripted;
use crate::sent::Sent;
use crate::served::{admit, pipeline, route};

async fn check(sent: Sent, expected: Result<&str, &str>) {
    let pipeline = pipeline(route("ANY /{all+}"), Scripted::default());
    let outcome = admit(&pipeline, sent).await;
    match expected {
        Ok(authority) => assert_eq!(outcome.forward().authority, authority),
        Err(code) => assert_eq!(outcome.refusal(), (400, code)),
    }
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    check(Sent::new("GET", "/a"), Ok("api.test")).await;
    check(Sent::bare("GET", "/a"), Err("no-host")).await;
    check(Sent::new("GET", "/a").header("host", "api.test"), Err("ambiguous-host")).await;
    check(Sent::bare("GET", "/a").header("host", "API.Test:8080"), Ok("api.test:8080")).await;
    check(Sent::bare("GET", "/a").header("host", "[::1]:80"), Ok("[::1]:80")).await;
}

#[tokio::test]
async fn what_is_no_host_is_refused() {
    for host in [
        "",
        "a b",
        "user@api.test",
        "api.test:",
        "api.test:99999",
        "[::1",
        "[]",
        "a/b",
        ":80",
        ".a",
        "a:b:1",
    ] {
        check(Sent::bare("GET", "/a").header("host", host), Err("bad-host")).await;
    }
}

#[tokio::test]
async fn an_absolute_target_agrees_with_the_host() {
    check(Sent::new("GET", "http://API.test/a"), Ok("api.test")).await;
    check(Sent::new("GET", "http://other.test/a"), Err("ambiguous-host")).await;
    check(Sent::bare("GET", "http://api.test/a"), Err("no-host")).await;
}

#[tokio::test]
async fn http2_names_its_host_in_the_target() {
    let sent = |target| Sent::bare("GET", target).version(Version::HTTP_2);

    check(sent("https://api.test/a"), Ok("api.test")).await;
    check(sent("https://api.test/a").header("host", "api.test"), Ok("api.test")).await;
    check(sent("https://api.test/a").header("host", "other.test"), Err("ambiguous-host")).await;
    check(sent("/a").header("host", "api.test"), Ok("api.test")).await;
    check(sent("/a"), Err("no-host")).await;
}

#[tokio::test]
async fn targets_that_are_no_paths_are_refused() {
    check(Sent::new("OPTIONS", "*"), Err("bad-target")).await;
    check(Sent::new("CONNECT", "api.test:443"), Err("bad-target")).await;
    check(Sent::new("GET", "/a/../b"), Err("bad-path")).await;
    check(Sent::new("GET", "/a%2fb"), Err("bad-path")).await;
}

#[tokio::test]
async fn a_body_of_two_lengths_is_refused() {
    let post = || Sent::new("POST", "/a");

    check(
        post().header("content-length", "3").header("content-length", "3"),
        Err("ambiguous-framing"),
    )
    .await;
    check(
        post().header("content-length", "3").header("transfer-encoding", "chunked"),
        Err("ambiguous-framing"),
    )
    .await;
    check(post().header("transfer-encoding", "chunked"), Ok("api.test")).await;
}
