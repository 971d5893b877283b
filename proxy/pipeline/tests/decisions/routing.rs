use std::path::Path;
use std::sync::Arc;

use http::Method;
use portcullis_config::{Access, Api, Authorization, Integration, PathRewrite, Route, Stage};
use portcullis_pipeline::{CanonicalPath, NotFound, Pipeline, RouteTable, Value};
use proptest::prelude::*;

use crate::counted::Counted;
use crate::scripted::{Scripted, grant_to, granted};
use crate::sent::Sent;
use crate::served::{admit, api, pipeline, plugin, route};

/// Finds `METHOD path` on a host and expects `api key`.
fn check_on(table: &RouteTable, host: &str, request: &str, expected: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let method: Method = method.parse().unwrap();
    let path = CanonicalPath::parse(path).unwrap();
    let found = match table.find(host, &method, &path) {
        Ok(served) => format!("{} {}", served.api, served.route.key),
        Err(NotFound::NoSuchRoute) => "404".to_owned(),
        Err(NotFound::MethodNotAllowed(methods)) => format!("405 {methods:?}"),
    };
    assert_eq!(found, expected, "{host} {request}");
}

fn table(keys: &[&str]) -> RouteTable {
    RouteTable::new(vec![simple("a", &[], keys)])
}

fn simple(name: &str, hosts: &[&str], keys: &[&str]) -> Api {
    api(name, hosts, "", keys.iter().map(|key| route(key)).collect())
}

#[test]
fn the_documented_example_of_aws_holds() {
    let table = table(&[
        "GET /pets/dog/1",
        "GET /pets/dog/{id}",
        "GET /pets/{proxy+}",
        "ANY /{proxy+}",
        "$default",
    ]);

    check_on(&table, "h", "GET /pets/dog/1", "a GET /pets/dog/1");
    check_on(&table, "h", "GET /pets/dog/2", "a GET /pets/dog/{id}");
    check_on(&table, "h", "GET /pets/cat/1", "a GET /pets/{proxy+}");
    check_on(&table, "h", "POST /test/5", "a ANY /{proxy+}");
    check_on(&table, "h", "POST /", "a $default");
}

#[test]
fn the_method_is_compared_before_the_path_and_after_the_kind() {
    let table = table(&["GET /pets/{id}", "ANY /pets/1", "GET /{all+}"]);

    check_on(&table, "h", "GET /pets/1", "a GET /pets/{id}");
    check_on(&table, "h", "PUT /pets/1", "a ANY /pets/1");
    check_on(&table, "h", "GET /pets", "a GET /{all+}");
}

#[test]
fn a_literal_dead_end_falls_back_to_the_parameter() {
    let table = table(&["GET /a/b/c", "GET /{x}/b/d", "GET /a/{rest+}"]);

    check_on(&table, "h", "GET /a/b/c", "a GET /a/b/c");
    check_on(&table, "h", "GET /a/b/d", "a GET /{x}/b/d");
    check_on(&table, "h", "GET /a/b/e", "a GET /a/{rest+}");
}

#[test]
fn empty_segments_match_only_a_trailing_slash() {
    let table = table(&["GET /a", "GET /b/", "GET /c/{id}", "GET /d/{rest+}"]);

    check_on(&table, "h", "GET /a/", "404");
    check_on(&table, "h", "GET /b", "404");
    check_on(&table, "h", "GET /b/", "a GET /b/");
    check_on(&table, "h", "GET /c/", "404");
    check_on(&table, "h", "GET /d", "404");
    check_on(&table, "h", "GET /d/", "404");
    check_on(&table, "h", "GET /d/x/", "a GET /d/{rest+}");
}

#[test]
fn another_method_is_405_with_the_methods_there_are() {
    let table = table(&["PUT /a", "GET /{x}", "DELETE /{rest+}"]);

    check_on(&table, "h", "POST /a", "405 [DELETE, GET, PUT]");
    check_on(&table, "h", "POST /a/b", "405 [DELETE]");
    check_on(&table, "h", "POST /", "404");
}

