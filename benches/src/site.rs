//! The directory a gateway runs in: configuration, plugins, compiled code, a secret.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// The key that the authorizers know; every request carries it, needed or not.
pub(crate) const KEY: &str = "sesame";

/// A directory for a gateway, gone when dropped.
pub(crate) struct Site {
    directory: TempDir,
}

impl Site {
    /// A directory with the key in it, and no plugin.
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        fs::create_dir(directory.path().join("plugins"))?;
        fs::create_dir(directory.path().join("logs"))?;
        fs::write(directory.path().join("key"), KEY)?;
        Ok(Self { directory })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration's file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("portcullis.toml")
    }

    /// Puts a component into the plugin directory.
    pub(crate) fn install(&self, name: &str, component: &[u8]) -> Result<()> {
        let file = self.path().join("plugins").join(format!("{name}.wasm"));
        fs::write(&file, component).with_context(|| file.display().to_string())
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, config: &Config) -> Result<()> {
        Ok(fs::write(self.config(), config.text())?)
    }
}

/// A configuration, as far as measurements differ in theirs.
pub(crate) struct Config {
    head: String,
    authorizers: String,
    routes: String,
}

impl Config {
    /// Forwards `GET /open` to `upstream`, unasked.
    pub(crate) fn new(upstream: SocketAddr, workers: usize) -> Self {
        let head = format!(
            "plugins = \"plugins\"\nstate = \"state\"\nworkers = {workers}\n\
             admin = {{ address = \"127.0.0.1:0\" }}\n\
             limits = {{ keep_alive = \"10m\" }}\n\
             listeners.public.address = \"127.0.0.1:0\"\n\
             upstreams.origin.endpoints = [\"{upstream}\"]\n\
             apis.bench.upstream = \"origin\"\n"
        );
        let routes = "[apis.bench.routes.\"GET /open\"]\nauthorizer = \"none\"\n".to_owned();
        Self { head, authorizers: String::new(), routes }
    }

    /// Says where access log lines go, as TOML.
    pub(crate) fn access_log(mut self, place: &str) -> Self {
        // Writing to a string cannot fail.
        let _infallible = writeln!(self.head, "access_log = {place}");
        self
    }

    /// Adds the authorizer `name`, which is asked about `GET /name`. `keys` are lines of
    /// its table.
    pub(crate) fn authorizer(mut self, name: &str, keys: &str) -> Self {
        let _infallible = writeln!(self.authorizers, "[authorizers.{name}]\n{keys}");
        let _infallible =
            writeln!(self.routes, "[apis.bench.routes.\"GET /{name}\"]\nauthorizer = \"{name}\"");
        self
    }

    /// Adds the limiter `rate-limit` by the name of `limits`, with these lines of its table.
    pub(crate) fn limiter(mut self, keys: &str) -> Self {
        let _infallible = writeln!(self.authorizers, "[limiters.limits]\n{keys}");
        self
    }

    /// Adds limits shared over a Redis.
    pub(crate) fn shared_limits(mut self, redis: SocketAddr) -> Self {
        let _infallible =
            writeln!(self.head, "shared_limits = {{ redis = \"redis://{redis}\", gateways = 2 }}");
        self
    }

    /// Adds the open route `GET /limited`, with these lines of its table.
    pub(crate) fn limited(mut self, keys: &str) -> Self {
        let _infallible = writeln!(
            self.routes,
            "[apis.bench.routes.\"GET /limited\"]\nauthorizer = \"none\"\n{keys}"
        );
        self
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        format!("{}{}{}", self.head, self.authorizers, self.routes)
    }
}

/// The keys of an authorizer that is `examples/door`.
pub(crate) fn door(isolation: &str) -> String {
    format!(
        "plugin = \"door\"\nsettings = {{ guest = \"alice\" }}\nisolation = {isolation}\n\
         grants = {{ secrets = {{ key = {{ file = \"key\" }} }} }}\n"
    )
}
