//! Fresh instances start configured, from an image, where that is sound.

use portcullis_tests::{Gateway, Upstream, eventually};

fn start(upstream: &Upstream) -> Gateway {
    let address = upstream.address();
    Gateway::start(&format!(
        r#"
        [upstreams.orders]
        endpoints = ["{address}"]
        [authorizers.sound]
        plugin = "version-a"
        settings = {{ version = "from settings" }}
        isolation = "fresh"
        {roomy}
        [authorizers.gambler]
        plugin = "random-in-configure"
        isolation = "fresh"
        {roomy}
        [authorizers.granted]
        plugin = "random-in-configure"
        isolation = "fresh"
        grants.random = true
        {roomy}
        [authorizers.insecure]
        plugin = "random-in-configure"
        isolation = "fresh"
        settings.interface = "insecure"
        grants.random = true
        {roomy}
        [authorizers.seeded]
        plugin = "random-in-configure"
        isolation = "fresh"
        settings.interface = "insecure-seed"
        grants.random = true
        {roomy}
        [transforms.tell]
        plugin = "headers"
        settings.request.set = {{ x-version = "${{identity:version}}", x-drawn = "${{identity:drawn}}" }}
        {roomy}
        [apis.shop]
        upstream = "orders"
        request_transforms = ["tell"]
        routes."GET /sound" = {{ authorizer = "sound" }}
        routes."GET /gambler" = {{ authorizer = "gambler" }}
        routes."GET /granted" = {{ authorizer = "granted" }}
        routes."GET /insecure" = {{ authorizer = "insecure" }}
        routes."GET /seeded" = {{ authorizer = "seeded" }}
        "#,
        roomy = crate::ROOMY
    ))
}

fn started(gateway: &Gateway, plugin_use: &str, configured: &str) -> f64 {
    let labels = [("use", plugin_use), ("configured", configured)];
    gateway.metric("portcullis_plugin_instances_started_total", &labels)
}

#[test]
fn a_fresh_instance_starts_from_its_image() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    gateway.wait_for_image("sound");
    let (from_image, one_by_one) =
        (started(&gateway, "sound", "image"), started(&gateway, "sound", "instance"));

    for _ in 0..20 {
        assert_eq!(gateway.get("/sound", &[]).status, 200);
    }

    assert_eq!(started(&gateway, "sound", "image"), from_image + 20.0);
    assert_eq!(started(&gateway, "sound", "instance"), one_by_one);
    let seen = upstream.seen();
    assert!(seen.iter().all(|seen| seen.headers.get("x-version") == Some("from settings")));
}

#[test]
fn a_plugin_that_draws_randomness_while_it_is_configured_has_no_image() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    gateway.wait_for_image("sound");
    gateway.wait_for_images();

    // Whether or not real randomness is granted, and whichever interface gives it.
    for gambler in ["gambler", "granted", "insecure", "seeded"] {
        for _ in 0..5 {
            assert_eq!(gateway.get(&format!("/{gambler}"), &[]).status, 200);
        }

        let ready = [("use", gambler)];
        assert_eq!(gateway.metric("portcullis_plugin_image_ready", &ready), 0.0, "{gambler}");
        assert_eq!(started(&gateway, gambler, "image"), 0.0, "{gambler}");
        assert_eq!(started(&gateway, gambler, "instance"), 5.0, "{gambler}");
    }
    let mut drawn: Vec<String> = upstream
        .seen()
        .iter()
        .filter_map(|seen| seen.headers.get("x-drawn").map(str::to_owned))
        .collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 20, "a number was drawn twice: {drawn:?}");
}

#[test]
fn a_new_start_finds_its_image_at_once() {
    let upstream = Upstream::start();
    drop({
        let first = start(&upstream);
        first.wait_for_image("sound");
        first
    });

    let second = start(&upstream);

    eventually("an image", || {
        let ready = second.metric("portcullis_plugin_image_ready", &[("use", "sound")]);
        (ready == 1.0).then_some(())
    });
    assert_eq!(second.get("/sound", &[]).status, 200);
}
