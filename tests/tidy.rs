//! The rules of the source that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of the repository by these names or extensions, with their paths in it.
fn files(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            match entry.is_dir() {
                true if name != "target" && !name.starts_with('.') => walk(&entry, found),
                true => {}
                false => found.push(entry),
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root, &mut found);
    let named = found.into_iter().map(|path| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        (name, path)
    });
    let wanted = named.filter(|(name, _)| wanted(name));
    let mut read: Vec<(String, String)> =
        wanted.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect();
    read.sort();
    assert!(!read.is_empty());
    read
}

/// The packages a manifest names in its tables of dependencies.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.contains("dependencies") && !table.starts_with("workspace");
        } else if inside {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('#') {
                names.push(name);
            }
        }
    }
    names
}

#[test]
fn an_engine_is_known_to_one_package_each() {
    let allowed = [
        ("pingora", &["proxy/server", "benches"][..]),
        ("wasmtime", &["proxy/plugin-host", "benches"]),
        ("redis", &["proxy/server"]),
        ("rusqlite", &["proxy/state"]),
        ("wit-bindgen", &["plugin-sdk", "tests/guests", "benches"]),
        ("toml", &["proxy/config", "proxy/server", "benches"]),
    ];

    for (manifest, text) in files(|name| name.ends_with("Cargo.toml")) {
        let folder = manifest.strip_suffix("Cargo.toml").unwrap().trim_end_matches('/');
        for dependency in dependencies(&text) {
            for (engine, packages) in &allowed {
                let is_it = dependency == *engine || dependency.starts_with(&format!("{engine}-"));
                let may = packages.iter().any(|package| folder.starts_with(package));
                assert!(!is_it || may, "{manifest} declares {dependency}");
            }
        }
    }
}

#[test]
fn the_decisions_know_no_socket_and_no_engine() {
    let manifest = fs::read_to_string(root().join("proxy/pipeline/Cargo.toml")).unwrap();
    let own = manifest.split("[dev-dependencies]").next().unwrap();

    for dependency in dependencies(own) {
        let is_foreign =
            ["pingora", "wasmtime", "tokio", "hyper", "h2", "toml", "portcullis-server"]
                .contains(&dependency);
        assert!(!is_foreign, "the pipeline declares {dependency}");
    }
}

#[test]
fn plugins_use_what_everybody_can_use() {
    let plugin = |name: &str| {
        let mut parts = name.split('/');
        let (top, folder) = (parts.next(), parts.next().unwrap_or_default());
        name.ends_with("Cargo.toml")
            && (top == Some("examples")
                || top == Some("plugins") && !matches!(folder, "build" | "builtin")
                || name.starts_with("tests/guests/") && name != "tests/guests/Cargo.toml")
    };

    for (manifest, text) in files(plugin) {
        for dependency in dependencies(&text) {
            // Fuzz targets are tests; no component holds what they need.
            let is_ours = dependency.starts_with("portcullis-") && dependency != "portcullis-fuzz";
            assert!(
                !is_ours || dependency == "portcullis-plugin-sdk",
                "{manifest} declares {dependency}"
            );
        }
    }
}

#[test]
fn every_fuzz_target_can_be_run_and_has_a_corpus() {
    let listed = fs::read_to_string(root().join("xtask/src/fuzz.rs")).unwrap();
    let corpora = fs::read_dir(root().join("fuzz/corpus")).unwrap();
    let names = corpora.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tests: String =
        files(|name| name.ends_with(".rs")).into_iter().map(|(_, text)| text).collect();

    for name in names {
        assert!(listed.contains(&format!("(\"{name}\", ")), "`cargo xtask fuzz` lacks {name}");
        let test = format!("fn fuzz_{}()", name.replace('-', "_"));
        let target = format!("target!(\"{name}\", ");
        assert!(tests.contains(&test) && tests.contains(&target), "no test tries {name}");
    }
}

/// Files that are long for a reason.
const LONG: &[&str] = &[];

#[test]
fn a_file_is_short_enough_to_be_read() {
    const MOST: usize = 500;

    let long: Vec<String> = files(|name| name.ends_with(".rs"))
        .into_iter()
        .filter(|(name, text)| text.lines().count() > MOST && !LONG.contains(&name.as_str()))
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();

    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn what_remains_to_be_done_names_its_issue() {
    // Written in two parts, so that this file is not found.
    let mark = ["TO", "DO"].concat();
    for (name, text) in files(|name| name.ends_with(".rs")) {
        for line in text.lines().filter(|line| line.contains(&mark)) {
            assert!(line.contains('#'), "{name}: {line}");
        }
    }
}

#[test]
fn every_guest_is_used_by_a_test() {
    let tests: String = files(|name| name.starts_with("tests/") && name.ends_with(".rs"))
        .into_iter()
        .filter(|(name, _)| !name.starts_with("tests/guests/"))
        .map(|(_, text)| text)
        .collect();

    for guest in portcullis_test_guests::names() {
        let is_example = root().join("examples").join(guest).is_dir();
        let is_used = tests.contains(&format!("\"{guest}\""));
        assert!(is_used || is_example, "no test uses the guest `{guest}`");
    }
}
