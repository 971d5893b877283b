//! A plugin that misbehaves harms its own requests and nothing else.

use std::time::{Duration, Instant};

use portcullis_tests::{Gateway, Site, Upstream};

fn start(plugin: &str, settings: &str, budget: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        [authorizers.bad]
        plugin = "{plugin}"
        settings = {settings}
        budget = {{ breaker_after = 0, {budget} }}
        [apis.a.routes]
        "GET /bad" = {{ authorizer = "bad", respond = {{ body = "let in" }} }}
        "GET /good" = {{ authorizer = "none", respond = {{ body = "good" }} }}
        "#
    ))
}

/// The plugin faults with this code: the client learns no more than that, log and
/// metric tell why, and other routes go on.
fn check(plugin: &str, settings: &str, budget: &str, expected: &str) {
    let gateway = start(plugin, settings, budget);

    let response = gateway.get("/bad", &[]);

    assert_eq!(response.verdict(), (503, "plugin-fault".into()), "{plugin}");
    assert!(!response.text().contains("purpose"), "{plugin}: {}", response.text());
    let line = gateway.log_line("/bad");
    assert_eq!(line["code"], "plugin-fault", "{plugin}");
    assert_eq!(line["reason"], expected, "{plugin}: {line}");
    assert!(line["detail"].as_str().is_some_and(|it| it.contains("`bad`")), "{plugin}: {line}");
    assert_eq!(gateway.faults("bad", expected), 1.0, "{plugin}");
    assert_eq!(gateway.use_metric("portcullis_plugin_faults_total", "bad"), 1.0, "{plugin}");
    assert_eq!(gateway.get("/good", &[]).text(), "good", "{plugin}");
}

const PATIENT: &str = r#"cpu_time = "20s", wall_time = "60s""#;

