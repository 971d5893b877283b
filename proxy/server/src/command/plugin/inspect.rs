//! `portcullis plugin inspect`: what a component is, before it is trusted.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use portcullis_pipeline::{BodyMode, Reads};
use portcullis_plugin_host::{Inspection, PlannedRole};
use serde_json::{Value, json};

/// Show what a component exports, imports, reads and asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The component.
    file: PathBuf,
    /// Settings to configure it with, as JSON: what it reads may depend on them.
    #[arg(long, default_value = "{}")]
    settings: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let settings: Value =
            serde_json::from_str(&self.settings).context("--settings is no JSON")?;
        let plugin_use = super::standalone("inspected", Vec::new(), settings);
        let inspection = super::engine()?.inspect(&self.file, &plugin_use)?;
        if self.json {
            println!("{:#}", as_json(&inspection));
        } else {
            print(&inspection);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints an inspection for people.
pub(super) fn print(inspection: &Inspection) {
    let [name, version, description] = &inspection.introduction;
    println!("{name} {version}: {description}");
    println!("  sha256     {}", inspection.sha256);
    println!("  size       {} bytes", inspection.bytes);
    println!(
        "  exports    {}",
        list(inspection.surface.roles.iter().map(|role| role.as_str().to_owned()))
    );
    println!("  imports    {}", list(inspection.surface.capabilities.iter().cloned()));
    println!(
        "  WASI       {} interfaces, all linked to inert versions",
        inspection.surface.wasi.len()
    );
    match &inspection.plan {
        Ok(planned) => planned.iter().for_each(print_role),
        Err(refused) => {
            println!(
                "  plan       unknown: it refuses these settings (give others with --settings)"
            );
            for diagnostic in refused.iter() {
                println!("             {}", diagnostic.message());
            }
        }
    }
    let mut asked: Vec<String> = inspection
        .secrets
        .iter()
        .map(|secret| match inspection.revealed.contains(secret) {
            true => format!("grants.secrets.{secret} = {{ env = \"…\", reveal = true }}"),
            false => format!("grants.secrets.{secret} = {{ env = \"…\" }}"),
        })
        .collect();
    asked.extend(
        inspection
            .issuers
            .iter()
            .map(|issuer| format!("grants.issuers.\"{issuer}\" = {{ jwks = \"…\" }}")),
    );
    let origins = inspection.origins.iter();
    asked.extend(origins.map(|origin| format!("grants.http = {{ origins = [\"{origin}\"] }}")));
    asked.extend(inspection.surface.capabilities.iter().filter_map(|capability| {
        match capability.as_str() {
            "wasi:http" if inspection.origins.is_empty() => {
                Some("grants.http = { origins = [\"https://…\"] }".to_owned())
            }
            "wasi:keyvalue" => Some("grants.keyvalue = { size = \"16MiB\" }".to_owned()),
            _ => None,
        }
    }));
    println!("  would need {}", list(asked.into_iter()));
    if !inspection.answers.is_empty() {
        println!(
            "  answers    {}",
            list(inspection.answers.iter().map(|path| format!("GET {path}")))
        );
    }
    if let Some(challenge) = challenge(inspection) {
        println!("  challenge  {challenge}");
    }
    println!("  settings   {}", inspection.settings_schema);
}

fn print_role(planned: &PlannedRole) {
    println!("  as {}", planned.role.as_str());
    for (what, names) in reads(&planned.reads) {
        if !names.is_empty() {
            println!("    reads    {what}: {}", names.join(", "));
        }
    }
}

fn reads(reads: &Reads) -> [(&'static str, Vec<String>); 6] {
    let names = |all: bool, names: &[http::HeaderName]| {
        if all { vec!["*".to_owned()] } else { names.iter().map(ToString::to_string).collect() }
    };
    [
        ("headers", names(reads.all_headers, &reads.headers)),
        ("parameters", reads.parameters.clone()),
        ("attributes", reads.attributes.clone()),
        ("body", body(reads.body)),
        ("response headers", names(reads.all_response_headers, &reads.response_headers)),
        ("response body", body(reads.response_body)),
    ]
}

fn body(mode: BodyMode) -> Vec<String> {
    match mode {
        BodyMode::None => Vec::new(),
        BodyMode::Peek(bytes) => vec![format!("first {bytes} bytes")],
        BodyMode::Buffer(bytes) => vec![format!("all of it, up to {bytes} bytes")],
    }
}

/// An inspection for programs.
pub(super) fn as_json(inspection: &Inspection) -> Value {
    let [name, version, description] = &inspection.introduction;
    let roles = |planned: &Vec<PlannedRole>| -> Value {
        planned
            .iter()
            .map(|role| {
                let reads: serde_json::Map<String, Value> = reads(&role.reads)
                    .into_iter()
                    .map(|(what, names)| (what.replace(' ', "_"), json!(names)))
                    .collect();
                (role.role.as_str().to_owned(), Value::Object(reads))
            })
            .collect::<serde_json::Map<String, Value>>()
            .into()
    };
    json!({
        "name": name,
        "version": version,
        "description": description,
        "sha256": inspection.sha256,
        "bytes": inspection.bytes,
        "exports": inspection.surface.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        "imports": inspection.surface.capabilities,
        "wasi": inspection.surface.wasi,
        "reads": inspection.plan.as_ref().map_or(Value::Null, roles),
        "refused": inspection.plan.as_ref().err().map(portcullis_config::Diagnostics::to_json),
        "secrets": inspection.secrets,
        "revealed": inspection.revealed,
        "issuers": inspection.issuers,
        "origins": inspection.origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "answers": inspection.answers,
        "challenge": challenge(inspection),
        "settings_schema": serde_json::from_str::<Value>(&inspection.settings_schema).unwrap_or(Value::Null),
    })
}

fn challenge(inspection: &Inspection) -> Option<&str> {
    inspection.challenge.as_ref().and_then(|challenge| challenge.to_str().ok())
}

/// Names in a row.
pub(super) fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
