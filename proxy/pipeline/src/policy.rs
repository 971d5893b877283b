//! Whether policies allow a request: those the caller brings, and the API's own.
//!
//! Combined as AWS combines them for the resource policy of a REST API:
//!
//! | caller's | the API's | same account | other account |
//! |---|---|---|---|
//! | allow | allow | allow | allow |
//! | allow | silent | allow | implicit deny |
//! | silent | allow | allow | implicit deny |
//! | silent | silent | implicit deny | implicit deny |
//! | deny | any | explicit deny | explicit deny |
//! | any | deny | explicit deny | explicit deny |
//!
//! Where the API has none, the caller's decides; where nobody asks who the caller is,
//! the API's.

use std::sync::Arc;

use portcullis_config::ApiResource;
use portcullis_policy::{Fact, Facts, Key, Outlook, Policy, Question, Value, Verdict};

use crate::plugins;
use crate::rejection::{PolicySide, Rejection};
use crate::view::View;

/// What calling an API is to a policy.
const INVOKE: &str = "execute-api:Invoke";

/// Whether a caller and an API belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accounts {
    Same,
    Others,
}

/// Refuses a request that the policies do not allow.
///
/// The view shows the caller, where one is known. `granted` are the policies that the
/// authorizer granted with, each of which must allow the request: none allows all, and
/// `None` is a route that nobody authorizes.
pub(crate) fn check(
    view: View<'_>,
    api: &ApiResource,
    granted: Option<&[Arc<Policy>]>,
) -> Result<(), Rejection> {
    if api.policy.is_none() && granted.is_none_or(<[_]>::is_empty) {
        return Ok(());
    }
    let facts = RequestFacts { view };
    // A request without a route has no resource, and is forwarded nowhere.
    let resource = view.arn().unwrap_or_default();
    let question = Question { action: INVOKE, resource: &resource, facts: &facts };
    let caller = granted.map(|policies| all(policies, question));
    let own = api.policy.as_ref().map(|policy| policy.evaluate(question));
    let accounts = match facts.account() {
        Some(account) if account != api.account => Accounts::Others,
        _ => Accounts::Same,
    };
    match combined(caller, own, accounts) {
        Verdict::Allow => Ok(()),
        Verdict::ImplicitDeny => Err(Rejection::PolicyDenied),
        Verdict::ExplicitDeny => {
            let by_caller = caller == Some(Verdict::ExplicitDeny);
            let side = if by_caller { PolicySide::Caller } else { PolicySide::Api };
            Err(Rejection::PolicyExplicitDeny(side))
        }
    }
}

/// What the statements of an API's own policy would say of a request for which the values of
/// some keys are unknown; `None` where it has no policy.
pub fn outlook(
    view: View<'_>,
    api: &ApiResource,
    is_unknown: &dyn Fn(&Key) -> bool,
) -> Option<Vec<Outlook>> {
    let policy = api.policy.as_ref()?;
    let facts = RequestFacts { view };
    let resource = view.arn().unwrap_or_default();
    let question = Question { action: INVOKE, resource: &resource, facts: &facts };
    Some(policy.outlook(question, is_unknown))
}

/// What policies say together, each of which must allow.
fn all(policies: &[Arc<Policy>], question: Question<'_>) -> Verdict {
    let mut together = Verdict::Allow;
    for policy in policies {
        match policy.evaluate(question) {
            Verdict::ExplicitDeny => return Verdict::ExplicitDeny,
            Verdict::ImplicitDeny => together = Verdict::ImplicitDeny,
            Verdict::Allow => {}
        }
    }
    together
}

/// What the caller's side and the API's say together.
fn combined(caller: Option<Verdict>, own: Option<Verdict>, accounts: Accounts) -> Verdict {
    let (caller, own) = match (caller, own) {
        // An open route of an API without a policy.
        (None, None) => return Verdict::Allow,
        (Some(only), None) | (None, Some(only)) => return only,
        (Some(caller), Some(own)) => (caller, own),
    };
    if caller == Verdict::ExplicitDeny || own == Verdict::ExplicitDeny {
        return Verdict::ExplicitDeny;
    }
    let (caller, own) = (caller == Verdict::Allow, own == Verdict::Allow);
    let allowed = match accounts {
        Accounts::Same => caller || own,
        Accounts::Others => caller && own,
    };
    if allowed { Verdict::Allow } else { Verdict::ImplicitDeny }
}

/// A request, as policies ask for it.
struct RequestFacts<'a> {
    view: View<'a>,
}

