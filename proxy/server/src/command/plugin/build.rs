//! `portcullis plugin build`: a project becomes a component.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;

/// Build a plugin project to a component.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The project: the folder that holds its Cargo.toml.
    #[arg(default_value = ".")]
    project: PathBuf,
    /// A directory to put the component into, such as a gateway's plugin directory.
    #[arg(long)]
    install: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let project = std::fs::canonicalize(&self.project)
            .with_context(|| self.project.display().to_string())?;
        eprintln!(
            "building {} for wasm32-wasip2 (the first time takes longest)",
            project.display()
        );
        let target = target_directory(&project)?.join("guests");
        let built = portcullis_guest_build::build(std::slice::from_ref(&project), &target)?;
        let (name, component) = built.into_iter().next().context("the project builds nothing")?;
        let bytes = std::fs::metadata(&component)?.len();
        eprintln!(
            "built in {:.1} s, {} KiB",
            started.elapsed().as_secs_f32(),
            bytes.div_ceil(1024)
        );
        if let Some(directory) = &self.install {
            portcullis_guest_build::install(&name, &component, directory)?;
            eprintln!("installed {}", directory.join(format!("{name}.wasm")).display());
        }
        println!("{}", component.display());
        Ok(ExitCode::SUCCESS)
    }
}

/// Where Cargo puts what it builds of this project: a workspace has one place for all.
fn target_directory(project: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(project.join("Cargo.toml"))
        .output()
        .context("cargo is needed to build a plugin; install Rust from https://rustup.rs")?;
    let message = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    anyhow::ensure!(answer.status.success(), "{message}");
    let metadata: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
    let directory = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(PathBuf::from(directory.context("cargo names no target directory")?))
}
