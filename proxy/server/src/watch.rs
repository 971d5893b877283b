//! Notices when the configuration or its plugins change on disk.
//!
//! The file system's notices only wake the watcher; what counts is whether the files
//! look different from when they were last read. So nothing is missed where notices
//! are (network file systems, replaced directories), and a file half written is waited
//! for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::reload::Reloader;

/// How often it is looked without a notice.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long files must look the same before they are read.
const SETTLED_AFTER: Duration = Duration::from_millis(100);
/// How often it is looked whether they do. A file that never rests keeps no other change
/// waiting for longer.
const MOST_LOOKS: u32 = 50;

/// The files whose change matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watchlist {
    /// These files.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Every component in this directory.
    pub(crate) plugins: Option<PathBuf>,
}

/// Why the watcher is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something may have changed.
    Look,
    /// Somebody wants the configuration read again in any case.
    Reload,
    /// The process stops.
    Stop,
}

/// Looks at files until it is told to stop: first whether they look as they did before what
/// serves was made of them. What takes its time and is to be done once, is done before.
pub(crate) fn run(
    reloader: &Reloader,
    (mut watchlist, mut seen): (Watchlist, Vec<Look>),
    once: impl FnOnce(&Reloader, &Watchlist),
    (notices, own): (&Receiver<Wake>, &Sender<Wake>),
) {
    once(reloader, &watchlist);
    let mut watching = notify_about(&watchlist, own);
    loop {
        let is_wanted = match notices.recv_timeout(LOOK_EVERY) {
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Wake::Reload) => true,
            Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => watchlist.look() != seen,
        };
        if !is_wanted {
            continue;
        }
        settle(&watchlist);
        // What changes while it is read is seen as different at the next look.
        let before = watchlist.look();
        let next = reloader.reload();
        seen = next.look_again(&watchlist, before);
        if next != watchlist {
            watchlist = next;
            watching = notify_about(&watchlist, own);
        }
        tracing::trace!(files = seen.len(), notices = watching.is_some(), "watching");
    }
}

/// Waits until the files look the same for a while, within bounds: what changes later is
/// seen as different at the next look.
fn settle(watchlist: &Watchlist) {
    let mut before = watchlist.look();
    for _ in 0..MOST_LOOKS {
        std::thread::sleep(SETTLED_AFTER);
        let now = watchlist.look();
        if now == before {
            return;
        }
        before = now;
    }
    tracing::warn!("the files to read keep changing; they are read as they are");
}

/// How a file looks from outside.
pub(crate) type Look = (PathBuf, Option<(SystemTime, u64)>);

impl Watchlist {
    /// How the files look now, in their order.
    pub(crate) fn look(&self) -> Vec<Look> {
        let mut paths = self.files.clone();
        paths.extend(self.plugins.iter().flat_map(|directory| components(directory)));
        paths.into_iter().map(look).collect()
    }

    /// The same, but for what another list has too as it looked before.
    fn look_again(&self, other: &Self, before: Vec<Look>) -> Vec<Look> {
        let mut looks: BTreeMap<_, _> = self.look().into_iter().collect();
        looks.retain(|path, _| !other.has(path));
        looks.extend(before.into_iter().filter(|(path, _)| self.has(path)));
        looks.into_iter().collect()
    }

    fn has(&self, path: &Path) -> bool {
        let is_plugin = path.extension().is_some_and(|extension| extension == "wasm");
        self.files.contains(path)
            || is_plugin && self.plugins.is_some() && path.parent() == self.plugins.as_deref()
    }
}

fn look(path: PathBuf) -> Look {
    let metadata = std::fs::metadata(&path).ok();
    let look = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
    (path, look)
}

fn components(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect()
}

