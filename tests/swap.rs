//! Plugins and configuration change while traffic runs, and no request fails.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_test_guests::component;
use portcullis_tests::{Gateway, Site, Upstream, eventually};

const OLD: &str = "1.0.0";
const NEW: &str = "2.0.0";

fn config(upstream: &Upstream, settings: &str) -> String {
    let address = upstream.address();
    format!(
        r#"
        [upstreams.orders]
        endpoints = ["{address}"]
        [authorizers.versioned]
        plugin = "versioned"
        settings = {settings}
        {roomy}
        [transforms.tell]
        plugin = "headers"
        settings.response.set = {{ x-version = "${{identity:version}}", x-principal = "${{identity:principal}}" }}
        {roomy}
        [apis.shop.routes."GET /a"]
        authorizer = "versioned"
        upstream = "orders"
        response_transforms = ["tell"]
        "#,
        roomy = crate::ROOMY
    )
}

fn start(upstream: &Upstream) -> Gateway {
    let site = Site::new();
    site.install("versioned", component("version-a"));
    let gateway = site.start(&config(upstream, "{}"));
    assert_eq!(version(&gateway), OLD);
    gateway
}

/// The version of the plugin that answers.
fn version(gateway: &Gateway) -> String {
    told(gateway, "x-version")
}

fn told(gateway: &Gateway, header: &str) -> String {
    let response = gateway.get("/a", &[]);
    assert_eq!(response.status, 200, "{response:?}");
    response.header(header).unwrap_or_default().to_owned()
}

fn wait_for_version(gateway: &Gateway, expected: &str) {
    eventually(&format!("version {expected}"), || (version(gateway) == expected).then_some(()));
}

fn wait_for_reloads(gateway: &Gateway, result: &str, at_least: f64) {
    eventually(&format!("{at_least} reloads {result}"), || {
        (gateway.reloads(result) >= at_least).then_some(())
    });
}

/// Runs traffic for as long as `change` takes; how many requests were answered.
///
/// Panics where one was answered otherwise than with 200.
fn under_load(gateway: &Gateway, change: impl FnOnce()) -> u64 {
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = gateway.connect();
                while !stop.load(Ordering::SeqCst) {
                    let response = client.request("GET", "/a", &[], b"");
                    answered.fetch_add(1, Ordering::SeqCst);
                    if response.status != 200 {
                        *failed.lock().unwrap() = Some(response);
                        return;
                    }
                }
            });
        }
        let stopping = Stop(&stop);
        change();
        drop(stopping);
    });
    assert!(failed.lock().unwrap().is_none(), "{failed:?}");
    answered.load(Ordering::SeqCst)
}

/// Stops the traffic even where the change panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_renamed_file_serves_and_no_request_fails() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    let answered = under_load(&gateway, || {
        gateway.install("versioned", component("version-b"));
        wait_for_version(&gateway, NEW);
    });

    assert!(answered > 0);
    assert_eq!(version(&gateway), NEW);
}

#[test]
fn a_file_copied_slowly_serves_once_it_is_whole() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    under_load(&gateway, || {
        let bytes = component("version-b");
        let mut file = File::create(gateway.plugins_dir().join("versioned.wasm")).unwrap();
        let pieces = bytes.chunks(bytes.len() / 4 + 1);
        for piece in pieces {
            assert_eq!(version(&gateway), OLD);
            file.write_all(piece).unwrap();
            file.flush().unwrap();
            // Long enough to be taken for the end.
            thread::sleep(Duration::from_millis(300));
        }
        drop(file);
        wait_for_version(&gateway, NEW);
    });
}

#[test]
fn a_broken_file_is_reported_and_the_old_one_goes_on() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    under_load(&gateway, || {
        gateway.install("versioned", b"\0asm\x01\0\0\0");
        wait_for_reloads(&gateway, "Refused", 1.0);
        assert_eq!(version(&gateway), OLD);
        gateway.install("versioned", component("version-b"));
        wait_for_version(&gateway, NEW);
    });

    let said = gateway.wait_for_output("core WebAssembly module");
    assert!(said.contains("portcullis.toml:"), "{said}");
}

#[test]
fn a_deleted_file_is_reported_and_its_plugin_goes_on() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    under_load(&gateway, || {
        fs::remove_file(gateway.plugins_dir().join("versioned.wasm")).unwrap();
        wait_for_reloads(&gateway, "Refused", 1.0);
        assert_eq!(version(&gateway), OLD);
        gateway.install("versioned", component("version-b"));
        wait_for_version(&gateway, NEW);
    });
}

/// `sleep` takes settings that `version-a` refuses, and the other way round.
const WANTED_BY_SLEEP: &str = "{ seconds = 0 }";

#[test]
fn a_plugin_may_change_before_the_settings_it_newly_wants() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    gateway.reload_config(&config(&upstream, "{ version = \"mine\" }"));
    wait_for_version(&gateway, "mine");

    under_load(&gateway, || {
        gateway.install("versioned", component("sleep"));
        wait_for_reloads(&gateway, "Refused", 1.0);
        assert_eq!(version(&gateway), "mine");
        gateway.reload_config(&config(&upstream, WANTED_BY_SLEEP));
        eventually("the new plugin", || (told(&gateway, "x-principal") == "sleeper").then_some(()));
    });
}

