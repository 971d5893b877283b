//! What a configuration that names every key becomes, and what an almost empty one does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_config::{
    Access, AccessLog, Authorization, Balance, CacheRule, ClientCertificate, Gateway, HashKey,
    HostPattern, HostRewrite, IdentityHeader, Integration, Isolation, IssuerGrant, IssuerKeys,
    KeyTimes, KeyValueGrant, LimitSharing, OnFault, Origin, OriginHost, PathRewrite, PluginUseId,
    Process, RequestPart, RespondBody, Role, RouteMatch, Scopes, Surroundings, TlsVersion,
    UpstreamProtocol, Use, load, parse, parse_within, reference, schema,
};

/// The files of a folder, and the variable `HMAC`.
struct Variables;

impl Surroundings for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (name == "HMAC").then(|| b"shared".to_vec())
    }

    fn read(&self, file: &Path) -> std::io::Result<Vec<u8>> {
        Process.read(file)
    }

    fn is_file(&self, file: &Path) -> bool {
        Process.is_file(file)
    }

    fn is_directory(&self, directory: &Path) -> bool {
        Process.is_directory(directory)
    }
}

mod limits;
mod messages;
mod stages;

#[cfg(test)]
#[allow(unreachable_pub, reason = "the harness of other tests has it too")]
#[path = "../../../../tests/harness/country_database.rs"]
mod database;

fn whole() -> (tempfile::TempDir, Gateway) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cert.pem", "key.pem", "other.pem", "other-key.pem", "ca.pem", "crl.pem"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    std::fs::write(folder.path().join("secret"), "bytes\n").unwrap();
    std::fs::write(folder.path().join("token"), "sixteen bytes or more\n").unwrap();
    let authorities = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    std::fs::write(folder.path().join("authorities.pem"), authorities).unwrap();
    let policy = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*",
        "Resource": "execute-api:/*"}]}"#;
    std::fs::write(folder.path().join("policy.json"), policy).unwrap();
    std::fs::write(folder.path().join("jwks.json"), r#"{"keys":[]}"#).unwrap();
    std::fs::write(folder.path().join("order.json"), r#"{"$defs": {"order": true}}"#).unwrap();
    let api = "openapi: 3.1.0
components: { securitySchemes: { token: { type: http } } }
paths:
  /read:
    get: { operationId: read, security: [{ token: [] }], parameters: [{ name: n, in: query, required: true }] }
  /write: { put: { security: [], callbacks: {}, servers: [] } }
";
    std::fs::write(folder.path().join("api.yaml"), api).unwrap();
    let countries =
        database::country_database(&[("192.0.2.0", 24, "DE"), ("2001:db8::", 32, "XX")]);
    std::fs::write(folder.path().join("countries.mmdb"), countries).unwrap();
    std::fs::write(folder.path().join("denied.txt"), "203.0.113.7\n").unwrap();
    let more = "[upstreams.more]\nendpoints = ['more:80']\nbalance = 'power-of-two'";
    std::fs::write(folder.path().join("more.toml"), more).unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    let text = include_str!("../whole.toml");
    let gateway = match parse_within(text, "whole.toml", folder.path(), &Variables) {
        Ok(gateway) => gateway,
        Err(problems) => panic!("{problems}"),
    };
    (folder, gateway)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_process_is_as_written() {
    let (folder, gateway) = whole();

    assert_eq!(gateway.plugin_directory, Some(folder.path().join("plugins")));
    assert_eq!(gateway.state_directory, Some(folder.path().join("state")));
    assert_eq!(gateway.workers, Some(4));
    assert_eq!(gateway.trusted_proxies.len(), 2);
    let admin = gateway.admin.unwrap();
    assert_eq!(admin.address.port(), 9000);
    assert_eq!(admin.hosts, ["gateway.example.com"]);
    assert_eq!(admin.token.unwrap().expose(), b"sixteen bytes or more");
    assert_eq!(gateway.access_log, AccessLog::File(folder.path().join("access.log")));
    assert_eq!(gateway.shutdown.grace, Duration::ZERO);
    let limits = gateway.limits;
    assert_eq!((limits.header_bytes, limits.header_count, limits.target_bytes), (16384, 50, 4096));
    assert_eq!(
        (limits.header_timeout, limits.body_timeout, limits.keep_alive),
        (seconds(5), seconds(30), seconds(20))
    );
    assert_eq!(limits.held_body_bytes, 1 << 30);
}

#[test]
fn listeners_are_as_written() {
    let (folder, gateway) = whole();

    let [public, plain] = &gateway.listeners[..] else { panic!("two listeners") };
    assert_eq!((public.name.as_str(), public.redirect_to_https), ("public", None));
    let tls = public.tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].certificate, folder.path().join("cert.pem"));
    assert_eq!(tls.certificates[1].key, folder.path().join("other-key.pem"));
    assert_eq!(tls.client_ca, Some(folder.path().join("ca.pem")));
    assert_eq!(tls.client_crl, Some(folder.path().join("crl.pem")));
    assert_eq!(tls.client_certificate, ClientCertificate::Request);
    assert_eq!((tls.minimum, tls.http2), (TlsVersion::V1_3, false));
    assert_eq!((plain.address.port(), plain.redirect_to_https), (8080, Some(8443)));
}