/// Whether a notice may be of a change. Looking is no change, and would wake itself
/// for ever; nor is what happens to other files, such as the access log.
fn may_matter(event: &notify::Event, files: &BTreeSet<PathBuf>) -> bool {
    let is_watched = |path: &PathBuf| {
        let name = path.file_name();
        path.extension().is_some_and(|extension| extension == "wasm")
            || files.iter().any(|file| file.file_name() == name)
    };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            event.paths.iter().any(is_watched)
        }
        EventKind::Access(_) => false,
        _ => event.paths.iter().any(is_watched),
    }
}

/// Asks the file system for notices; `None` where it gives none.
fn notify_about(watchlist: &Watchlist, own: &Sender<Wake>) -> Option<RecommendedWatcher> {
    let own = own.clone();
    let files: BTreeSet<PathBuf> = watchlist.files.clone();
    let wake = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| may_matter(&event, &files)) {
            // A watcher that is gone has nothing to look at.
            let _gone = own.send(Wake::Look);
        }
    };
    let mut watcher = notify::recommended_watcher(wake).ok()?;
    let parents = watchlist.files.iter().map(|file| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    });
    let directories: BTreeSet<PathBuf> = parents.chain(watchlist.plugins.clone()).collect();
    for directory in directories {
        if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
            tracing::debug!("no notices for `{}`: {error}", directory.display());
        }
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn looking_wakes_nobody() {
        let files = BTreeSet::from([PathBuf::from("/etc/portcullis.toml")]);
        let notice = |kind, path: &str| {
            may_matter(&notify::Event::new(kind).add_path(PathBuf::from(path)), &files)
        };
        let changed = EventKind::Modify(notify::event::ModifyKind::Any);

        assert!(!notice(
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            "/etc/portcullis.toml"
        ));
        assert!(notice(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/etc/a.wasm"));
        assert!(notice(changed, "/etc/portcullis.toml"));
        assert!(!notice(changed, "/etc/access.log"));
    }

    #[test]
    fn a_change_of_any_file_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.toml");
        fs::write(&file, "a").unwrap();
        let watchlist = Watchlist {
            files: BTreeSet::from([file.clone()]),
            plugins: Some(directory.path().to_owned()),
        };
        let before = watchlist.look();
        assert_eq!(watchlist.look(), before);
        fs::write(directory.path().join("notes.txt"), "a").unwrap();
        assert_eq!(watchlist.look(), before);
        fs::write(directory.path().join("jwt.wasm"), "a").unwrap();
        let with_plugin = watchlist.look();
        assert_ne!(with_plugin, before);
        fs::write(&file, "ab").unwrap();
        assert_ne!(watchlist.look(), with_plugin);
        fs::remove_file(&file).unwrap();
        assert_eq!(watchlist.look().iter().filter(|(_, look)| look.is_none()).count(), 1);
    }

    #[test]
    fn a_file_that_never_rests_is_read_all_the_same() {
        use std::sync::atomic::{AtomicBool, Ordering};

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.toml");
        let watchlist = Watchlist { files: BTreeSet::from([file.clone()]), plugins: None };
        let is_settled = AtomicBool::new(false);

        std::thread::scope(|scope| {
            scope.spawn(|| {
                for length in 0.. {
                    if is_settled.load(Ordering::Relaxed) {
                        return;
                    }
                    fs::write(&file, "a".repeat(length)).unwrap();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            settle(&watchlist);
            is_settled.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn what_changes_while_it_is_read_is_seen_though_the_list_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.toml");
        fs::write(&file, "a").unwrap();
        let files = BTreeSet::from([file.clone()]);
        let broken = Watchlist { files: files.clone(), plugins: None };
        let whole = Watchlist { files, plugins: Some(directory.path().to_owned()) };

        for (list, next) in [(&broken, &whole), (&whole, &broken)] {
            let before = list.look();
            fs::write(&file, "changed").unwrap();
            assert_ne!(next.look_again(list, before.clone()), next.look());
            fs::write(&file, "a").unwrap();
            fs::write(directory.path().join("jwt.wasm"), "a").unwrap();
        }
    }
}
