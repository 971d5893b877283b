//! The public JSON Schema Test Suite, which `cargo xtask clients` obtains.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_plugin_sdk::{Request, Validator as _};
use serde_json::{Value, json};

use super::of_settings;

/// Where `cargo xtask clients` puts it.
fn suite() -> PathBuf {
    // <target>/<profile>/deps/<this>
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let folder = target.join("tools/clients/json-schema-test-suite");
    assert!(
        folder.join("tests").is_dir(),
        "{} is not there: run `cargo xtask test`, or only `cargo xtask clients`",
        folder.display()
    );
    folder
}

fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            json_files(&entry, found);
        } else if entry.extension().is_some_and(|it| it == "json") {
            found.push(entry);
        }
    }
    found.sort();
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// What the suite serves at `http://localhost:1234/`, as documents.
fn remotes() -> BTreeMap<String, Value> {
    let folder = suite().join("remotes");
    let mut files = Vec::new();
    json_files(&folder, &mut files);
    let name = |file: &Path| {
        format!("http://localhost:1234/{}", file.strip_prefix(&folder).unwrap().display())
    };
    files.iter().map(|file| (name(file), read(file))).collect()
}

/// Judges every case of a folder; what does not come out as the suite says. A schema is
/// compiled alone, and together with others.
fn failures(folder: &str, dialect: &str, formats: &str) -> (usize, Vec<String>) {
    let remotes = remotes();
    let mut files = Vec::new();
    let folder = suite().join("tests").join(folder);
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    files.extend(entries.filter(|file| file.is_file()));
    files.sort();
    let (mut cases, mut failures) = (0, Vec::new());
    for file in files {
        for group in read(&file).as_array().unwrap() {
            let name = format!("{}: {}", file.file_stem().unwrap().display(), group["description"]);
            let mut documents = remotes.clone();
            documents.retain(|_, _| group["schema"].to_string().contains("localhost:1234"));
            documents.insert("a".to_owned(), group["schema"].clone());
            let schema = json!({ "document": "a", "dialect": dialect });
            cases += group["tests"].as_array().unwrap().len();
            for schemas in [json!({ "a": schema }), json!({ "a": schema, "b": schema })] {
                let settings =
                    json!({ "documents": documents, "schemas": schemas, "formats": formats });
                let found = failures_of(group, settings);
                failures.extend(found.into_iter().map(|failure| format!("{name}: {failure}")));
            }
        }
    }
    (cases, failures)
}

fn failures_of(group: &Value, settings: Value) -> Vec<String> {
    let plugin = match of_settings(settings) {
        Ok(plugin) => plugin,
        Err(error) => return vec![format!("{} {}", error.pointer, error.message)],
    };
    let failure = |case: &Value| {
        let body = case["data"].to_string();
        let valid = plugin.validate(&Request::post("/", body).with_argument("a")).is_empty();
        (valid != case["valid"]).then(|| format!("{} is {valid}", case["description"]))
    };
    group["tests"].as_array().unwrap().iter().filter_map(failure).collect()
}

fn check(folder: &str, dialect: &str, least: usize) {
    let (cases, failures) = failures(folder, dialect, "ignore");
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
    assert!(cases >= least, "{cases}");
}

#[test]
fn draft_4_passes() {
    check("draft4", "draft-04", 600);
}

#[test]
fn draft_6_passes() {
    check("draft6", "draft-06", 800);
}

#[test]
fn draft_7_passes() {
    check("draft7", "draft-07", 900);
}

#[test]
fn draft_2019_09_passes() {
    check("draft2019-09", "2019-09", 1200);
}

#[test]
fn draft_2020_12_passes() {
    check("draft2020-12", "2020-12", 1200);
}
