//! `portcullis explain`: which route a request would take, and who would look at it.

use std::path::Path;
use std::process::ExitCode;

use http::{Method, Uri};
use portcullis_config::Gateway;
use portcullis_pipeline::{CanonicalPath, RouteTable};
use serde_json::json;

use super::{Output, REFUSED, ShownRoute, USAGE};

/// Explains a request of this method to this URL.
pub(crate) fn run(method: &str, url: &str, file: &Path, output: Output) -> ExitCode {
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
            print(&ShownRoute::of(&served, &plugin_uses), &path, &parameters, output);
            ExitCode::SUCCESS
        }
        Err(why) => nothing(&format!("no route: {why:?}"), output),
    }
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
    path: &CanonicalPath,
    parameters: &[(String, String)],
    output: Output,
) {
    if output == Output::Json {
        let parameters: serde_json::Map<_, _> =
            parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        println!("{}", json!({ "route": shown, "path": path.as_str(), "parameters": parameters }));
        return;
    }
    println!("path       {}", path.as_str());
    println!("route      {} of api {}", shown.route, shown.api);
    for (name, value) in parameters {
        println!("parameter  {name} = {value}");
    }
    println!("authorize  {}", shown.authorizer.as_deref().unwrap_or("open to all"));
    let lists = [
        ("limit    ", &shown.limits),
        ("validate ", &shown.validators),
        ("transform", &shown.request_transforms),
        ("respond  ", &shown.response_transforms),
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
