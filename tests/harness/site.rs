//! The directory a gateway runs in: configuration, plugins, certificates.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::gateway::Gateway;
use crate::program::{self, Outcome};

/// A directory for one gateway, gone when dropped.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A new directory with an empty plugin directory in it.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("plugins")).expect("a directory in it");
        Self { directory }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where plugins are looked for.
    pub fn plugins_dir(&self) -> PathBuf {
        self.path().join("plugins")
    }

    /// Where the configuration is.
    pub fn config(&self) -> PathBuf {
        self.path().join("portcullis.toml")
    }

    /// Installs a plugin as tools should: written beside, then renamed.
    pub fn install(&self, name: &str, bytes: &[u8]) -> &Self {
        self.write(&format!("plugins/{name}.wasm"), bytes)
    }

    /// Writes a file whole: beside, then renamed.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        let beside = path.with_extension("being-written");
        fs::write(&beside, bytes).expect("a file can be written");
        fs::rename(&beside, &path).expect("a file can be renamed");
        self
    }

    /// Installs the guests that a configuration names.
    pub fn install_guests_of(&self, config: &str) -> &Self {
        for guest in portcullis_test_guests::names() {
            let is_named = config.contains(&format!("plugin = \"{guest}\""));
            if is_named && !self.plugins_dir().join(format!("{guest}.wasm")).exists() {
                self.install(guest, portcullis_test_guests::component(guest));
            }
        }
        self
    }

    /// Writes the configuration, with what tests need and do not say themselves.
    pub fn configure(&self, config: &str) -> &Self {
        self.install_guests_of(config);
        self.write("portcullis.toml", completed(config))
    }

    /// Writes the configuration just as it is, and runs `portcullis check` on it.
    pub fn check(&self, config: &str) -> Outcome {
        self.install_guests_of(config);
        self.write("portcullis.toml", config);
        self.run(&["check", "portcullis.toml"])
    }

    /// Runs the program in the directory.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        program::run(self.path(), arguments)
    }

    /// Starts the gateway on the configuration that is there, with more arguments.
    pub fn start_again(self, arguments: &[&str]) -> Gateway {
        Gateway::run_with(self, &program::program(), arguments)
    }

    /// Starts the gateway.
    pub fn start(self, config: &str) -> Gateway {
        self.configure(config);
        Gateway::run(self)
    }
}

/// Adds the directories, the places of logs and metrics, and a listener `public`.
fn completed(config: &str) -> String {
    let state = program::target().join("gateway-tests-state");
    let state = format!("\"{}\"", state.display());
    let defaults = [
        ("plugins", "\"plugins\""),
        // Shared by all tests, so that each component is compiled once.
        ("state", state.as_str()),
        ("access_log", "{ file = \"access.log\" }"),
        ("admin", "{ address = \"127.0.0.1:0\" }"),
    ];
    let mut whole = String::new();
    for (key, value) in defaults {
        if !config.lines().any(|line| line.trim_start().starts_with(&format!("{key} ="))) {
            whole.push_str(&format!("{key} = {value}\n"));
        }
    }
    whole.push_str(config);
    if !config.contains("[listeners.") {
        whole.push_str("\n[listeners.public]\naddress = \"127.0.0.1:0\"\n");
    }
    whole
}