#[test]
fn settings_may_change_before_the_plugin_that_wants_them() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);

    under_load(&gateway, || {
        gateway.reload_config(&config(&upstream, WANTED_BY_SLEEP));
        wait_for_reloads(&gateway, "Refused", 1.0);
        assert_eq!(version(&gateway), OLD);
        gateway.install("versioned", component("sleep"));
        eventually("the new plugin", || (told(&gateway, "x-principal") == "sleeper").then_some(()));
    });
}

#[test]
fn the_configuration_is_replaced_whole_or_not_at_all() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let with_route = |route: &str| config(&upstream, "{}") + route;
    let new =
        "\n[apis.more.routes.\"GET /new\"]\nauthorizer = \"none\"\nrespond = { body = \"new\" }\n";

    under_load(&gateway, || {
        assert_eq!(gateway.get("/new", &[]).status, 404);
        gateway.reload_config(&with_route(new));
        gateway.wait_for_answer("the new route", "/new", |it| it.text() == "new");

        gateway.reload_config(&with_route(
            "\n[apis.more.routes.\"GET /new\"]\nauthoriser = \"none\"\n",
        ));
        wait_for_reloads(&gateway, "Refused", 1.0);
        assert_eq!(gateway.get("/new", &[]).text(), "new");

        gateway.reload_config(&with_route(""));
        gateway.wait_for_answer("the end of the route", "/new", |it| it.status == 404);
    });

    let said = gateway.wait_for_output("authoriser");
    assert!(said.contains("did you mean `authorizer`?"), "{said}");
}

#[test]
fn a_request_under_way_ends_on_what_it_began_with() {
    let upstream = Upstream::answering(|seen, reply| {
        if seen.headers.get("x-slow").is_some() {
            thread::sleep(Duration::from_secs(3));
        }
        reply.send(200, &[], b"ok")
    });
    let gateway = start(&upstream);

    let slow = thread::scope(|scope| {
        let slow = scope.spawn(|| gateway.get("/a", &[("x-slow", "1")]));
        upstream.wait_for("the slow request", |seen| seen.headers.get("x-slow").is_some());
        gateway.install("versioned", component("version-b"));
        wait_for_version(&gateway, NEW);
        slow.join().unwrap()
    });

    assert_eq!(slow.status, 200);
    assert_eq!(slow.header("x-version"), Some(OLD));
}

#[test]
fn what_a_reload_cannot_change_is_said_to_need_a_restart() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let listeners = "\n[listeners.public]\naddress = \"127.0.0.1:0\"\n[listeners.more]\naddress = \"127.0.0.1:0\"\n";

    gateway.reload_config(&(config(&upstream, "{}") + listeners));

    let said = gateway.wait_for_output("restart");
    assert!(said.contains("`more`"), "{said}");
    assert_eq!(version(&gateway), OLD);
}

/// A thousand, where the environment does not say otherwise.
fn swaps() -> u32 {
    let wanted = std::env::var("PORTCULLIS_SWAPS").ok().and_then(|swaps| swaps.parse().ok());
    wanted.unwrap_or(1000)
}

/// Plugins that are swapped together: a reload costs what it waits for the files.
const TOGETHER: [&str; 4] = ["versioned", "second", "third", "fourth"];

/// The configuration with four plugins in the place of one, each on a route.
fn four_plugins(upstream: &Upstream) -> String {
    let more = TOGETHER[1..].iter().map(|name| {
        format!(
            "[authorizers.{name}]\nplugin = \"{name}\"\n{}\n\
            [apis.shop.routes.\"GET /{name}\"]\nauthorizer = \"{name}\"\n\
            upstream = \"orders\"\nresponse_transforms = [\"tell\"]\n",
            crate::ROOMY
        )
    });
    config(upstream, "{}") + "\n" + &more.collect::<String>()
}

#[test]
fn a_thousand_swaps_under_load_leave_no_memory_behind() {
    const MOST: u64 = 64 << 20;
    let upstream = Upstream::start();
    let site = Site::new();
    let install_all = |site: &Site, guest| {
        for name in TOGETHER {
            site.install(name, component(guest));
        }
    };
    install_all(&site, "version-a");
    let gateway = site.start(&four_plugins(&upstream));
    let rounds = swaps() / 4;
    let mut settled = 0;

    let answered = under_load(&gateway, || {
        for round in 1..=rounds {
            let (guest, expected) = match round % 2 {
                1 => ("version-b", NEW),
                _ => ("version-a", OLD),
            };
            install_all(gateway.site(), guest);
            for target in ["/a", "/second", "/third", "/fourth"] {
                gateway.wait_for_answer(&format!("{expected} at {target}"), target, |answer| {
                    assert_eq!(answer.status, 200, "{target}: {answer:?}");
                    answer.header("x-version") == Some(expected)
                });
            }
            if round == rounds / 5 {
                settled = gateway.rss_bytes();
            }
        }
    });

    assert!(answered >= u64::from(rounds));
    let growth = gateway.rss_bytes().saturating_sub(settled);
    assert!(growth < MOST, "{settled} bytes grew by {growth} in {} swaps", swaps());
    assert_eq!(gateway.reloads("Refused"), 0.0);
}
