//! What a call may use is counted, and instances are bounded.

use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::{Gateway, eventually};

fn start(seconds: u32, budget: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        [authorizers.sleeper]
        plugin = "sleep"
        settings = {{ seconds = {seconds} }}
        budget = {{ breaker_after = 0, {budget} }}
        [authorizers.other]
        plugin = "version-a"
        {}
        [apis.a.routes]
        "GET /sleep" = {{ authorizer = "sleeper", respond = {{ body = "slept" }} }}
        "GET /other" = {{ authorizer = "other", respond = {{ body = "other" }} }}
        "#,
        crate::ROOMY
    ))
}

#[test]
fn waiting_is_no_cpu_time() {
    let gateway = start(4, r#"cpu_time = "2s", wall_time = "60s""#);
    let began = Instant::now();

    assert_eq!(gateway.get("/sleep", &[]).text(), "slept");

    assert!(began.elapsed() >= Duration::from_secs(4));
    assert_eq!(gateway.use_metric("portcullis_plugin_faults_total", "sleeper"), 0.0);
}

#[test]
fn the_clock_rests_while_no_guest_runs_and_still_stops_the_next() {
    let gateway = Gateway::start(
        r#"
        [authorizers.spinner]
        plugin = "spin"
        budget = { breaker_after = 0, cpu_time = "50ms", wall_time = "60s" }
        [apis.a.routes]
        "GET /spin" = { authorizer = "spinner", respond = { body = "spun" } }
        "#,
    );

    for _ in 0..3 {
        eventually("the clock rests", || {
            let before = gateway.sleeps_of("epochs");
            // It would have ticked fifty times.
            thread::sleep(Duration::from_millis(50));
            (gateway.sleeps_of("epochs") == before).then_some(())
        });
        assert_eq!(gateway.get("/spin", &[]).verdict(), (503, "plugin-fault".into()));
    }

    assert_eq!(gateway.faults("spinner", "cpu-time"), 3.0);
}

#[test]
fn one_more_request_than_there_are_instances_waits_and_then_goes_away() {
    let gateway = start(12, r#"cpu_time = "20s", wall_time = "18s", instances = 1"#);
    assert_eq!(gateway.get("/other", &[]).text(), "other");

    let mut statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || gateway.get("/sleep", &[]).status;
        let asked: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        eventually("three requests under way", || {
            (gateway.metric("portcullis_exchanges", &[]) >= 3.0).then_some(())
        });
        assert_eq!(gateway.get("/other", &[]).text(), "other");
        assert!(asked.iter().all(|asked| !asked.is_finished()), "another use waited for this one");
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    // The first sleeps at once, the second waits 12 s for the instance, the third would
    // wait 24 s and may wait 18.
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503]);
    assert_eq!(gateway.faults("sleeper", "busy"), 1.0);
    let line = gateway.wait_for_line("a line of who slept", |line| {
        line["path"] == "/sleep" && line["status"] == 200
    });
    assert_eq!(line["authorizer_cache"], "called");
}

#[test]
fn sleeping_plugins_hold_no_thread() {
    let gateway = Gateway::start(
        r#"
        workers = 2
        [authorizers.sleeper]
        plugin = "sleep"
        settings = { seconds = 6 }
        budget = { breaker_after = 0, cpu_time = "20s", wall_time = "60s", instances = 64 }
        [apis.a.routes]
        "GET /sleep" = { authorizer = "sleeper", respond = { body = "slept" } }
        "#,
    );
    let began = Instant::now();

    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_eq!(gateway.get("/sleep", &[]).text(), "slept"));
        }
    });

    // One after another on each of two threads, they would take 96 s.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
