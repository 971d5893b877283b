//! From settings to schemas that are compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{
    PatternOptions, ReferencingError, Registry, Retrieve, ValidationError, ValidationOptions,
    Validator,
};
use portcullis_plugin_sdk::SettingsError;
use serde_json::{Value, json};

use crate::documents::{Documents, Neighbours};
use crate::node::Strict;
use crate::pointer::below;
use crate::settings::{Dialect, Formats, SchemaAt, Settings};

/// Bytes of one compiled pattern, and of what matching it may keep.
const PATTERN_BYTES: usize = 1 << 20;
/// The URI of documents that only refer to others.
const REFERRING: &str = "json-schema:///.portcullis/schema";

/// Compiles every schema of the settings, by name.
pub(crate) fn compile(
    settings: Settings,
) -> Result<BTreeMap<String, Validator<Strict>>, SettingsError> {
    let mut by_dialect: BTreeMap<Dialect, Vec<(&String, &SchemaAt)>> = BTreeMap::new();
    for (name, at) in &settings.schemas {
        by_dialect.entry(dialect(name, at, &settings.documents)?).or_default().push((name, at));
    }
    let mut compiled = BTreeMap::new();
    let mut all = settings.documents;
    while let Some((dialect, schemas)) = by_dialect.pop_first() {
        // The last dialect needs no copy. What is copied is a part of every image.
        let own = if by_dialect.is_empty() { std::mem::take(&mut all) } else { all.clone() };
        let mut documents = Documents::new(own, dialect);
        for (_, at) in &schemas {
            documents.check(&at.document, &at.pointer)?;
        }
        let stands_alone =
            |at: &SchemaAt| at.pointer.is_empty() && documents.stands_alone(&at.document);
        let neighbours = documents.retriever();
        let prepared = || {
            let registry = Registry::new().draft(dialect.draft()).retriever(neighbours.clone());
            registry.extend(documents.with_uris()).and_then(|builder| builder.prepare())
        };
        let registry = match schemas.as_slice() {
            [(_, at)] if stands_alone(at) => None,
            // What is wrong with one of them is told when it is compiled alone.
            schemas if schemas.iter().all(|(_, at)| stands_alone(at)) => prepared().ok(),
            _ => Some(prepared().map_err(|error| unprepared(&error, &documents))?),
        };
        let by = (dialect, settings.formats);
        // A document that has other names, or reaches out, may mean another thing where it is
        // referred to.
        let like_references = schemas.iter().copied().filter(|(_, at)| {
            !at.pointer.is_empty() || (stands_alone(at) && documents.is_in(dialect, &at.document))
        });
        let mut together = compile_together(like_references, by, (registry.as_ref(), &neighbours));
        for (name, at) in schemas {
            // Each schema that is compiled with a registry copies what that knows of documents.
            let known = registry.as_ref().filter(|_| !stands_alone(at));
            let reach = (&documents, known, &neighbours);
            let schema = match together.remove(name) {
                Some(schema) => schema,
                None => compile_one(at, by, reach)
                    .map_err(|error| uncompiled(name, &error, &documents))?,
            };
            compiled.insert(name.clone(), schema);
        }
    }
    Ok(compiled)
}

fn dialect(
    name: &str,
    at: &SchemaAt,
    documents: &BTreeMap<String, Value>,
) -> Result<Dialect, SettingsError> {
    let Some(document) = documents.get(&at.document) else {
        let message = format!("there is no document `{}`", at.document);
        return Err(SettingsError::at(format!("{}/document", place(name)), message));
    };
    if document.pointer(&at.pointer).is_none() {
        let message = format!("nothing is at `{}` in `{}`", at.pointer, at.document);
        return Err(SettingsError::at(format!("{}/pointer", place(name)), message));
    }
    at.dialect.or_else(|| Dialect::of(document)).ok_or_else(|| {
        let message = format!("`{}` is in a dialect that is not known; name one", at.document);
        SettingsError::at(place(name), message)
    })
}

