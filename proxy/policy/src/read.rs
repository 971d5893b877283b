//! From JSON to statements: elements, their types and values. Every problem is noted,
//! and reading goes on.

use crate::condition::Sense;
use crate::json::{self, Json, Member, Node};
use crate::pattern::{Pattern, Taken};
use crate::policy::{Effect, MOST_BYTES, Names, Statement};
use crate::principal::{Principal, Principals};
use crate::problem::{Notes, Place, PolicyError, Problem};
use crate::suggest;

mod conditions;

/// Statements a document may have.
const MOST_STATEMENTS: usize = 256;

/// What a document is the policy of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// A caller.
    Caller,
    /// A resource with this ARN.
    Resource { arn: &'a str },
}

/// Reads a document.
pub(crate) fn statements(text: &str, about: About<'_>) -> Result<Vec<Statement>, PolicyError> {
    let mut notes = Notes::about(text);
    if text.len() > MOST_BYTES {
        let problem = Problem::TooLong { bytes: text.len(), most: MOST_BYTES };
        notes.add(&Place { pointer: String::new(), bytes: 0..0 }, problem, None);
        return Err(notes.into_error());
    }
    let Some(root) = json::parse(text, &mut notes) else { return Err(notes.into_error()) };
    let mut reader = Reader { notes, about, variables: Taken::AsWritten };
    match reader.policy(&root) {
        Some(statements) if reader.notes.is_empty() => Ok(statements),
        _ => Err(reader.notes.into_error()),
    }
}

struct Reader<'a> {
    notes: Notes<'a>,
    about: About<'a>,
    /// Whether the version has policy variables.
    variables: Taken,
}

