//! `portcullis explain`: which route a request would take, and who would look at it.

mod policy;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use http::{Method, Uri};
use portcullis_config::{Gateway, GuardCondition, GuardRule};
use portcullis_pipeline::{
    CanonicalPath, GuardView, HeldBody, Identity, RouteTable, ServedRoute, Value, find,
};
use portcullis_state::Attribute;
use serde::Serialize;
use serde_json::json;

use self::policy::{Caller, ShownPolicy};
use super::store;
use super::{Output, REFUSED, ShownRoute, USAGE};

/// A request to explain.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The method.
    method: String,
    /// The URL, or a path.
    url: String,
    /// The client's address, for the guard and the API's policy.
    #[arg(long)]
    address: Option<IpAddr>,
    /// Who the authorizer says is calling, for the API's policy.
    #[arg(long)]
    principal: Option<String>,
    /// What else the authorizer says, as `name=value`: `arn=…`, `account=…`.
    #[arg(long = "attribute", value_parser = store::attribute, requires = "principal")]
    attributes: Vec<(String, String)>,
    /// The configuration file.
    #[arg(long, default_value = "portcullis.toml")]
    config: PathBuf,
    /// Prints an object.
    #[arg(long)]
    json: bool,
}

/// What is told of a request.
struct Explained<'a> {
    route: ShownRoute,
    path: &'a CanonicalPath,
    parameters: Vec<(String, String)>,
    guard: Vec<ShownRule>,
    policy: Option<ShownPolicy>,
}

impl Explain {
    /// Runs the command.
    pub(crate) fn run(self) -> ExitCode {
        let (method, url) = (&self.method, &self.url);
        let output = Output::of(self.json);
        let (Ok(method), Ok(url)) =
            (method.to_ascii_uppercase().parse::<Method>(), url.parse::<Uri>())
        else {
            eprintln!("`{method} {url}` is no method and URL");
            return ExitCode::from(USAGE);
        };
        let Gateway { apis, plugin_uses, .. } = match super::read(&self.config, output) {
            Ok(gateway) => gateway,
            Err(code) => return code,
        };
        let path = match CanonicalPath::parse(url.path()) {
            Ok(path) => path,
            Err(problem) => return nothing(&format!("the path is refused: {problem}"), output),
        };
        let host = url.host().unwrap_or_default().to_ascii_lowercase();
        let table = RouteTable::new(apis);
        match table.find(&host, &method, &path) {
            Ok(served) => {
                let caller = self.caller();
                let explained = Explained {
                    route: ShownRoute::of(&served, &plugin_uses),
                    path: &path,
                    parameters: served.parameters(&path),
                    guard: guard(&served, (&method, &url), &path, caller.address),
                    policy: policy::shown(&served, (&method, &url), &path, &caller),
                };
                match output {
                    Output::Json => println!("{}", explained.as_json()),
                    Output::Text => explained.print(),
                }
                ExitCode::SUCCESS
            }
            Err(why) => nothing(&format!("no route: {why:?}"), output),
        }
    }

    fn caller(self) -> Caller {
        let attributes = store::attributes(&self.attributes).into_iter();
        let identity = self.principal.map(|principal| Identity {
            principal,
            attributes: attributes.map(|(name, value)| (name, told(value))).collect(),
            usage_key: None,
        });
        Caller { address: self.address, identity }
    }
}

fn told(value: Attribute) -> Value {
    match value {
        Attribute::Text(text) => Value::Text(text),
        Attribute::Integer(number) => Value::Integer(number),
        Attribute::Boolean(truth) => Value::Boolean(truth),
        Attribute::Texts(texts) => Value::Texts(texts),
    }
}

/// What a rule of the guard says.
#[derive(Debug, Serialize)]
struct ShownRule {
    rule: String,
    mode: &'static str,
    found: Option<String>,
    unknown: Option<&'static str>,
}

/// What the guard would say of a request without headers and body.
fn guard(
    served: &ServedRoute,
    (method, url): (&Method, &Uri),
    path: &CanonicalPath,
    address: Option<IpAddr>,
) -> Vec<ShownRule> {
    let mut head = http::Request::new(()).into_parts().0;
    head.method = method.clone();
    head.uri = url.clone();
    let body = HeldBody { complete: true, ..HeldBody::default() };
    let rules = served.guard.iter().flat_map(|guard| &guard.rules);
    let shown = |rule: &GuardRule| {
        let is_known = address.is_some() || !asks_address(&rule.condition);
        let unspecified = IpAddr::from([0, 0, 0, 0]);
        let client = address.unwrap_or(unspecified);
        let found = find(rule, GuardView { client, head: &head, path, body: &body });
        ShownRule {
            rule: rule.name.to_string(),
            mode: rule.mode.as_str(),
            found: found.filter(|_| is_known).map(|found| found.to_string()),
            unknown: (!is_known).then_some("tell it a client's `--address`"),
        }
    };
    rules.map(shown).collect()
}

fn asks_address(condition: &GuardCondition) -> bool {
    matches!(condition, GuardCondition::Addresses(..) | GuardCondition::Countries(..))
}

fn nothing(why: &str, output: Output) -> ExitCode {
    match output {
        Output::Text => println!("{why}"),
        Output::Json => println!("{}", json!({ "route": null, "reason": why })),
    }
    ExitCode::from(REFUSED)
}

impl Explained<'_> {
    fn as_json(&self) -> serde_json::Value {
        let Self { route, path, parameters, guard, policy } = self;
        let parameters: serde_json::Map<_, _> =
            parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "route": route,
            "path": path.as_str(),
            "parameters": parameters,
            "guard": guard,
            "policy": policy,
        })
    }

    fn print(&self) {
        let Self { route: shown, path, parameters, guard, policy } = self;
        println!("path       {}", path.as_str());
        println!("route      {} of api {}", shown.route, shown.api_and_stage());
        if let Some(operation) = &shown.operation {
            println!("operation  {operation}");
        }
        for (name, value) in parameters {
            println!("parameter  {name} = {value}");
        }
        for rule in guard {
            let ShownRule { rule, mode, found, unknown } = rule;
            let found = unknown.or(found.as_deref()).unwrap_or("nothing");
            let verb = if unknown.is_some() { "" } else { "finds " };
            println!("guard      {rule} ({mode}): {verb}{found}");
        }
        println!("authorize  {}", shown.authorizer.as_deref().unwrap_or("open to all"));
        if let Some(policy) = policy {
            policy.print();
        }
        let lists = [
            ("limit    ", &shown.limiters),
            ("limit    ", &shown.limits),
            ("validate ", &shown.rules),
            ("validate ", &shown.validators),
            ("transform", &shown.request),
            ("transform", &shown.request_transforms),
            ("respond  ", &shown.response_transforms),
            ("respond  ", &shown.response),
        ];
        for (phase, names) in lists {
            for name in names {
                println!("{phase}  {name}");
            }
        }
        if !shown.limits.is_empty() && shown.cost != 1 {
            println!("cost       {}", shown.cost);
        }
        println!("integrate  {}", shown.answered_by);
    }
}
