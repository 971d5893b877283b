//! Compiles plugin crates to components, from within a build script.
//!
//! ```text
//! crate folders ─ Cargo, wasm32-wasip2, target/guests ─▶ components ─▶ components.rs
//! ```
//!
//! It knows Cargo and nothing of the proxy. The inner Cargo has a target
//! directory of its own: the outer one holds the lock of the other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

const TARGET: &str = "wasm32-wasip2";

/// The profile of components: small, since they are compiled again at load. But what
/// judges bodies runs for each of their bytes, and takes half the time when it is fast.
const PROFILE: [&str; 9] = [
    "profile.guest.inherits='release'",
    "profile.guest.opt-level='s'",
    "profile.guest.lto='fat'",
    "profile.guest.codegen-units=1",
    "profile.guest.strip=true",
    "profile.guest.panic='abort'",
    "profile.guest.package.json-schema.opt-level=3",
    "profile.guest.package.jsonschema.opt-level=3",
    "profile.guest.package.jsonschema-value.opt-level=3",
];

/// Variables by which the outer Cargo, or whoever started it, would reach into
/// the inner one: flags meant for the host, clippy in the place of rustc.
const INHERITED: [&str; 10] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// Why components cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The compiler cannot target components.
    #[error("the target {TARGET} is missing; run: rustup target add {TARGET}")]
    MissingTarget,
    /// Cargo has already said why.
    #[error("cargo could not build the components (its messages are above)")]
    Cargo,
    /// A folder without a component to show for it.
    #[error("{} builds no component: is it a member of the workspace, of crate-type \"cdylib\"?", .0.display())]
    NoComponent(PathBuf),
    /// A variable that Cargo sets for build scripts.
    #[error("{0} is not set: this runs only in a build script")]
    NotABuildScript(&'static str),
    /// Cargo said something that is not JSON.
    #[error("cargo's messages: {0}")]
    Message(#[from] serde_json::Error),
    /// Files or processes.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was being used.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Builds the crates in these folders and writes `$OUT_DIR/components.rs`:
/// `COMPONENTS`, a slice of each folder's name with its component, sorted by name.
///
/// Also tells Cargo when to run the build script again.
///
/// # Errors
///
/// Where the target is missing or a crate does not build.
pub fn embed(folders: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let components = build(folders, &guest_target_dir(&out_dir))?;

    let mut list = String::from("&[\n");
    for (name, component) in &components {
        list.push_str(&format!("    ({name:?}, include_bytes!({component:?})),\n"));
    }
    list.push(']');
    let path = out_dir.join("components.rs");
    fs::write(&path, list).map_err(|source| BuildError::Io { path, source })?;

    for folder in folders {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    Ok(components)
}

/// Puts a component into a plugin directory as `NAME.wasm`, unless the same bytes are
/// there: a gateway may be watching.
///
/// # Errors
///
/// Where files cannot be read or written.
pub fn install(name: &str, component: &Path, directory: &Path) -> Result<(), BuildError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        |source| BuildError::Io { path, source }
    };
    let installed = directory.join(format!("{name}.wasm"));
    let bytes = fs::read(component).map_err(io(component))?;
    if fs::read(&installed).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(io(directory))?;
    // Whole or not at all: whoever watches never reads half a component.
    let partial = installed.with_extension("partial");
    fs::write(&partial, bytes).map_err(io(&partial))?;
    fs::rename(&partial, &installed).map_err(io(&installed))
}

/// The folders directly inside this one that hold a crate, without those named.
///
/// # Errors
///
/// Where the folder cannot be listed.
pub fn crates_in(folder: &Path, except: &[&str]) -> Result<Vec<PathBuf>, BuildError> {
    let failed = |source| BuildError::Io { path: folder.to_owned(), source };
    let mut crates = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let excepted = except.contains(&name_of(&path).as_str());
        if !excepted && path.join("Cargo.toml").is_file() {
            crates.push(path);
        }
    }
    crates.sort();
    Ok(crates)
}