#[test]
fn upstreams_are_as_written() {
    let (_folder, gateway) = whole();

    let [orders, plain, secure, more] = &gateway.upstreams[..] else { panic!("four upstreams") };
    assert_eq!((orders.endpoints[0].host.as_str(), orders.endpoints[0].weight), ("10.0.0.7", 1));
    assert_eq!((orders.endpoints[1].host.as_str(), orders.endpoints[1].weight), ("::1", 2));
    let key = HashKey::Header("x-user".parse().unwrap());
    assert_eq!(orders.balance, Balance::ConsistentHash(key));
    let tls = orders.tls.as_ref().unwrap();
    assert!(tls.ca.is_some() && tls.client_certificate.is_some());
    assert_eq!(tls.name.as_deref(), Some("orders"));
    assert_eq!(orders.protocol, UpstreamProtocol::Http2);
    assert_eq!(orders.host, HostRewrite::Literal("orders.internal".parse().unwrap()));
    let timeouts = orders.timeouts;
    assert_eq!((timeouts.connect, timeouts.first_byte), (seconds(1), seconds(2)));
    assert_eq!((timeouts.idle, timeouts.total), (seconds(3), Some(seconds(4))));
    assert_eq!(timeouts.keep_alive, seconds(5));
    assert_eq!((orders.retries, orders.resolve_every), (3, seconds(90)));
    let check = orders.health_check.as_ref().unwrap();
    assert_eq!((check.path.as_str(), check.interval), ("/healthz", seconds(10)));
    assert_eq!((check.timeout, check.healthy_after, check.unhealthy_after), (seconds(1), 1, 5));
    assert_eq!((&plain.balance, &plain.host), (&Balance::LeastConnections, &HostRewrite::Endpoint));
    assert_eq!((plain.protocol, plain.retries), (UpstreamProtocol::Http1, 1));
    assert_eq!(
        (&secure.host, secure.protocol),
        (&HostRewrite::Preserve, UpstreamProtocol::Negotiate)
    );
    assert_eq!(more.balance, Balance::PowerOfTwo);
}

