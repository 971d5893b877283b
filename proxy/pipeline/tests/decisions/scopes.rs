use portcullis_config::{Route, Scopes};
use portcullis_pipeline::{CacheUse, Grant, Identity, Value};

use crate::scripted::Scripted;
use crate::sent::Sent;
use crate::served::{Outcome, admit, guarded, pipeline};

fn any(names: &[&str]) -> Option<Scopes> {
    Some(Scopes::Any(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn all(names: &[&str]) -> Option<Scopes> {
    Some(Scopes::All(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn texts(names: &[&str]) -> Option<Value> {
    Some(Value::Texts(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn text(scopes: &str) -> Option<Value> {
    Some(Value::Text(scopes.to_owned()))
}

/// A request whose route needs scopes, by a caller whose kept grant has others.
async fn ask(needed: Option<Scopes>, held: Option<Value>) -> Outcome {
    let plugins = Scripted::default().authorizer(0, move |_| {
        let attributes = held.clone().map(|held| ("scopes".to_owned(), held)).into_iter().collect();
        let identity = Identity { principal: "alice".into(), attributes, usage_key: None };
        Ok((Ok(Grant { identity: identity.into(), ..Grant::default() }), CacheUse::Hit))
    });
    let route = Route { scopes: needed, ..guarded() };
    admit(&pipeline(route, plugins), Sent::new("POST", "/orders/7")).await
}

#[tokio::test]
async fn one_of_the_scopes_is_enough() {
    for held in [texts(&["b", "x"]), text("x b"), text("a"), texts(&["a", "b"])] {
        ask(any(&["a", "b"]), held).await.forward();
    }
    let prefixed = [text("aa"), text("a:x"), text("A"), text(""), text("a,b"), texts(&["a b"])];
    let others = [None, texts(&[]), Some(Value::Boolean(true)), Some(Value::Bytes(b"a".to_vec()))];
    for held in prefixed.into_iter().chain(others) {
        let outcome = ask(any(&["a", "b"]), held.clone()).await;
        assert_eq!(outcome.refusal(), (403, "insufficient-scope"), "{held:?}");
    }
}

#[tokio::test]
async fn all_of_the_scopes_are_needed_where_the_route_says_so() {
    ask(all(&["a", "b"]), text("b c a")).await.forward();
    for held in [text("a"), texts(&["b"]), text("")] {
        assert_eq!(ask(all(&["a", "b"]), held).await.refusal(), (403, "insufficient-scope"));
    }
}

#[tokio::test]
async fn the_client_is_told_what_to_ask_for() {
    let outcome = ask(any(&["orders:read", "orders"]), None).await;

    let answer = outcome.rejection().answer("r-1");
    assert_eq!(
        answer.headers["www-authenticate"],
        r#"Bearer error="insufficient_scope", scope="orders:read orders""#
    );
    assert_eq!(outcome.record.principal.as_deref(), Some("alice"));
    assert_eq!(outcome.decision().detail, "the caller lacks the scope: orders:read orders");
}
