//! What became of the last attempts to replace the configuration.

use parking_lot::Mutex;
use portcullis_state::now_ms;
use serde_json::{Value, json};

use crate::configuration::BuildError;
use crate::start::StartError;
use crate::telemetry::ReloadResult;

/// What became of the last attempts to replace the configuration, for operators to ask.
pub(crate) struct Reloads(Mutex<Last>);

struct Last {
    attempt: Attempt,
    outcome: ReloadResult,
    refused: Option<(Attempt, Value)>,
    /// When the last good configuration was kept, while it serves in the place of one that
    /// cannot.
    last_good: Option<u64>,
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    /// When it ended, in milliseconds since 1970.
    time: u64,
    /// What served after it.
    generation: u64,
}

impl Attempt {
    fn now(generation: u64) -> Self {
        Self { time: now_ms(), generation }
    }
}

impl Reloads {
    /// None yet but the start.
    pub(crate) fn started(generation: u64) -> Self {
        let attempt = Attempt::now(generation);
        let outcome = ReloadResult::Replaced;
        Self(Mutex::new(Last { attempt, outcome, refused: None, last_good: None }))
    }

    /// The last good configuration serves, kept at this time, in the place of one that
    /// cannot.
    pub(crate) fn started_from_last_good(
        generation: u64,
        kept_ms: u64,
        instead_of: &StartError,
    ) -> Self {
        let problems = match instead_of {
            StartError::Build(error) => problems(error),
            error => json!([{ "message": error.to_string() }]),
        };
        let attempt = Attempt::now(generation);
        Self(Mutex::new(Last {
            attempt,
            outcome: ReloadResult::Refused,
            refused: Some((attempt, problems)),
            last_good: Some(kept_ms),
        }))
    }

    /// This generation serves from now on.
    pub(super) fn replaced(&self, generation: u64) {
        let mut last = self.0.lock();
        last.attempt = Attempt::now(generation);
        last.outcome = ReloadResult::Replaced;
        last.last_good = None;
    }

    /// This generation goes on.
    pub(super) fn refused(&self, generation: u64, error: &BuildError) {
        let attempt = Attempt::now(generation);
        let mut last = self.0.lock();
        last.attempt = attempt;
        last.outcome = ReloadResult::Refused;
        last.refused = Some((attempt, problems(error)));
    }

    /// For operators: `time` in milliseconds since 1970, `generation`, `outcome`, of the
    /// last good configuration that serves in the place of a refused one `kept`, or null,
    /// and of the last refused attempt `time`, `generation` and `problems`, or null.
    pub(crate) fn shown(&self) -> Value {
        let last = self.0.lock();
        let refused = last.refused.as_ref();
        let outcome = match last.outcome {
            ReloadResult::Replaced => "replaced",
            ReloadResult::Refused => "refused",
        };
        json!({
            "time": last.attempt.time,
            "generation": last.attempt.generation,
            "outcome": outcome,
            "last_good": last.last_good.map(|kept| json!({ "kept": kept })),
            "last_refused": refused.map(|(attempt, problems)| json!({
                "time": attempt.time,
                "generation": attempt.generation,
                "problems": problems,
            })),
        })
    }
}

fn problems(error: &BuildError) -> Value {
    match error {
        BuildError::Diagnosed(diagnostics) => diagnostics.to_json(),
        error @ (BuildError::Upstream(_) | BuildError::Listen(_) | BuildError::SharedLimits(_)) => {
            json!([{ "message": error.to_string() }])
        }
    }
}
