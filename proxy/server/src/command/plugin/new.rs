//! `portcullis plugin new`: a project that builds, and whose tests pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use include_dir::{Dir, include_dir};

/// The SDK this gateway was built with: a project carries it, so that it builds
/// years later and without a network.
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../plugin-sdk/src");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
const SDK_MANIFEST: &str = include_str!("../../../../../plugin-sdk/Cargo.toml");
const WORKSPACE_MANIFEST: &str = include_str!("../../../../../Cargo.toml");

/// The source and the cases of an example.
macro_rules! example {
    ($name:literal) => {
        (
            include_str!(concat!("../../../../../examples/", $name, "/src/lib.rs")),
            include_str!(concat!("../../../../../examples/", $name, "/cases.toml")),
        )
    };
}

/// Start a plugin project that builds and whose tests pass.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The project's folder; its last part names the plugin.
    path: PathBuf,
    /// What the plugin is to be.
    #[arg(long, value_enum, default_value = "authorizer")]
    role: Template,
}

/// The role of the scaffold.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Template {
    Authorizer,
    Limiter,
    Validator,
    RequestTransform,
    ResponseTransform,
}

impl Template {
    /// The source and the cases: those of the examples, which are tested.
    fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::Authorizer => example!("door"),
            Self::Limiter => example!("page-cost"),
            Self::Validator => example!("order-body"),
            Self::RequestTransform => example!("claims-header"),
            Self::ResponseTransform => example!("response-stamp"),
        }
    }
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let name = self
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        anyhow::ensure!(
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain),
            "`{name}` is no plugin name; use lower-case letters, digits and `-`, a letter first"
        );
        anyhow::ensure!(!self.path.exists(), "{} exists already", self.path.display());
        let (source, cases) = self.role.files();
        write(
            &self.path.join("Cargo.toml"),
            &include_str!("project.toml.txt").replace("{name}", &name),
        )?;
        write(&self.path.join(".gitignore"), "target/\n")?;
        write(&self.path.join("src/lib.rs"), source)?;
        write(&self.path.join("cases.toml"), cases)?;
        let sdk = self.path.join("portcullis-plugin-sdk");
        write(&sdk.join("Cargo.toml"), &sdk_manifest()?)?;
        write_all(&SDK, &sdk.join("src"))?;
        write_all(&WIT, &sdk.join("wit"))?;
        let (path, file) = (self.path.display(), name.replace('-', "_"));
        println!("{path} is ready. Next:");
        println!("  portcullis plugin build {path}");
        println!(
            "  portcullis plugin test {path}/target/guests/wasm32-wasip2/guest/{file}.wasm --cases {path}/cases.toml"
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn write_all(from: &Dir<'_>, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    from.extract(to).with_context(|| to.display().to_string())
}

/// The SDK's manifest, with what it has from the workspace written out.
fn sdk_manifest() -> anyhow::Result<String> {
    let mut manifest: toml::Table = toml::from_str(SDK_MANIFEST)?;
    let workspace: toml::Table = toml::from_str(WORKSPACE_MANIFEST)?;
    let of_workspace = |path: [&str; 2]| {
        workspace
            .get("workspace")
            .and_then(|w| w.get(path[0]))
            .and_then(|t| t.get(path[1]))
            .cloned()
    };
    manifest.remove("lints");
    // What the SDK's own tests need is not there, and a project does not run them.
    manifest.remove("dev-dependencies");
    inherit(&mut manifest, "package", |key| of_workspace(["package", key]));
    inherit(&mut manifest, "dependencies", |key| of_workspace(["dependencies", key]));
    if let Some(targets) = manifest.get_mut("target").and_then(toml::Value::as_table_mut) {
        for (_, target) in targets.iter_mut() {
            if let Some(target) = target.as_table_mut() {
                inherit(target, "dependencies", |key| of_workspace(["dependencies", key]));
            }
        }
    }
    Ok(toml::to_string(&manifest)?)
}

fn inherit(manifest: &mut toml::Table, section: &str, find: impl Fn(&str) -> Option<toml::Value>) {
    let Some(table) = manifest.get_mut(section).and_then(toml::Value::as_table_mut) else { return };
    for (key, value) in table.iter_mut() {
        let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        if let (true, Some(found)) = (inherited, find(key)) {
            *value = found;
        }
    }
}
