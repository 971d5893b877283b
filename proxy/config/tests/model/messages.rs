//! What is read of messages, and changed of them, without a plugin: CORS, compression, mappings,
//! the guard.

use portcullis_config::{
    AllowedHeaders, AllowedOrigins, Attack, Change, Coding, Compression, Country, Escape,
    GuardCondition, GuardMode, GuardMost, GuardPart, Integration, JsonPart, Listed, MediaRange,
    Placeholder, RespondBody, StatusMatch, Template,
};

use crate::{seconds, whole};

#[test]
fn what_pages_of_other_origins_may_do_is_as_written() {
    let (_folder, gateway) = whole();

    let [api, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    let cors = api.cors.as_deref().unwrap();
    assert!(cors.origins.allow("https://app.example.com") && !cors.origins.allow("null"));
    assert!(cors.origins.allow("https://a.example.org") && !cors.origins.allow("https://a"));
    let methods = cors.methods.as_ref().unwrap().iter().map(|method| method.as_str());
    assert_eq!(methods.collect::<Vec<_>>(), ["GET", "POST"]);
    let AllowedHeaders::These(headers) = &cors.headers else { panic!("some headers") };
    assert_eq!(headers, &["authorization", "x-a"]);
    assert_eq!(cors.expose.as_ref().unwrap(), "x-request-id, etag");
    assert_eq!((cors.credentials, cors.max_age), (true, Some(seconds(600))));
    assert_eq!(api.routes[0].cors.as_deref(), Some(cors));
    assert_eq!(api.routes[1].cors, None);
    let open = other.routes[1].cors.as_deref().unwrap();
    assert_eq!((&open.origins, &open.headers), (&AllowedOrigins::Any, &AllowedHeaders::Any));
    assert_eq!((open.expose.as_ref().unwrap().as_bytes(), &open.methods), (&b"*"[..], &None));
    assert_eq!((&other.cors, &other.routes[0].cors), (&None, &None));
}

#[test]
fn what_is_compressed_is_as_written() {
    let (_folder, gateway) = whole();

    let [api, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    let compression = api.routes[0].compression.as_deref().unwrap();
    assert_eq!((compression.min_size, compression.types.len()), (2048, 4));
    assert_eq!(compression.types[1], MediaRange::parse("application/*+json").unwrap());
    assert_eq!(compression.encodings, [Coding::Zstd, Coding::Gzip]);
    assert_eq!(api.routes[1].compression, None);
    assert_eq!(other.routes[0].compression, None);
    let default = other.routes[1].compression.as_deref().unwrap();
    assert_eq!(
        (default.min_size, &default.encodings[..]),
        (1024, &[Coding::Brotli, Coding::Gzip][..])
    );
    assert_eq!(default.types, Compression::usual_types());
}

#[test]
fn what_is_changed_of_messages_is_as_written() {
    let (_folder, gateway) = whole();

    let [get, post, default] = &gateway.apis[0].routes[..] else { panic!("three routes") };
    assert_eq!([get.streams, post.streams, default.streams], [true, false, true]);
    assert_eq!(get.request, default.request);
    let inherited = get.request.as_ref().unwrap();
    assert_eq!((inherited.headers.len(), inherited.body), (1, None));
    let request = post.request.as_ref().unwrap();
    let text = |text: &str| Template::parse(text).unwrap();
    let headers = [
        Change::Remove("cookie".parse().unwrap()),
        Change::Set("x-id".parse().unwrap(), text("{body:$.id}")),
        Change::Append("x-trace".parse().unwrap(), text("{request:id}")),
    ];
    let query = [
        Change::Remove("debug".to_owned()),
        Change::Set("expand".to_owned(), text("lines")),
        Change::Append("a".to_owned(), text("{{}}")),
    ];
    assert_eq!((&request.headers[..], &request.query[..]), (&headers[..], &query[..]));
    assert_eq!((&request.path, request.body), (&None, Some(2048)));
    let response = post.response.as_ref().unwrap();
    assert_eq!(response.always.status.unwrap(), 201);
    assert_eq!(response.always.headers.len(), 3);
    assert_eq!((response.body, response.request_body), (Some(4096), Some(4096)));
    let [(class, of_class), (gone, of_gone)] = &response.on[..] else { panic!("two statuses") };
    assert_eq!((class, gone), (&StatusMatch::Class(4), &StatusMatch::Is(404)));
    assert_eq!((of_class.headers.len(), of_class.status), (1, None));
    assert_eq!((of_gone.headers.len(), of_gone.status.unwrap().as_u16()), (2, 410));
}

#[test]
fn guards_are_as_written() {
    let (_folder, gateway) = whole();

    let [orders, other, ..] = &gateway.apis[..] else { panic!("two apis") };
    let [listed, home, embargo] = &orders.guard.as_ref().unwrap().rules[..] else {
        panic!("three rules")
    };
    assert_eq!(
        (&*listed.name, listed.mode, home.mode),
        ("listed", GuardMode::Block, GuardMode::Count)
    );
    let GuardCondition::Addresses(Listed::Deny, networks) = &listed.condition else {
        panic!("addresses")
    };
    for (address, is_in) in [("10.1.2.3", true), ("203.0.113.7", true), ("203.0.113.8", false)] {
        assert_eq!(networks.contains(address.parse().unwrap()), is_in, "{address}");
    }
    let GuardCondition::Countries(Listed::Allow, countries, database) = &home.condition else {
        panic!("countries")
    };
    assert_eq!(Some(countries[0]), Country::of("DE"));
    for (address, country) in [
        ("192.0.2.9", Some("DE")),
        ("::ffff:192.0.2.9", Some("DE")),
        ("2001:db8::1", Some("XX")),
        ("192.0.3.1", None),
    ] {
        let found = database.country(address.parse().unwrap());
        assert_eq!(found, country.and_then(Country::of), "{address}");
    }
    assert!(matches!(embargo.condition, GuardCondition::Countries(Listed::Deny, ..)));
    let rules = &other.guard.as_ref().unwrap().rules[..];
    let [office, methods, types, most, matching, attacks] = rules else { panic!("six rules") };
    assert!(matches!(office.condition, GuardCondition::Addresses(Listed::Allow, _)));
    assert!(
        matches!(&methods.condition, GuardCondition::Methods(methods) if methods[..] == ["GET"])
    );
    let GuardCondition::ContentTypes(types) = &types.condition else { panic!("types") };
    let [json, text] = &types[..] else { panic!("two types") };
    assert_eq!((&json.to_string()[..], &text.to_string()[..]), ("application/json", "text/*"));
    let expected = GuardMost {
        headers: Some(1),
        header_bytes: Some(2),
        path_bytes: Some(3),
        query_bytes: Some(4),
        query_parameters: Some(5),
    };
    assert!(matches!(&most.condition, GuardCondition::Most(most) if *most == expected));
    let GuardCondition::Matching { expression, parts, body } = &matching.condition else {
        panic!("an expression")
    };
    let expected = [
        GuardPart::Path,
        GuardPart::Query,
        GuardPart::Parameter("a".into()),
        GuardPart::Header("b".parse().unwrap()),
        GuardPart::Body,
    ];
    assert_eq!((expression.as_str(), &parts[..], *body), ("a+", &expected[..], Some(1024)));
    let GuardCondition::Attacks { kinds, parts, body } = &attacks.condition else {
        panic!("attacks")
    };
    assert_eq!(kinds, &[Attack::SqlInjection, Attack::CrossSiteScripting]);
    let expected = [GuardPart::Query, GuardPart::Body];
    assert_eq!((&parts[..], *body), (&expected[..], Some(64 * 1024)));
}

#[test]
fn answers_of_the_gateway_are_as_written() {
    let (_folder, gateway) = whole();

    let mocks = gateway.apis.iter().find(|api| api.name == "mocks").unwrap();
    let [Integration::Respond(order), Integration::Respond(page), Integration::Respond(fixed)] =
        [0, 1, 2].map(|at| &mocks.routes[at].integration)
    else {
        panic!("answers")
    };
    let template = |text| Template::parse(text).unwrap();
    assert_eq!(
        (order.status.to_string().as_str(), order.request_body),
        ("{query:status}", Some(2048))
    );
    assert_eq!(
        (order.headers.len(), &order.headers["content-type"]),
        (2, &"application/json".parse().unwrap())
    );
    assert_eq!(order.filled_headers, [("x-id".parse().unwrap(), template("{path:id}"))]);
    let RespondBody::Json(parts) = &order.body else { panic!("JSON") };
    let [
        JsonPart::Written(head),
        JsonPart::Typed(id),
        JsonPart::Written(_),
        JsonPart::Text(text),
        JsonPart::Written(middle),
        JsonPart::Typed(Placeholder::Body(lines)),
        JsonPart::Written(end),
    ] = parts.as_slice()
    else {
        panic!("{parts:?}")
    };
    assert_eq!((head.as_str(), id), ("{\"id\":", &Placeholder::Attribute("path:id".into())));
    assert_eq!(text, &template("order {path:id}"));
    assert_eq!(middle, ",\"a \\\"b\\\"\":[1,true,0.5,\"a{b\",18446744073709551615],\"lines\":");
    assert_eq!((lines.to_string().as_str(), end.as_str()), ("$.lines[*]", "}"));

    let RespondBody::Filled(text, Escape::Markup) = &page.body else { panic!("HTML") };
    assert_eq!((text, page.request_body), (&template("<p>{path:id}</p>"), None));

    assert!(matches!(&fixed.body, RespondBody::Text(text) if text == "{\"z\":1,\"a\":[]}"));
    assert_eq!(fixed.headers["content-type"], "application/problem+json");
}
