//! A plugin that cannot serve is refused at load, in a sentence, at its place.

use portcullis_tests::{Outcome, Site};

const CONFIG: &str = r#"plugins = "plugins"
listeners.public.address = "127.0.0.1:0"

[authorizers.door]
plugin = "PLUGIN"
REST
[apis.a.routes."GET /"]
authorizer = "door"
respond = { body = "hello" }
"#;

fn check_with(site: &Site, plugin: &str, rest: &str) -> Outcome {
    site.check(&CONFIG.replace("PLUGIN", plugin).replace("REST", rest))
}

/// The configuration is refused at line and column with all of these words.
fn refused(outcome: &Outcome, place: &str, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let text = outcome.text();
    assert!(text.contains(&format!("portcullis.toml:{place}")), "not at {place}: {text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in {text}");
    }
}

fn refused_bytes(bytes: &[u8], words: &[&str]) {
    let site = Site::new();
    site.install("odd", bytes);
    refused(&check_with(&site, "odd", ""), "5:10", words);
}

fn refused_guest(guest: &str, rest: &str, words: &[&str]) {
    refused(&check_with(&Site::new(), guest, rest), "5:10", words);
}

#[test]
fn a_plugin_that_can_serve_is_accepted() {
    let outcome = check_with(&Site::new(), "version-a", "");

    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_core_module_is_named_as_one() {
    refused_bytes(b"\0asm\x01\0\0\0", &["core WebAssembly module", "wasm32-wasip2"]);
}

#[test]
fn a_proxy_wasm_module_is_named_as_one() {
    // A custom section holds the name that such modules export.
    let name = b"proxy_abi_version_0_2_1";
    let length = u8::try_from(name.len()).unwrap();
    let module = [&b"\0asm\x01\0\0\0\0"[..], &[length + 1, length], name].concat();

    refused_bytes(&module, &["proxy-wasm"]);
}

#[test]
fn what_is_no_webassembly_is_named_so() {
    refused_bytes(b"#!/bin/sh\necho hello\n", &["not WebAssembly"]);
    refused_bytes(b"", &["not WebAssembly"]);
}

#[test]
fn a_broken_component_is_refused() {
    let whole = portcullis_test_guests::component("version-a");

    refused_bytes(&whole[..whole.len() / 2], &["broken"]);
    refused_bytes(b"\0asm\x0d\0\x01\0garbage", &["broken"]);
}

#[test]
fn a_component_that_imports_what_nobody_offers_is_refused() {
    let name = b"acme:door/locks@1.0.0";
    let length = u8::try_from(name.len()).unwrap();
    // An instance type without members, and an import of it.
    let types = [7, 3, 1, 0x42, 0];
    let import = [&[10, length + 5, 1, 0, length], &name[..], &[5, 0]].concat();
    let component = [&b"\0asm\x0d\0\x01\0"[..], &types, &import].concat();

    refused_bytes(&component, &["acme:door/locks@1.0.0", "does not offer"]);
}

#[test]
fn a_component_without_the_role_it_is_used_in_is_refused() {
    refused_guest("wrong-role", "", &["authorizer", "exports validator"]);
}

#[test]
fn a_secret_that_nobody_granted_is_refused_with_the_line_that_grants_it() {
    refused_guest("ungranted", "", &["crown-jewels", "not granted", "grants.secrets.crown-jewels"]);
}

#[test]
fn a_challenge_that_is_none_is_refused() {
    let long = format!("Bearer realm=\"{}\"", "x".repeat(512));
    let cases = [
        ("", "name of a scheme"),
        (" Bearer", "name of a scheme"),
        ("Bearer: yes", "name of a scheme"),
        ("Bearer realm=a\r\nset-cookie: a=b", "other characters"),
        ("Bearer realm=ä", "other characters"),
        (&long, "512 bytes"),
    ];
    for (challenge, why) in cases {
        let settings = format!("settings.challenge = {challenge:?}");
        refused_guest("reads", &settings, &["challenges clients", why]);
    }
    let good = r#"settings.challenge = 'Basic realm="shop", charset="UTF-8"'"#;
    assert_eq!(check_with(&Site::new(), "reads", good).code, Some(0));
}

#[test]
fn a_secret_that_must_be_seen_and_may_not_be_is_told_at_its_key() {
    let rest = |reveal: &str| {
        format!(
            r#"settings.introspection = {{ url = "https://login.test/i", client_id = "a", client_secret = "client", audience = ["*"] }}
grants.secrets.client = {{ file = "client.key"{reveal} }}"#
        )
    };
    let site = Site::new();
    site.write("client.key", "the secret of the client");

    let hidden = check_with(&site, "jwt", &rest(""));
    let shown = check_with(&site, "jwt", &rest(", reveal = true"));

    refused(
        &hidden,
        "7:16",
        &["plugin `jwt`", "asks to see the secret `client`", "`reveal = true`"],
    );
    assert_eq!(shown.code, Some(0), "{shown:?}");
}

/// A configuration is refused for this many bytes of a secret, at its key, and taken for more.
#[track_caller]
fn needs_bytes(plugin: &str, rest: &str, least: usize) {
    let site = Site::new();
    site.write("client.key", "short, and no key of ours");
    site.write("long.key", "one that is long enough to seal with");
    let outcome = |bytes: usize| {
        // A newline at its end is none of it.
        site.write("key", "0123456789".repeat(10)[..bytes].to_owned() + "\n");
        check_with(&site, plugin, rest)
    };
    for bytes in [3, least - 1] {
        let words = [
            &format!("plugin `{plugin}`"),
            &format!("the secret `key`, which has {bytes} bytes and must have {least}"),
            &format!("openssl rand -hex {least}"),
        ];
        let outcome = outcome(bytes);
        refused(&outcome, "7:16", &words.map(String::as_str));
        assert!(!outcome.text().contains("012"), "{outcome:?}");
    }
    let outcome = outcome(least);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_secret_too_short_for_the_key_it_makes_is_told_with_how_to_make_one() {
    let shared = |more: &str| {
        format!(
            r#"settings = {{ issuer = "us", audience = "*", secret = "key"{more} }}
grants.secrets.key = {{ file = "key" }}"#
        )
    };
    // RFC 7518, section 3.2: at least as long as the hash.
    needs_bytes("jwt", &shared(""), 32);
    needs_bytes("jwt", &shared(r#", algorithms = ["HS256", "HS384"]"#), 48);
    needs_bytes("jwt", &shared(r#", algorithms = ["HS512"]"#), 64);
    for names in [
        r#"session_key = "key", previous_session_key = "b""#,
        r#"session_key = "b", previous_session_key = "key""#,
    ] {
        let login = format!(
            r#"settings = {{ issuer = "http://127.0.0.1:9/", client_id = "shop", {names} }}
grants.secrets.key = {{ file = "key" }}
grants.secrets.b = {{ file = "long.key" }}
grants.secrets.client-secret = {{ file = "client.key", reveal = true }}
[apis.a.routes."GET /oidc/callback"]
authorizer = "door"
respond = {{ body = "never said" }}"#
        );
        needs_bytes("oidc-login", &login, 32);
    }
}

#[test]
fn a_login_that_could_not_end_is_told_before_anybody_begins_one() {
    let site = Site::new();
    site.write("key", "0123456789abcdef0123456789abcdef");
    let rest = |more: &str| {
        format!(
            r#"settings = {{ issuer = "http://127.0.0.1:9/", client_id = "shop" }}
grants.secrets.client-secret = {{ file = "key", reveal = true }}
grants.secrets.session-key = {{ file = "key" }}
{more}"#
        )
    };
    let callback = |authorizer: &str| {
        format!(
            r#"[apis.a.routes."GET /oidc/callback"]
authorizer = "{authorizer}"
respond = {{ body = "never said" }}
"#
        )
    };

    let nowhere = check_with(&site, "oidc-login", &rest(""));
    let open = check_with(&site, "oidc-login", &rest(&callback("none")));
    let asking = check_with(&site, "oidc-login", &rest(&callback("door")));

    for outcome in [nowhere, open] {
        refused(&outcome, "5:10", &["answers `/oidc/callback` itself", "GET /oidc/callback"]);
    }
    assert_eq!(asking.code, Some(0), "{asking:?}");
}

#[test]
fn a_plugin_that_panics_when_asked_who_it_is_is_refused() {
    refused_guest("panicking-describe", "", &["`describe` failed", "who wants to know?"]);
}

#[test]
fn a_plugin_that_never_says_who_it_is_is_refused() {
    refused_guest("slow-describe", "", &["slow-describe"]);
}

#[test]
fn a_plugin_that_is_not_there_is_refused_with_those_that_are() {
    let site = Site::new();
    site.install("version-a", portcullis_test_guests::component("version-a"));

    let outcome = check_with(&site, "version-aa", "");

    refused(&outcome, "5:10", &["no plugin is named `version-aa`", "`version-a`", "`api-token`"]);
}

#[test]
fn settings_that_break_the_schema_are_shown_at_their_key() {
    let site = Site::new();

    let unknown =
        check_with(&site, "version-a", "settings = { version = \"1\", colour = \"red\" }");
    let mistyped = check_with(&site, "version-a", "settings = { version = 5 }");
    let nested = check_with(
        &site,
        "api-token",
        "settings.tokens.alice = { secret = \"a\", attributes = { plan = 5 } }",
    );

    refused(&unknown, "6:", &["colour"]);
    refused(&mistyped, "6:24", &["5"]);
    refused(&nested, "6:63", &["5"]);
}

#[test]
fn settings_that_the_plugin_itself_refuses_are_shown_at_their_key() {
    let both = "settings = { header = \"a\", parameter = \"b\", tokens.a = { secret = \"a\" } }";
    let outcome = check_with(&Site::new(), "api-token", both);

    refused(&outcome, "6:40", &["a token has one place"]);
}

#[test]
fn every_problem_is_told_in_one_run() {
    let site = Site::new();
    site.install("core", b"\0asm\x01\0\0\0").install("text", b"hello");
    let outcome = site.check(
        r#"plugins = "plugins"
listeners.public.address = "127.0.0.1:0"
[authorizers.one]
plugin = "core"
[authorizers.two]
plugin = "text"
[apis.a.routes]
"GET /1" = { authorizer = "one", respond = {} }
"GET /2" = { authorizer = "two", respond = {} }
"#,
    );

    refused(&outcome, "4:10", &["core WebAssembly module"]);
    refused(&outcome, "6:10", &["not WebAssembly"]);
}

#[test]
fn a_gateway_does_not_start_with_a_plugin_that_cannot_serve() {
    let site = Site::new();
    site.install("odd", b"hello");
    site.write("portcullis.toml", CONFIG.replace("PLUGIN", "odd").replace("REST", ""));

    let outcome = site.run(&["run", "--config", "portcullis.toml"]);

    refused(&outcome, "5:10", &["not WebAssembly"]);
}

#[test]
fn secrets_drawn_where_an_image_would_repeat_them_are_refused() {
    let words = ["its `configure` failed", "`crypto.random` during `configure`"];
    refused_guest("random-in-configure", "settings.from_host = true", &words);
}

#[test]
fn keys_that_an_image_would_not_have_are_refused() {
    let settings = "settings = { bytes = 1, count = 1, during_configure = true }";
    let words = ["its `configure` failed", "`crypto.import-key` during `configure`"];
    refused_guest("hoards-keys", settings, &words);
}
