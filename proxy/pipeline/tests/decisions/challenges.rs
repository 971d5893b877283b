//! How a client is told to identify itself (RFC 9110, section 11.6.1).

use http::{HeaderName, HeaderValue, StatusCode};
use portcullis_config::{Access, Authorization, Route};
use portcullis_pipeline::{AuthorizerAnswer, Denial, Reason, Unidentified};

use crate::scripted::{Scripted, denied, grant_to, granted};
use crate::sent::Sent;
use crate::served::{admit, pipeline, plugin, route};

const BASIC: &str = r#"Basic realm="shop""#;
const OWN: &str = r#"Bearer error="invalid_token""#;

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

/// What an authorizer of a test answers: `y` grants, `-` knows no such credential, `u` refuses
/// one, `U` does so with a challenge of its own, `f` forbids.
fn says(letter: char) -> AuthorizerAnswer {
    let challenge = (HeaderName::from_static("www-authenticate"), HeaderValue::from_static(OWN));
    let with = |headers| Reason { code: "expired".into(), headers, ..Reason::default() };
    match letter {
        'y' => granted(grant_to("alice")),
        '-' => denied(Denial::NotMine),
        'u' => denied(Denial::Unauthenticated(with(Vec::new()))),
        'U' => denied(Denial::Unauthenticated(with(vec![challenge]))),
        _ => denied(Denial::Forbidden(with(Vec::new()))),
    }
}

/// Authorizers 0 and 1 with challenges, 2 with that of 0, 3 without one.
fn scripted(letters: &str) -> Scripted {
    let plugins =
        Scripted::default().challenge(0, "Bearer").challenge(1, BASIC).challenge(2, "Bearer");
    letters
        .chars()
        .enumerate()
        .fold(plugins, |plugins, (id, letter)| plugins.authorizer(id, move |_| says(letter)))
}

async fn check(authorization: Authorization, plugins: Scripted, expected: (u16, &[&str])) {
    let shown = format!("{authorization:?}");
    let pipeline = pipeline(behind(authorization), plugins);

    let outcome = admit(&pipeline, Sent::new("POST", "/orders/7")).await;

    let answer = outcome.rejection().answer("r-1");
    let challenges: Vec<_> =
        answer.headers.get_all("www-authenticate").iter().map(|it| it.to_str().unwrap()).collect();
    let status = StatusCode::from_u16(expected.0).unwrap();
    assert_eq!((answer.status, &challenges[..]), (status, expected.1), "{shown}");
}

#[tokio::test]
async fn who_has_no_credential_is_told_of_every_scheme_once_and_in_order() {
    check(one(0), scripted("-"), (401, &["Bearer"])).await;
    check(one(3), scripted("----"), (401, &[])).await;
    check(any([0, 1]), scripted("--"), (401, &["Bearer", BASIC])).await;
    check(any([1, 0, 2, 3]), scripted("----"), (401, &[BASIC, "Bearer"])).await;
    let nested = Authorization::Any(vec![all([3, 1]), one(0)]);
    check(nested, scripted("-y--"), (401, &[BASIC, "Bearer"])).await;
}

#[tokio::test]
async fn of_all_the_schemes_those_that_are_not_satisfied_are_told() {
    check(all([0, 1]), scripted("--"), (401, &["Bearer", BASIC])).await;
    check(all([0, 1]), scripted("y-"), (401, &[BASIC])).await;
    check(all([3, 0]), scripted("---y"), (401, &["Bearer"])).await;
    // What is refused is not lacking: the others may be satisfied.
    check(all([0, 1]), scripted("u-"), (401, &["Bearer"])).await;
}

#[tokio::test]
async fn who_lacks_what_an_authorizer_is_asked_by_is_told_too() {
    let lacking = |why| scripted("--").lacking(0, why);
    check(one(0), lacking(Unidentified::Missing), (401, &["Bearer"])).await;
    check(any([0, 1]), lacking(Unidentified::Malformed), (401, &["Bearer", BASIC])).await;
}

#[tokio::test]
async fn a_plugins_own_challenge_stands_and_other_answers_have_none() {
    check(one(0), scripted("u"), (401, &["Bearer"])).await;
    check(one(1), scripted("-U"), (401, &[OWN])).await;
    check(any([1, 0]), scripted("U-"), (401, &[OWN])).await;
    check(any([0, 3]), scripted("---u"), (401, &["Bearer"])).await;
    check(one(0), scripted("f"), (403, &[])).await;
    check(any([0, 1]), scripted("-f"), (403, &[])).await;
}
