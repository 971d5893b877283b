//! What the policy of an API says of a request of which not everything is known.

use std::net::IpAddr;

use http::{HeaderMap, Method, Uri};
use portcullis_config::Access;
use portcullis_pipeline::{
    Arrival, CanonicalPath, Identity, RouteFacts, Scheme, ServedRoute, View, ViewParts, outlook,
};
use portcullis_policy::{Applies, Effect, Key, Outlook, Verdict};
use serde::Serialize;

/// What is told of the caller.
pub(super) struct Caller {
    pub(super) address: Option<IpAddr>,
    pub(super) identity: Option<Identity>,
}

/// What the policy of an API says.
#[derive(Debug, Serialize)]
pub(super) struct ShownPolicy {
    /// `allow`, `deny`, `silent` or `unknown`.
    verdict: &'static str,
    /// What that means for the request.
    meaning: &'static str,
    /// The statements that apply, or may.
    statements: Vec<ShownStatement>,
}

/// A statement that applies, or may.
#[derive(Debug, Serialize)]
pub(super) struct ShownStatement {
    /// Its place in the document, counted from 1.
    statement: usize,
    effect: &'static str,
    /// What it depends on; where that is empty, it applies.
    unknown: Vec<String>,
}

/// What the policy of the route's API says; `None` where it has none.
pub(super) fn shown(
    served: &ServedRoute,
    (method, url): (&Method, &Uri),
    path: &CanonicalPath,
    caller: &Caller,
) -> Option<ShownPolicy> {
    let is_open = matches!(served.route.access, Access::Open);
    let client = caller.address.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let arrival = Arrival {
        id: String::new(),
        peer: (client, 0).into(),
        client,
        scheme: if url.scheme_str() == Some("http") { Scheme::Http } else { Scheme::Https },
        time_ms: portcullis_state::now_ms(),
        tls: None,
    };
    let headers = HeaderMap::new();
    // Nobody asks who calls an open route.
    let identity = caller.identity.as_ref().filter(|_| !is_open);
    let parts = ViewParts {
        arrival: &arrival,
        method: method.as_str(),
        authority: url.authority().map(http::uri::Authority::as_str).unwrap_or_default(),
        raw_path: url.path(),
        path: path.as_str(),
        query: url.query(),
        headers: &headers,
        body: None,
        route: Some(RouteFacts::Served(served, path)),
        identity,
    };
    let is_unknown = |key: &Key| match key {
        Key::SourceIp => caller.address.is_none(),
        Key::SecureTransport => url.scheme().is_none(),
        Key::Referer | Key::UserAgent => true,
        Key::CurrentTime | Key::EpochTime | Key::Absent => false,
        _ => !is_open && identity.is_none(),
    };
    let statements = outlook(View::of(&parts), &served.resource, &is_unknown)?;
    let (verdict, meaning) = meaning(Outlook::verdict(&statements), is_open);
    Some(ShownPolicy {
        verdict,
        meaning,
        statements: statements.into_iter().filter_map(statement).collect(),
    })
}

impl ShownPolicy {
    /// Prints it, a line for itself and one for each statement.
    pub(super) fn print(&self) {
        println!("policy     {}", self.meaning);
        for ShownStatement { statement, effect, unknown } in &self.statements {
            let applies = match unknown.as_slice() {
                [] => "applies".to_owned(),
                unknown => format!("may apply, by {}", unknown.join(", ")),
            };
            println!("policy     statement {statement} ({effect}) {applies}");
        }
    }
}

fn statement(outlook: Outlook) -> Option<ShownStatement> {
    let unknown = match outlook.applies {
        Applies::No => return None,
        Applies::Yes => Vec::new(),
        Applies::Perhaps(keys) => keys.iter().map(Key::to_string).collect(),
    };
    let effect = match outlook.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    Some(ShownStatement { statement: outlook.number, effect, unknown })
}

#[expect(clippy::fn_params_excessive_bools, reason = "whether anybody is asked who calls")]
fn meaning(verdict: Option<Verdict>, is_open: bool) -> (&'static str, &'static str) {
    match (verdict, is_open) {
        (None, _) => ("unknown", "depends on what is unknown"),
        (Some(Verdict::ExplicitDeny), _) => ("deny", "refuses it"),
        (Some(Verdict::Allow), true) => ("allow", "allows it"),
        (Some(Verdict::ImplicitDeny), true) => ("silent", "refuses it: no statement allows it"),
        (Some(Verdict::Allow), false) => (
            "allow",
            "allows it to callers of its account whose own policies do not deny it, and to others whose own allow it",
        ),
        (Some(Verdict::ImplicitDeny), false) => (
            "silent",
            "allows it to no caller but those of its account that are granted without policies, or whose own allow it",
        ),
    }
}
