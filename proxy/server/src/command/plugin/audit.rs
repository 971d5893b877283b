//! `portcullis plugin audit`: what a component asks for, and what it is granted.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use portcullis_config::{Isolation, PluginUse, Process, Surroundings};
use portcullis_plugin_host::{Engine, Inspection, InspectionProblem, Reach};
use serde_json::{Value, json};

use super::inspect::{as_json, list, print};
use crate::command::REFUSED;

/// Compare what a component asks for with what a configuration grants it. Ends with 1 where
/// something is asked for that is not granted, or settings are refused.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Audit {
    /// The component.
    file: PathBuf,
    /// Settings to configure it with, as JSON, in the place of those of the configuration.
    #[arg(long)]
    settings: Option<String>,
    /// The configuration whose uses of the plugin are compared. Its secrets are not read.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The plugin's name in the configuration; the name of the file where absent.
    #[arg(long, requires = "config")]
    plugin: Option<String>,
    /// Ends with 1 also where more is granted than is asked for.
    #[arg(long, requires = "config")]
    strict: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One use of the plugin, audited.
struct Audited {
    plugin_use: PluginUse,
    inspection: Inspection,
    audit: portcullis_plugin_host::Audit,
    image: Result<(), InspectionProblem>,
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let engine = super::engine()?;
        let mut all = Vec::new();
        for plugin_use in self.uses()? {
            all.push(Audited::of(&engine, &self.file, plugin_use)?);
        }
        if self.json {
            println!("{:#}", all.iter().map(|audited| self.shown(audited)).collect::<Value>());
        } else {
            all.iter().for_each(|audited| self.print(audited));
        }
        let is_compared = self.config.is_some();
        let is_bad = |audited: &Audited| {
            audited.inspection.plan.is_err()
                || is_compared && !audited.audit.not_granted.is_empty()
                || self.strict && !audited.audit.not_asked.is_empty()
        };
        Ok(if all.iter().any(is_bad) { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
    }

    /// The uses to audit; one that stands nowhere, where no configuration is given.
    fn uses(&self) -> anyhow::Result<Vec<PluginUse>> {
        let settings = self.settings.as_deref().map(serde_json::from_str::<Value>).transpose();
        let settings = settings.context("--settings is no JSON")?;
        let (_, stem) = super::directory_and_name(&self.file)?;
        let name = self.plugin.clone().unwrap_or(stem);
        let Some(config) = &self.config else {
            let settings = settings.unwrap_or_else(|| json!({}));
            return Ok(vec![super::standalone(&name, Vec::new(), settings)]);
        };
        let mut uses = configured(config)?;
        uses.retain(|plugin_use| plugin_use.plugin == name);
        if uses.is_empty() {
            bail!(
                "{} does not use the plugin `{name}`; name another with --plugin",
                config.display()
            );
        }
        if let Some(settings) = settings {
            uses.iter_mut().for_each(|plugin_use| plugin_use.settings = settings.clone());
        }
        Ok(uses)
    }

    fn print(&self, audited: &Audited) {
        let Audited { plugin_use, inspection, audit, image } = audited;
        print(inspection);
        match image {
            Ok(()) => println!("  image      fresh instances start configured"),
            Err(problem) => println!("  image      none: {problem}"),
        }
        if self.config.is_none() {
            return;
        }
        let roles = list(plugin_use.roles.iter().map(|role| role.as_str().to_owned()));
        println!("  use `{}` as {roles}, {}", plugin_use.name, isolation(plugin_use));
        println!("    asked for and not granted  {}", list(audit.not_granted.iter().map(name)));
        println!("    granted and not asked for  {}", list(audit.not_asked.iter().map(name)));
    }

    fn shown(&self, audited: &Audited) -> Value {
        let Audited { plugin_use, inspection, audit, image } = audited;
        let reach = |reach: &[Reach]| {
            let shown = |reach: &Reach| json!({ "kind": reach.kind, "name": reach.name });
            reach.iter().map(shown).collect::<Value>()
        };
        let compared = self.config.as_ref().map(|_| {
            json!({
                "name": plugin_use.name,
                "roles": plugin_use.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
                "isolation": isolation(plugin_use),
                "not_granted": reach(&audit.not_granted),
                "not_asked": reach(&audit.not_asked),
            })
        });
        json!({
            "component": as_json(inspection),
            "no_image": image.as_ref().err().map(ToString::to_string),
            "use": compared,
        })
    }
}

impl Audited {
    fn of(engine: &Engine, file: &Path, plugin_use: PluginUse) -> anyhow::Result<Self> {
        let inspection = engine.inspect(file, &plugin_use)?;
        let audit = inspection.audit(&plugin_use);
        let image = engine.try_image(file, &plugin_use);
        Ok(Self { plugin_use, inspection, audit, image })
    }
}

fn name(reach: &Reach) -> String {
    format!("{} `{}`", reach.kind, reach.name)
}

fn isolation(plugin_use: &PluginUse) -> String {
    match plugin_use.isolation {
        None | Some(Isolation::Fresh) => "a fresh instance for each request".to_owned(),
        Some(Isolation::Reuse(requests)) => format!("an instance for up to {requests} requests"),
    }
}

/// The uses of plugins in a configuration, wherever its secrets are.
fn configured(file: &Path) -> anyhow::Result<Vec<PluginUse>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let directory = file.parent().unwrap_or(Path::new(""));
    let name = file.display().to_string();
    let gateway = portcullis_config::parse_within(&text, &name, directory, &WithoutSecrets);
    Ok(gateway?.plugin_uses)
}

/// The files of this process, with something else in the place of every secret: whoever
/// audits need not have them.
struct WithoutSecrets;

/// Long enough for whatever a secret is for.
const NO_SECRET: &[u8] = b"not the secret, which an audit does not need";

impl Surroundings for WithoutSecrets {
    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        Some(NO_SECRET.to_vec())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        Process.read(file)
    }

    fn secret(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(NO_SECRET.to_vec())
    }

    fn is_file(&self, _: &Path) -> bool {
        true
    }

    fn is_directory(&self, _: &Path) -> bool {
        true
    }
}