#[test]
fn plugin_uses_are_as_written() {
    let (_folder, gateway) = whole();

    let [partners, _staff, orders, headers, unused, plans, _schemas] = &gateway.plugin_uses[..]
    else {
        panic!("seven uses")
    };
    assert_eq!((partners.plugin.as_str(), partners.plugin_place.text()), ("jwt", "\"jwt\""));
    assert_eq!(partners.settings["audience"][0], "orders");
    assert_eq!(partners.settings_places.get("/audience/0").unwrap().text(), "\"orders\"");
    assert_eq!(partners.isolation, Some(Isolation::Reuse(7)));
    assert_eq!(partners.on_fault, OnFault::Deny);
    let grants = &partners.grants;
    assert_eq!(grants.secrets["hmac"].secret.expose(), b"shared");
    assert_eq!(grants.secrets["key"].secret.expose(), b"bytes");
    assert!(grants.secrets["hmac"].reveal && !grants.secrets["key"].reveal);
    assert!(grants.random && grants.clock && grants.credentials);
    let remembered = KeyValueGrant { size_bytes: 1 << 20, keys: 10 };
    assert_eq!(grants.keyvalue, Some(remembered));
    let budget = partners.budget;
    assert_eq!((budget.wall_time, budget.cpu_time), (seconds(2), Duration::from_millis(50)));
    assert_eq!((budget.memory_bytes, budget.output_bytes), (32 << 20, 2048));
    assert_eq!((budget.instances, budget.breaker_after, budget.breaker_pause), (8, 0, seconds(60)));
    assert_eq!((orders.isolation, orders.on_fault), (Some(Isolation::Reuse(1000)), OnFault::Skip));
    assert_eq!(orders.budget.output_bytes, 1 << 20);
    assert_eq!(orders.limit_sharing, None);
    let sharing = LimitSharing { gateways: 4, lease_ns: 500_000_000 };
    assert_eq!(plans.limit_sharing, Some(sharing));
    assert_eq!(headers.roles, [Role::RequestTransform, Role::ResponseTransform]);
    assert_eq!(
        (headers.isolation, headers.budget.output_bytes),
        (Some(Isolation::Fresh), 16 << 20)
    );
    assert!(unused.roles.is_empty());
    assert_eq!((plans.roles.as_slice(), plans.name.as_str()), (&[Role::Limiter][..], "plans"));
}

#[test]
fn the_issuers_of_a_plugin_are_as_written() {
    let (_folder, gateway) = whole();

    let issuers = &gateway.plugin_uses[0].grants.issuers;
    assert!(matches!(issuers["https://login.example.com/"].keys, IssuerKeys::File { .. }));
    let discovered = &issuers["https://a/"];
    assert!(matches!(discovered.keys, IssuerKeys::Discovery));
    assert!(discovered.private_addresses && discovered.authorities.is_some());
    let partner = &issuers["partner"];
    assert!(matches!(&partner.keys, IssuerKeys::At(url) if url == "https://keys.example.com/set"));
    let times = KeyTimes {
        timeout: seconds(1),
        refresh: Some(seconds(1800)),
        min_refresh: seconds(5),
        max_stale: seconds(3600),
    };
    assert_eq!(partner.times, times);
    let (planned, default) = (&issuers["https://planned/"], IssuerGrant::default());
    assert!(matches!(planned.keys, IssuerKeys::AsPlanned));
    assert!(!planned.private_addresses && planned.authorities.is_none());
    assert_eq!(planned.times, default.times);
}

#[test]
fn what_an_authorizer_goes_by_is_as_written() {
    let (_folder, gateway) = whole();

    let [partners, orders, ..] = &gateway.plugin_uses[..] else { panic!("uses") };
    let cache = partners.cache.as_ref().unwrap();
    assert_eq!((cache.life, cache.denials), (seconds(300), Some(seconds(10))));
    let by = [
        RequestPart::Header("authorization".parse().unwrap()),
        RequestPart::Query("t".into()),
        RequestPart::Cookie("s".into()),
        RequestPart::Attribute("route:id".into()),
        RequestPart::Path,
        RequestPart::Method,
        RequestPart::Host,
        RequestPart::ClientAddress,
    ];
    assert_eq!(cache.by, by);
    assert_eq!(partners.cache_by_places[3].text(), "\"attribute:route:id\"");
    let [path, bearer] = &partners.identity_sources[..] else { panic!("two sources") };
    assert!(path.part == RequestPart::Path && path.matches.is_none());
    assert_eq!(bearer.part, RequestPart::Header("authorization".parse().unwrap()));
    let matches = bearer.matches.as_ref().unwrap();
    assert!(matches.is_match(b"Bearer x") && !matches.is_match(b"A Bearer x"));
    assert!(orders.cache.is_none() && orders.identity_sources.is_empty());
}

