//! `guard`, of the gateway and of APIs.

use std::sync::Arc;

use http::{HeaderName, Method};
use ipnet::IpNet;

use super::source::regular_expression;
use super::{Resolver, check_names, files};
use crate::country::{Country, CountryDatabase};
use crate::diagnostic::Place;
use crate::document::{self, Attack as WrittenAttack, FilePath, GuardMode as WrittenMode, Text};
use crate::gateway::{
    Attack, Guard, GuardCondition, GuardMode, GuardMost, GuardPart, GuardRule, Listed, MediaRange,
};
use crate::networks::Networks;
use crate::read::{Either, NamedEntry};

const EMPTY: &str = "an empty list finds everything or nothing";

/// The rules, as written at one level; `None` where there are none.
pub(super) fn guard(written: &document::Guard, resolver: &mut Resolver<'_>) -> Option<Arc<Guard>> {
    check_names("a guard rule", &written.rules, resolver);
    let database = written.country_database.as_ref();
    let database = database.and_then(|file| country_database(file, resolver));
    let about = About { database, is_named: written.country_database.is_some() };
    let rules = written.rules.entries.iter();
    let rules: Vec<GuardRule> = rules.filter_map(|entry| rule(entry, &about, resolver)).collect();
    if let (Some(file), []) = (&written.country_database, written.rules.entries.as_slice()) {
        let help =
            "rules use the database of their own guard, which takes the place of the gateway's";
        resolver.problem_with_help(&file.place, "this guard has no rules", help);
    }
    (!rules.is_empty()).then(|| Arc::new(Guard { rules }))
}

/// Notes rules that look at bodies where a route streams.
pub(super) fn check_streams(
    guard: Option<&Guard>,
    route: &crate::gateway::Route,
    resolver: &mut Resolver<'_>,
) {
    if route.streams && guard.is_some_and(Guard::reads_body) {
        let message = format!("route `{}` streams, and the guard looks at bodies", route.key);
        let help = "a body that is looked at has to be held; leave `body` out of the rule's parts";
        resolver.problem_with_help(&route.place, message, help);
    }
}

/// What rules share.
struct About {
    database: Option<Arc<CountryDatabase>>,
    is_named: bool,
}

fn country_database(
    written: &FilePath,
    resolver: &mut Resolver<'_>,
) -> Option<Arc<CountryDatabase>> {
    match CountryDatabase::parse(files::content(written, resolver)?) {
        Ok(database) => Some(Arc::new(database)),
        Err(problem) => {
            let message = format!("`{}` is no country database: {problem}", written.value);
            resolver.problem(&written.place, message);
            None
        }
    }
}

fn rule(
    entry: &NamedEntry<document::GuardRule>,
    about: &About,
    resolver: &mut Resolver<'_>,
) -> Option<GuardRule> {
    let written = entry.value.as_ref()?;
    let mode = match written.mode {
        WrittenMode::Block => GuardMode::Block,
        WrittenMode::Count => GuardMode::Count,
    };
    let looks = written.deny_matching.is_some() || written.deny_attacks.is_some();
    // A condition that could not be read may have been one that looks at them.
    if let (Some(parts), false, true) = (&written.parts, looks, written.whole) {
        let message = "only `deny_matching` and `deny_attacks` look at parts";
        resolver.problem(&parts.place, message);
    }
    let conditions = [
        written.allow_addresses.is_some(),
        written.deny_addresses.is_some(),
        written.allow_countries.is_some(),
        written.deny_countries.is_some(),
        written.allow_methods.is_some(),
        written.allow_content_types.is_some(),
        written.most.is_some(),
        written.deny_matching.is_some(),
        written.deny_attacks.is_some(),
    ];
    let count = conditions.into_iter().filter(|is_there| *is_there).count();
    if count != 1 {
        if count > 1 || written.whole {
            let message = format!("rule `{}` has {count} conditions", entry.name);
            let help = "a rule has one of `allow_addresses`, `deny_addresses`, \
                `allow_countries`, `deny_countries`, `allow_methods`, `allow_content_types`, \
                `most`, `deny_matching` and `deny_attacks`";
            resolver.problem_with_help(&entry.place, message, help);
        }
        return None;
    }
    let condition = condition(written, &entry.place, about, resolver)?;
    Some(GuardRule { name: entry.name.as_str().into(), mode, condition })
}

fn condition(
    written: &document::GuardRule,
    place: &Place,
    about: &About,
    resolver: &mut Resolver<'_>,
) -> Option<GuardCondition> {
    if let Some(list) = &written.allow_addresses {
        let networks = networks(list, place, resolver)?;
        return Some(GuardCondition::Addresses(Listed::Allow, networks));
    }
    if let Some(list) = &written.deny_addresses {
        let networks = networks(list, place, resolver)?;
        return Some(GuardCondition::Addresses(Listed::Deny, networks));
    }
    let countries =
        [(Listed::Allow, &written.allow_countries), (Listed::Deny, &written.deny_countries)];
    for (listed, list) in countries {
        let Some(list) = list else { continue };
        let countries = each(list, place, country, resolver);
        if !about.is_named {
            let help = "name one in the guard: `country_database = \"GeoLite2-Country.mmdb\"`";
            resolver.problem_with_help(place, "no database tells countries", help);
        }
        return Some(GuardCondition::Countries(listed, countries?, about.database.clone()?));
    }
    if let Some(list) = &written.allow_methods {
        return each(list, place, method, resolver).map(GuardCondition::Methods);
    }
    if let Some(list) = &written.allow_content_types {
        return each(list, place, media_range, resolver).map(GuardCondition::ContentTypes);
    }
    if let Some(most) = &written.most {
        return Some(GuardCondition::Most(self::most(most)));
    }
    if let Some(expression) = &written.deny_matching {
        let expression = regular_expression(expression, &expression.value, resolver);
        let (parts, body) = parts(written, place, resolver)?;
        return Some(GuardCondition::Matching { expression: expression?, parts, body });
    }
    let kinds: Vec<Attack> = written.deny_attacks.as_ref()?.iter().map(attack).collect();
    if kinds.is_empty() {
        resolver.problem(place, EMPTY);
    }
    let (parts, body) = parts(written, place, resolver)?;
    (!kinds.is_empty()).then_some(GuardCondition::Attacks { kinds, parts, body })
}

