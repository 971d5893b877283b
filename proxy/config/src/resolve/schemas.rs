//! The schemas of an API: the files they stand in, and the one plugin use that holds
//! them all.
//!
//! A plugin reads no files, so what a schema refers to by a relative path is read here,
//! and given to the plugin by its path. What is wrong in a file is shown there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value as Json, json};

use super::plugin_use::PluginUses;
use super::{Resolver, files, plugin_use};
use crate::data::{self, Node, Value};
use crate::diagnostic::Place;
use crate::document::{self, FilePath};
use crate::gateway::{PluginUseId, SettingsPlaces, Use};

/// What is encoded in names: all that RFC 3986, section 2.3 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The built-in plugin that judges.
const PLUGIN: &str = "json-schema";
/// Keywords whose values are no schemas, whatever they look like.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];

/// The schemas of one API, as they are found.
pub(super) struct Schemas<'d> {
    api: &'d str,
    written: &'d document::JsonRules,
    /// The plugin use, once there is a schema.
    id: Option<PluginUseId>,
    /// Each file by its name, `None` once a problem was noted.
    files: BTreeMap<String, Option<Arc<Node>>>,
    /// Each schema by its name, with where it is named.
    schemas: BTreeMap<String, (Json, Place)>,
}

impl<'d> Schemas<'d> {
    /// No schemas yet.
    pub(super) fn new(api: &'d str, written: &'d document::JsonRules) -> Self {
        Self { api, written, id: None, files: BTreeMap::new(), schemas: BTreeMap::new() }
    }

    /// Adds the schema of a body, as `FILE` or `FILE#/POINTER`.
    pub(super) fn add_file(
        &mut self,
        written: &FilePath,
        dialect: Option<document::Dialect>,
        plugins: &mut PluginUses,
        resolver: &mut Resolver<'_>,
    ) -> Option<Use> {
        let (path, pointer) = written.value.split_once('#').unwrap_or((&written.value, ""));
        let path = files::joined(&written.place, path);
        let name = self.file(&path, &written.place, resolver)?;
        let at = SchemaAt { file: &name, pointer, dialect };
        self.add(at, &written.place, plugins, resolver)
    }

    /// Adds a schema of a file that was read.
    pub(super) fn add(
        &mut self,
        at: SchemaAt<'_>,
        place: &Place,
        plugins: &mut PluginUses,
        resolver: &mut Resolver<'_>,
    ) -> Option<Use> {
        let file = self.files.get(at.file)?.as_ref()?;
        if file.pointer(at.pointer).is_none() {
            let message = format!("nothing is at `{}` in `{}`", at.pointer, file.place.file());
            resolver.problem(place, message);
            return None;
        }
        let mut schema = json!({ "document": at.file });
        if let Json::Object(members) = &mut schema {
            if !at.pointer.is_empty() {
                members.insert("pointer".to_owned(), at.pointer.into());
            }
            if let Some(dialect) = at.dialect {
                members.insert("dialect".to_owned(), dialect.as_str().into());
            }
        }
        let name = at.name();
        self.schemas.entry(name.clone()).or_insert_with(|| (schema, place.clone()));
        let plugin = *self.id.get_or_insert_with(|| plugins.reserve());
        Some(Use { plugin, argument: Some(name) })
    }

    /// Reads a file and those that it refers to; the name that the plugin knows it by.
    pub(super) fn file(
        &mut self,
        path: &Path,
        reference: &Place,
        resolver: &mut Resolver<'_>,
    ) -> Option<String> {
        let name = name_of(path);
        let mut waiting = vec![(name.clone(), path.to_owned(), reference.clone())];
        while let Some((name, path, reference)) = waiting.pop() {
            if self.files.contains_key(&name) {
                continue;
            }
            let node = read(&path, &reference, resolver);
            let node = node.map(Arc::new);
            let references = node.as_deref().map(references).unwrap_or_default();
            for (target, place) in references {
                let target = path.with_file_name("").join(target);
                waiting.push((name_of(&target), target, place));
            }
            self.files.insert(name, node);
        }
        self.files.get(&name)?.is_some().then_some(name)
    }

    /// A file that was read.
    pub(super) fn node(&self, name: &str) -> Option<Arc<Node>> {
        self.files.get(name)?.clone()
    }

    /// The name of a file that another refers to by this path; empty for itself.
    pub(super) fn neighbour(&self, name: &str, path: &str) -> Option<String> {
        if path.is_empty() {
            return Some(name.to_owned());
        }
        let target = Path::new(name).with_file_name("").join(decoded(path));
        let target = name_of_encoded(&target);
        self.files.contains_key(&target).then_some(target)
    }