impl Reader<'_> {
    fn policy(&mut self, root: &Node) -> Option<Vec<Statement>> {
        let members = self.object(root)?;
        self.check_elements(members, &["Version", "Id", "Statement"], "a policy");
        if let Some(version) = find(members, "Version") {
            self.version(&version.node);
        }
        if let Some(id) = find(members, "Id") {
            self.text(&id.node);
        }
        let Some(statement) = find(members, "Statement") else {
            self.note(&root.place, Problem::Missing("`Statement`"));
            return None;
        };
        let nodes = many(&statement.node);
        if nodes.len() > MOST_STATEMENTS {
            let problem =
                Problem::TooManyStatements { statements: nodes.len(), most: MOST_STATEMENTS };
            self.note(&statement.node.place, problem);
            return None;
        }
        if nodes.is_empty() {
            self.note(&statement.node.place, Problem::Empty("`Statement`"));
        }
        Some(nodes.iter().filter_map(|node| self.statement(node)).collect())
    }

    fn version(&mut self, node: &Node) {
        match self.text(node) {
            None | Some("2008-10-17") => {}
            Some("2012-10-17") => self.variables = Taken::AsMeant,
            Some(other) => {
                self.variables = Taken::AsMeant;
                let help = "write `2012-10-17`, or `2008-10-17` for one without policy variables";
                self.notes.add(
                    &node.place,
                    Problem::UnknownVersion(other.to_owned()),
                    Some(help.to_owned()),
                );
            }
        }
    }

    fn statement(&mut self, node: &Node) -> Option<Statement> {
        const ELEMENTS: &[&str] = &[
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        let members = self.object(node)?;
        self.check_elements(members, ELEMENTS, "a statement");
        if let Some(sid) = find(members, "Sid") {
            self.text(&sid.node);
        }
        let effect = self.effect(node, members);
        let principals = self.principals(node, members, effect);
        let actions = self.names(node, members, ["Action", "NotAction"], Self::action);
        let resources = self.names(node, members, ["Resource", "NotResource"], Self::resource);
        let conditions = match find(members, "Condition") {
            Some(member) => self.conditions(&member.node),
            None => Some(Vec::new()),
        };
        Some(Statement {
            effect: effect?,
            principals: principals?,
            actions: actions?,
            resources: resources?,
            conditions: conditions?,
        })
    }

    fn effect(&mut self, statement: &Node, members: &[Member]) -> Option<Effect> {
        let Some(member) = find(members, "Effect") else {
            self.note(&statement.place, Problem::Missing("`Effect`"));
            return None;
        };
        match self.text(&member.node)? {
            "Allow" => Some(Effect::Allow),
            "Deny" => Some(Effect::Deny),
            other => {
                let help = suggest::word(other, &["Allow", "Deny"]);
                self.notes.add(
                    &member.node.place,
                    Problem::UnknownEffect(other.to_owned()),
                    Some(help),
                );
                None
            }
        }
    }

    /// `Action` or `NotAction`, `Resource` or `NotResource`.
    fn names(
        &mut self,
        statement: &Node,
        members: &[Member],
        [is, is_not]: [&'static str; 2],
        pattern: fn(&mut Self, &Node) -> Option<Pattern>,
    ) -> Option<Names> {
        let (member, sense) = match (find(members, is), find(members, is_not)) {
            (Some(member), None) => (member, Sense::Is),
            (None, Some(member)) => (member, Sense::IsNot),
            (Some(_), Some(both)) => {
                self.note(&both.place, Problem::Both(is));
                return None;
            }
            (None, None) => {
                let what = if is == "Action" { "`Action`" } else { "`Resource`" };
                self.note(&statement.place, Problem::Missing(what));
                return None;
            }
        };
        let nodes = many(&member.node);
        if nodes.is_empty() {
            self.note(&member.node.place, Problem::Empty("this list"));
        }
        let patterns = nodes.iter().filter_map(|node| pattern(self, node)).collect();
        Some(Names { sense, patterns })
    }

    fn action(&mut self, node: &Node) -> Option<Pattern> {
        let text = self.text(node)?;
        let part = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*' | b'?');
            !part.is_empty() && part.bytes().all(plain)
        };
        let holds = text == "*" || text.split_once(':').is_some_and(|(a, b)| part(a) && part(b));
        if !holds {
            let help = "write an action as `execute-api:Invoke`, `execute-api:*` or `*`";
            let problem = Problem::BadAction(text.to_owned());
            self.notes.add(&node.place, problem, Some(help.to_owned()));
            return None;
        }
        let pattern = Pattern::parse(&text.to_ascii_lowercase(), Taken::AsWritten);
        self.kept(node, pattern)
    }

    fn resource(&mut self, node: &Node) -> Option<Pattern> {
        let text = self.text(node)?;
        let (text, help) = match (self.about, text.strip_prefix("execute-api:/")) {
            (About::Resource { arn }, Some(path)) => {
                (std::borrow::Cow::Owned(format!("{arn}/{path}")), "")
            }
            (About::Caller, Some(_)) => (text.into(), "only the policy of an API abbreviates so: "),
            (_, None) => (text.into(), ""),
        };
        if !text.starts_with("arn:") && !text.starts_with('*') {
            let help = format!(
                "{help}write a resource as `arn:aws:execute-api:*:*:API/STAGE/METHOD/path`, or `*`"
            );
            let problem = Problem::BadResource(text.into_owned());
            self.notes.add(&node.place, problem, Some(help));
            return None;
        }
        let pattern = Pattern::parse(&text, self.variables);
        self.kept(node, pattern)
    }

    /// `Some(None)` for the policy of a caller.
    fn principals(
        &mut self,
        statement: &Node,
        members: &[Member],
        effect: Option<Effect>,
    ) -> Option<Option<Principals>> {
        let (is, is_not) = (find(members, "Principal"), find(members, "NotPrincipal"));
        let (member, sense) = match (self.about, is, is_not) {
            (About::Caller, None, None) => return Some(None),
            (About::Caller, Some(member), _) | (About::Caller, _, Some(member)) => {
                let problem = Problem::Misplaced("Principal");
                let help = "the policy of a caller speaks of that caller";
                self.notes.add(&member.place, problem, Some(help.to_owned()));
                return None;
            }
            (About::Resource { .. }, Some(member), None) => (member, Sense::Is),
            (About::Resource { .. }, None, Some(member)) => (member, Sense::IsNot),
            (About::Resource { .. }, Some(_), Some(both)) => {
                self.note(&both.place, Problem::Both("Principal"));
                return None;
            }
            (About::Resource { .. }, None, None) => {
                let help = "write `\"Principal\": \"*\"` for everybody";
                let problem = Problem::Missing("`Principal`");
                self.notes.add(&statement.place, problem, Some(help.to_owned()));
                return None;
            }
        };
        if sense == Sense::IsNot && effect == Some(Effect::Allow) {
            let help = "it would allow everybody else, the unknown included: deny them instead";
            let problem = Problem::Misplaced("NotPrincipal");
            self.notes.add(&member.place, problem, Some(help.to_owned()));
            return None;
        }
        Some(Some(Principals { sense, each: self.each_principal(&member.node)? }))
    }

    fn each_principal(&mut self, node: &Node) -> Option<Vec<Principal>> {
        let help = "write `\"*\"` or `{\"AWS\": …}` with account ids and ARNs";
        match &node.value {
            Json::Text(text) if text == "*" => Some(vec![Principal::Everyone]),
            Json::Object(members) => {
                let mut each = Vec::new();
                for member in members {
                    if member.name != "AWS" {
                        let problem = Problem::BadPrincipal(member.name.clone());
                        self.notes.add(&member.place, problem, Some(help.to_owned()));
                        continue;
                    }
                    for node in many(&member.node) {
                        let parsed = self.text(node).map(Principal::parse);
                        each.extend(parsed.and_then(|parsed| self.kept(node, parsed)));
                    }
                }
                if each.is_empty() && self.notes.is_empty() {
                    self.note(&node.place, Problem::Empty("this principal"));
                }
                Some(each)
            }
            Json::Text(text) => {
                let problem = Problem::BadPrincipal(text.clone());
                self.notes.add(&node.place, problem, Some(help.to_owned()));
                None
            }
            _ => {
                let problem = Problem::Expected { expected: "`\"*\"` or an object" };
                self.notes.add(&node.place, problem, Some(help.to_owned()));
                None
            }
        }
    }

    fn check_elements(&mut self, members: &[Member], known: &[&str], of: &'static str) {
        for member in members.iter().filter(|member| !known.contains(&member.name.as_str())) {
            let problem = Problem::UnknownElement { name: member.name.clone(), of };
            let help = suggest::word(&member.name, known);
            self.notes.add(&member.place, problem, Some(help));
        }
    }

    fn object<'n>(&mut self, node: &'n Node) -> Option<&'n [Member]> {
        match &node.value {
            Json::Object(members) => Some(members),
            _ => {
                self.note(&node.place, Problem::Expected { expected: "an object" });
                None
            }
        }
    }

    fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        match &node.value {
            Json::Text(text) => Some(text),
            _ => {
                self.note(&node.place, Problem::Expected { expected: "a string" });
                None
            }
        }
    }

    /// What was parsed, or nothing once its problem is noted.
    fn kept<T>(&mut self, node: &Node, parsed: Result<T, (Problem, Option<String>)>) -> Option<T> {
        parsed.map_err(|(problem, help)| self.notes.add(&node.place, problem, help)).ok()
    }

    fn note(&mut self, place: &Place, problem: Problem) {
        self.notes.add(place, problem, None);
    }
}

fn find<'m>(members: &'m [Member], name: &str) -> Option<&'m Member> {
    members.iter().find(|member| member.name == name)
}

/// The values of a list; one that is no list stands for itself.
fn many(node: &Node) -> &[Node] {
    match &node.value {
        Json::List(nodes) => nodes,
        _ => std::slice::from_ref(node),
    }
}