impl Facts for RequestFacts<'_> {
    fn fact(&self, key: &Key) -> Option<Fact<'_>> {
        let time_ms = i64::try_from(self.view.time_ms()).unwrap_or(i64::MAX);
        match key {
            Key::CurrentTime => Some(Fact::One(Value::Time(time_ms))),
            Key::EpochTime => Some(Fact::One(Value::Number(time_ms / 1000))),
            Key::SecureTransport => Some(Fact::One(Value::Bool(self.view.scheme() == "https"))),
            Key::SourceIp => Some(Fact::One(Value::Address(self.view.client()))),
            Key::UserAgent => self.header("user-agent"),
            Key::Referer => self.header("referer"),
            Key::Username => self.attribute("username"),
            Key::UserId => self.attribute("user-id").or_else(|| {
                let identity = self.view.identity()?;
                Some(Fact::One(Value::Text(&identity.principal)))
            }),
            Key::PrincipalArn => self.attribute("arn"),
            Key::PrincipalAccount => self.account().map(|it| Fact::One(Value::Text(it))),
            Key::PrincipalType => self.principal_type().map(|it| Fact::One(Value::Text(it))),
            Key::PrincipalTag(name) => self.tag(name),
            Key::TokenIssueTime => self.attribute("iat").or_else(|| self.attribute("claim.iat")),
            // A key of AWS for things that are not here.
            _ => None,
        }
    }
}

impl<'a> RequestFacts<'a> {
    /// The caller's account, as it is stated or as the caller's ARN has it.
    fn account(&self) -> Option<&'a str> {
        let of_arn = || self.text("arn")?.split(':').nth(4).filter(|account| !account.is_empty());
        self.text("account").or_else(of_arn)
    }

    fn principal_type(&self) -> Option<&'static str> {
        if self.view.identity().is_none() {
            return Some("Anonymous");
        }
        let name = self.text("arn")?.splitn(6, ':').nth(5)?;
        match name.split('/').next()? {
            "root" => Some("Account"),
            "user" => Some("User"),
            "role" | "assumed-role" => Some("AssumedRole"),
            "federated-user" => Some("FederatedUser"),
            _ => None,
        }
    }

    /// A header where it is written once: of two, nobody could tell which is meant.
    fn header(&self, name: &str) -> Option<Fact<'a>> {
        let mut values = self.view.headers().get_all(name).iter();
        let only = values.next().filter(|_| values.next().is_none())?;
        std::str::from_utf8(only.as_bytes()).ok().map(|text| Fact::One(Value::Text(text)))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        match self.attribute(name) {
            Some(Fact::One(Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    fn attribute(&self, name: &str) -> Option<Fact<'a>> {
        let mut attributes = self.view.identity()?.attributes.iter();
        attributes.find(|(known, _)| known == name).and_then(|(_, value)| fact(value))
    }

    /// A tag, whose name has no case in policies.
    fn tag(&self, name: &str) -> Option<Fact<'a>> {
        let mut attributes = self.view.identity()?.attributes.iter();
        let is_it = |known: &str| {
            known.strip_prefix("tag.").is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        attributes.find(|(known, _)| is_it(known)).and_then(|(_, value)| fact(value))
    }
}

fn fact(value: &plugins::Value) -> Option<Fact<'_>> {
    Some(match value {
        plugins::Value::Text(text) => Fact::One(Value::Text(text)),
        plugins::Value::Integer(number) => Fact::One(Value::Number(*number)),
        plugins::Value::Boolean(truth) => Fact::One(Value::Bool(*truth)),
        plugins::Value::Texts(texts) => Fact::Many(texts),
        plugins::Value::Bytes(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_combined_as_the_table_says() {
        use Verdict::{Allow, ExplicitDeny as Deny, ImplicitDeny as Silent};
        for (caller, own, same, others) in [
            (Some(Allow), Some(Allow), Allow, Allow),
            (Some(Allow), Some(Silent), Allow, Silent),
            (Some(Allow), Some(Deny), Deny, Deny),
            (Some(Silent), Some(Allow), Allow, Silent),
            (Some(Silent), Some(Silent), Silent, Silent),
            (Some(Silent), Some(Deny), Deny, Deny),
            (Some(Deny), Some(Allow), Deny, Deny),
            (Some(Deny), Some(Silent), Deny, Deny),
            (Some(Deny), Some(Deny), Deny, Deny),
            (Some(Allow), None, Allow, Allow),
            (Some(Silent), None, Silent, Silent),
            (Some(Deny), None, Deny, Deny),
            (None, Some(Allow), Allow, Allow),
            (None, Some(Silent), Silent, Silent),
            (None, Some(Deny), Deny, Deny),
            (None, None, Allow, Allow),
        ] {
            let shown = format!("{caller:?} {own:?}");
            assert_eq!(combined(caller, own, Accounts::Same), same, "{shown}");
            assert_eq!(combined(caller, own, Accounts::Others), others, "{shown}");
        }
    }
}
