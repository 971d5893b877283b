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
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// How long compiled code that nobody uses stays on disk.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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

    /// Lets go of what is not among `used`; on disk, of what nobody has used for long.
    pub(crate) fn keep_only(&self, used: &[Digest]) {
        if let Ok(mut live) = self.live.lock() {
            live.retain(|digest, _| used.contains(digest));
        }
        let now = SystemTime::now();
        used.iter().filter_map(|digest| self.file(digest)).for_each(|file| touch(&file, now));
        if let Some(directory) = &self.directory {
            forget(directory, now);
        }
    }

    fn file(&self, digest: &Digest) -> Option<PathBuf> {
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(self.directory.as_ref()?.join(format!("{name}-{:016x}.cwasm", self.engine)))
    }

    fn read(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let file = self.file(digest)?;
        let bytes = fs::read(&file).ok()?;
        touch(&file, SystemTime::now());
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

/// Notes that a file is used: others may share the directory, and know by its age.
fn touch(file: &Path, now: SystemTime) {
    // One that is not there, or not ours, has no use to note.
    let _noted = fs::File::options().write(true).open(file).map(|file| file.set_modified(now));
}

/// Deletes compiled code that nobody has used for [`FORGOTTEN_AFTER`], whichever gateway
/// or version it was of, and what was begun and never finished.
fn forget(directory: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_ours = path.extension().is_some_and(|kind| kind == "cwasm" || kind == "part");
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.map(|at| now.duration_since(at).unwrap_or_default());
        if is_ours && age.is_ok_and(|age| age > FORGOTTEN_AFTER) {
            match fs::remove_file(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "compiled code was forgotten"),
                Err(problem) => tracing::debug!(path = %path.display(), %problem, "still there"),
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_nobody_uses_for_long_is_deleted() {
        let directory =
            std::env::temp_dir().join(format!("portcullis-code-{}", std::process::id()));
        let cache = CodeCache::open(Some(directory.clone()), &wasmtime::Engine::default()).unwrap();
        let (used, new, old) = ([1; 32], [2; 32], [3; 32]);
        let files = [used, new, old].map(|digest| cache.file(&digest).unwrap());
        let others = ["notes.txt", "begun.17.part", "other-version.cwasm"];
        let others = others.map(|name| directory.join(name));
        let long_ago = SystemTime::now() - FORGOTTEN_AFTER - Duration::from_secs(60);
        for file in files.iter().chain(&others) {
            fs::write(file, "code").unwrap();
            touch(file, long_ago);
        }
        touch(&files[1], SystemTime::now());

        cache.keep_only(&[used]);
        let left: Vec<bool> = files.iter().chain(&others).map(|file| file.exists()).collect();
        fs::remove_dir_all(&directory).unwrap();

        assert_eq!(left, [true, true, false, true, false, false]);
    }
}
