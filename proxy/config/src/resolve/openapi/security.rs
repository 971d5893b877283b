//! `security`: which authorizers stand for the schemes that an operation asks for.

use super::{At, Reader, Security};
use crate::data::{Node, Value};
use crate::diagnostic::Place;
use crate::document::Composable;
use crate::gateway::{Access, Authorization, Scopes, Use};
use crate::read::Either;
use crate::resolve::Resolver;
use crate::resolve::api::Choice;

/// What one requirement asks for.
struct Required {
    access: Access,
    scopes: Vec<String>,
}

impl Reader<'_, '_, '_> {
    /// Who may make the requests of an operation.
    pub(super) fn security_of(&mut self, operation: &At, resolver: &mut Resolver<'_>) -> Security {
        let written = operation.get("security").or_else(|| self.root.get("security"));
        let Some(written) = written else { return Security::Silent };
        let node = written.node().clone();
        if !matches!(node.value, Value::List(_)) {
            let help = "write `security: [{ scheme: [] }]`, or `security: []` for nobody";
            resolver.problem_with_help(&node.place, "`security` is a list here", help);
            return Security::By(Choice::Broken, None);
        }
        if node.items().is_empty() {
            return Security::Nobody;
        }
        let each = node.items().iter().map(|it| self.requirement(it, resolver));
        let each: Vec<Option<Required>> = each.collect();
        let Some(mut alternatives) = each.into_iter().collect::<Option<Vec<_>>>() else {
            return Security::By(Choice::Broken, None);
        };
        let scopes = alternatives.first().map(|it| it.scopes.clone()).unwrap_or_default();
        if alternatives.iter().any(|it| it.scopes != scopes) {
            let message = "alternatives that ask for different scopes cannot be told apart here";
            let help = "give the route `authorizer` and `scopes` of its own";
            resolver.problem_with_help(&node.place, message, help);
        }
        let access = match (alternatives.pop(), alternatives.is_empty()) {
            (Some(only), true) => Some(only.access),
            (last, _) => {
                alternatives.extend(last);
                let members = alternatives.into_iter().map(|it| it.access);
                composed(members.collect(), Authorization::Any, &node.place, resolver)
            }
        };
        let scopes = (!scopes.is_empty()).then_some(Scopes::All(scopes));
        Security::By(Choice::of(Some(access)), scopes)
    }

    /// Schemes that are all required.
    fn requirement(&mut self, node: &Node, resolver: &mut Resolver<'_>) -> Option<Required> {
        if node.entries().is_empty() {
            let message = "a caller who need not be known";
            let help = "leave it out, or give the route `authorizer = \"none\"`";
            let message = format!("no authorizer stands for {message}");
            resolver.problem_with_help(&node.place, message, help);
            return None;
        }
        let mut members = Vec::new();
        let mut scopes: Vec<String> = Vec::new();
        for entry in node.entries() {
            members.push(self.scheme(&entry.key, &entry.key_place, resolver));
            match scopes_of(&entry.value) {
                Some(named) => scopes.extend(named),
                None => {
                    let message = format!("the scopes of `{}` are a list of texts", entry.key);
                    resolver.problem(&entry.value.place, message);
                }
            }
        }
        scopes.sort();
        scopes.dedup();
        let mut members: Vec<Access> = members.into_iter().collect::<Option<_>>()?;
        let access = match members.len() {
            1 => members.pop(),
            _ => composed(members, Authorization::All, &node.place, resolver),
        };
        Some(Required { access: access?, scopes })
    }

    /// What stands for a scheme.
    fn scheme(&mut self, name: &str, place: &Place, resolver: &mut Resolver<'_>) -> Option<Access> {
        let schemes = self.root.get("components").and_then(|it| it.get("securitySchemes"));
        let is_defined = schemes.is_some_and(|it| {
            matches!(it.node().value, Value::Table(_)) && it.node().get(name).is_some()
        });
        if !is_defined {
            let message = format!("no security scheme is named `{name}`");
            resolver.problem_with_help(
                place,
                message,
                "they are under `components.securitySchemes`",
            );
            return None;
        }
        let Some(entry) = self.security.entries.iter().find(|entry| entry.name == name) else {
            let message = format!("no authorizer stands for the security scheme `{name}`");
            let help = format!("name one: [apis.{}] security.{name} = \"…\"", self.api);
            resolver.problem_with_help(place, message, &help);
            return None;
        };
        match entry.value.as_ref()? {
            Composable::Plain(Either::This(word)) if word.value == "none" => Some(Access::Open),
            written => self.known.plugins.authorization(written, resolver).map(Access::By),
        }
    }
}

/// The scopes of a requirement; none where they are not written as such.
fn scopes_of(node: &Node) -> Option<Vec<String>> {
    let Value::List(items) = &node.value else { return None };
    items.iter().map(|item| item.text().map(str::to_owned)).collect()
}

/// Several as one. Each authorizer is asked at most once about a request.
fn composed(
    members: Vec<Access>,
    make: fn(Vec<Authorization>) -> Authorization,
    place: &Place,
    resolver: &mut Resolver<'_>,
) -> Option<Access> {
    let mut parts: Vec<Authorization> = Vec::new();
    for member in members {
        match member {
            Access::By(part) if parts.contains(&part) => {}
            Access::By(part) => parts.push(part),
            Access::Open => {
                resolver.problem(place, "what is open to all is no part of several");
                return None;
            }
        }
    }
    if parts.len() == 1 {
        return parts.pop().map(Access::By);
    }
    let whole = make(parts);
    let uses = whole.uses();
    let distinct: std::collections::HashSet<&Use> = uses.iter().copied().collect();
    if distinct.len() < uses.len() {
        let message = "an authorizer stands for several schemes of one operation";
        let help = "give the route an `authorizer` of its own";
        resolver.problem_with_help(place, message, help);
        return None;
    }
    Some(Access::By(whole))
}
