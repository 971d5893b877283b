//! The file that a configuration is kept in: contents, a list of them, and a seal.
//!
//! ```text
//! mark │ content │ content │ … │ list (JSON) │ its length │ SHA-256 of all before
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ring::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use serde::{Deserialize, Serialize};

/// What such a file begins with; another form begins otherwise.
const MARK: &[u8] = b"portcullis last good 1\n";
/// Bytes that are kept at the most.
pub(super) const MOST_BYTES: u64 = 256 << 20;
/// Bytes that the list of them may have beside.
const LIST_BYTES: u64 = 4 << 20;

/// Why a copy cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CopyProblem {
    /// There is none.
    #[error("none is kept in `{}`", .0.display())]
    Absent(PathBuf),
    /// It cannot be read or written.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else may have written it.
    #[error("`{}` could be of somebody else: it is another user's, or others may write to it", .0.display())]
    NotOurs(PathBuf),
    /// It is not as it was written.
    #[error("`{}` is damaged, and is not used: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// There is too much to keep.
    #[error("there is more than {} MiB to keep", MOST_BYTES >> 20)]
    TooLarge,
}

impl CopyProblem {
    pub(super) fn damaged(path: &Path, why: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), why }
    }
}

/// What a copy holds.
pub(super) struct Copy {
    pub(super) time_ms: u64,
    pub(super) config: PathBuf,
    pub(super) parts: Vec<(Part, Vec<u8>)>,
}

/// One of the files that were kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Where it was.
    pub(super) path: PathBuf,
    /// The plugin whose component it is, if it is one.
    pub(super) plugin: Option<String>,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    time_ms: u64,
    config: PathBuf,
    parts: Vec<Part>,
}

/// Writes a copy beside the one that is there, and puts it in its place when it is whole.
pub(super) struct Writer {
    path: PathBuf,
    beside: PathBuf,
    file: BufWriter<File>,
    hash: digest::Context,
    bytes: u64,
    parts: Vec<Part>,
}

impl Writer {
    pub(super) fn begin(path: &Path) -> Result<Self, CopyProblem> {
        let beside = path.with_extension(format!("{}.part", std::process::id()));
        // One that a process of this id left behind.
        let _absent = fs::remove_file(&beside);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.map_err(|source| CopyProblem::Io { path: beside.clone(), source })?;
        let mut writer = Self {
            path: path.to_owned(),
            beside,
            file: BufWriter::new(file),
            hash: digest::Context::new(&SHA256),
            bytes: 0,
            parts: Vec::new(),
        };
        writer.put(MARK)?;
        Ok(writer)
    }

    /// Adds a file.
    pub(super) fn add(
        &mut self,
        path: PathBuf,
        plugin: Option<String>,
        content: &[u8],
    ) -> Result<(), CopyProblem> {
        self.bytes += content.len() as u64;
        if self.bytes > MOST_BYTES {
            return Err(CopyProblem::TooLarge);
        }
        self.put(content)?;
        self.parts.push(Part { path, plugin, bytes: content.len() as u64 });
        Ok(())
    }

    /// Seals the copy, and puts it in its place.
    pub(super) fn finish(mut self, config: &Path, time_ms: u64) -> Result<(), CopyProblem> {
        let parts = std::mem::take(&mut self.parts);
        let list = serde_json::to_vec(&List { time_ms, config: config.to_owned(), parts });
        let list = list.map_err(|error| self.io(error.into()))?;
        if list.len() as u64 > LIST_BYTES {
            return Err(CopyProblem::TooLarge);
        }
        self.put(&list)?;
        self.put(&(list.len() as u64).to_le_bytes())?;
        let seal = self.hash.clone().finish();
        let written = self
            .file
            .write_all(seal.as_ref())
            .and_then(|()| self.file.flush())
            // A copy is for the time after a crash.
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.beside, &self.path));
        written.map_err(|source| self.io(source))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CopyProblem> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> CopyProblem {
        CopyProblem::Io { path: self.path.clone(), source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It is gone where it was put in its place.
        let _renamed = fs::remove_file(&self.beside);
    }
}

