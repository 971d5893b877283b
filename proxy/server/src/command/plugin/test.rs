//! `portcullis plugin test`: cases against the very component that ships.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portcullis_config::{
    Grants, HttpGrant, Origin, PluginUseId, Role, Secret, SecretGrant, Stage, Use,
};
use portcullis_pipeline::{
    Answer, Arrival, BodyAccess, Call, Denial, Grant, HeldBody, Identity, Outgoing, PluginFault,
    Plugins as _, RequestOutcome, ResponseCall, ResponseOutcome, RouteFacts, Scheme, Value, View,
    ViewParts, Violation, apply_to_request, apply_to_response,
};
use portcullis_plugin_host::{ComponentFiles, PluginHost};

use super::answers::{Answers, headers};
use super::case::{Case, CaseFile, CaseRequest, Expected};

/// Calls whose median is held against `within_us`.
const TIMED_CALLS: usize = 25;

/// Run a plugin's cases against the very component that ships.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// The component.
    component: PathBuf,
    /// The file of cases.
    #[arg(long, default_value = "cases.toml")]
    cases: PathBuf,
}

impl Test {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let file = CaseFile::read(&self.cases)?;
        let grants = portcullis_config::grants(&self.cases)?;
        // A thread of its own for the answers, which are asked for while the plugin is loaded.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let answers = Answers::start(&runtime, &file.answer)?;
        let (host, exported) = load(&self.component, &file, grants, &answers)?;
        let (mut passed, mut failed) = (0, 0);
        for case in &file.case {
            answers.prepare(&case.answer, &file.answer)?;
            let took = runtime.block_on(run(case, &host, &exported));
            // Without its answer, what came of a case says nothing.
            match answers.check().and(took) {
                Ok(took) => {
                    passed += 1;
                    println!("ok      {} ({} µs)", case.name, took.as_micros());
                }
                Err(problem) => {
                    failed += 1;
                    println!("FAILED  {}: {problem:#}", case.name);
                }
            }
        }
        println!("{passed} passed, {failed} failed");
        Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn load(
    component: &Path,
    file: &CaseFile,
    grants: Grants,
    answers: &Answers,
) -> anyhow::Result<(PluginHost, Vec<Role>)> {
    let engine = super::engine()?;
    let (directory, name) = super::directory_and_name(component)?;
    let mut settings = serde_json::to_value(&file.settings)?;
    answers.named_in(&mut settings);
    let exported = engine
        .inspect(component, &super::standalone(&name, Vec::new(), settings.clone()))?
        .surface
        .roles;
    let mut plugin_use = super::standalone(&name, exported.clone(), settings);
    plugin_use.grants = grants;
    for (name, value) in &file.secrets {
        let secret = Secret::new(value.clone().into_bytes());
        // Whoever writes cases shows the secret; what a use may see is for its grants to say.
        plugin_use.grants.secrets.insert(name.clone(), SecretGrant { secret, reveal: true });
    }
    if file.answer.iter().chain(file.case.iter().flat_map(|case| &case.answer)).next().is_some() {
        let origin: Origin = answers.origin().parse().map_err(|problem| anyhow!("{problem}"))?;
        match &mut plugin_use.grants.http {
            Some(http) => http.origins.push(origin),
            none => *none = Some(HttpGrant::of_origins(vec![origin])),
        }
    }
    Ok((engine.load_uses(&[plugin_use], ComponentFiles::In(Some(&directory)), None)?, exported))
}

/// What came of a call.
enum Outcome {
    Authorized(Result<Grant, Denial>),
    Validated(Vec<Violation>),
    Edited {
        headers: HeaderMap,
        path: Option<String>,
        status: Option<StatusCode>,
        body: Option<Bytes>,
    },
    Answered(Answer),
    Charged(BTreeMap<String, u64>),
    Fault(PluginFault),
}

async fn run(case: &Case, host: &PluginHost, exported: &[Role]) -> anyhow::Result<Duration> {
    let role = match (case.role, exported) {
        (Some(role), _) => role.into(),
        (None, [only]) => *only,
        (None, _) => anyhow::bail!("the plugin plays several roles; say which: role = \"…\""),
    };
    let call = CaseCall::of(case)?;
    let started = Instant::now();
    let outcome = call.make(role, host).await?;
    let took = started.elapsed();
    judge(&case.expect, &outcome)?;
    let Some(limit) = case.within_us else {
        // A second call would change twice what the plugin keeps.
        return Ok(took);
    };
    let mut times = Vec::with_capacity(TIMED_CALLS);
    for _ in 0..TIMED_CALLS {
        let started = Instant::now();
        call.make(role, host).await?;
        times.push(started.elapsed());
    }
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    anyhow::ensure!(
        median <= Duration::from_micros(limit),
        "took {} µs as {}, its budget is {limit} µs",
        median.as_micros(),
        role.as_str()
    );
    Ok(median)
}

/// A case's request and response, in the pipeline's words.
struct CaseCall<'a> {
    case: &'a Case,
    arrival: Arrival,
    headers: HeaderMap,
    body: HeldBody,
    parameters: Vec<(String, String)>,
    stage: Option<Stage>,
    identity: Option<Identity>,
    target: Use,
}