#[test]
fn a_time_alone_keeps_grants_by_all_that_was_shown() {
    let text =
        "[authorizers.a]\nplugin = 'p'\ncache = '1m'\n[listeners.a]\naddress = 'localhost:80'";
    let gateway = parse(text, "p.toml", Path::new("")).unwrap();

    let rule = CacheRule { life: seconds(60), by: Vec::new(), denials: None };
    assert_eq!(gateway.plugin_uses[0].cache, Some(rule));
}

#[test]
fn the_services_a_plugin_may_call_are_as_written() {
    let (_folder, gateway) = whole();

    let http = gateway.plugin_uses[0].grants.http.as_ref().unwrap();
    let origin = |https, host, port| Origin { https, host, port };
    let expected = [
        origin(true, OriginHost::Name("login.example.com".into()), 443),
        origin(false, OriginHost::Below("internal".into()), 8080),
        origin(false, OriginHost::Address("::1".parse().unwrap()), 9000),
    ];
    assert_eq!(http.origins, expected);
    assert!(http.private_addresses && http.authorities.is_some());
    assert_eq!((http.timeout, http.requests), (Duration::from_millis(500), 2));
    assert_eq!((http.request_bytes, http.response_bytes), (1024, 2048));
    assert!(gateway.plugin_uses[1].grants.http.is_none());
}