#[test]
fn the_most_specific_host_wins_and_hides_the_others() {
    let table = RouteTable::new(vec![
        simple("any", &[], &["GET /x", "GET /y"]),
        simple("wild", &["*.shop.test"], &["GET /x"]),
        simple("exact", &["eu.shop.test"], &["GET /z"]),
        simple("also", &["eu.shop.test"], &["GET /w"]),
    ]);

    check_on(&table, "eu.shop.test", "GET /z", "exact GET /z");
    check_on(&table, "eu.shop.test", "GET /w", "also GET /w");
    check_on(&table, "eu.shop.test", "GET /x", "404");
    check_on(&table, "us.shop.test", "GET /x", "wild GET /x");
    check_on(&table, "us.shop.test", "GET /y", "404");
    check_on(&table, "a.us.shop.test", "GET /y", "any GET /y");
    check_on(&table, "shop.test", "GET /y", "any GET /y");
}

#[test]
fn a_default_covers_its_base_path_by_whole_segments() {
    let table = RouteTable::new(vec![
        api("root", &[], "", vec![route("$default")]),
        api("shop", &[], "/shop", vec![route("$default"), route("GET /shop/a")]),
        api("deep", &[], "/shop/v2", vec![route("$default")]),
    ]);

    check_on(&table, "h", "GET /shop/a", "shop GET /shop/a");
    check_on(&table, "h", "POST /shop/a", "shop $default");
    check_on(&table, "h", "GET /shop", "shop $default");
    check_on(&table, "h", "GET /shop/v2/x", "deep $default");
    check_on(&table, "h", "GET /shopping", "root $default");
}

#[test]
fn literals_are_compared_in_canonical_form() {
    let table = table(&["GET /%7eadmin/a%3ab"]);

    check_on(&table, "h", "GET /~admin/a%3Ab", "a GET /%7eadmin/a%3ab");
}

#[test]
fn parameters_are_decoded_where_they_are_text() {
    let table = table(&["GET /o/{id}/{rest+}"]);
    let path = CanonicalPath::parse("/o/%C3%A9/a%20b/%FF").unwrap();

    let served = table.find("h", &Method::GET, &path).unwrap();

    assert_eq!(served.parameter(&path, "id").as_deref(), Some("é"));
    assert_eq!(served.parameter(&path, "rest").as_deref(), Some("a%20b/%FF"));
    assert_eq!(served.parameter(&path, "none"), None);
    assert_eq!(served.parameters(&path).len(), 2);
}

#[test]
fn routes_are_printed_by_api_path_and_method() {
    let table = RouteTable::new(vec![
        simple("b", &[], &["$default", "ANY /b", "GET /b", "GET /a"]),
        simple("a", &[], &["GET /z"]),
    ]);

    let keys: Vec<&str> = table.routes().map(|served| served.route.key.as_str()).collect();

    assert_eq!(keys, ["GET /z", "GET /a", "GET /b", "ANY /b", "$default"]);
}

#[tokio::test]
async fn the_port_and_a_final_dot_of_the_host_choose_nothing() {
    let apis = || vec![simple("exact", &["api.test"], &["GET /a"])];
    for host in ["api.test", "API.TEST:8443", "api.test.", "api.test.:80"] {
        let pipeline =
            portcullis_pipeline::Pipeline::new(apis(), Scripted::default(), Counted::default());

        let outcome = admit(&pipeline, Sent::bare("GET", "/a").header("host", host)).await;

        assert_eq!(outcome.forward().route.api, "exact", "{host}");
    }
}

#[tokio::test]
async fn the_upstream_sees_the_path_as_sent_unless_the_route_rewrites_it() {
    let kept = pipeline(route("GET /o/{id}"), Scripted::default());
    assert_eq!(admit(&kept, Sent::new("GET", "/o/%7e")).await.forward().outgoing.path, None);

    let mut stripped = route("GET /o/{id}");
    if let Integration::Proxy { path, .. } = &mut stripped.integration {
        *path = PathRewrite::ReplacePrefix { strip: "/o".into(), add: "/v2/orders".into() };
    }
    let stripped = pipeline(stripped, Scripted::default());
    let forward = admit(&stripped, Sent::new("GET", "/o/%7e?q=1")).await.forward();
    assert_eq!(forward.outgoing.path.as_deref(), Some("/v2/orders/%7e"));
    assert_eq!(forward.outgoing.query, None);
}

#[tokio::test]
async fn no_route_is_404_and_no_method_405_with_allow() {
    let pipeline = pipeline(route("PUT /a"), Scripted::default());

    assert_eq!(admit(&pipeline, Sent::new("GET", "/b")).await.refusal(), (404, "no-such-route"));
    let outcome = admit(&pipeline, Sent::new("GET", "/a")).await;
    assert_eq!(outcome.refusal(), (405, "method-not-allowed"));
    assert_eq!(outcome.rejection().answer("r-1").headers["allow"], "PUT");
}

