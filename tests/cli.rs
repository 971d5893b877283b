//! The command line tells people and programs what a configuration does.

use portcullis_tests::Site;

const GOOD: &str = r#"listeners.public.address = "127.0.0.1:8080"
authorizer = "none"

[upstreams.orders]
endpoints = ["127.0.0.1:9000"]

[authorizers.keys]
plugin = "version-a"

[apis.shop]
hosts = ["shop.example.com"]
upstream = "orders"
[apis.shop.routes]
"GET /orders/{id}" = { authorizer = { with = "keys", use = "orders" } }
"POST /orders" = {}
"$default" = { respond = { status = 410 } }
"#;

fn site() -> Site {
    let site = Site::new();
    let config = format!("plugins = \"plugins\"\n{GOOD}");
    site.install_guests_of(&config);
    site.write("portcullis.toml", config);
    site
}

#[test]
fn a_good_configuration_is_checked_with_exit_code_0() {
    let outcome = site().run(&["check", "portcullis.toml"]);

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("3 routes"), "{outcome:?}");
}

#[test]
fn a_command_that_needs_the_configuration_tells_what_is_wrong_with_it() {
    let site = Site::new();
    site.write("portcullis.toml", "state = 5\n");

    for command in [&["consumer", "list"][..], &["usage", "show", "abc"]] {
        let outcome = site.run(&[command, &["--config", "portcullis.toml"]].concat());

        assert_eq!(outcome.code, Some(1), "{command:?}: {outcome:?}");
        let expected = "error: expected a string, found an integer\n  --> portcullis.toml:1:9\n";
        assert!(outcome.stderr.starts_with(expected), "{command:?}: {outcome:?}");
    }
}

#[test]
fn every_problem_is_shown_with_its_place_and_a_suggestion() {
    let site = Site::new();
    let outcome = site.check(
        r#"listeners.public.adress = "127.0.0.1:80"
[upstreams.orders]
endpoints = ["127.0.0.1:9000"]
timeouts = { connect = "5" }
[apis.shop.routes."GET /a"]
upstream = "order"
"#,
    );

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let text = outcome.text();
    for expected in [
        "portcullis.toml:1:18",
        "did you mean `address`?",
        "portcullis.toml:4:24",
        "`5` has no unit",
        "portcullis.toml:6:12",
        "did you mean `orders`?",
        "^^^^",
        "authorizer = \"none\"",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in {text}");
    }
}

#[test]
fn problems_are_told_to_programs_as_json() {
    let site = Site::new();
    site.write("portcullis.toml", "listener = 1\n");

    let outcome = site.run(&["check", "--json", "portcullis.toml"]);

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let problems: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let first = &problems[0];
    assert!(first["message"].as_str().is_some_and(|it| it.contains("listener")), "{problems}");
    assert_eq!((&first["line"], &first["column"]), (&1.into(), &1.into()), "{problems}");
}

#[test]
fn a_configuration_that_is_not_there_is_a_problem_and_no_panic() {
    let outcome = Site::new().run(&["check", "absent.toml"]);

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.text().contains("absent.toml"), "{outcome:?}");
    assert!(!outcome.text().contains("panicked"), "{outcome:?}");
}

#[test]
fn a_command_line_that_is_not_understood_has_an_exit_code_of_its_own() {
    for arguments in [&["chekc"][..], &["check", "--jsn"], &[]] {
        let outcome = Site::new().run(arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
}

#[test]
fn the_schema_is_a_json_schema_of_the_file() {
    let outcome = Site::new().run(&["schema"]);

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let schema: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(schema["$schema"].is_string());
    for key in ["listeners", "upstreams", "authorizers", "apis", "limits"] {
        assert!(schema["properties"][key].is_object(), "{key} is not in the schema");
    }
}

#[test]
fn the_routes_are_listed() {
    let outcome = site().run(&["routes", "portcullis.toml"]);

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome:?}");
    for (line, expected) in lines.iter().zip([
        ["POST /orders", "open", "upstream orders"],
        ["GET /orders/{id}", "keys(orders)", "upstream orders"],
        ["$default", "open", "410"],
    ]) {
        for word in expected {
            assert!(line.contains(word), "`{word}` is not in {line}");
        }
    }
}

#[test]
fn a_request_is_explained() {
    let explain = |method, url| {
        site().run(&["explain", method, url, "--config", "portcullis.toml", "--json"])
    };
    let answer = |outcome: &portcullis_tests::Outcome| -> serde_json::Value {
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"))
    };

    let served = explain("GET", "http://shop.example.com/orders/%37");
    let default = explain("GET", "http://shop.example.com/else");
    let elsewhere = explain("GET", "http://other.example.com/orders/7");

    assert_eq!(served.code, Some(0));
    let served = answer(&served);
    assert_eq!(served["route"]["route"], "GET /orders/{id}", "{served}");
    assert_eq!(served["route"]["authorizer"], "keys(orders)", "{served}");
    assert_eq!(served["parameters"]["id"], "7", "{served}");
    assert_eq!(answer(&default)["route"]["route"], "$default");
    assert_eq!(elsewhere.code, Some(1));
    assert!(answer(&elsewhere)["route"].is_null());
}

#[test]
fn the_version_is_told() {
    let outcome = Site::new().run(&["version"]);

    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("portcullis 0."), "{outcome:?}");
}

#[test]
fn a_gateway_with_a_bad_configuration_does_not_start() {
    let site = Site::new();
    site.write("portcullis.toml", "listener = 1\n");

    let outcome = site.run(&["run", "--config", "portcullis.toml"]);

    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("portcullis.toml:1:1"), "{outcome:?}");
}
