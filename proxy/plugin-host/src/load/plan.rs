//! What a plugin said of itself, checked: its settings against its schema, its plan
//! against the grants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use portcullis_config::{
    CacheRule, Diagnostic, Grants, HttpGrant, Origin, PluginUse, Role, SecretGrant,
};
use portcullis_pipeline::{BodyMode, Reads};
use serde_json::Value;

use super::limits::{self, PlannedLimit};
use super::{LoadProblem, issuers};
use crate::abi::exports::lifecycle;
use crate::capability::{HttpClient, Issuers, covers};
use crate::component_source::ComponentOrigin;
use crate::inspect::{CREDENTIALS, HTTP, KEYVALUE, Surface};
use crate::request_part;
use crate::shared::Opened;
use crate::state::Spent;

/// Bytes of a challenge.
const CHALLENGE_BYTES: usize = 512;

/// Who says that a plugin may reach what its plan asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// The configuration, in words: `grants`.
    Written,
    /// The settings, which are the operator's own words too: the component is part of
    /// the program, and asks for nothing else than they name.
    BySettings,
}

impl Consent {
    /// What a component from there needs.
    pub(crate) fn for_origin(origin: &ComponentOrigin) -> Self {
        match origin {
            ComponentOrigin::File(_) => Self::Written,
            ComponentOrigin::Builtin => Self::BySettings,
        }
    }
}

/// What a plugin said of itself under its settings.
pub(crate) struct Introduction {
    /// What each role reads.
    pub(crate) reads: Vec<(Role, Reads)>,
    /// How clients may identify themselves to it as an authorizer.
    pub(crate) challenge: Option<HeaderValue>,
    /// The secrets it will ask for, those to be revealed and those of keys too.
    pub(crate) secrets: Vec<String>,
    /// The secrets it will ask to see.
    pub(crate) revealed: Vec<String>,
    /// How long those must be that it makes keys of.
    least_lengths: Vec<lifecycle::LeastLength>,
    /// The issuers whose keys it will use.
    pub(crate) issuers: Vec<lifecycle::Issuer>,
    /// The origins it will call.
    pub(crate) origins: Vec<Origin>,
    /// Paths that it answers GET requests for itself.
    pub(crate) answers: Vec<String>,
    /// The limits it will charge requests to.
    pub(crate) limits: Vec<PlannedLimit>,
    /// Whether it drew randomness while it was configured.
    pub(crate) random: Spent,
    /// How long `configure` took.
    pub(crate) took: Duration,
    cacheable: bool,
}