/// An API at a stage.
fn staged(mut api: Api, stage: &str, base_path: &str) -> Api {
    let values = [("colour".to_owned(), stage.to_owned())].into();
    api.stage = Some(Arc::new(Stage { name: stage.into(), base_path: base_path.into(), values }));
    api
}

#[test]
fn what_is_below_a_stage_is_nobody_elses() {
    let live =
        api("live", &[], "", vec![route("GET /{a}/{b}"), route("GET /dev"), route("$default")]);
    let dev = api("dev", &[], "/dev", vec![route("GET /dev/{rest+}"), route("GET /dev/")]);
    let deep = api("deep", &[], "/dev/shop", vec![route("GET /dev/shop/a")]);
    let hosted = api("hosted", &["h.example"], "", vec![route("GET /dev/x")]);
    let table = RouteTable::new(vec![
        staged(live, "$default", ""),
        staged(dev, "dev", "/dev"),
        staged(deep, "dev", "/dev"),
        staged(hosted, "own", ""),
    ]);

    // As on AWS, the stage is found before the route: a pattern that fits better is not asked.
    check_on(&table, "h", "GET /dev/b", "dev GET /dev/{rest+}");
    check_on(&table, "h", "GET /dev", "dev GET /dev/");
    check_on(&table, "h", "POST /dev/b", "405 [GET]");
    check_on(&table, "h", "POST /devs/b", "live $default");
    check_on(&table, "h", "GET /devs/b", "live GET /{a}/{b}");
    check_on(&table, "h", "GET /dev/shop/a", "deep GET /dev/shop/a");
    check_on(&table, "h", "GET /dev/shop/b", "404");
    check_on(&table, "h", "GET /dev/shops", "dev GET /dev/{rest+}");
    check_on(&table, "h.example", "GET /dev/x", "hosted GET /dev/x");
}

#[tokio::test]
async fn a_stage_is_in_the_names_that_policies_and_plugins_know_a_request_by() {
    let at = |stage: &str, base: &str| {
        let route = Route {
            access: Access::By(Authorization::One(plugin(0))),
            ..route(&format!("GET {base}/v1/a"))
        };
        staged(api("shop", &[], &format!("{base}/v1"), vec![route]), stage, base)
    };
    for (stage, base) in [("$default", ""), ("dev", "/dev")] {
        let plugins = Scripted::default().authorizer(0, move |view| {
            let text = |text: &str| Some(Value::Text(text.to_owned()));
            assert_eq!(view.attribute("route:stage"), text(stage));
            assert_eq!(view.attribute("stage:colour"), text(stage));
            assert_eq!(view.attribute("stage:other"), None);
            let arn = format!("arn:aws:execute-api:local:000000000000:shop/{stage}/GET/a");
            assert_eq!(view.attribute("request:arn"), text(&arn));
            let all = [("stage:colour".to_owned(), Value::Text(stage.to_owned()))];
            assert_eq!(view.attributes_in("stage"), all);
            granted(grant_to("alice"))
        });
        let pipeline = Pipeline::new(vec![at(stage, base)], plugins, Counted::default());
        admit(&pipeline, Sent::new("GET", &format!("{base}/v1/a"))).await.forward();
    }
}

proptest! {
    /// A base path is compared as a text with paths of requests: in one form, and no other.
    #[test]
    fn base_paths_have_the_form_of_requests(path in "(/([a~!;\\[]|%[57bBcC][0-9a-fA-F]){1,4}){1,3}") {
        let Ok(canonical) = CanonicalPath::parse(&path) else { return Ok(()) };
        let text = format!(
            "listeners.a.address = '127.0.0.1:0'\napis.a.authorizer = 'none'\n\
             apis.a.base_path = '{path}'\napis.a.routes.\"GET /\".respond = {{}}"
        );
        match portcullis_config::parse(&text, "p.toml", Path::new("")) {
            Ok(gateway) => {
                prop_assert_eq!(&gateway.apis[0].base_path, &path);
                prop_assert_eq!(canonical.as_str(), path);
            }
            Err(problems) => {
                let help = format!("write it as `{canonical}`");
                prop_assert!(problems.to_string().contains(&help), "{}", problems);
            }
        }
    }
}