/// Reads a copy, if it is ours and whole.
pub(super) fn read(path: &Path) -> Result<Copy, CopyProblem> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CopyProblem::Absent(path.to_owned()),
        _ => CopyProblem::Io { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let own = fs::metadata("/proc/self").map(|own| own.uid());
    let is_ours = own.map_or(true, |uid| uid == metadata.uid());
    if !metadata.is_file() || !is_ours || metadata.permissions().mode() & 0o022 != 0 {
        return Err(CopyProblem::NotOurs(path.to_owned()));
    }
    let most = MOST_BYTES + LIST_BYTES;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        return Err(CopyProblem::damaged(path, "it is too long"));
    }
    parse(&bytes).map_err(|why| CopyProblem::damaged(path, why))
}

fn parse(bytes: &[u8]) -> Result<Copy, &'static str> {
    let (sealed, seal) = bytes.split_last_chunk::<SHA256_OUTPUT_LEN>().ok_or("it is too short")?;
    if digest::digest(&SHA256, sealed).as_ref() != seal {
        return Err("its seal is broken");
    }
    let rest = sealed.strip_prefix(MARK).ok_or("it is of another version")?;
    let (rest, length) = rest.split_last_chunk::<8>().ok_or("it is too short")?;
    let length =
        usize::try_from(u64::from_le_bytes(*length)).map_err(|_| "its list is too long")?;
    let at = rest.len().checked_sub(length).ok_or("its list is too long")?;
    let (mut contents, list) = rest.split_at_checked(at).ok_or("its list is too long")?;
    let list: List = serde_json::from_slice(list).map_err(|_| "its list cannot be read")?;
    let mut parts = Vec::with_capacity(list.parts.len());
    for part in list.parts {
        let length = usize::try_from(part.bytes).map_err(|_| "a part is too long")?;
        let (content, more) = contents.split_at_checked(length).ok_or("a part is too long")?;
        contents = more;
        parts.push((part, content.to_vec()));
    }
    if !contents.is_empty() {
        return Err("there is more in it than it lists");
    }
    Ok(Copy { time_ms: list.time_ms, config: list.config, parts })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy");
        let mut writer = Writer::begin(&path).unwrap();
        writer.add("/etc/a.toml".into(), None, b"text").unwrap();
        writer.add("/etc/b.wasm".into(), Some("b".into()), b"").unwrap();
        writer.finish(Path::new("/etc/a.toml"), 7).unwrap();
        (directory, path)
    }

    #[test]
    fn what_was_written_is_read_and_is_private() {
        let (directory, path) = written();
        let copy = read(&path).unwrap();

        assert_eq!((copy.time_ms, copy.config), (7, "/etc/a.toml".into()));
        let parts: Vec<_> = copy
            .parts
            .iter()
            .map(|(part, bytes)| (part.path.as_path(), part.plugin.as_deref(), bytes.as_slice()))
            .collect();
        let expected: [(&Path, Option<&str>, &[u8]); 2] =
            [(Path::new("/etc/a.toml"), None, b"text"), (Path::new("/etc/b.wasm"), Some("b"), b"")];
        assert_eq!(parts, expected);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_behind() {
        let (directory, path) = written();
        let before = fs::read(&path).unwrap();
        drop(Writer::begin(&path).unwrap());

        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_that_others_may_write_is_not_used() {
        let (_directory, path) = written();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();

        assert!(matches!(read(&path), Err(CopyProblem::NotOurs(_))));
    }

    proptest! {
        #[test]
        fn no_damage_goes_unseen(at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<bool>()) {
            let (_directory, path) = written();
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1_u8 << bit;
            }
            prop_assert!(parse(&bytes).is_err());
        }

        #[test]
        fn nothing_that_is_sealed_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = [MARK, &bytes[..]].concat();
            let seal = digest::digest(&SHA256, &bytes);
            bytes.extend_from_slice(seal.as_ref());
            // Whether it can be read is not the point.
            let _outcome = parse(&bytes);
        }
    }
}
