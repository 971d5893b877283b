//! What the configuration changes of messages, as commands show it.

use std::fmt::Display;

use portcullis_config::{Change, RequestMapping, ResponseChanges, ResponseMapping, StatusMatch};

/// The changes of requests, in the order they are made.
pub(super) fn request(mapping: &RequestMapping) -> Vec<String> {
    let headers = mapping.headers.iter().map(|change| shown("header", change));
    let query = mapping.query.iter().map(|change| shown("query", change));
    let path = mapping.path.iter().map(|path| format!("set path = {path}"));
    headers.chain(query).chain(path).collect()
}

/// The changes of responses, in the order they are made.
pub(super) fn response(mapping: &ResponseMapping) -> Vec<String> {
    let mut all = changes(&mapping.always);
    for (statuses, some) in &mapping.on {
        let on = match statuses {
            StatusMatch::Class(class) => format!("on {class}xx"),
            StatusMatch::Is(code) => format!("on {code}"),
        };
        all.extend(changes(some).into_iter().map(|change| format!("{on}: {change}")));
    }
    all
}

fn changes(changes: &ResponseChanges) -> Vec<String> {
    let status = changes.status.map(|status| format!("set status = {}", status.as_u16()));
    let headers = changes.headers.iter().map(|change| shown("header", change));
    status.into_iter().chain(headers).collect()
}

fn shown<N: Display>(kind: &str, change: &Change<N>) -> String {
    match change {
        Change::Remove(name) => format!("remove {kind}:{name}"),
        Change::Set(name, template) => format!("set {kind}:{name} = {template}"),
        Change::Append(name, template) => format!("append {kind}:{name} = {template}"),
    }
}