impl Introduction {
    /// Checks a plan for itself.
    pub(crate) fn of(
        plan: lifecycle::Plan,
        (random, took): (Spent, Duration),
    ) -> Result<Self, Vec<LoadProblem>> {
        let mut planned = Vec::new();
        let mut problems = Vec::new();
        let (mut cacheable, mut challenge) = (false, None);
        for role_plan in plan.roles {
            let role = role(role_plan.role);
            cacheable |= role == Role::Authorizer && role_plan.cacheable;
            match reads(role, role_plan.reads) {
                Ok(reads) => planned.push((role, reads)),
                Err(problem) => problems.push(problem),
            }
            match role_plan.challenge.map(|text| self::challenge(role, &text)).transpose() {
                Ok(stated) => challenge = challenge.or(stated),
                Err(problem) => problems.push(problem),
            }
        }
        let mut origins = Vec::new();
        for text in plan.origins {
            match text.parse() {
                Ok(origin) => origins.push(origin),
                Err(why) => problems.push(LoadProblem::Origin { text, why }),
            }
        }
        let limits = match limits::limits(plan.limits) {
            Ok(limits) => limits,
            Err(found) => {
                problems.extend(found);
                Vec::new()
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut secrets = plan.secrets;
        let keys = plan.least_lengths.iter().map(|least| &least.secret);
        for named in plan.revealed.iter().chain(keys) {
            if !secrets.contains(named) {
                secrets.push(named.clone());
            }
        }
        Ok(Self {
            reads: planned,
            challenge,
            secrets,
            revealed: plan.revealed,
            least_lengths: plan.least_lengths,
            issuers: plan.issuers,
            origins,
            answers: plan.answers,
            limits,
            random,
            took,
            cacheable,
        })
    }

    /// Compares the plan with the grants; what is granted and asked for is opened.
    pub(crate) fn open(
        &self,
        plugin_use: &PluginUse,
        surface: &Surface,
        consent: Consent,
        keys: &Issuers,
    ) -> Result<Opened, Vec<LoadProblem>> {
        let mut problems = Vec::new();
        for role in &plugin_use.roles {
            if !self.reads.iter().any(|(planned, _)| planned == role) {
                problems.push(LoadProblem::NoPlan(*role));
            }
        }
        let grants = &plugin_use.grants;
        let (secrets, missed) = self.secrets(grants);
        let mut opened = Opened { secrets, ..Opened::default() };
        problems.extend(missed);
        for asked in &self.issuers {
            match issuers::keys(asked, grants.issuers.get(&asked.name), consent, keys) {
                Ok(set) => drop(opened.issuers.insert(asked.name.clone(), set)),
                Err(problem) => problems.push(problem),
            }
        }
        match self.http(grants, surface, consent) {
            Ok(client) => opened.http = client,
            Err(problem) => problems.push(problem),
        }
        if problems.is_empty() {
            // What a built-in can do under other settings, it need not be granted under these.
            let missed = (consent == Consent::Written).then(|| ungranted(grants, surface));
            let missed = missed.into_iter().flatten();
            problems
                .extend(missed.map(|name| LoadProblem::Capability { capability: name.to_owned() }));
        }
        if problems.is_empty() { Ok(opened) } else { Err(problems) }
    }

    /// The secrets that are granted and asked for, to be seen only where both say so; and
    /// what is asked for in vain.
    fn secrets(&self, grants: &Grants) -> (BTreeMap<String, SecretGrant>, Vec<LoadProblem>) {
        let mut opened = BTreeMap::new();
        let mut problems = Vec::new();
        for asked in &self.secrets {
            let mut in_reach =
                grants.secrets.iter().filter(|(name, _)| names_it(asked, name)).peekable();
            if in_reach.peek().is_none() {
                let name = asked.clone();
                problems.push(LoadProblem::Ungranted { what: "secret", table: "secrets", name });
            }
            for (name, granted) in in_reach {
                let is_seen = self.revealed.iter().any(|asked| names_it(asked, name));
                if is_seen && !granted.reveal {
                    problems.push(LoadProblem::Unrevealed { name: name.clone() });
                }
                let (bytes, least) = (granted.secret.expose().len(), self.least_length(name));
                if bytes < least {
                    problems.push(LoadProblem::ShortSecret { name: name.clone(), bytes, least });
                }
                let reveal = is_seen && granted.reveal;
                opened.insert(name.clone(), SecretGrant { reveal, ..granted.clone() });
            }
        }
        (opened, problems)
    }

    /// Bytes that a secret must have.
    fn least_length(&self, name: &str) -> usize {
        let asked = self.least_lengths.iter().filter(|least| names_it(&least.secret, name));
        let bytes = asked.map(|least| least.bytes).max().unwrap_or_default();
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Opens what sends its requests, where something is granted.
    fn http(
        &self,
        grants: &Grants,
        surface: &Surface,
        consent: Consent,
    ) -> Result<Option<Arc<HttpClient>>, LoadProblem> {
        let client = match (&grants.http, consent) {
            (Some(granted), _) => {
                let missed = self.origins.iter().find(|asked| !covers(&granted.origins, asked));
                if let Some(missed) = missed {
                    return Err(LoadProblem::ungranted_origin(missed));
                }
                if !surface.imports(HTTP) {
                    return Ok(None);
                }
                HttpClient::new(granted)?
            }
            (None, _) if self.origins.is_empty() => return Ok(None),
            (None, Consent::BySettings) => {
                HttpClient::new(&HttpGrant::of_origins(self.origins.clone()))?
            }
            (None, Consent::Written) => {
                return Err(self.origins.first().map_or_else(
                    || LoadProblem::Capability { capability: HTTP.to_owned() },
                    LoadProblem::ungranted_origin,
                ));
            }
        };
        Ok(Some(Arc::new(client)))
    }

    /// How answers may be kept, if the plugin lets them and reads what they go by.
    pub(crate) fn cache<'a>(
        &self,
        plugin_use: &'a PluginUse,
    ) -> Result<Option<&'a CacheRule>, Vec<Diagnostic>> {
        let Some(rule) = &plugin_use.cache else { return Ok(None) };
        if !self.cacheable {
            return Err(vec![LoadProblem::NotCacheable.diagnostic(plugin_use)]);
        }
        let reads = self.reads.iter().find(|(role, _)| *role == Role::Authorizer);
        let unread = rule.by.iter().zip(&plugin_use.cache_by_places).filter(|(part, _)| {
            reads.is_some_and(|(_, reads)| !request_part::is_read(part, reads))
        });
        let problems: Vec<Diagnostic> = unread
            .map(|(part, place)| {
                let (part, plugin) = (request_part::written(part), &plugin_use.plugin);
                let message = format!("plugin `{plugin}` does not read `{part}`");
                let help = "answers can differ only by what the plugin reads";
                Diagnostic::at(place, message).with_help(help)
            })
            .collect();
        if problems.is_empty() { Ok(Some(rule)) } else { Err(problems) }
    }
}

/// Whether a name in a plan asks for this secret: `credential/*` asks for a namespace, whose
/// members come and go.
pub(crate) fn names_it(asked: &str, secret: &str) -> bool {
    match asked.strip_suffix('*') {
        Some(prefix) => secret.starts_with(prefix),
        None => secret == asked,
    }
}

/// What a component imports though nothing of the kind is granted.
pub(crate) fn ungranted(grants: &Grants, surface: &Surface) -> impl Iterator<Item = &'static str> {
    let absent = [
        ("secrets", grants.secrets.is_empty()),
        ("keys", grants.issuers.is_empty()),
        (CREDENTIALS, !grants.credentials),
        (HTTP, grants.http.is_none()),
        (KEYVALUE, grants.keyvalue.is_none()),
    ];
    let missed = absent.into_iter().filter(|(name, absent)| *absent && surface.imports(name));
    missed.map(|(name, _)| name)
}