fn attack(written: &WrittenAttack) -> Attack {
    match written {
        WrittenAttack::SqlInjection => Attack::SqlInjection,
        WrittenAttack::CrossSiteScripting => Attack::CrossSiteScripting,
    }
}

fn most(written: &document::GuardMost) -> GuardMost {
    GuardMost {
        headers: written.headers.map(|count| count.0 as usize),
        header_bytes: written.header_bytes.map(|size| size.in_memory()),
        path_bytes: written.path_bytes.map(|size| size.in_memory()),
        query_bytes: written.query_bytes.map(|size| size.in_memory()),
        query_parameters: written.query_parameters.map(|count| count.0 as usize),
    }
}

/// The parts that a rule looks at, and how much of a body, where it is one of them.
fn parts(
    written: &document::GuardRule,
    place: &Place,
    resolver: &mut Resolver<'_>,
) -> Option<(Vec<GuardPart>, Option<u64>)> {
    let parts = match &written.parts {
        Some(parts) => each(&parts.value, &parts.place, part, resolver),
        None => {
            let help =
                "name them: `parts = [\"path\", \"query\", \"header:user-agent\", \"body\"]`";
            resolver.problem_with_help(place, "the rule looks at no part", help);
            None
        }
    }?;
    let body = parts.contains(&GuardPart::Body).then_some(written.body_limit.0);
    Some((parts, body))
}

/// Every member of a list that must have one; `None` once a problem was noted.
fn each<T>(
    list: &[Text],
    place: &Place,
    one: impl Fn(&str) -> Result<T, &'static str>,
    resolver: &mut Resolver<'_>,
) -> Option<Vec<T>> {
    if list.is_empty() {
        resolver.problem(place, EMPTY);
        return None;
    }
    let read = list.iter().map(|text| match one(&text.value) {
        Ok(value) => Some(value),
        Err(help) => {
            let message = format!("`{}` cannot stand here", text.value);
            resolver.problem_with_help(&text.place, message, help);
            None
        }
    });
    let read: Vec<Option<T>> = read.collect();
    read.into_iter().collect()
}

fn country(text: &str) -> Result<Country, &'static str> {
    Country::of(text).ok_or("write countries as ISO 3166-1 does: `DE`")
}

fn method(text: &str) -> Result<Method, &'static str> {
    let is_upper = text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| is_upper);
    method.ok_or("methods are written in upper case: `GET`")
}

fn media_range(text: &str) -> Result<MediaRange, &'static str> {
    MediaRange::parse(text)
        .ok_or("write it as `application/json`, `application/*+json` or `text/*`")
}

fn part(text: &str) -> Result<GuardPart, &'static str> {
    const HELP: &str = "known: `path`, `query`, `query:NAME`, `header:NAME`, `body`";
    match text.split_once(':') {
        None => match text {
            "path" => Ok(GuardPart::Path),
            "query" => Ok(GuardPart::Query),
            "body" => Ok(GuardPart::Body),
            _ => Err(HELP),
        },
        Some(("query", name)) if !name.is_empty() => Ok(GuardPart::Parameter(name.to_owned())),
        Some(("header", name)) => {
            HeaderName::try_from(name).map(GuardPart::Header).map_err(|_| HELP)
        }
        Some(_) => Err(HELP),
    }
}

fn networks(
    list: &[document::Networks],
    place: &Place,
    resolver: &mut Resolver<'_>,
) -> Option<Networks> {
    let mut all = Vec::new();
    let mut whole = true;
    for written in list {
        match written {
            Either::This(text) => match network(&text.value) {
                Some(network) => all.push(network),
                None => {
                    whole = false;
                    let message = format!("`{}` is no network", text.value);
                    let help = "write it as `10.0.0.0/8`, `2001:db8::/32` or `10.0.0.1`";
                    resolver.problem_with_help(&text.place, message, help);
                }
            },
            Either::That(table) => match networks_of(&table.file, resolver) {
                Some(networks) => all.extend(networks),
                None => whole = false,
            },
        }
    }
    if list.is_empty() {
        resolver.problem(place, EMPTY);
        whole = false;
    }
    whole.then(|| all.into_iter().collect())
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| address()).ok()
}

/// The networks of a file: one a line, without remarks.
fn networks_of(file: &FilePath, resolver: &mut Resolver<'_>) -> Option<Vec<IpNet>> {
    let content = files::content(file, resolver)?;
    let mut networks = Vec::new();
    for (at, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let text = line.split('#').next().unwrap_or_default().trim();
        match network(text) {
            Some(network) => networks.push(network),
            None if text.is_empty() => {}
            None => {
                let message = format!("`{}`: line {} is no network", file.value, at + 1);
                let help = "each line is as `10.0.0.0/8`, `2001:db8::/32` or `10.0.0.1`";
                resolver.problem_with_help(&file.place, message, help);
                return None;
            }
        }
    }
    Some(networks)
}
