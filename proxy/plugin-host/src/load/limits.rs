//! The limits of a limiter's plan, checked.

use portcullis_config::{Diagnostic, LimitSharing, PluginUse};
use portcullis_limits::{
    Cycle, FixedWindow, Period, Policy, PolicySharing, Rate, SlidingWindow, TokenBucket,
};
use portcullis_pipeline::GivesBack;

use super::LoadProblem;
use crate::abi::exports::lifecycle;

/// Limits that one plan may have.
const MOST_LIMITS: usize = 64;
/// Bytes of a name.
const NAME_BYTES: usize = 64;

/// A limit that a plugin charges requests to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedLimit {
    /// Its name, unique in the plan.
    pub(crate) name: String,
    /// How much it lets pass.
    pub(crate) policy: Policy,
    /// Whether a request that is refused later gives back what it took.
    pub(crate) gives_back: GivesBack,
}

/// Checks the limits of a plan.
pub(super) fn limits(said: Vec<lifecycle::Limit>) -> Result<Vec<PlannedLimit>, Vec<LoadProblem>> {
    if said.len() > MOST_LIMITS {
        let why = format!("a plan has at most {MOST_LIMITS} limits");
        return Err(vec![LoadProblem::Limit { name: String::new(), why }]);
    }
    let (mut limits, mut problems) = (Vec::<PlannedLimit>::new(), Vec::new());
    for said in said {
        let is_taken = limits.iter().any(|known| known.name == said.name);
        let checked = if is_taken {
            Err("another limit of the plan has this name".to_owned())
        } else {
            limit(&said)
        };
        match checked {
            Ok(limit) => limits.push(limit),
            Err(why) => problems.push(LoadProblem::Limit { name: said.name, why }),
        }
    }
    if problems.is_empty() { Ok(limits) } else { Err(problems) }
}

/// How each limit of a plan is shared; none where the use does not share.
pub(super) fn shared(
    limits: &[PlannedLimit],
    plugin_use: &PluginUse,
) -> Result<Vec<Option<PolicySharing>>, Vec<Diagnostic>> {
    let Some(LimitSharing { gateways, lease_ns }) = plugin_use.limit_sharing else {
        return Ok(vec![None; limits.len()]);
    };
    let (mut sharings, mut problems) = (Vec::new(), Vec::new());
    for PlannedLimit { name, policy, .. } in limits {
        match PolicySharing::new(*policy, gateways, lease_ns) {
            Ok(sharing) => sharings.push(Some(sharing)),
            Err(why) => {
                let problem = LoadProblem::Limit { name: name.clone(), why: why.to_string() };
                problems.push(problem.diagnostic(plugin_use));
            }
        }
    }
    if problems.is_empty() { Ok(sharings) } else { Err(problems) }
}

fn limit(said: &lifecycle::Limit) -> Result<PlannedLimit, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let name = &said.name;
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(plain) {
        let what = "names are of 1 to 64 letters, digits, `_`, `-` and `.`";
        return Err(what.to_owned());
    }
    let gives_back = if said.gives_back { GivesBack::IfRefused } else { GivesBack::Never };
    Ok(PlannedLimit { name: name.clone(), policy: policy(said.policy)?, gives_back })
}

fn policy(said: lifecycle::LimitPolicy) -> Result<Policy, String> {
    match said {
        lifecycle::LimitPolicy::Bucket(said) => {
            let rate = Rate::new(said.count, said.period_ms).map_err(|why| why.to_string())?;
            let bucket = TokenBucket::new(rate, said.burst).map_err(|why| why.to_string())?;
            Ok(Policy::Bucket(bucket))
        }
        lifecycle::LimitPolicy::FixedWindow(said) => {
            let cycle = match said.period {
                lifecycle::Period::LengthMs(length) => Cycle::Length(length),
                lifecycle::Period::Day => Cycle::Calendar(Period::Day),
                lifecycle::Period::Week => Cycle::Calendar(Period::Week),
                lifecycle::Period::Month => Cycle::Calendar(Period::Month),
            };
            let window = FixedWindow::new(said.count, cycle).map_err(|why| why.to_string())?;
            Ok(Policy::Fixed(window))
        }
        lifecycle::LimitPolicy::SlidingWindow(said) => {
            let window = SlidingWindow::new(said.count, said.length_ms);
            Ok(Policy::Sliding(window.map_err(|why| why.to_string())?))
        }
        lifecycle::LimitPolicy::InFlight(0) => Err("a limit of zero lets nothing pass".to_owned()),
        lifecycle::LimitPolicy::InFlight(limit) => Ok(Policy::InFlight(limit)),
    }
}
