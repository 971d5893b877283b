//! What `validate` and `openapi` become.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::io;
use std::path::Path;

use portcullis_config::{
    Access, Edge, Gateway, Judge, Many, OtherMediaTypes, ParameterAt, Route, Scopes, Surroundings,
    TextFormat, ValueKind, parse_within,
};

/// Files by their names.
struct Files(&'static [(&'static str, &'static str)]);

impl Surroundings for Files {
    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == file);
        found
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn is_directory(&self, _: &Path) -> bool {
        false
    }
}

const HEAD: &str = "[listeners.a]\naddress = 'localhost:80'\n[upstreams.a]\nendpoints = ['a:80']\n\
                    [authorizers.a]\nplugin = 'p'\n[authorizers.b]\nplugin = 'p'\n";

fn gateway(text: &str, files: Files) -> Gateway {
    match parse_within(&format!("{HEAD}{text}"), "p.toml", Path::new(""), &files) {
        Ok(gateway) => gateway,
        Err(problems) => panic!("{problems}"),
    }
}

fn route<'g>(gateway: &'g Gateway, key: &str) -> &'g Route {
    let mut routes = gateway.apis.iter().flat_map(|api| &api.routes);
    routes.find(|route| route.key == key).unwrap()
}

#[test]
fn the_schemas_of_an_api_are_one_plugin_use_with_all_their_files() {
    let files = Files(&[
        ("s/order.json", r#"{"$ref": "parts/a%20b.yaml#/x", "enum": [{"$ref": "no.json"}]}"#),
        (
            "s/parts/a b.yaml",
            "x: { $ref: '../order.json', a: { $ref: 'inner' }, b: { $id: inner } }",
        ),
    ]);
    let text = "[apis.shop]\nauthorizer = 'none'\nupstream = 'a'\nvalidate = { body = 's/order.json' }\n\
                routes.'POST /1' = {}\n\
                routes.'POST /2' = { validate = { body = { schema = 's/parts/a b.yaml#/x', dialect = 'draft-07', required = false, other_media_types = 'pass' } } }";

    let gateway = gateway(text, files);

    let schemas = &gateway.plugin_uses[2];
    assert_eq!((schemas.name.as_str(), schemas.plugin.as_str()), ("shop schemas", "json-schema"));
    let documents = schemas.settings["documents"].as_object().unwrap();
    let names: Vec<&str> = documents.keys().map(String::as_str).collect();
    assert_eq!(names, ["s/order.json", "s/parts/a%20b.yaml"]);
    let place = schemas.settings_places.get("/documents/s~1order.json/$ref").unwrap();
    assert_eq!((place.file(), place.text()), ("s/order.json", "\"parts/a%20b.yaml#/x\""));
    let second = &route(&gateway, "POST /2").rules.bodies[0];
    let (range, Judge::Validator(judge)) = &second.media_types[0] else { panic!("judged") };
    assert_eq!(range.to_string(), "application/json");
    assert_eq!(judge.argument.as_deref(), Some("s/parts/a%20b.yaml#/x (draft-07)"));
    assert_eq!((second.required, second.others), (false, OtherMediaTypes::Pass));
    let first = &route(&gateway, "POST /1").rules.bodies[0];
    assert_eq!((first.required, first.others), (true, OtherMediaTypes::Refuse));
}

#[test]
fn operations_become_routes() {
    let files = Files(&[(
        "api.yaml",
        r##"
openapi: 3.1.0
security: [{ one: [] }, { two: [] }]
components:
  securitySchemes: { one: {}, two: {}, three: {} }
  schemas: { Day: { type: [string, "null"], format: date } }
paths:
  /x/{day}:
    parameters: [{ name: day, in: path, required: true, schema: { $ref: "#/components/schemas/Day" } },
                 { name: n, in: query, schema: { type: string } }]
    get:
      operationId: a
      parameters: [{ name: n, in: query, schema: { type: integer, exclusiveMaximum: 9 } }]
    put: { security: [{ one: [w, r], two: [] }] }
    post: { security: [] }
    delete: { security: [{ three: [] }] }
  x-ignored: {}
"##,
    )]);
    let text = "[apis.shop]\nupstream = 'a'\nopenapi = 'api.yaml'\n\
                security = { one = 'a', two = 'b', three = 'none' }\n\
                routes.'PUT /x/{day}' = { body_limit = 5, validate = { query.q = {} } }\n\
                routes.'GET /own' = { authorizer = 'none' }";

    let gateway = gateway(text, files);

    assert_eq!(gateway.apis[0].routes.len(), 5);
    let get = route(&gateway, "GET /x/{day}");
    assert_eq!(get.operation.as_deref(), Some("a"));
    let [n, day] = &get.rules.parameters[..] else { panic!("two parameters") };
    assert_eq!((&n.at, &n.many), (&ParameterAt::Query("n".into()), &Many::One));
    assert_eq!((n.value.kind, n.value.range.most), (ValueKind::Integer, Some((9.0, Edge::Beyond))));
    assert_eq!((day.required, day.value.format), (true, Some(TextFormat::Date)));
    assert!(matches!(&get.access, Access::By(by) if by.uses().len() == 2));
    let put = route(&gateway, "PUT /x/{day}");
    assert_eq!((put.body_limit, put.rules.parameters.len()), (5, 3));
    assert_eq!(put.scopes, Some(Scopes::All(vec!["r".into(), "w".into()])));
    assert_eq!(route(&gateway, "POST /x/{day}").access, Access::Open);
    assert_eq!(route(&gateway, "DELETE /x/{day}").access, Access::Open);
}

/// `security` in a form that the specification does not give is no list of nobody.
#[test]
fn security_of_another_form_opens_nothing() {
    let problem = |security: &str| {
        let document = format!(
            "openapi: 3.1.0\ncomponents: {{ securitySchemes: {{ one: {{}} }} }}\npaths:\n  \
             /a:\n    get: {{ security: {security} }}\n"
        );
        let files = Files(Box::leak(Box::new([("api.yaml", &*document.leak())])));
        let text = "[apis.shop]\nupstream = 'a'\nopenapi = 'api.yaml'\nsecurity.one = 'a'";
        let text = format!("{HEAD}{text}");
        parse_within(&text, "p.toml", Path::new(""), &files).unwrap_err().to_string()
    };
    for written in ["one", "{ one: [] }", "null", "true"] {
        let problem = problem(written);
        assert!(problem.contains("`security` is a list here\n  --> api.yaml:5:"), "{problem}");
    }
    for written in ["[{ one: r }]", "[{ one: [1] }]", "[{ one: null }]"] {
        let problem = problem(written);
        assert!(problem.contains("the scopes of `one` are a list of texts"), "{problem}");
    }
}
