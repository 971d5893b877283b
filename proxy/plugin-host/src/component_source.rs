//! Where components come from: the plugin directory, then the program itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use crate::code_cache::Digest;

/// Bytes a component file may have.
const COMPONENT_BYTES: u64 = 128 << 20;

/// Where components that are no part of the program are looked for.
#[derive(Debug, Clone, Copy)]
pub enum ComponentFiles<'a> {
    /// In this directory, if any.
    In(Option<&'a Path>),
    /// Among these, which were such files once.
    Kept(&'a KeptComponents),
}

/// The components of files, by the plugins' names.
pub type KeptComponents = BTreeMap<String, KeptComponent>;

/// The component of a file, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptComponent {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

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

/// A component of the program itself.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    bytes: &'static [u8],
    /// Taken once: it takes a millisecond a megabyte, and each reload asks for it.
    digest: OnceLock<Digest>,
}

impl Builtin {
    /// Of a name and bytes.
    pub(crate) fn new((name, bytes): (&'static str, &'static [u8])) -> Self {
        Self { name, bytes, digest: OnceLock::new() }
    }
}

/// A component that was found.
pub(crate) struct Found {
    pub(crate) bytes: Cow<'static, [u8]>,
    /// The SHA-256 of the bytes.
    pub(crate) digest: Digest,
    pub(crate) origin: ComponentOrigin,
}

impl Found {
    fn in_file((bytes, path): (Vec<u8>, PathBuf)) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self { bytes: Cow::Owned(bytes), digest, origin: ComponentOrigin::File(path) }
    }

    fn in_program(builtin: &Builtin) -> Self {
        let digest = *builtin.digest.get_or_init(|| Sha256::digest(builtin.bytes).into());
        Self { bytes: Cow::Borrowed(builtin.bytes), digest, origin: ComponentOrigin::Builtin }
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
    files: ComponentFiles<'_>,
    builtins: &[Builtin],
) -> Result<Found, SourceProblem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(SourceProblem::Name(name.to_owned()));
    }
    if let Some(found) = find_file(name, files)? {
        return Ok(Found::in_file(found));
    }
    match builtins.iter().find(|builtin| builtin.name == name) {
        Some(builtin) => Ok(Found::in_program(builtin)),
        None => {
            Err(SourceProblem::Unknown { name: name.to_owned(), known: known(files, builtins) })
        }
    }
}

fn find_file(
    name: &str,
    files: ComponentFiles<'_>,
) -> Result<Option<(Vec<u8>, PathBuf)>, SourceProblem> {
    let directory = match files {
        ComponentFiles::In(directory) => directory,
        ComponentFiles::Kept(kept) => {
            return Ok(kept.get(name).map(|kept| (kept.bytes.clone(), kept.path.clone())));
        }
    };
    let Some(path) = directory.map(|directory| component_path(directory, name)) else {
        return Ok(None);
    };
    match read_file(&path) {
        Ok(bytes) => Ok(Some((bytes, path))),
        Err(SourceProblem::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

/// The file of a plugin in a directory of them.
pub fn component_path(directory: &Path, plugin: &str) -> PathBuf {
    directory.join(format!("{plugin}.wasm"))
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

fn known(files: ComponentFiles<'_>, builtins: &[Builtin]) -> Vec<String> {
    let mut names: Vec<String> = builtins.iter().map(|builtin| builtin.name.to_owned()).collect();
    let directory = match files {
        ComponentFiles::In(directory) => directory,
        ComponentFiles::Kept(kept) => {
            names.extend(kept.keys().cloned());
            None
        }
    };
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
