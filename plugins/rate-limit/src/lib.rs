//! Limits requests by caller, tier and use.
//!
//! The limits stand in the plan; what was taken of them is held by the gateway, here or
//! where several gateways share it. A call only says which of them a request is charged to,
//! whose share, and how much.

mod part;
mod policy;
mod settings;

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{
    Charge, Limit, LimitPolicy, Limiter, Plan, Plugin, Request, SettingsError, export,
};

use crate::part::Part;
use crate::settings::Settings;

/// A limiter of limits by name.
#[derive(Debug)]
struct RateLimit {
    tier: Option<Tier>,
    limits: Vec<Known>,
}

/// What tells the tier of a caller.
#[derive(Debug)]
struct Tier {
    part: Part,
    default: String,
}

/// A limit that is ready to be charged.
#[derive(Debug)]
struct Known {
    name: String,
    policy: LimitPolicy,
    gives_back: bool,
    by: Vec<Part>,
    tiers: Option<Vec<String>>,
    uses: Option<Vec<String>>,
    cost: u64,
    costs: BTreeMap<String, u64>,
}

impl TryFrom<Settings> for RateLimit {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        if settings.limits.is_empty() {
            return Err(SettingsError::at("/limits", "without a limit nothing is limited"));
        }
        let limits = settings.limits.into_iter().map(known).collect::<Result<Vec<_>, _>>()?;
        let tier = tier((settings.tier, settings.default_tier), &limits)?;
        Ok(Self { tier, limits })
    }
}

fn known((name, written): (String, settings::Limit)) -> Result<Known, SettingsError> {
    let pointer = format!("/limits/{}", name.replace('~', "~0").replace('/', "~1"));
    let policy = policy::policy(&written, &pointer)?;
    let mut by = Vec::new();
    for (at, text) in written.by.iter().enumerate() {
        let what = "use `client`, `address`, `header:NAME`, or an attribute of `identity:`, `path:`, `tls:`, `request:`, `route:` or `api:`";
        let part = Part::parse(text)
            .ok_or_else(|| SettingsError::at(format!("{pointer}/by/{at}"), what))?;
        by.push(part);
    }
    let most = most(&policy);
    for (member, cost) in [("cost", Some(&written.cost))]
        .into_iter()
        .chain(written.costs.iter().map(|(name, cost)| (name.as_str(), Some(cost))))
    {
        if cost.is_some_and(|cost| *cost > most) {
            let message = format!("`{member}`: it would never pass, for there are at most {most}");
            return Err(SettingsError::at(pointer, message));
        }
    }
    Ok(Known {
        name,
        policy,
        gives_back: written.gives_back,
        by,
        tiers: written.tiers,
        uses: written.uses,
        cost: written.cost,
        costs: written.costs,
    })
}

/// The most that a request can take.
fn most(policy: &LimitPolicy) -> u64 {
    match policy {
        LimitPolicy::Bucket(bucket) => bucket.burst,
        LimitPolicy::FixedWindow(window) => window.count,
        LimitPolicy::SlidingWindow(window) => window.count,
        LimitPolicy::InFlight(limit) => *limit,
    }
}

/// Nobody escapes by naming a tier that no limit is for: it is the default one then.
fn tier(
    (written, default): (Option<String>, Option<String>),
    limits: &[Known],
) -> Result<Option<Tier>, SettingsError> {
    let is_named = |tier: &str| {
        limits.iter().any(|limit| limit.tiers.iter().flatten().any(|named| named == tier))
    };
    match (written, default) {
        (Some(text), Some(default)) => {
            let part = Part::parse(&text)
                .filter(|part| matches!(part, Part::Header(_) | Part::Attribute(_)));
            let what = "use an attribute such as `identity:tier`, or `header:NAME`";
            let part = part.ok_or_else(|| SettingsError::at("/tier", what))?;
            if !is_named(&default) {
                let what =
                    "no limit names this tier, so callers of no tier would have no limit of theirs";
                return Err(SettingsError::at("/default_tier", what));
            }
            Ok(Some(Tier { part, default }))
        }
        (Some(_), None) => Err(SettingsError::at("/tier", "say too which is the `default_tier`")),
        (None, Some(_)) => Err(SettingsError::at("/default_tier", "say too what tells the `tier`")),
        (None, None) if limits.iter().any(|limit| limit.tiers.is_some()) => {
            Err(SettingsError::new(
                "limits have `tiers`: say what tells the `tier`, and the `default_tier`",
            ))
        }
        (None, None) => Ok(None),
    }
}

impl Plugin for RateLimit {
    type Settings = Settings;

    fn plan(&self) -> Plan {
        let parts = self.limits.iter().flat_map(|limit| &limit.by);
        let parts = parts.chain(self.tier.iter().map(|tier| &tier.part));
        let plan = parts.fold(Plan::new(), |plan, part| part.read_in(plan));
        self.limits.iter().fold(plan, |plan, limit| {
            plan.charges(Limit {
                name: limit.name.clone(),
                policy: limit.policy,
                gives_back: limit.gives_back,
            })
        })
    }
}

impl Limiter for RateLimit {
    fn limit(&self, request: &Request) -> Vec<Charge> {
        let tier = self.tier.as_ref().map(|tier| {
            let said = tier.part.text(request).filter(|said| self.names(said));
            said.unwrap_or(&tier.default)
        });
        let used = request.argument.as_deref();
        let is_in = |list: &Option<Vec<String>>, found: Option<&str>| {
            list.as_ref().is_none_or(|list| list.iter().any(|it| Some(it.as_str()) == found))
        };
        let limits = self.limits.iter();
        let limits = limits.filter(|limit| is_in(&limit.tiers, tier) && is_in(&limit.uses, used));
        let charge = |limit: &Known| Charge {
            limit: limit.name.clone(),
            key: part::key(&limit.by, request),
            cost: used.and_then(|used| limit.costs.get(used)).copied().unwrap_or(limit.cost),
        };
        limits.map(charge).filter(|charge| charge.cost > 0).collect()
    }
}

impl RateLimit {
    fn names(&self, tier: &str) -> bool {
        self.limits.iter().any(|limit| limit.tiers.iter().flatten().any(|named| named == tier))
    }
}

export!(RateLimit: limiter);

#[cfg(test)]
mod tests;
