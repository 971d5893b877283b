use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use portcullis_config::{Access, Authorization, Role, Route};
use portcullis_pipeline::{
    Answer, AuthorizerAnswer, BodyMode, CacheUse, Denial, Grant, Identity, PluginFault, Reason,
    Unidentified, Value,
};
use portcullis_policy::Policy;

use crate::scripted::{Scripted, denied, grant_to, granted};
use crate::sent::Sent;
use crate::served::{Outcome, admit, pipeline, plugin, route};

fn one(id: usize) -> Authorization {
    Authorization::One(plugin(id))
}

fn any<const N: usize>(ids: [usize; N]) -> Authorization {
    Authorization::Any(ids.map(one).into())
}

fn all<const N: usize>(ids: [usize; N]) -> Authorization {
    Authorization::All(ids.map(one).into())
}

fn behind(authorization: Authorization) -> Route {
    Route { access: Access::By(authorization), ..route("POST /orders/{id}") }
}

/// What an authorizer of a test answers: `y` grants to `pN`, `-` knows no such
/// credential, `u` and `f` refuse, `r` answers itself, `!` faults.
fn says(id: usize, letter: char) -> AuthorizerAnswer {
    let reason = |code: &str| Reason { code: code.into(), ..Reason::default() };
    match letter {
        'y' => granted(grant_to(&format!("p{id}"))),
        '-' => denied(Denial::NotMine),
        'u' => denied(Denial::Unauthenticated(reason("expired"))),
        'f' => denied(Denial::Forbidden(reason("banned"))),
        'r' => denied(Denial::Respond(Box::new(Answer {
            status: StatusCode::FOUND,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        }))),
        _ => Err(PluginFault::WallTime),
    }
}

/// What becomes of a request whose authorizers answer so, and who was asked.
async fn ask(authorization: Authorization, letters: &str) -> (Outcome, Vec<usize>) {
    let mut plugins = Scripted::default();
    for (id, letter) in letters.chars().enumerate() {
        plugins = plugins.authorizer(id, move |_| says(id, letter));
    }
    let pipeline = pipeline(behind(authorization), plugins);
    let outcome = admit(&pipeline, Sent::new("POST", "/orders/7")).await;
    let asked = pipeline.plugins().asked();
    (outcome, asked)
}

/// The status; `principal` and those who granted where it is granted.
async fn check(authorization: Authorization, letters: &str, expected: &str, asked: &[usize]) {
    let (outcome, found) = ask(authorization, letters).await;
    let names: Vec<String> =
        outcome.record.authorizers.iter().map(|asked| asked.authorizer.clone()).collect();
    let verdict = match &outcome.admitted {
        Ok(_) => format!("200 {}", names.join("+")),
        Err(_) => format!("{} {}", outcome.refusal().0, names.join("+")),
    };
    assert_eq!((verdict.trim(), &found[..]), (expected, asked), "{letters}");
}

#[tokio::test]
async fn any_takes_the_first_that_knows_the_credential() {
    check(any([0, 1]), "y!", "200 p0", &[0]).await;
    check(any([0, 1]), "-y", "200 p1", &[0, 1]).await;
    check(any([0, 1, 2]), "-uy", "401 p1", &[0, 1]).await;
    check(any([0, 1, 2]), "-fy", "403 p1", &[0, 1]).await;
    check(any([0, 1, 2]), "ryy", "302 p0", &[0]).await;
    check(any([0, 1]), "-r", "302 p1", &[0, 1]).await;
    check(any([0, 1]), "--", "401", &[0, 1]).await;
}

#[tokio::test]
async fn a_fault_is_never_taken_for_another_kind_of_credential() {
    check(any([0, 1]), "!y", "503", &[0]).await;
    check(any([0, 1]), "-!", "503", &[0, 1]).await;
    check(all([0, 1]), "y!", "503", &[0, 1]).await;
    check(Authorization::Any(vec![all([0, 1]), one(2)]), "y!y", "503", &[0, 1]).await;
}

#[tokio::test]
async fn all_wants_everyone() {
    check(all([0, 1]), "yy", "200 p0+p1", &[0, 1]).await;
    check(all([0, 1]), "uy", "401 p0", &[0]).await;
    check(all([0, 1]), "yf", "403 p1", &[0, 1]).await;
    check(all([0, 1]), "y-", "401 p1", &[0, 1]).await;
    check(all([0, 1]), "yr", "302 p1", &[0, 1]).await;
}

#[tokio::test]
async fn compositions_are_composed() {
    let either = || Authorization::Any(vec![all([0, 1]), one(2)]);
    check(either(), "yy!", "200 p0+p1", &[0, 1]).await;
    check(either(), "y-y", "200 p2", &[0, 1, 2]).await;
    check(either(), "yuy", "401 p1", &[0, 1]).await;
    let both = || Authorization::All(vec![any([0, 1]), any([2, 3])]);
    check(both(), "-y-y", "200 p1+p3", &[0, 1, 2, 3]).await;
    check(both(), "-y--", "401", &[0, 1, 2, 3]).await;
    check(both(), "----", "401", &[0, 1]).await;
}

#[tokio::test]
async fn nothing_allows_nothing() {
    check(any([]), "", "401", &[]).await;
    check(all([]), "", "401", &[]).await;
}

fn known(principal: &str, attributes: &[(&str, &str)], usage_key: Option<&str>) -> Arc<Identity> {
    let attribute =
        |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
    Arc::new(Identity {
        principal: principal.into(),
        attributes: attributes.iter().map(attribute).collect(),
        usage_key: usage_key.map(str::to_owned),
    })
}

