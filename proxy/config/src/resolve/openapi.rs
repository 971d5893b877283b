//! `openapi`: a whole OpenAPI document (3.0 or 3.1) as the routes of an API.
//!
//! ```text
//! paths ─▶ routes ─┬─ parameters, requestBody ─▶ rules   (parameters.rs, body.rs)
//!                  └─ security ─▶ authorizers            (security.rs)
//! ```
//!
//! What the gateway cannot hold to is a problem at its place in the document, unless the
//! configuration says that it may be ignored. Security never may.

use std::sync::Arc;

use super::api::{Choice, Known};
use super::{Resolver, files};
use crate::data::{self, Entry, Node};
use crate::diagnostic::Place;
use crate::document::{self, Composable, Unsupported};
use crate::gateway::{Access, RequestRules, Scopes};
use crate::read::Named;

mod body;
mod parameters;
mod security;

/// Operations of a path, as the specification names them.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// References to references.
const MOST_STEPS: usize = 16;

/// An operation of the document.
pub(super) struct Described {
    /// The key that its route has.
    pub(super) key: String,
    /// Where its method is written.
    pub(super) place: Place,
    /// Its `operationId`.
    pub(super) id: Option<String>,
    /// What its requests must be.
    pub(super) rules: RequestRules,
    /// Who may make them, where the route itself does not say.
    pub(super) security: Security,
}

/// Who may make a request, as the document says.
pub(super) enum Security {
    /// It says nothing.
    Silent,
    /// Everybody, unless the API says more.
    Nobody,
    /// These, with these scopes.
    By(Choice<Access>, Option<Scopes>),
}

/// A place in a document, with the file it is in.
#[derive(Clone)]
pub(super) struct At {
    file: String,
    root: Arc<Node>,
    pointer: String,
}

impl At {
    fn node(&self) -> &Node {
        self.root.pointer(&self.pointer).unwrap_or(&self.root)
    }

    /// A member of what is here.
    fn get(&self, key: &str) -> Option<Self> {
        self.node().get(key)?;
        Some(Self { pointer: data::below(&self.pointer, key), ..self.clone() })
    }
}

/// The document, while it is read.
struct Reader<'r, 'k, 'd> {
    api: &'r str,
    root: At,
    unsupported: Unsupported,
    /// What stands for each security scheme.
    security: &'r Named<Composable<document::Use>>,
    known: &'r mut Known<'k, 'd>,
}

