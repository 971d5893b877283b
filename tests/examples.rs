//! The examples work as they are shown.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_test_guests::component;
use portcullis_tests::{Gateway, Site, Upstream, run};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The directories of the examples that have a configuration.
fn configured() -> Vec<PathBuf> {
    let entries = fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("portcullis.toml").is_file()).collect()
}

#[test]
fn the_configuration_of_each_example_can_serve() {
    let configured = configured();
    assert!(!configured.is_empty());

    for example in configured {
        let outcome = run(&example, &["check", "portcullis.toml"]);
        assert_eq!(outcome.code, Some(0), "{}: {}", example.display(), outcome.text());
    }
}

/// The quickstart as it is, but for the addresses and the budgets: tests use whatever is
/// free, on machines that are busy.
fn quickstart(orders: &Upstream) -> Gateway {
    let folder = examples().join("quickstart");
    let written = fs::read_to_string(folder.join("portcullis.toml")).unwrap();
    let config = written
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9000", &orders.address().to_string())
        .replace("plugin = \"door\"", &format!("plugin = \"door\"\n{}", crate::ROOMY))
        .replace(
            "plugin = \"claims-header\"",
            &format!("plugin = \"claims-header\"\n{}", crate::ROOMY),
        );
    assert_eq!(config.matches(crate::ROOMY).count(), 2);
    let site = Site::new();
    for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_file() && name != "portcullis.toml" {
            site.write(&name, fs::read(&entry).unwrap());
        }
    }
    let plugins = fs::read_dir(folder.join("plugins")).unwrap();
    for plugin in plugins.map(|entry| entry.unwrap().path()) {
        let name = plugin.file_stem().unwrap().to_string_lossy().into_owned();
        site.install(&name, &fs::read(&plugin).unwrap());
    }
    site.start(&config)
}

#[test]
fn the_quickstart_lets_in_who_has_the_key_and_nobody_else() {
    let orders = Upstream::start();
    let gateway = quickstart(&orders);
    let key = fs::read_to_string(examples().join("quickstart/door-key.txt")).unwrap();

    assert_eq!(gateway.get("/hello", &[]).text(), "hello\n");
    assert_eq!(gateway.get("/orders/7", &[]).status, 401);
    assert_eq!(gateway.get("/orders/7", &[("x-api-key", "guess")]).status, 401);
    orders.assert_saw_nothing();
    assert_eq!(gateway.get("/orders/7", &[("x-api-key", key.trim_end())]).status, 200);
    assert_eq!(orders.only().headers.get("x-caller"), Some("alice"));
}

#[test]
fn the_quickstart_runs_its_authorizer_fresh_from_an_image() {
    let orders = Upstream::start();
    let gateway = quickstart(&orders);
    gateway.wait_for_image("door");
    let from_image = || {
        let labels = [("use", "door"), ("configured", "image")];
        gateway.metric("portcullis_plugin_instances_started_total", &labels)
    };
    let before = from_image();

    for _ in 0..5 {
        assert_eq!(gateway.get("/orders/7", &[("x-api-key", "guess")]).status, 401);
    }

    assert_eq!(from_image(), before + 5.0);
}

#[test]
fn the_example_plugins_do_what_they_say() {
    let upstream = Upstream::answering(|_, reply| {
        reply.send(200, &[("server", "secret/1.0")], br#"{"id":7}"#)
    });
    let site = Site::new();
    for name in ["order-body", "page-cost", "response-stamp"] {
        site.install(name, component(name));
    }
    let gateway = site.start(&format!(
        r#"
        authorizer = "none"
        [upstreams.orders]
        endpoints = ["{}"]
        [validators.order]
        plugin = "order-body"
        settings = {{ largest_quantity = 10 }}
        {roomy}
        [limiters.items]
        plugin = "page-cost"
        settings = {{ items_per_minute = 100 }}
        {roomy}
        [transforms.stamp]
        plugin = "response-stamp"
        settings = {{ headers = {{ x-stamp = "portcullis" }}, remove = ["server"], members = {{ served_by = "portcullis" }} }}
        {roomy}
        [apis.shop.routes."POST /orders"]
        upstream = "orders"
        validate = "order"
        response_transforms = ["stamp"]
        [apis.shop.routes."GET /orders"]
        respond = {{}}
        limiters = ["items"]
        "#,
        upstream.address(),
        roomy = crate::ROOMY
    ));

    for (target, status) in [("size=60", 200), ("size=60", 429), ("size=40", 200)] {
        assert_eq!(gateway.get(&format!("/orders?{target}"), &[]).status, status, "{target}");
    }
    let refused = gateway.post("/orders", &[], br#"{"quantity": 11, "item": 5}"#);
    let accepted = gateway.post("/orders", &[], br#"{"quantity": 10}"#);

    assert_eq!(refused.verdict(), (400, "invalid-request".into()));
    let locations: Vec<String> = refused.json()["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["location"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(locations, ["/quantity", "/item"]);
    assert_eq!(accepted.json(), serde_json::json!({ "id": 7, "served_by": "portcullis" }));
    assert_eq!((accepted.header("x-stamp"), accepted.header("server")), (Some("portcullis"), None));
}

/// The requests of the `curl` lines of a page: path, key if any, the status that the line
/// before each names.
fn pasted(page: &str) -> Vec<(String, Option<String>, u16)> {
    let lines: Vec<&str> = page.lines().collect();
    let curls = lines.windows(2).filter(|pair| pair[1].starts_with("curl "));
    curls
        .map(|pair| {
            let said = ["200", "401"].iter().find(|status| pair[0].contains(**status));
            let denied = pair[0].contains("denied");
            let status = said.map_or(if denied { 401 } else { 200 }, |it| it.parse().unwrap());
            let key = pair[1].split("x-api-key: ").nth(1).and_then(|rest| rest.split('\'').next());
            let path = pair[1].split("127.0.0.1:8080").nth(1).unwrap_or_default();
            (path.to_owned(), key.map(str::to_owned), status)
        })
        .collect()
}

#[test]
fn what_the_pages_say_to_paste_is_answered_as_they_say() {
    let orders = Upstream::start();
    let gateway = quickstart(&orders);
    for page in ["../README.md", "quickstart/README.md"] {
        let requests = pasted(&fs::read_to_string(examples().join(page)).unwrap());
        assert_eq!(requests.len(), 3, "{page}");
        for (path, key, status) in requests {
            let headers: Vec<(&str, &str)> = key.iter().map(|key| ("x-api-key", &**key)).collect();
            assert_eq!(gateway.get(&path, &headers).status, status, "{page}: {path} {key:?}");
        }
    }
}

#[test]
fn the_readme_shows_the_whole_example() {
    let code = fs::read_to_string(examples().join("door/src/lib.rs")).unwrap();
    let plugin = code.split("\n#[cfg(test)]").next().unwrap();
    let plain = |text: &str| {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        text.lines().filter(is_code).map(|line| format!("{line}\n")).collect::<String>()
    };

    let readme = plain(&fs::read_to_string(examples().join("../README.md")).unwrap());

    assert!(readme.contains(&plain(plugin)), "{}", plain(plugin));
}