#[test]
fn an_endless_loop_is_stopped_when_its_cpu_time_is_used_up() {
    check("spin", "{}", r#"cpu_time = "50ms", wall_time = "60s""#, "cpu-time");
}

#[test]
fn a_plugin_that_sleeps_is_stopped_when_its_wall_time_is_over() {
    check("sleep", "{}", r#"cpu_time = "20s", wall_time = "200ms""#, "wall-time");
}

#[test]
fn a_memory_bomb_is_stopped_at_its_budget() {
    check("memory-bomb", "{}", &format!("{PATIENT}, memory = \"32MiB\""), "memory");
}

#[test]
fn a_stack_overflow_is_a_trap() {
    check("stack-overflow", "{}", PATIENT, "trap");
}

#[test]
fn a_panic_is_a_trap_and_the_log_has_its_last_words() {
    check("trap", "{}", PATIENT, "trap");
    let gateway = start("trap", "{}", PATIENT);

    gateway.get("/bad", &[]);

    let detail = gateway.log_line("/bad")["detail"].to_string();
    assert!(detail.contains("the authorizer panicked on purpose"), "{detail}");
}

#[test]
fn a_hundred_megabytes_of_answer_are_not_taken() {
    let roomy = format!("{PATIENT}, memory = \"512MiB\"");
    check("big-answer", "{}", &roomy, "output");
    check("big-answer", "{ size_bytes = 2_000_000 }", &roomy, "output");
}

/// What comes of a plugin that takes keys of the host: a status, and the line of the log.
fn hoard(settings: &str) -> (u16, String) {
    let site = Site::new();
    site.write("pepper.key", "hot");
    let gateway = site.start(&format!(
        r#"
        [authorizers.bad]
        plugin = "hoards-keys"
        settings = {{ {settings} }}
        grants.secrets.pepper = {{ file = "pepper.key" }}
        budget = {{ breaker_after = 0, {PATIENT} }}
        [apis.a.routes]
        "GET /bad" = {{ authorizer = "bad", respond = {{ body = "let in" }} }}
        "#
    ));
    // Making the image takes memory too.
    gateway.wait_for_images();
    let before = gateway.rss_bytes();
    let response = gateway.get("/bad", &[]);
    let grown = gateway.rss_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{settings}: {grown} bytes more");
    (response.status, gateway.log_line("/bad")["detail"].to_string())
}

#[test]
fn keys_that_the_host_keeps_for_a_plugin_are_bounded() {
    for settings in ["bytes = 4_097, count = 1", "bytes = 4_094, count = 1, secret = 'pepper'"] {
        let (status, detail) = hoard(settings);
        assert_eq!(status, 503, "{settings}");
        assert!(detail.contains("a key of 4097 bytes: one has at most 4096"), "{detail}");
    }
    assert_eq!(hoard("bytes = 1_000_000, count = 900").0, 503);
    assert_eq!(hoard("bytes = 4_096, count = 100_000").0, 503);
    assert_eq!(hoard("bytes = 4_096, count = 900").0, 200);
    assert_eq!(hoard("bytes = 4_093, count = 900, secret = 'pepper'").0, 200);
}

#[test]
fn an_answer_within_its_budget_is_taken() {
    let gateway = start("big-answer", "{ size_bytes = 500_000 }", PATIENT);

    assert_eq!(gateway.get("/bad", &[]).text(), "let in");
    let most = gateway.use_metric("portcullis_plugin_memory_high_water_bytes", "bad");
    assert!((500_000.0..64e6).contains(&most), "{most}");
}

#[test]
fn ten_thousand_log_lines_are_dropped_and_counted() {
    let gateway = start("log-flood", "{}", PATIENT);
    let lines = |result| {
        let labels = [("use", "bad"), ("result", result)];
        gateway.metric("portcullis_plugin_log_lines_total", &labels)
    };

    assert_eq!(gateway.get("/bad", &[]).text(), "let in");

    assert_eq!(lines("written") + lines("dropped"), 10_000.0);
    assert!(lines("written") < 500.0, "{}", lines("written"));
    let shown = gateway.wait_for_output("line 0 of the flood");
    assert!(!shown.contains("line 9999 of the flood"));
}

const ROLES: &str = r#"
    authorizer = "none"
    [upstreams.orders]
    endpoints = ["ADDRESS"]
    [validators.validator]
    plugin = "trap"
    budget = { breaker_after = 0, cpu_time = "20s", wall_time = "60s" }
    ON_FAULT
    [transforms.transform]
    plugin = "trap"
    budget = { breaker_after = 0, cpu_time = "20s", wall_time = "60s" }
    ON_FAULT
    [apis.a]
    upstream = "orders"
    [apis.a.routes]
    "GET /validator" = { validate = "validator" }
    "GET /request" = { request_transforms = ["transform"] }
    "GET /response" = { response_transforms = ["transform"] }
"#;

fn start_roles(upstream: &Upstream, on_fault: &str) -> Gateway {
    let config = ROLES.replace("ADDRESS", &upstream.address().to_string());
    Gateway::start(&config.replace("ON_FAULT", on_fault))
}

#[test]
fn a_fault_in_any_role_denies_the_request() {
    let upstream = Upstream::start();
    let gateway = start_roles(&upstream, "");

    for target in ["/validator", "/request"] {
        assert_eq!(gateway.get(target, &[]).verdict(), (503, "plugin-fault".into()), "{target}");
    }
    upstream.assert_saw_nothing();
    assert_eq!(gateway.get("/response", &[]).verdict(), (503, "plugin-fault".into()));

    assert_eq!(gateway.faults("validator", "trap"), 1.0);
    assert_eq!(gateway.faults("transform", "trap"), 2.0);
}

#[test]
fn a_fault_that_the_operator_skips_is_counted_and_logged() {
    let upstream = Upstream::start();
    let gateway = start_roles(&upstream, "on_fault = \"skip\"");

    for target in ["/validator", "/request", "/response"] {
        assert_eq!(gateway.get(target, &[]).text(), "ok", "{target}");
        let line = gateway.log_line(target);
        let skipped = line["skipped"][0].as_str().unwrap_or_default();
        assert!(skipped.contains("trap"), "{target}: {line}");
    }

    assert_eq!(gateway.metric("portcullis_skipped_plugin_faults_total", &[]), 3.0);
}

#[test]
fn routes_of_other_plugins_answer_while_one_spins() {
    // Where ticks come late, it takes far longer than its CPU time.
    let gateway = start("spin", "{}", r#"cpu_time = "4s", wall_time = "110s""#);
    let mut slowest = Duration::ZERO;

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(gateway.get("/bad", &[]).status, 503));
        }
        for _ in 0..30 {
            let began = Instant::now();
            assert_eq!(gateway.get("/good", &[]).text(), "good");
            slowest = slowest.max(began.elapsed());
        }
    });

    // Who waits for two that spin on a thread waits for nearly all of their time.
    assert!(slowest < Duration::from_millis(3500), "{slowest:?}");
    assert_eq!(gateway.faults("bad", "cpu-time"), 4.0);
}

#[test]
fn three_hundred_faults_leave_no_memory_behind() {
    const MOST: u64 = 32 << 20;
    let budget =
        r#"budget = { breaker_after = 0, cpu_time = "10ms", wall_time = "60s", memory = "16MiB" }"#;
    let guests = ["spin", "memory-bomb", "stack-overflow", "trap"];
    let uses: Vec<String> = guests
        .iter()
        .map(|guest| {
            format!(
                "[authorizers.{guest}]\nplugin = \"{guest}\"\n{budget}\n\
                [apis.{guest}.routes.\"GET /{guest}\"]\nauthorizer = \"{guest}\"\n\
                respond = {{ body = \"let in\" }}\n"
            )
        })
        .collect();
    let gateway = Gateway::start(&uses.join(""));
    // Else they are made meanwhile, and take memory.
    gateway.wait_for_images();
    let fault = |times: usize| {
        for guest in guests {
            let mut client = gateway.connect();
            for _ in 0..times {
                assert_eq!(client.request("GET", &format!("/{guest}"), &[], b"").status, 503);
            }
        }
    };

    fault(50);
    let before = gateway.rss_bytes();
    fault(300);

    let growth = gateway.rss_bytes().saturating_sub(before);
    assert!(growth < MOST, "{before} bytes grew by {growth}");
    assert_eq!(gateway.metric("portcullis_plugin_faults_total", &[]), 1400.0);
}