#[tokio::test]
async fn those_who_all_grant_know_one_caller_together() {
    let header = |value| (HeaderName::from_static("set-cookie"), HeaderValue::from_static(value));
    let plugins = Scripted::default()
        .authorizer(0, move |view| {
            assert_eq!(view.attribute("identity:principal"), None);
            let identity = known("alice", &[("plan", "gold"), ("a", "1")], None);
            let response_headers = vec![header("a=1")];
            granted(Grant { identity, response_headers, ..Grant::default() })
        })
        .authorizer(1, move |view| {
            assert_eq!(view.attribute("identity:principal"), Some(Value::Text("alice".into())));
            assert_eq!(view.attribute("identity:plan"), Some(Value::Text("gold".into())));
            let identity = known("key-7", &[("plan", "free"), ("b", "2")], Some("k7"));
            let response_headers = vec![header("b=2")];
            granted(Grant { identity, response_headers, ..Grant::default() })
        })
        .authorizer(2, move |view| {
            assert_eq!(view.attribute("identity:b"), Some(Value::Text("2".into())));
            granted(Grant { identity: known("c", &[], Some("k8")), ..Grant::default() })
        });
    let authorization = Authorization::All(vec![all([0, 1]), one(2)]);

    let outcome =
        admit(&pipeline(behind(authorization), plugins), Sent::new("POST", "/orders/7")).await;

    assert_eq!(outcome.record.principal.as_deref(), Some("alice"));
    let forward = outcome.forward();
    let expected = known("alice", &[("plan", "gold"), ("a", "1"), ("b", "2")], Some("k7"));
    assert_eq!(forward.identity, Some(expected));
    assert_eq!(forward.response_headers, [header("a=1"), header("b=2")]);
}

#[tokio::test]
async fn each_policy_has_to_allow_the_request_by_itself() {
    let allowing = |id: usize, method: &str| {
        let document = format!(
            r#"{{"Statement": [{{"Effect": "Allow", "Action": "execute-api:Invoke",
                "Resource": "arn:aws:execute-api:*/{method}/orders/*"}}]}}"#
        );
        let policies = vec![Arc::new(Policy::parse(&document).unwrap())];
        move |_: portcullis_pipeline::View<'_>| {
            let policies = policies.clone();
            granted(Grant { policies, ..grant_to(&format!("p{id}")) })
        }
    };
    let ask = async |second: &str| {
        let plugins = Scripted::default()
            .authorizer(0, allowing(0, "POST"))
            .authorizer(1, allowing(1, second));
        admit(&pipeline(behind(all([0, 1])), plugins), Sent::new("POST", "/orders/7")).await
    };

    assert_eq!(ask("POST").await.forward().identity.unwrap().principal, "p0");
    assert_eq!(ask("GET").await.refusal(), (403, "policy-denied"));
}

#[tokio::test]
async fn as_much_of_the_body_is_held_as_whoever_is_asked_reads() {
    let scripted = |first: char| {
        Scripted::default()
            .body(0, Role::Authorizer, BodyMode::Peek(2))
            .body(1, Role::Authorizer, BodyMode::Buffer(10))
            .authorizer(0, move |view| {
                assert_eq!(view.body().unwrap().bytes, "bo");
                says(0, first)
            })
            .authorizer(1, |view| {
                assert_eq!(view.body().unwrap().bytes, "body");
                says(1, 'y')
            })
    };
    let post = || Sent::new("POST", "/orders/7").body("body");

    for (authorization, first) in [(any([0, 1]), '-'), (all([0, 1]), 'y'), (any([0, 1]), 'y')] {
        admit(&pipeline(behind(authorization), scripted(first)), post()).await.forward();
    }
    let long = Sent::new("POST", "/orders/7").body("a body that is too long");
    let plugins = Scripted::default()
        .body(1, Role::Authorizer, BodyMode::Buffer(10))
        .authorizer(0, |_| says(0, '-'));
    let outcome = admit(&pipeline(behind(any([0, 1])), plugins), long).await;
    assert_eq!(outcome.refusal(), (413, "body-too-large"));
}

#[tokio::test]
async fn the_record_says_whose_answers_were_kept() {
    let plugins = Scripted::default()
        .authorizer(0, |_| says(0, '-'))
        .authorizer(1, |_| Ok((Ok(grant_to("p1")), CacheUse::Hit)));

    let outcome =
        admit(&pipeline(behind(any([0, 1])), plugins), Sent::new("POST", "/orders/7")).await;

    let [asked] = &outcome.record.authorizers[..] else { panic!("one granted") };
    assert_eq!((asked.authorizer.as_str(), asked.cache), ("p1", CacheUse::Hit));
}

#[tokio::test]
async fn a_request_without_identity_is_refused_before_its_body_is_held() {
    let long = || Sent::new("POST", "/orders/7").body("a body that is too long");
    let scripted = || {
        Scripted::default()
            .body(0, Role::Authorizer, BodyMode::Buffer(10))
            .lacking(0, Unidentified::Missing)
            .authorizer(1, |_| says(1, 'y'))
    };

    for authorization in [one(0), all([0, 1])] {
        let pipeline = pipeline(behind(authorization), scripted());
        let outcome = admit(&pipeline, long()).await;
        assert_eq!(outcome.refusal(), (401, "unauthenticated"));
        assert_eq!(outcome.record.authorizers[0].authorizer, "p0");
        assert!(pipeline.plugins().asked().is_empty());
    }
    let pipeline = pipeline(behind(any([0, 1])), scripted());
    admit(&pipeline, long()).await.forward();
    assert_eq!(pipeline.plugins().asked(), [1]);
}
