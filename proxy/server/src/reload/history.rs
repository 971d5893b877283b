//! What became of the last attempts to replace the configuration.

use parking_lot::Mutex;
use portcullis_state::now_ms;
use serde_json::{Value, json};

use crate::configuration::BuildError;
use crate::telemetry::ReloadResult;

/// What became of the last attempts to replace the configuration, for operators to ask.
pub(crate) struct Reloads(Mutex<Last>);

struct Last {
    attempt: Attempt,
    outcome: ReloadResult,
    refused: Option<(Attempt, Value)>,
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
        Self(Mutex::new(Last { attempt, outcome: ReloadResult::Replaced, refused: None }))
    }

    /// This generation serves from now on.
    pub(super) fn replaced(&self, generation: u64) {
        let mut last = self.0.lock();
        last.attempt = Attempt::now(generation);
        last.outcome = ReloadResult::Replaced;
    }

    /// This generation goes on.
    pub(super) fn refused(&self, generation: u64, error: &BuildError) {
        let problems = match error {
            BuildError::Diagnosed(diagnostics) => diagnostics.to_json(),
            error @ (BuildError::Upstream(_) | BuildError::Listen(_)) => {
                json!([{ "message": error.to_string() }])
            }
        };
        let attempt = Attempt::now(generation);
        let refused = Some((attempt, problems));
        *self.0.lock() = Last { attempt, outcome: ReloadResult::Refused, refused };
    }

    /// For operators: `time` in milliseconds since 1970, `generation`, `outcome`, and of the
    /// last refused attempt `time`, `generation` and `problems`, or null.
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
            "last_refused": refused.map(|(attempt, problems)| json!({
                "time": attempt.time,
                "generation": attempt.generation,
                "problems": problems,
            })),
        })
    }
}