/// How schemas of a dialect are compiled.
fn options<'r>(
    (dialect, formats): (Dialect, Formats),
    (registry, neighbours): (Option<&'r Registry<'r>>, &Neighbours),
) -> ValidationOptions<'r, Arc<dyn Retrieve>, Strict> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    let options = jsonschema::options_for::<Strict>()
        .with_draft(dialect.draft())
        .with_retriever(neighbours.clone())
        .with_pattern_options(patterns)
        .should_validate_formats(formats == Formats::Check)
        .with_format("byte", |text: &str| is_base64(text));
    match registry {
        Some(registry) => options.with_registry(registry),
        None => options,
    }
}

/// Compiles schemas as one document that refers to each. In a guest the crate makes what
/// it judges documents by anew for each, which takes longer than compiling one. A single
/// one gains nothing; those that do not compile are missing.
fn compile_together<'s>(
    schemas: impl Iterator<Item = (&'s String, &'s SchemaAt)>,
    by: (Dialect, Formats),
    (registry, neighbours): (Option<&Registry<'_>>, &Neighbours),
) -> BTreeMap<&'s String, Validator<Strict>> {
    let (names, references): (Vec<&String>, Vec<Value>) =
        schemas.map(|(name, at)| (name, reference_to(at))).unzip();
    if names.len() < 2 || registry.is_none() {
        return BTreeMap::new();
    }
    let options = options(by, (registry, neighbours)).with_base_uri(REFERRING);
    let Ok(validators) = options.build_map(&json!({ "references": references })) else {
        return BTreeMap::new();
    };
    let compiled = |(at, name)| {
        let validator = validators.get(&format!("#/references/{at}"))?;
        Some((name, validator.clone()))
    };
    names.into_iter().enumerate().filter_map(compiled).collect()
}

fn compile_one(
    at: &SchemaAt,
    by: (Dialect, Formats),
    (documents, registry, neighbours): (&Documents, Option<&Registry<'_>>, &Neighbours),
) -> Result<Validator<Strict>, ValidationError<'static>> {
    let options = options(by, (registry, neighbours));
    match documents.whole(&at.document).filter(|_| at.pointer.is_empty()) {
        Some(document) => options.with_base_uri(Documents::uri(&at.document, "")).build(document),
        None => options.with_base_uri(REFERRING).build(&reference_to(at)),
    }
}

fn reference_to(at: &SchemaAt) -> Value {
    json!({ "$ref": Documents::uri(&at.document, &at.pointer) })
}

fn uncompiled(name: &str, error: &ValidationError<'_>, documents: &Documents) -> SettingsError {
    let is_pattern =
        matches!(error.kind(), ValidationErrorKind::Format { format } if format == "regex");
    let pattern = error.instance().as_str().filter(|_| is_pattern);
    match pattern.and_then(|pattern| documents.place_of_pattern(pattern)) {
        Some(place) => SettingsError::at(
            place,
            "is no pattern that can be matched in linear time: write a regular expression without look-around and back references",
        ),
        None => SettingsError::at(place(name), format!("cannot be compiled: {}", told(error))),
    }
}

/// The error in one line; schemas may be long.
fn told(error: &ValidationError<'_>) -> String {
    error.masked_with("it").to_string().replace('\n', " ")
}

fn unprepared(error: &ReferencingError, documents: &Documents) -> SettingsError {
    match error {
        ReferencingError::Unretrievable { uri, .. } => {
            let message = format!("`{uri}` is none of the documents, and nothing is fetched");
            SettingsError::at(documents.place_of(uri), message)
        }
        other => SettingsError::at("/documents", other.to_string()),
    }
}

fn place(name: &str) -> String {
    below("/schemas", name)
}

/// Base64 as RFC 4648 §4 has it, padded.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    text.len().is_multiple_of(4)
        && padding <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}
