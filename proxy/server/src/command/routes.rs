//! `portcullis routes`: what a configuration serves.

use std::path::Path;
use std::process::ExitCode;

use portcullis_config::Gateway;
use portcullis_pipeline::RouteTable;

use super::{INTERNAL, Output, ShownRoute};

/// Lists the routes of a configuration.
pub(crate) fn run(file: &Path, output: Output) -> ExitCode {
    let Gateway { apis, plugin_uses, .. } = match super::read(file, output) {
        Ok(gateway) => gateway,
        Err(code) => return code,
    };
    let table = RouteTable::new(apis);
    let shown: Vec<ShownRoute> =
        table.routes().map(|served| ShownRoute::of(served, &plugin_uses)).collect();
    match output {
        Output::Text => print_table(&shown),
        Output::Json => match serde_json::to_string_pretty(&shown) {
            Ok(text) => println!("{text}"),
            Err(_) => return ExitCode::from(INTERNAL),
        },
    }
    ExitCode::SUCCESS
}

fn print_table(shown: &[ShownRoute]) {
    let rows: Vec<[String; 6]> = shown.iter().map(row).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let (api, route, access) =
        (width(0).unwrap_or(0), width(1).unwrap_or(0), width(2).unwrap_or(0));
    let target = width(3).unwrap_or(0);
    for [api_cell, route_cell, access_cell, target_cell, operation, hosts] in &rows {
        let line = format!(
            "{api_cell:api$}  {route_cell:route$}  {access_cell:access$}  {target_cell:target$}  {operation}{hosts}"
        );
        println!("{}", line.trim_end());
    }
}

fn row(shown: &ShownRoute) -> [String; 6] {
    let method = shown.route.split(' ').next().unwrap_or_default();
    let route = match &shown.path {
        Some(path) => format!("{method} {path}"),
        None => shown.route.clone(),
    };
    let access = shown.authorizer.clone().unwrap_or_else(|| "open".into());
    let operation = shown.operation.as_ref().map(|name| format!("{name}  ")).unwrap_or_default();
    let hosts = match shown.hosts.as_slice() {
        [] => String::new(),
        hosts => format!("on {}", hosts.join(", ")),
    };
    [shown.api_and_stage(), route, access, shown.answered_by.clone(), operation, hosts]
}