/// Reads the operations of an API's document; `silent` tells which routes have an
/// authorizer of their own.
pub(super) fn operations(
    (name, written): (&str, &document::Api),
    known: &mut Known<'_, '_>,
    resolver: &mut Resolver<'_>,
) -> Vec<Described> {
    let Some(openapi) = &written.openapi else { return Vec::new() };
    let (file, unsupported) = match openapi {
        document::OpenApi::This(file) => (file, Unsupported::Refuse),
        document::OpenApi::That(table) => (&table.file, table.unsupported),
    };
    let path = files::joined(&file.place, &file.value);
    let Some(name_of_file) = known.schemas.file(&path, &file.place, resolver) else {
        return Vec::new();
    };
    let Some(root) = known.schemas.node(&name_of_file) else { return Vec::new() };
    let root = At { file: name_of_file, root, pointer: String::new() };
    if !is_known_version(root.node(), resolver) {
        return Vec::new();
    }
    let security = &written.security;
    let mut reader = Reader { api: name, root: root.clone(), unsupported, security, known };
    reader.extensions(root.node(), resolver);
    let own: Vec<&str> = written.routes.entries.iter().filter_map(with_own_access).collect();
    let Some(paths) = root.get("paths") else {
        resolver.problem(&root.node().place, "this document has no `paths`");
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in paths.node().entries() {
        if entry.key.starts_with("x-") {
            continue;
        }
        if let Some(item) = paths.get(&entry.key) {
            found.extend(reader.path_item(entry, &item, &own, resolver));
        }
    }
    found
}

/// A route's key, where it says itself who may use it.
fn with_own_access(entry: &crate::read::NamedEntry<document::Route>) -> Option<&str> {
    entry.value.as_ref()?.authorizer.as_ref().map(|_| entry.name.as_str())
}

fn is_known_version(root: &Node, resolver: &mut Resolver<'_>) -> bool {
    let Some(version) = root.get("openapi") else {
        let place = root.get("swagger").map_or(&root.place, |version| &version.place);
        let help = "it begins with `openapi: 3.1.0` or `openapi: 3.0.3`";
        resolver.problem_with_help(place, "this is no OpenAPI document of version 3", help);
        return false;
    };
    let known = version.text().is_some_and(|it| it.starts_with("3.0.") || it.starts_with("3.1."));
    if !known {
        let message = "this version of OpenAPI is not known";
        resolver.problem_with_help(&version.place, message, "known: 3.0 and 3.1");
    }
    known
}

impl Reader<'_, '_, '_> {
    fn path_item(
        &mut self,
        path: &Entry,
        item: &At,
        own: &[&str],
        resolver: &mut Resolver<'_>,
    ) -> Vec<Described> {
        let mut found = Vec::new();
        let node = item.node();
        if let Some(reference) = node.get("$ref") {
            self.refuse(&reference.place, "a path that is described elsewhere", resolver);
        }
        self.extensions(node, resolver);
        for entry in node.entries() {
            if entry.key == "servers" {
                self.refuse(&entry.key_place, "a server of one path", resolver);
            }
            if !METHODS.contains(&entry.key.as_str()) {
                continue;
            }
            let Some(operation) = item.get(&entry.key) else { continue };
            let key = format!("{} {}", entry.key.to_ascii_uppercase(), path.key);
            let silent = !own.contains(&key.as_str());
            let node = operation.node();
            self.extensions(node, resolver);
            if let Some(servers) = node.get("servers") {
                self.refuse(&servers.place, "a server of one operation", resolver);
            }
            let parameters = self.parameters(item, &operation, resolver);
            let bodies = self.body(&operation, resolver).into_iter().collect();
            let security = match silent {
                true => self.security_of(&operation, resolver),
                false => Security::Silent,
            };
            found.push(Described {
                key,
                place: entry.key_place.clone(),
                id: node.get("operationId").and_then(Node::text).map(str::to_owned),
                rules: RequestRules { parameters, bodies },
                security,
            });
        }
        found
    }

    /// What a reference leads to, or the place itself.
    fn followed(&self, at: &At, resolver: &mut Resolver<'_>) -> Option<At> {
        let mut at = at.clone();
        for _ in 0..MOST_STEPS {
            let Some(reference) = at.node().get("$ref") else { return Some(at) };
            let text = reference.text().unwrap_or_default().to_owned();
            let place = reference.place.clone();
            let (file, fragment) = text.split_once('#').unwrap_or((&text, ""));
            let target = self.known.schemas.neighbour(&at.file, file);
            let root = target.as_deref().and_then(|file| self.known.schemas.node(file));
            let pointer = super::schemas::decoded(fragment);
            match (target, root) {
                (Some(file), Some(root)) if root.pointer(&pointer).is_some() => {
                    at = At { file, root, pointer };
                }
                _ => {
                    resolver.problem(&place, format!("`{text}` refers to nothing"));
                    return None;
                }
            }
        }
        resolver.problem(&at.node().place, "this refers to itself");
        None
    }

    /// Notes what the gateway cannot hold to.
    fn refuse(&self, place: &Place, what: &str, resolver: &mut Resolver<'_>) {
        if self.unsupported == Unsupported::Refuse {
            let message = format!("the gateway does not hold to {what}");
            let help = "`openapi = { file = \"…\", unsupported = \"ignore\" }` goes on without";
            resolver.problem_with_help(place, message, help);
        }
    }

    /// Notes extensions that would change what is served.
    fn extensions(&self, node: &Node, resolver: &mut Resolver<'_>) {
        for entry in node.entries() {
            if entry.key.starts_with("x-amazon-apigateway-") {
                self.refuse(&entry.key_place, &format!("`{}`", entry.key), resolver);
            }
        }
    }
}

impl Described {
    /// Who may make the request; the route's own word and then this one, the API's last.
    pub(super) fn access(&self, own: Choice<Access>, inherited: &Choice<Access>) -> Choice<Access> {
        match &self.security {
            Security::Silent => own.or(inherited),
            Security::Nobody => own.or(inherited).or(&Choice::Is(Access::Open)),
            Security::By(access, _) => own.or(access),
        }
    }

    /// The scopes that the document asks for.
    pub(super) fn scopes(&self) -> Option<&Scopes> {
        if let Security::By(_, scopes) = &self.security { scopes.as_ref() } else { None }
    }
}