    /// Makes the plugin use, if there is a schema.
    pub(super) fn finish(self, plugins: &mut PluginUses) {
        let Some(id) = self.id else { return };
        let mut places = SettingsPlaces::default();
        let mut documents = serde_json::Map::new();
        for (name, node) in self.files {
            let Some(node) = node else { continue };
            documents.insert(name.clone(), node.json());
            places.add_file(data::below("/documents", &name), node);
        }
        let mut schemas = serde_json::Map::new();
        let mut first = None;
        for (name, (schema, place)) in self.schemas {
            places.add(data::below("/schemas", &name), place.clone());
            first.get_or_insert(place);
            schemas.insert(name, schema);
        }
        let place = first.unwrap_or_else(|| self.written.place.clone());
        places.add(String::new(), place.clone());
        let written = self.written;
        let mut settings = json!({
            "formats": match written.formats {
                document::Formats::Check => "check",
                document::Formats::Ignore => "ignore",
            },
            "limits": {
                "size": written.size.0,
                "depth": written.depth.0,
                "values": written.values.0,
                "text": written.text.0,
                "number": written.number.0,
                "violations": written.violations.0,
            },
        });
        // `json!` would copy them.
        if let Json::Object(members) = &mut settings {
            members.insert("documents".to_owned(), Json::Object(documents));
            members.insert("schemas".to_owned(), Json::Object(schemas));
        }
        // A space, so that no validator can have the name.
        let name = format!("{} schemas", self.api);
        plugins.fill(id, plugin_use::of_schemas(name, PLUGIN, (settings, places), place, written));
    }
}

/// Where a schema is.
#[derive(Clone, Copy)]
pub(super) struct SchemaAt<'a> {
    pub(super) file: &'a str,
    pub(super) pointer: &'a str,
    pub(super) dialect: Option<document::Dialect>,
}

impl SchemaAt<'_> {
    /// The argument that routes name it by.
    fn name(&self) -> String {
        let mut name = self.file.to_owned();
        if !self.pointer.is_empty() {
            name.push('#');
            name.push_str(self.pointer);
        }
        if let Some(dialect) = self.dialect {
            name.push_str(&format!(" ({})", dialect.as_str()));
        }
        name
    }
}

fn read(path: &Path, reference: &Place, resolver: &mut Resolver<'_>) -> Option<Node> {
    match resolver.surroundings.read(path) {
        Ok(content) => data::parse(path, content, reference, resolver.problems),
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            resolver.problem(reference, message);
            None
        }
    }
}

/// The files that a document refers to, by relative paths, with where it does.
fn references(document: &Node) -> Vec<(PathBuf, Place)> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    collect(document, &mut found, &mut ids);
    // What a schema within the document is called is no file.
    found.retain(|(path, _)| {
        !ids.iter().any(|id: &&str| {
            id.strip_suffix(path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        })
    });
    found.into_iter().map(|(path, place)| (PathBuf::from(decoded(&path)), place)).collect()
}

fn collect<'n>(node: &'n Node, found: &mut Vec<(String, Place)>, ids: &mut BTreeSet<&'n str>) {
    for item in node.items() {
        collect(item, found, ids);
    }
    for entry in node.entries() {
        match (entry.key.as_str(), &entry.value.value) {
            ("$ref", Value::Text(reference)) => {
                let path = reference.split('#').next().unwrap_or_default();
                let is_uri = path.contains(':');
                if !path.is_empty() && !is_uri && !path.starts_with('/') {
                    found.push((path.to_owned(), entry.value.place.clone()));
                }
            }
            ("$id" | "id", Value::Text(id)) => drop(ids.insert(id)),
            (key, _) if !DATA.contains(&key) => collect(&entry.value, found, ids),
            _ => {}
        }
    }
}

/// A path without `.` and `..` and with what URIs cannot hold encoded: one name for a file.
fn name_of(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(encoded(&part.to_string_lossy())),
            Component::ParentDir if parts.last().is_some_and(|last| last != "up") => {
                parts.pop();
            }
            // Above where the gateway runs: a folder that stands for it.
            Component::ParentDir => parts.push("up".to_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

/// The same of a path whose folders are encoded already.
fn name_of_encoded(path: &Path) -> String {
    let (folder, file) = (path.parent().unwrap_or(Path::new("")), path.file_name());
    let file = file.map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = decoded(&folder.to_string_lossy());
    name_of(&Path::new(&folder).join(file))
}

fn encoded(part: &str) -> String {
    utf8_percent_encode(part, RESERVED).to_string()
}

/// A path or pointer without percent-encodings.
pub(super) fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        for (path, name) in [
            ("schemas/order.json", "schemas/order.json"),
            ("./schemas/../a b.json", "a%20b.json"),
            ("/etc/portcullis/é.json", "etc/portcullis/%C3%A9.json"),
            ("../shared/a.json", "up/shared/a.json"),
            ("../../a.json", "up/up/a.json"),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
        }
        assert_eq!(decoded("a%20b%zz%"), "a b%zz%");
    }
}
