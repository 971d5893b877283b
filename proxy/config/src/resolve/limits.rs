//! `[limits]`, and `throttle`, `concurrency`, `cost` and `failed_authorizations` of every
//! level.

use std::sync::Arc;

use http::HeaderName;
use portcullis_limits::{Keyed, Policy, PolicySharing, Quota, QuotaSharing, Spec, TokenBucket};

use super::Resolver;
use super::mapping::Around;
use super::shared_limits::{self, Common};
use crate::diagnostic::Place;
use crate::document::{self, Document, Text, UsagePlan};
use crate::gateway::{Access, Limit, LimitFields, LimitKey, Limits, RouteLimits, RoutePlans};
use crate::read::{Either, NamedEntry, Number, Rate, Written};
use crate::suggest;

mod at_stage;

pub(super) use at_stage::BeforeRoutes;

/// Namespaces whose attributes may tell clients apart.
const NAMESPACES: [&str; 6] = ["identity", "path", "tls", "client", "request", "route"];

/// Bounds on what clients may send.
pub(super) fn limits(written: &document::Limits) -> Limits {
    Limits {
        header_bytes: written.header_bytes.in_memory(),
        header_count: written.header_count.0 as usize,
        target_bytes: written.target_bytes.in_memory(),
        header_timeout: written.header_timeout.0,
        body_timeout: written.body_timeout.0,
        keep_alive: written.keep_alive.0,
        held_body_bytes: written.held_body_bytes.0,
        throttle_keys: written.throttle_keys.0 as usize,
        throttle_ipv6_prefix: ipv6_prefix(written),
        throttle_fields: fields(written),
    }
}

fn ipv6_prefix(written: &document::Limits) -> u8 {
    u8::try_from(written.throttle_ipv6_prefix.0).unwrap_or(128)
}

fn fields(written: &document::Limits) -> LimitFields {
    match written.throttle_fields {
        document::LimitFields::Refusals => LimitFields::Refusals,
        document::LimitFields::Always => LimitFields::Always,
        document::LimitFields::Never => LimitFields::Never,
    }
}

/// What the routes of an API are charged to beside their own limits.
pub(super) struct Ladder {
    scope: String,
    limits: Vec<Arc<Limit>>,
    cost: Option<u64>,
    failed_authorizations: Option<Arc<Limit>>,
    usage_plan: Option<UsagePlan>,
}

/// Every limit found so far.
pub(super) struct Throttles {
    /// How gateways share those that they do.
    common: Option<Common>,
    all: Vec<Arc<Limit>>,
    gateway: Vec<Arc<Limit>>,
    failed_authorizations: Option<Arc<Limit>>,
    fields: LimitFields,
    ipv6_prefix: u8,
}

/// What one level writes of limits.
struct Level<'d> {
    /// Unique in the configuration.
    scope: String,
    /// What names are made of.
    word: &'static str,
    throttle: Option<&'d document::Throttles>,
    concurrency: Option<&'d document::Concurrencies>,
    /// The limits of wider levels, whose names are taken.
    wider: Vec<Arc<Limit>>,
}

impl Throttles {
    /// Those of the whole gateway.
    pub(super) fn of(document: &Document, resolver: &mut Resolver<'_>) -> Self {
        let mut throttles = Self {
            common: Common::of(document),
            all: Vec::new(),
            gateway: Vec::new(),
            failed_authorizations: None,
            fields: fields(&document.limits),
            ipv6_prefix: ipv6_prefix(&document.limits),
        };
        let level = Level {
            scope: "account".into(),
            word: "account",
            throttle: document.throttle.as_ref(),
            concurrency: document.concurrency.as_ref(),
            wider: Vec::new(),
        };
        throttles.gateway = throttles.level(&level, resolver);
        throttles.failed_authorizations =
            throttles.failed("account", document.failed_authorizations.as_ref(), resolver);
        throttles
    }

