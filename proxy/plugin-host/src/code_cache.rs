//! Compiled code, kept by content: in memory while something uses it, on disk
//! between starts.
//!
//! Compiled code is trusted code. The directory belongs to this user alone, each
//! file is bound to its source, to the engine and to the CPU by name, and carries a
//! digest of itself, so that a torn write is never run.

use std::collections::HashMap;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// Why a cache directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheProblem {
    /// It cannot be made or looked at.
    #[error("{path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else could write to it.
    #[error("{path}: others may write to it; compiled code would run with this process's rights")]
    Writable {
        /// The directory.
        path: PathBuf,
    },
}

/// Compiled code by content.
pub(crate) struct CodeCache {
    directory: Option<PathBuf>,
    engine: u64,
    live: Mutex<HashMap<Digest, Component>>,
    compiled: AtomicU64,
    loaded: AtomicU64,
}

impl std::fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeCache").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl CodeCache {
    /// Opens the cache, making its directory if need be.
    pub(crate) fn open(
        directory: Option<PathBuf>,
        engine: &wasmtime::Engine,
    ) -> Result<Self, CacheProblem> {
        if let Some(path) = &directory {
            prepare(path)?;
        }
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            directory,
            engine: hasher.finish(),
            live: Mutex::default(),
            compiled: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
        })
    }

    /// Components compiled, and components found compiled on disk, since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.compiled.load(Ordering::Relaxed), self.loaded.load(Ordering::Relaxed))
    }

    /// Finds a component compiled, or makes its bytes and compiles them. `key` names
    /// what the bytes are made of.
    pub(crate) fn component<'b, E: From<wasmtime::Error>>(
        &self,
        engine: &wasmtime::Engine,
        key: &Digest,
        bytes: impl FnOnce() -> Result<std::borrow::Cow<'b, [u8]>, E>,
    ) -> Result<Component, E> {
        if let Some(found) = self.live.lock().ok().and_then(|live| live.get(key).cloned()) {
            return Ok(found);
        }
        let component = match self.read(engine, key) {
            Some(component) => {
                self.loaded.fetch_add(1, Ordering::Relaxed);
                component
            }
            None => {
                let component = Component::new(engine, bytes()?)?;
                self.compiled.fetch_add(1, Ordering::Relaxed);
                self.write(key, &component);
                component
            }
        };
        if let Ok(mut live) = self.live.lock() {
            live.insert(*key, component.clone());
        }
        Ok(component)
    }

    /// Lets go of what is not among `used`.
    pub(crate) fn keep_only(&self, used: &[Digest]) {
        if let Ok(mut live) = self.live.lock() {
            live.retain(|digest, _| used.contains(digest));
        }
    }

    fn file(&self, digest: &Digest) -> Option<PathBuf> {
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(self.directory.as_ref()?.join(format!("{name}-{:016x}.cwasm", self.engine)))
    }

    fn read(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let bytes = fs::read(self.file(digest)?).ok()?;
        let (seal, code) = bytes.split_at_checked(32)?;
        if Sha256::digest(code).as_slice() != seal {
            return None;
        }
        // SAFETY: the code was written by `write` below from the output of this very
        // engine configuration: its hash and the source's digest are in the name, the
        // seal shows the bytes whole, and `prepare` refused a directory that anybody
        // else may write to.
        #[expect(unsafe_code, reason = "loading precompiled components is unsafe by its nature")]
        unsafe {
            Component::deserialize(engine, code).ok()
        }
    }

    /// Keeps compiled code on disk; what cannot be kept is compiled again next time.
    fn write(&self, digest: &Digest, component: &Component) {
        let Some(path) = self.file(digest) else { return };
        let kept = component.serialize().map_err(|problem| problem.to_string()).and_then(|code| {
            write_whole(&path, &[Sha256::digest(&code).as_slice(), &code])
                .map_err(|problem| problem.to_string())
        });
        if let Err(problem) = kept {
            tracing::warn!(path = %path.display(), problem, "compiled code cannot be kept");
        }
    }
}

fn prepare(path: &Path) -> Result<(), CacheProblem> {
    let io = |source| CacheProblem::Io { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    let metadata = fs::metadata(path).map_err(io)?;
    let home = fs::metadata("/proc/self").map(|own| own.uid());
    let ours = home.map_or(true, |uid| uid == metadata.uid());
    if !ours || metadata.permissions().mode() & 0o022 != 0 {
        return Err(CacheProblem::Writable { path: path.to_owned() });
    }
    Ok(())
}

fn write_whole(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = fs::File::create(&beside)?;
    for part in parts {
        file.write_all(part)?;
    }
    drop(file);
    fs::rename(&beside, path)
}
