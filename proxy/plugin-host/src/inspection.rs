//! What a person wants to know of a component before trusting it: for
//! `portcullis plugin inspect`.

use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_config::{Diagnostics, Origin, PluginUse, Role};
use portcullis_pipeline::Reads;
use sha2::{Digest as _, Sha256};

use crate::capability::{Clocks, Source};
use crate::component_source::{SourceProblem, read_file};
use crate::engine::Engine;
use crate::image::{self, Drawn};
use crate::inspect::Surface;
use crate::load::LoadProblem;
use crate::shared::{Opened, UseShared};

/// What a component says of itself.
#[derive(Debug)]
pub struct Inspection {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// What it imports and exports.
    pub surface: Surface,
    /// Its name, version and description.
    pub introduction: [String; 3],
    /// The JSON Schema of its settings.
    pub settings_schema: String,
    /// What it reads, role by role, under the settings given; or why it refuses them.
    pub plan: Result<Vec<PlannedRole>, Diagnostics>,
    /// The secrets it asks for, those to be seen too.
    pub secrets: Vec<String>,
    /// The secrets it asks to see.
    pub revealed: Vec<String>,
    /// The issuers whose keys it asks for.
    pub issuers: Vec<String>,
    /// The origins that its plan calls.
    pub origins: Vec<Origin>,
    /// Paths that it answers GET requests for itself.
    pub answers: Vec<String>,
    /// How it lets clients identify themselves, as a challenge of `WWW-Authenticate`.
    pub challenge: Option<HeaderValue>,
}

/// What a role reads.
#[derive(Debug)]
pub struct PlannedRole {
    /// The role.
    pub role: Role,
    /// What it reads.
    pub reads: Reads,
}

/// Why a component cannot be inspected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InspectionProblem(String);

impl Engine {
    /// Inspects a component file under the settings, budget and grants of a use.
    ///
    /// # Errors
    ///
    /// When the file is no plugin, or cannot describe itself. Settings it refuses are
    /// part of the inspection.
    pub fn inspect(
        &self,
        file: &Path,
        plugin_use: &PluginUse,
    ) -> Result<Inspection, InspectionProblem> {
        let bytes = read_file(file)
            .map_err(|problem: SourceProblem| InspectionProblem(problem.to_string()))?;
        let digest = Sha256::digest(&bytes).into();
        let problem =
            |problem: LoadProblem| InspectionProblem(format!("{}: {problem}", file.display()));
        let (component, surface) = self.check(&bytes, &digest).map_err(problem)?;
        let clocks = Clocks { time: Source::Inert, random: Source::Inert };
        let (bare, prepared) = self.bare(&component, plugin_use, clocks).map_err(problem)?;
        let descriptor = self.describe(&prepared, &bare).map_err(problem)?;
        let mut inspection = Inspection {
            sha256: digest.iter().map(|byte: &u8| format!("{byte:02x}")).collect(),
            bytes: bytes.len(),
            surface,
            introduction: [descriptor.name, descriptor.version, descriptor.description],
            settings_schema: descriptor.settings_schema,
            plan: Ok(Vec::new()),
            secrets: Vec::new(),
            revealed: Vec::new(),
            issuers: Vec::new(),
            origins: Vec::new(),
            answers: Vec::new(),
            challenge: None,
        };
        match self.introduce(&prepared, &bare, plugin_use) {
            Ok(introduced) => {
                let planned =
                    introduced.reads.into_iter().map(|(role, reads)| PlannedRole { role, reads });
                inspection.plan = Ok(planned.collect());
                inspection.secrets = introduced.secrets;
                inspection.revealed = introduced.revealed;
                inspection.issuers =
                    introduced.issuers.into_iter().map(|issuer| issuer.name).collect();
                inspection.origins = introduced.origins;
                inspection.answers = introduced.answers;
                inspection.challenge = introduced.challenge;
            }
            Err(found) => {
                if let Some(diagnostics) = Diagnostics::from_problems(found) {
                    inspection.plan = Err(diagnostics);
                }
            }
        }
        Ok(inspection)
    }

    /// Tries to make a configured image of a component file under the settings of a use.
    ///
    /// # Errors
    ///
    /// Why there is none: instances are then configured one by one.
    pub fn try_image(&self, file: &Path, plugin_use: &PluginUse) -> Result<(), InspectionProblem> {
        let bytes = read_file(file)
            .map_err(|problem: SourceProblem| InspectionProblem(problem.to_string()))?;
        let clocks = Clocks { time: Source::Inert, random: Source::Inert };
        let (name, budget) = (&plugin_use.name, plugin_use.budget);
        let bare = Arc::new(UseShared::new(name, budget, clocks, Opened::default()));
        image::snapshot(self, &plugin_use.settings.to_string(), (&bytes, &bare, Drawn::Anything))
            .map(drop)
            .map_err(|problem| InspectionProblem(problem.to_string()))
    }
}