/// Builds the crates in these folders; the components are by folder name.
///
/// # Errors
///
/// Where the target is missing or a crate does not build.
pub fn build(
    folders: &[PathBuf],
    target_dir: &Path,
) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    require_target()?;
    let artifacts = run_cargo(folders, target_dir)?;
    let component = |folder: &PathBuf| {
        let artifact = artifacts.get(&manifest_of(folder)?);
        let artifact = artifact.ok_or_else(|| BuildError::NoComponent(folder.clone()))?;
        Ok((name_of(folder), artifact.clone()))
    };
    folders.iter().map(component).collect()
}

/// Cargo's own target directory holds `guests` beside the profiles' folders.
fn guest_target_dir(out_dir: &Path) -> PathBuf {
    // <target>/<profile>/build/<package>/out
    out_dir.ancestors().nth(4).unwrap_or(out_dir).join("guests")
}

fn require_target() -> Result<(), BuildError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let answer = Command::new(&rustc)
        .args(arguments)
        .output()
        .map_err(|source| BuildError::Io { path: rustc.into(), source })?;
    let libraries = String::from_utf8_lossy(&answer.stdout);
    match answer.status.success() && Path::new(libraries.trim()).is_dir() {
        true => Ok(()),
        false => Err(BuildError::MissingTarget),
    }
}

/// Runs Cargo once for all the crates; the components are by manifest.
fn run_cargo(
    folders: &[PathBuf],
    target_dir: &Path,
) -> Result<BTreeMap<PathBuf, PathBuf>, BuildError> {
    let Some(first) = folders.first() else { return Ok(BTreeMap::new()) };
    let ids = package_ids(first)?;
    let mut cargo = cargo(first);
    cargo
        .args(["build", "--target", TARGET, "--profile", "guest"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
        .arg("--target-dir")
        .arg(target_dir);
    for folder in folders {
        let id = ids.get(&manifest_of(folder)?);
        cargo.arg("--package").arg(id.ok_or_else(|| BuildError::NoComponent(folder.clone()))?);
    }
    components_among(&answer(cargo)?)
}

/// The members of the workspace by manifest: names alone are not enough, since
/// crates such as `headers` exist elsewhere too.
fn package_ids(folder: &Path) -> Result<BTreeMap<PathBuf, String>, BuildError> {
    let mut cargo = cargo(folder);
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_slice(&answer(cargo)?)?;
    let packages = metadata.packages.into_iter();
    Ok(packages.map(|package| (package.manifest_path, package.id)).collect())
}

fn cargo(folder: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Command::new(program);
    cargo.current_dir(folder).stderr(Stdio::inherit());
    for name in INHERITED {
        cargo.env_remove(name);
    }
    cargo
}

fn answer(mut cargo: Command) -> Result<Vec<u8>, BuildError> {
    let answer = cargo
        .output()
        .map_err(|source| BuildError::Io { path: cargo.get_program().into(), source })?;
    match answer.status.success() {
        true => Ok(answer.stdout),
        false => Err(BuildError::Cargo),
    }
}

fn manifest_of(folder: &Path) -> Result<PathBuf, BuildError> {
    let canonical = fs::canonicalize(folder);
    let io = |source| BuildError::Io { path: folder.to_owned(), source };
    Ok(canonical.map_err(io)?.join("Cargo.toml"))
}

/// What Cargo tells of a workspace, as far as it matters here.
#[derive(serde::Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(serde::Deserialize)]
struct Package {
    id: String,
    manifest_path: PathBuf,
}

/// One of Cargo's messages, as far as it matters here.
#[derive(serde::Deserialize)]
struct Message {
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn components_among(messages: &[u8]) -> Result<BTreeMap<PathBuf, PathBuf>, BuildError> {
    let mut components = BTreeMap::new();
    for line in messages.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
        let message: Message = serde_json::from_slice(line)?;
        let is_component = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "wasm");
        let component = message.filenames.into_iter().find(is_component);
        if let (Some(manifest), Some(component)) = (message.manifest_path, component) {
            components.insert(manifest, component);
        }
    }
    Ok(components)
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn variable(name: &'static str) -> Result<OsString, BuildError> {
    env::var_os(name).ok_or(BuildError::NotABuildScript(name))
}
