//! `portcullis explain`: which route a request would take, and who would look at it.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use http::{Method, Uri};
use portcullis_config::{Gateway, GuardCondition, GuardRule};
use portcullis_pipeline::{CanonicalPath, GuardView, HeldBody, RouteTable, ServedRoute, find};
use serde::Serialize;
use serde_json::json;

use super::{Output, REFUSED, ShownRoute, USAGE};

/// Explains a request of this method to this URL.
pub(crate) fn run(
    method: &str,
    url: &str,
    address: Option<IpAddr>,
    file: &Path,
    output: Output,
) -> ExitCode {
    let (Ok(method), Ok(url)) = (method.to_ascii_uppercase().parse::<Method>(), url.parse::<Uri>())
    else {
        eprintln!("`{method} {url}` is no method and URL");
        return ExitCode::from(USAGE);
    };
    let Gateway { apis, plugin_uses, .. } = match super::read(file, output) {
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
            let parameters = served.parameters(&path);
            let guard = guard(&served, (&method, &url), &path, address);
            let shown = ShownRoute::of(&served, &plugin_uses);
            print(&shown, &guard, (&path, &parameters), output);
            ExitCode::SUCCESS
        }
        Err(why) => nothing(&format!("no route: {why:?}"), output),
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

fn print(
    shown: &ShownRoute,
    guard: &[ShownRule],
    (path, parameters): (&CanonicalPath, &[(String, String)]),
    output: Output,
) {
    if output == Output::Json {
        let parameters: serde_json::Map<_, _> =
            parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let path = path.as_str();
        let all = json!({ "route": shown, "path": path, "parameters": parameters, "guard": guard });
        println!("{all}");
        return;
    }
    println!("path       {}", path.as_str());
    println!("route      {} of api {}", shown.route, shown.api);
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
    let lists = [
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
    println!("integrate  {}", shown.answered_by);
}