impl<'a> CaseCall<'a> {
    fn of(case: &'a Case) -> anyhow::Result<Self> {
        let request: &CaseRequest = &case.request;
        let identity = request.identity.as_ref().map(|stated| Identity {
            principal: stated.principal.clone(),
            attributes: stated
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), Value::Text(value.clone())))
                .collect(),
            usage_key: None,
        });
        Ok(Self {
            case,
            arrival: Arrival {
                id: "00000000000000000000000000000000".to_owned(),
                peer: (request.client, 0).into(),
                client: request.client,
                scheme: Scheme::Https,
                time_ms: request.time_ms,
                tls: None,
            },
            headers: headers(&request.headers)?,
            body: HeldBody { bytes: Bytes::from(request.body.clone()), complete: true },
            parameters: request.path_parameters.clone().into_iter().collect(),
            stage: stage(&request.stage_values),
            identity,
            target: Use { plugin: PluginUseId(0), argument: case.argument.clone() },
        })
    }

    async fn make(&self, role: Role, host: &PluginHost) -> anyhow::Result<Outcome> {
        let request = &self.case.request;
        let (path, query) = match request.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.target.as_str(), None),
        };
        let parts = ViewParts {
            arrival: &self.arrival,
            method: &request.method,
            authority: &request.host,
            raw_path: path,
            path,
            query,
            headers: &self.headers,
            body: Some(&self.body),
            route: Some(RouteFacts::Stated {
                key: "case",
                api: "cases",
                parameters: &self.parameters,
                stage: self.stage.as_ref(),
            }),
            identity: self.identity.as_ref(),
        };
        let call = Call { target: &self.target, view: View::of(&parts) };
        let outcome = match role {
            Role::Authorizer => {
                host.authorize(call).await.map(|(answer, _)| Outcome::Authorized(answer))
            }
            Role::Validator => host.validate(call).await.map(Outcome::Validated),
            Role::Limiter => host.charge(call).await.map(|charges| {
                let limits = portcullis_pipeline::Plugins::limits(host, self.target.plugin);
                let charged = charges.into_iter().filter_map(|charge| {
                    let known = limits.get(charge.limit)?;
                    Some((known.limit.spec.name.clone(), charge.cost))
                });
                Outcome::Charged(charged.collect())
            }),
            Role::RequestTransform => {
                host.transform_request(call).await.and_then(|outcome| self.edit_request(outcome))
            }
            Role::ResponseTransform => return self.transform_response(host, call).await,
        };
        Ok(outcome.unwrap_or_else(Outcome::Fault))
    }

    fn edit_request(&self, outcome: RequestOutcome) -> Result<Outcome, PluginFault> {
        let edits = match outcome {
            RequestOutcome::Respond(answer) => return Ok(Outcome::Answered(answer)),
            RequestOutcome::Edit(edits) => edits,
        };
        let mut outgoing = Outgoing::default();
        apply_to_request(edits, &mut outgoing, &self.headers, BodyAccess::Buffered)
            .map_err(|problem| PluginFault::BadAnswer(problem.to_string()))?;
        let headers = outgoing.headers.unwrap_or_else(|| self.headers.clone());
        Ok(Outcome::Edited { headers, path: outgoing.path, status: None, body: outgoing.body })
    }

    async fn transform_response(
        &self,
        host: &PluginHost,
        request: Call<'_>,
    ) -> anyhow::Result<Outcome> {
        let stated =
            self.case.response.as_ref().context("a response-transform needs a `response`")?;
        let (status, headers) = (StatusCode::from_u16(stated.status)?, headers(&stated.headers)?);
        let body = HeldBody { bytes: Bytes::from(stated.body.clone()), complete: true };
        let call = ResponseCall { request, status, headers: &headers, body: Some(&body) };
        let edits = match host.transform_response(call).await {
            Err(fault) => return Ok(Outcome::Fault(fault)),
            Ok(ResponseOutcome::Replace(answer)) => return Ok(Outcome::Answered(answer)),
            Ok(ResponseOutcome::Edit(edits)) => edits,
        };
        let mut edited = (status, headers.clone(), None);
        Ok(match apply_to_response(edits, &mut edited, BodyAccess::Buffered) {
            Ok(()) => Outcome::Edited {
                status: Some(edited.0),
                headers: edited.1,
                path: None,
                body: edited.2,
            },
            Err(problem) => Outcome::Fault(PluginFault::BadAnswer(problem.to_string())),
        })
    }
}

