//! Where components come from: the plugin directory, then the program itself.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Bytes a component file may have.
const COMPONENT_BYTES: u64 = 128 << 20;

/// Where a component was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentOrigin {
    /// A file.
    File(PathBuf),
    /// The program itself.
    Builtin,
}

impl std::fmt::Display for ComponentOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Builtin => f.write_str("built in"),
        }
    }
}

/// Why a component cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceProblem {
    /// Nothing has this name.
    #[error("no plugin is named `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The name could reach outside the directory.
    #[error("`{0}` is no plugin name; use letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too large.
    #[error("{0}: larger than {limit} MiB", limit = COMPONENT_BYTES >> 20)]
    TooLarge(PathBuf),
}

/// Finds a component by its plugin name.
pub(crate) fn find(
    name: &str,
    directory: Option<&Path>,
    builtins: &[(&'static str, &'static [u8])],
) -> Result<(Vec<u8>, ComponentOrigin), SourceProblem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(SourceProblem::Name(name.to_owned()));
    }
    if let Some(path) = directory.map(|directory| directory.join(format!("{name}.wasm"))) {
        match read_file(&path) {
            Ok(bytes) => return Ok((bytes, ComponentOrigin::File(path))),
            Err(SourceProblem::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            }
            Err(problem) => return Err(problem),
        }
    }
    match builtins.iter().find(|(builtin, _)| *builtin == name) {
        Some((_, bytes)) => Ok((bytes.to_vec(), ComponentOrigin::Builtin)),
        None => {
            Err(SourceProblem::Unknown { name: name.to_owned(), known: known(directory, builtins) })
        }
    }
}

/// Reads a component file within the size limit.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, SourceProblem> {
    let read = |source| SourceProblem::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(read)?;
    let mut bytes = Vec::new();
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > COMPONENT_BYTES {
        return Err(SourceProblem::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

fn known(directory: Option<&Path>, builtins: &[(&'static str, &'static [u8])]) -> Vec<String> {
    let mut names: Vec<String> = builtins.iter().map(|(name, _)| (*name).to_owned()).collect();
    let entries = directory
        .and_then(|directory| fs::read_dir(directory).ok())
        .into_iter()
        .flatten()
        .flatten();
    for path in entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
    {
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    names.dedup();
    names
}
