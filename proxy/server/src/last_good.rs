//! The last configuration that served, kept in the state directory.
//!
//! Kept are the texts that it was read from and the components of its plugins, in one
//! sealed file. Not kept is what may be secret: variables, files of secrets, and the
//! certificates and keys of TLS, which belong together. They are read anew.

mod copy;
mod stand_in;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf, absolute};

use parking_lot::Mutex;
use portcullis_config::Gateway;
use portcullis_plugin_host::{
    KeptComponent, KeptComponents, LoadedComponent, PluginHost, component_path,
};
use portcullis_state::now_ms;
use ring::digest::{self, SHA256};

use crate::configuration::{self, BuildError, Contents};
pub use copy::CopyProblem;
use copy::{MOST_BYTES, Part, Writer};
use stand_in::StandIn;

/// The name of the file in the state directory.
const FILE: &str = "last-good";

/// A configuration that served.
pub(crate) struct LastGood {
    /// The configuration, checked.
    pub(crate) gateway: Gateway,
    /// The components of its plugins that were files.
    pub(crate) components: KeptComponents,
    /// When it was kept, in milliseconds since 1970.
    pub(crate) time_ms: u64,
}

/// Why the last good configuration cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodProblem {
    /// The copy cannot be used.
    #[error(transparent)]
    Copy(#[from] CopyProblem),
    /// The copy is of another configuration file.
    #[error("`{}` is of the configuration `{}`", .copy.display(), .config.display())]
    Other {
        /// The copy.
        copy: PathBuf,
        /// The configuration that it is of.
        config: PathBuf,
    },
    /// What it refers to has gone.
    #[error("it cannot serve either:\n{0}")]
    Refused(Box<BuildError>),
}

/// Reads the last good configuration of a file from a state directory.
pub(crate) fn open(state: &Path, config: &Path) -> Result<LastGood, LastGoodProblem> {
    let path = state.join(FILE);
    let copy = copy::read(&path)?;
    let absolute = absolute(config).unwrap_or_else(|_| config.to_owned());
    if copy.config != absolute {
        return Err(LastGoodProblem::Other { copy: path, config: copy.config });
    }
    let mut contents = Contents::new();
    let mut components = KeptComponents::new();
    for (Part { path, plugin, .. }, bytes) in copy.parts {
        match plugin {
            Some(plugin) => drop(components.insert(plugin, KeptComponent { path, bytes })),
            None => drop(contents.insert(path, bytes)),
        }
    }
    let text = contents.get(&absolute).and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(|| CopyProblem::damaged(&path, "it lacks the configuration"))?;
    let gateway = configuration::parse(text, config, &StandIn { contents: &contents })
        .map_err(|problems| LastGoodProblem::Refused(Box::new(problems.into())))?;
    Ok(LastGood { gateway, components, time_ms: copy.time_ms })
}

/// Keeps configurations that serve.
pub(crate) struct Keeper {
    path: PathBuf,
    config: PathBuf,
    /// What the copy is of, so that the same is not written twice.
    kept: Mutex<Option<digest::Digest>>,
}

/// What became of keeping a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was written.
    Written,
    /// This very one was there already.
    Already,
}

/// Why a configuration is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepProblem {
    /// The copy cannot be written.
    #[error(transparent)]
    Copy(#[from] CopyProblem),
    /// A component cannot be read again.
    #[error("{}: {source}", .path.display())]
    Component {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A component is not the one that serves any more.
    #[error("{} has changed since it was loaded", .0.display())]
    Changed(PathBuf),
}

impl Keeper {
    /// Keeps the configurations of this file in a state directory.
    pub(crate) fn new(state: &Path, config: &Path) -> Self {
        let config = absolute(config).unwrap_or_else(|_| config.to_owned());
        Self { path: state.join(FILE), config, kept: Mutex::default() }
    }

    /// Keeps a configuration that serves with these plugins, whose files are in this
    /// directory. What cannot be kept leaves no older copy behind: it would pass for the
    /// last good one.
    pub(crate) fn keep(
        &self,
        contents: &Contents,
        plugins: &PluginHost,
        directory: Option<&Path>,
    ) -> Result<Kept, KeepProblem> {
        let components: BTreeSet<LoadedComponent<'_>> = plugins.components_of_files().collect();
        let identity = identity(contents, &components);
        let mut kept = self.kept.lock();
        if kept.as_ref().is_some_and(|kept| kept.as_ref() == identity.as_ref()) {
            return Ok(Kept::Already);
        }
        *kept = None;
        match self.write(contents, &components, directory.unwrap_or(Path::new(""))) {
            Ok(()) => {
                *kept = Some(identity);
                Ok(Kept::Written)
            }
            Err(problem) => {
                // Where there was none, there is nothing to remove.
                let _absent = fs::remove_file(&self.path);
                Err(problem)
            }
        }
    }

    fn write(
        &self,
        contents: &Contents,
        components: &BTreeSet<LoadedComponent<'_>>,
        directory: &Path,
    ) -> Result<(), KeepProblem> {
        let mut writer = Writer::begin(&self.path)?;
        for (path, bytes) in contents {
            writer.add(path.clone(), None, bytes)?;
        }
        for component in components {
            let path = component_path(directory, component.plugin);
            let bytes = component_bytes(&path, component.sha256)?;
            writer.add(path, Some(component.plugin.to_owned()), &bytes)?;
        }
        Ok(writer.finish(&self.config, now_ms())?)
    }
}

/// The component in a file, if it is the one that serves.
fn component_bytes(path: &Path, sha256: &[u8; 32]) -> Result<Vec<u8>, KeepProblem> {
    let io = |source| KeepProblem::Component { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(io)?.take(MOST_BYTES).read_to_end(&mut bytes).map_err(io)?;
    if digest::digest(&SHA256, &bytes).as_ref() != sha256 {
        return Err(KeepProblem::Changed(path.to_owned()));
    }
    Ok(bytes)
}

/// A digest of all that is kept.
fn identity(contents: &Contents, components: &BTreeSet<LoadedComponent<'_>>) -> digest::Digest {
    let mut hash = digest::Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (path, bytes) in contents {
        part(path.as_os_str().as_encoded_bytes());
        part(bytes);
    }
    for component in components {
        part(component.plugin.as_bytes());
        part(component.sha256);
    }
    hash.finish()
}