/// A stage with these values; none where there are none.
fn stage(values: &BTreeMap<String, String>) -> Option<Stage> {
    let values = (!values.is_empty()).then(|| values.clone())?;
    Some(Stage { name: "case".into(), base_path: String::new(), values })
}

fn judge(expected: &Expected, outcome: &Outcome) -> anyhow::Result<()> {
    match (expected, outcome) {
        (Expected::Allow { principal, attributes }, Outcome::Authorized(Ok(grant))) => {
            same("principal", principal.as_deref(), Some(grant.identity.principal.as_str()))?;
            for (name, value) in attributes {
                let found = grant.identity.attributes.iter().find(|(given, _)| given == name);
                let text = found.map(|(_, value)| text_of(value));
                same(&format!("attribute `{name}`"), Some(value), text.as_deref())?;
            }
            Ok(())
        }
        (Expected::Deny { kind, code }, Outcome::Authorized(Err(denial))) => {
            let (denied, reason) = match denial {
                Denial::NotMine => ("not-mine", None),
                Denial::Unidentified(lacking) => ("not-mine", Some(lacking.code())),
                Denial::Unauthenticated(reason) => ("unauthenticated", Some(reason.code.as_str())),
                Denial::Forbidden(reason) => ("forbidden", Some(reason.code.as_str())),
                Denial::Respond(_) => ("respond", None),
            };
            same("kind", kind.as_deref(), Some(denied))?;
            same("code", code.as_deref(), reason)
        }
        (Expected::Violations(places), Outcome::Validated(found)) => {
            let found: Vec<&str> =
                found.iter().map(|violation| violation.location.as_str()).collect();
            anyhow::ensure!(places == &found, "violations at {found:?}, expected {places:?}");
            Ok(())
        }
        (Expected::Charges(charges), Outcome::Charged(found)) => {
            anyhow::ensure!(charges == found, "charged to {found:?}, expected {charges:?}");
            Ok(())
        }
        (Expected::Edited { .. }, Outcome::Edited { .. }) => judge_edited(expected, outcome),
        (Expected::Answered { status }, Outcome::Answered(answer)) => {
            anyhow::ensure!(
                answer.status.as_u16() == *status,
                "answered {}, expected {status}",
                answer.status
            );
            Ok(())
        }
        (Expected::Fault(code), Outcome::Fault(fault)) => {
            same("fault", Some(code), Some(fault.code()))
        }
        (_, outcome) => anyhow::bail!("{}", describe(outcome)),
    }
}

fn judge_edited(expected: &Expected, outcome: &Outcome) -> anyhow::Result<()> {
    let (
        Expected::Edited { headers, absent, path, status, body },
        Outcome::Edited { headers: has, path: new_path, status: new_status, body: new_body },
    ) = (expected, outcome)
    else {
        return Ok(());
    };
    for (name, value) in headers {
        let found =
            has.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        same(&format!("header `{name}`"), Some(value), found.as_deref())?;
    }
    for name in absent {
        anyhow::ensure!(!has.contains_key(name), "header `{name}` is there");
    }
    same("path", path.as_deref(), new_path.as_deref())?;
    let found = new_body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
    same("body", body.as_deref(), found.as_deref())?;
    let code = new_status.map(|status| status.as_u16().to_string());
    same("status", status.map(|status| status.to_string()).as_deref(), code.as_deref())
}

fn same(what: &str, expected: Option<&str>, found: Option<&str>) -> anyhow::Result<()> {
    match expected {
        Some(_) if expected != found => anyhow::bail!("{what} is {found:?}, expected {expected:?}"),
        _ => Ok(()),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Texts(texts) => texts.join(" "),
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Authorized(Ok(grant)) => {
            format!("it was allowed, as `{}`", grant.identity.principal)
        }
        Outcome::Authorized(Err(denial)) => format!("it was denied: {denial:?}"),
        Outcome::Validated(found) => format!("the violations are {found:?}"),
        Outcome::Charged(found) => format!("it charges to {found:?}"),
        Outcome::Edited { headers, .. } => format!("it was edited; headers now: {headers:?}"),
        Outcome::Answered(answer) => format!("it was answered with {}", answer.status),
        Outcome::Fault(fault) => format!("the plugin faulted ({}): it {fault}", fault.code()),
    }
}