#[test]
fn routes_inherit_what_they_do_not_write() {
    let (_folder, gateway) = whole();

    let [api, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    let hosts =
        [HostPattern::Exact("api.example.com".into()), HostPattern::Wildcard("example.org".into())];
    assert_eq!((&api.hosts[..], api.base_path.as_str()), (&hosts[..], "/v1"));
    let [get, post, default] = &api.routes[..] else { panic!("three routes") };
    let RouteMatch::Path { method, pattern } = &get.matches else { panic!("a path") };
    assert_eq!(
        (method.as_ref().unwrap().as_str(), pattern.to_string()),
        ("GET", "/v1/orders/{id}".into())
    );
    let Access::By(Authorization::One(by)) = &get.access else { panic!("an authorizer") };
    assert_eq!((by.plugin.0, by.argument.as_deref()), (0, Some("orders")));
    assert_eq!(
        (get.validators.len(), get.request_transforms.len(), get.body_limit),
        (1, 1, 1 << 20)
    );
    assert!(
        matches!(&get.integration, Integration::Proxy { upstream, path: PathRewrite::Keep } if upstream.name == "orders")
    );
    assert_eq!(post.access, Access::Open);
    assert_eq!(post.validators[0].argument.as_deref(), Some("body"));
    assert_eq!((post.request_transforms.len(), post.response_transforms.len()), (0, 1));
    assert_eq!(post.body_limit, 100);
    let limiters = [get, post].map(|route| route.limiters[0].argument.as_deref());
    assert_eq!(limiters, [None, Some("x")]);
    let Integration::Proxy { upstream, path } = &post.integration else { panic!("an upstream") };
    let rewrite = PathRewrite::ReplacePrefix { strip: "/v1".into(), add: "/api".into() };
    assert_eq!((upstream.name.as_str(), path), ("plain", &rewrite));
    assert_eq!(default.matches, RouteMatch::Default);
    let Integration::Respond(fixed) = &default.integration else { panic!("fixed") };
    assert_eq!((fixed.status.to_string().as_str(), fixed.headers.len()), ("404", 1));
    assert!(matches!(&fixed.body, RespondBody::Text(text) if text == "no such order"));
    assert_eq!(other.routes[0].body_limit, 16 << 30);
    assert!(matches!(&other.routes[0].matches, RouteMatch::Path { method: None, .. }));
}

#[test]
fn compositions_are_as_written() {
    let (_folder, gateway) = whole();

    let by = |plugin: usize, argument: Option<&str>| {
        let argument = argument.map(str::to_owned);
        Authorization::One(Use { plugin: PluginUseId(plugin), argument })
    };
    let [_, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    let [either, both] = &other.routes[..] else { panic!("two routes") };
    let staff = Authorization::All(vec![by(1, Some("read")), by(1, Some("write"))]);
    assert_eq!(either.access, Access::By(Authorization::Any(vec![by(0, None), staff])));
    assert_eq!(both.access, Access::By(Authorization::All(vec![by(1, None), by(0, None)])));
}

#[test]
fn policies_know_an_api_by_account_and_region() {
    let (_folder, gateway) = whole();

    let [api, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    assert_eq!(api.resource.arn, "arn:aws:execute-api:eu-central-1:111122223333:orders");
    assert_eq!(api.resource.account, "111122223333");
    assert!(api.resource.policy.is_some() && other.resource.policy.is_none());
    let text = "listeners.a.address = '127.0.0.1:0'\napis.a.authorizer = 'none'\napis.a.routes.\"GET /\".respond = {}";
    let gateway = parse(text, "p.toml", Path::new("")).unwrap();
    assert_eq!(gateway.apis[0].resource.arn, "arn:aws:execute-api:local:000000000000:a");
}

#[test]
fn what_callers_need_and_upstreams_learn_is_as_written() {
    let (_folder, gateway) = whole();

    let [get, post, default] = &gateway.apis[0].routes[..] else { panic!("three routes") };
    let scopes = Scopes::Any(vec!["orders:read".into(), "orders".into()]);
    assert_eq!((&get.scopes, &post.scopes), (&Some(scopes), &None));
    assert_eq!(default.scopes, Some(Scopes::All(vec!["admin".into()])));
    let header = |name: &str, attribute: &str| IdentityHeader {
        name: name.parse().unwrap(),
        attribute: attribute.into(),
    };
    let inherited = [header("x-user", "identity:principal"), header("x-order", "path:id")];
    assert_eq!(get.identity_headers[..], inherited);
    assert_eq!(post.identity_headers[..], []);
    assert_eq!(default.identity_headers[..], [header("x-key", "identity:usage-key")]);
    assert_eq!(gateway.apis[1].routes[0].scopes, None);
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = "[listeners.a]\naddress = 'localhost:80'\ntls.certificate = 'Cargo.toml'\ntls.key = 'Cargo.toml'";
    let gateway = parse(text, "p.toml", Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();

    assert_eq!(gateway.admin.unwrap().address.to_string(), "127.0.0.1:9901");
    assert_eq!(gateway.access_log, AccessLog::Stdout);
    assert_eq!((gateway.limits.header_bytes, gateway.shutdown.grace), (32 << 10, seconds(30)));
    let tls = gateway.listeners[0].tls.as_ref().unwrap();
    assert_eq!((tls.minimum, tls.http2), (TlsVersion::V1_2, true));
    let off = "admin = 'off'\naccess_log = 'off'\nlisteners.a.address = '127.0.0.1:0'";
    let gateway = parse(off, "p.toml", Path::new("")).unwrap();
    assert_eq!((gateway.admin, gateway.access_log), (None, AccessLog::Off));
}

#[test]
fn a_file_that_is_not_there_is_a_diagnostic() {
    let problems = load(&PathBuf::from("/nonexistent/p.toml")).unwrap_err();

    assert!(problems.to_string().starts_with("error: this file cannot be read"), "{problems}");
}

#[test]
fn schema_and_reference_name_every_key_of_the_whole_file() {
    let schema = schema().to_string();
    let reference = reference();

    for line in include_str!("../whole.toml").lines() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        assert!(schema.contains(&format!("\"{key}\"")), "{key}");
        assert!(reference.contains(&format!("`{key}`")), "{key}");
    }
}