fn role(said: lifecycle::Role) -> Role {
    match said {
        lifecycle::Role::Authorizer => Role::Authorizer,
        lifecycle::Role::Validator => Role::Validator,
        lifecycle::Role::RequestTransform => Role::RequestTransform,
        lifecycle::Role::ResponseTransform => Role::ResponseTransform,
        lifecycle::Role::Limiter => Role::Limiter,
    }
}

/// Checks a challenge: a scheme, and whatever follows it after a space, in the characters of
/// a header value (RFC 9110, sections 5.5 and 11.3).
fn challenge(role: Role, text: &str) -> Result<HeaderValue, LoadProblem> {
    let refused = |why| Err(LoadProblem::Challenge { text: text.to_owned(), why });
    if role != Role::Authorizer {
        return refused("only an authorizer has one");
    }
    if text.len() > CHALLENGE_BYTES {
        return refused("it has more than 512 bytes");
    }
    let scheme = text.split(' ').next().unwrap_or_default();
    // The characters of a token are those of a method.
    if Method::from_bytes(scheme.as_bytes()).is_err() {
        return refused("it does not begin with the name of a scheme");
    }
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match HeaderValue::from_str(text) {
        Ok(value) if is_plain => Ok(value),
        _ => refused("it has other characters than those of ASCII that can be seen"),
    }
}

fn reads(role: Role, said: lifecycle::Reads) -> Result<Reads, LoadProblem> {
    let (all_headers, headers) = names(said.headers)?;
    let (all_response_headers, response_headers) = names(said.response_headers)?;
    let response_body = mode(said.response_body);
    let reads_a_response =
        all_response_headers || !response_headers.is_empty() || response_body != BodyMode::None;
    if reads_a_response && role != Role::ResponseTransform {
        return Err(LoadProblem::ReadsResponse(role));
    }
    let all_parameters = said.parameters.iter().any(|name| name == "*");
    Ok(Reads {
        all_headers,
        headers,
        all_parameters,
        parameters: said.parameters,
        attributes: said.attributes,
        body: mode(said.body),
        all_response_headers,
        response_headers,
        response_body,
    })
}

fn names(said: Vec<String>) -> Result<(bool, Vec<HeaderName>), LoadProblem> {
    let all = said.iter().any(|name| name == "*");
    let parse = |name: &String| {
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| LoadProblem::Header(name.clone()))
    };
    let named = said.iter().filter(|name| *name != "*").map(parse).collect::<Result<_, _>>()?;
    Ok((all, named))
}

fn mode(said: lifecycle::BodyMode) -> BodyMode {
    match said {
        lifecycle::BodyMode::None => BodyMode::None,
        lifecycle::BodyMode::Peek(bytes) => BodyMode::Peek(bytes),
        lifecycle::BodyMode::Buffer(bytes) => BodyMode::Buffer(bytes),
    }
}

/// Checks settings against the plugin's own schema, so that a plugin sees only what
/// it said it takes.
pub(crate) fn check_settings(schema: &str, settings: &Value) -> Result<(), Vec<LoadProblem>> {
    let schema: Value = serde_json::from_str(schema)
        .map_err(|problem| vec![LoadProblem::Schema(problem.to_string())])?;
    let validator = jsonschema::validator_for(&schema)
        .map_err(|problem| vec![LoadProblem::Schema(problem.to_string())])?;
    // One problem a place: a value of the wrong type breaks several rules at once.
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for error in validator.iter_errors(settings) {
        found.entry(error.instance_path().to_string()).or_insert_with(|| error.to_string());
    }
    let problems: Vec<LoadProblem> = found
        .into_iter()
        .map(|(pointer, message)| LoadProblem::Settings { pointer, message })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