    /// Those of an API.
    pub(super) fn of_api(
        &mut self,
        name: &str,
        written: &document::Api,
        resolver: &mut Resolver<'_>,
    ) -> Ladder {
        let scope = format!("apis.{name}");
        let failed = written.failed_authorizations.as_ref();
        let failed = self.failed(&scope, failed, resolver);
        let level = Level {
            scope: scope.clone(),
            word: "api",
            throttle: written.throttle.as_ref(),
            concurrency: written.concurrency.as_ref(),
            wider: self.gateway.clone(),
        };
        Ladder {
            scope,
            limits: self.level(&level, resolver),
            cost: written.cost.as_ref().map(|cost| cost.value.0.into()),
            failed_authorizations: failed.or_else(|| self.failed_authorizations.clone()),
            usage_plan: written.usage_plan,
        }
    }

    /// All that a route's requests are charged to.
    pub(super) fn of_route(
        &mut self,
        entry: &NamedEntry<document::Route>,
        (written, around): (&document::Route, Around<'_>),
        api: &Ladder,
        resolver: &mut Resolver<'_>,
    ) -> RouteLimits {
        let level = Level {
            scope: format!("{}.routes.\"{}\"", api.scope, entry.name),
            word: "route",
            throttle: written.throttle.as_ref(),
            concurrency: written.concurrency.as_ref(),
            wider: api.limits.iter().chain(&self.gateway).cloned().collect(),
        };
        let mut ladder = self.level(&level, resolver);
        check_keys(&level, around, resolver);
        ladder.extend(level.wider);
        // Stable: within each half the narrowest level stays first.
        ladder.sort_by_key(|limit| limit.per.is_none());
        let cost = written.cost.as_ref().map(|cost| u64::from(cost.value.0));
        let cost = cost.or(api.cost).unwrap_or(1);
        let place = written.cost.as_ref().map_or(&entry.place, |cost| &cost.place);
        check_costs((place, cost), &ladder, resolver);
        let failed = api.failed_authorizations.clone();
        RouteLimits {
            ladder,
            cost,
            plans: wants_plan(entry, (written, around), api, resolver),
            failed_authorizations: failed.filter(|_| around.access != Some(&Access::Open)),
            fields: self.fields,
            ipv6_prefix: self.ipv6_prefix,
        }
    }

    /// How a throttle is shared, where it is.
    pub(super) fn sharing(
        &self,
        shared: Option<&Written<bool>>,
        policy: Policy,
        resolver: &mut Resolver<'_>,
    ) -> Option<PolicySharing> {
        shared_limits::sharing(shared, policy, self.common, resolver)
    }

    /// How a quota is shared, where it is.
    pub(super) fn quota_sharing(
        &self,
        shared: Option<&Written<bool>>,
        quota: Quota,
        resolver: &mut Resolver<'_>,
    ) -> Option<QuotaSharing> {
        shared_limits::quota_sharing(shared, quota, self.common, resolver)
    }

    /// Every limit, by index.
    pub(super) fn finish(self) -> Vec<Arc<Limit>> {
        self.all
    }

    fn level(&mut self, level: &Level<'_>, resolver: &mut Resolver<'_>) -> Vec<Arc<Limit>> {
        let mut found = level.wider.clone();
        for written in one_or_many(level.throttle) {
            let per = written.per.as_ref().map(|text| (text, key(text, resolver)));
            let policy = bucket(&written.rate, written.burst.as_ref(), resolver);
            if let (Some(policy), Some(per)) = (policy, resolved(per)) {
                let name =
                    name(level.word, (written.name.as_ref(), per.as_ref()), &found, resolver);
                let sharing = self.sharing(written.shared.as_ref(), policy, resolver);
                found.push(self.add(&level.scope, (name, policy), (per, sharing)));
            }
        }
        for written in one_or_many(level.concurrency) {
            let per = written.per.as_ref().map(|text| (text, key(text, resolver)));
            let Some(per) = resolved(per) else { continue };
            let word = format!("{}-in-flight", level.word);
            let name = name(&word, (written.name.as_ref(), per.as_ref()), &found, resolver);
            let policy = Policy::InFlight(written.limit.0.into());
            shared_limits::check_not_shared(written.shared.as_ref(), resolver);
            found.push(self.add(&level.scope, (name, policy), (per, None)));
        }
        found.split_off(level.wider.len())
    }

    fn failed(
        &mut self,
        scope: &str,
        written: Option<&document::FailedAuthorizations>,
        resolver: &mut Resolver<'_>,
    ) -> Option<Arc<Limit>> {
        let written = written?;
        let policy = bucket(&written.rate, written.burst.as_ref(), resolver)?;
        let name = "failed-authorizations".to_owned();
        Some(self.add(scope, (name, policy), (Some(LimitKey::Address), None)))
    }

    /// Adds a limit that stands at this place.
    pub(super) fn add(
        &mut self,
        scope: &str,
        (name, policy): (String, Policy),
        (per, sharing): (Option<LimitKey>, Option<PolicySharing>),
    ) -> Arc<Limit> {
        let keyed = per.as_ref().map_or(Keyed::Shared, |per| Keyed::PerKey(per.to_string()));
        let spec = Spec { scope: scope.to_owned(), name, policy, keyed };
        let limit = Arc::new(Limit { index: self.all.len(), spec, per, sharing });
        self.all.push(Arc::clone(&limit));
        limit
    }
}

fn one_or_many<T>(written: Option<&Either<T, Vec<T>>>) -> &[T] {
    match written {
        None => &[],
        Some(Either::This(one)) => std::slice::from_ref(one),
        Some(Either::That(many)) => many,
    }
}

/// `None` where a key was written that is none.
fn resolved(per: Option<(&Text, Option<LimitKey>)>) -> Option<Option<LimitKey>> {
    match per {
        None => Some(None),
        Some((_, key)) => key.map(Some),
    }
}

/// A throttle's bucket, if it can be counted.
pub(super) fn bucket(
    rate: &Written<Rate>,
    burst: Option<&Written<Number<1, 1_000_000_000>>>,
    resolver: &mut Resolver<'_>,
) -> Option<Policy> {
    let burst = burst.map_or(rate.value.number, |burst| burst.value.0.into());
    match TokenBucket::new(rate.value.rate, burst) {
        Ok(bucket) => Some(Policy::Bucket(bucket)),
        Err(problem) => {
            let help = "write it with fewer digits, or with a smaller burst";
            resolver.problem_with_help(&rate.place, problem.to_string(), help);
            None
        }
    }
}

fn key(text: &Text, resolver: &mut Resolver<'_>) -> Option<LimitKey> {
    let known = match text.value.as_str() {
        "client" => Some(LimitKey::Client),
        "address" | "client:address" => Some(LimitKey::Address),
        "principal" | "identity:principal" => Some(LimitKey::Principal),
        "usage-key" | "identity:usage-key" => Some(LimitKey::UsageKey),
        other => match other.split_once(':') {
            Some(("header", name)) => HeaderName::try_from(name).ok().map(LimitKey::Header),
            Some((namespace, name)) if NAMESPACES.contains(&namespace) => {
                let plain = !name.is_empty() && !name.ends_with('*');
                plain.then(|| LimitKey::Attribute(other.to_owned()))
            }
            _ => None,
        },
    };
    if known.is_none() {
        let message = format!("`{}` tells no callers apart", text.value);
        let help = "use `client`, `address`, `principal`, `usage-key`, `header:NAME`, or an attribute of `identity:`, `path:`, `tls:`, `client:`, `request:` or `route:`";
        resolver.problem_with_help(&text.place, message, help);
    }
    known
}

/// The name written, or one that says where the limit stands and whose it is.
fn name(
    word: &str,
    (written, per): (Option<&Text>, Option<&LimitKey>),
    others: &[Arc<Limit>],
    resolver: &mut Resolver<'_>,
) -> String {
    let is_taken = |name: &str| others.iter().any(|other| other.spec.name == name);
    if let Some(text) = written {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.value.is_empty() || !text.value.bytes().all(plain) {
            let message = format!("`{}` cannot name a limit", text.value);
            resolver.problem_with_help(
                &text.place,
                message,
                "names hold letters, digits, `_`, `-` and `.`",
            );
        } else if is_taken(&text.value) {
            resolver.problem(&text.place, format!("another limit is named `{}`", text.value));
        }
        return text.value.clone();
    }
    let whose = match per {
        None => "",
        Some(LimitKey::Client) => "-client",
        Some(LimitKey::Address) => "-address",
        Some(LimitKey::Principal) => "-principal",
        Some(LimitKey::UsageKey) => "-usage-key",
        Some(LimitKey::Header(_)) => "-header",
        Some(LimitKey::Attribute(_)) => "-attribute",
        Some(LimitKey::Account) => "-api-key",
    };
    let first = format!("{word}{whose}");
    let mut names =
        std::iter::once(first.clone()).chain((2..).map(|count| format!("{first}-{count}")));
    names.find(|name| !is_taken(name)).unwrap_or(first)
}

/// A route that nobody authorizes has no identity to go by, and a path only what it names.
fn check_keys(level: &Level<'_>, around: Around<'_>, resolver: &mut Resolver<'_>) {
    let throttles = one_or_many(level.throttle).iter().map(|written| written.per.as_ref());
    let concurrency = one_or_many(level.concurrency).iter().map(|written| written.per.as_ref());
    for text in throttles.chain(concurrency).flatten() {
        let is_identity = matches!(text.value.as_str(), "principal" | "usage-key")
            || text.value.starts_with("identity:");
        let parameter = text.value.strip_prefix("path:");
        if let (Some(parameter), Some(known)) = (parameter, around.parameters)
            && !parameter.ends_with('*')
            && !known.iter().any(|name| name == parameter)
        {
            let message = format!("the route's path has no parameter `{parameter}`");
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let help = suggest::name(parameter, &known);
            resolver.problem_with_help(&text.place, message, &help);
        }
        if is_identity && around.access == Some(&Access::Open) {
            let message = format!("the route is open, so nobody has `{}`", text.value);
            let help = "use `client` or `address`, which go by address here";
            resolver.problem_with_help(&text.place, message, help);
        }
    }
}

/// What plans will say of a route, if it wants one. A route that nobody authorizes has no key.
fn wants_plan(
    entry: &NamedEntry<document::Route>,
    (written, around): (&document::Route, Around<'_>),
    api: &Ladder,
    resolver: &mut Resolver<'_>,
) -> Option<RoutePlans> {
    let own = written.usage_plan.as_ref();
    if own.map(|own| own.value).or(api.usage_plan) != Some(UsagePlan::Required) {
        return None;
    }
    if around.access == Some(&Access::Open) {
        let place = own.map_or(&entry.place, |own| &own.place);
        let message = "the route is open, so nobody has an API key with a usage plan";
        let help = "give it an authorizer, or `usage_plan = \"off\"`";
        resolver.problem_with_help(place, message, help);
    }
    Some(RoutePlans::default())
}

/// A request that costs more than a bucket holds could never pass.
fn check_costs((place, cost): (&Place, u64), ladder: &[Arc<Limit>], resolver: &mut Resolver<'_>) {
    for limit in ladder {
        if let Policy::Bucket(bucket) = limit.spec.policy
            && bucket.burst() < cost
        {
            let (name, burst) = (&limit.spec.name, bucket.burst());
            let message = format!("a request costs {cost}, and throttle `{name}` holds {burst}");
            let help = "it would never pass: raise the `burst` or lower the `cost`";
            resolver.problem_with_help(place, message, help);
        }
    }
}
