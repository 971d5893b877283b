//! `validate`, of APIs and routes.

use http::HeaderName;
use regex::Regex;

use super::Resolver;
use super::plugin_use::PluginUses;
use super::schemas::Schemas;
use crate::document::{self, Body, CheckTable, Checks, Parameter, Text};
use crate::gateway::{
    BodyRule, Edge, Items, Judge, Many, MediaRange, OtherMediaTypes, ParameterAt, ParameterRule,
    Range, RequestRules, Role, Scalar, TextFormat, Use, ValueKind, ValueRule,
};
use crate::read::{self, Either, Named, NamedEntry};

/// What is checked: by plugins, and by rules of the gateway's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked {
    pub(super) validators: Vec<Use>,
    pub(super) rules: RequestRules,
}

/// What is checked, as written at one level.
pub(super) fn checks(
    written: Option<&Checks>,
    schemas: &mut Schemas<'_>,
    plugins: &mut PluginUses,
    resolver: &mut Resolver<'_>,
) -> Option<Checked> {
    let each = match written? {
        Either::This(one) => std::slice::from_ref(one),
        Either::That(several) => several.as_slice(),
    };
    let mut checked = Checked::default();
    for check in each {
        match check {
            Either::This(name) => {
                let used = Either::This(name.clone());
                checked.validators.extend(plugins.refer(Role::Validator, &used, resolver));
            }
            Either::That(table) => add(table, &mut checked, schemas, plugins, resolver),
        }
    }
    Some(checked)
}

/// A validator by its name with an argument, or rules.
fn add(
    written: &CheckTable,
    checked: &mut Checked,
    schemas: &mut Schemas<'_>,
    plugins: &mut PluginUses,
    resolver: &mut Resolver<'_>,
) {
    let lists = [&written.query, &written.headers, &written.path, &written.cookies];
    let has_rules = written.body.is_some() || lists.iter().any(|list| !list.entries.is_empty());
    match &written.with {
        Some(name) if has_rules => {
            let help = "write a list: `validate = [\"NAME\", { body = \"…\" }]`";
            resolver.problem_with_help(&name.place, "a validator stands in a table alone", help);
        }
        Some(name) => {
            let argument = written.r#use.as_ref().map(|argument| argument.value.clone());
            checked.validators.extend(plugins.refer_to(Role::Validator, name, argument, resolver));
        }
        None => {
            if let Some(argument) = &written.r#use {
                resolver
                    .problem(&argument.place, "an argument needs the validator it is for: `with`");
            }
            if !has_rules && written.whole {
                resolver.problem(&written.place, "nothing is checked here");
            }
        }
    }
    let rules = &mut checked.rules;
    for list in [
        parameters(&written.query, |name| Some(ParameterAt::Query(name.to_owned())), resolver),
        parameters(&written.headers, header, resolver),
        parameters(&written.path, |name| Some(ParameterAt::Path(name.to_owned())), resolver),
        parameters(&written.cookies, |name| Some(ParameterAt::Cookie(name.to_owned())), resolver),
    ] {
        rules.parameters.extend(list);
    }
    if let Some(written) = &written.body {
        rules.bodies.extend(body(&written.value, schemas, plugins, resolver));
    }
}

fn header(name: &str) -> Option<ParameterAt> {
    HeaderName::try_from(name).ok().map(ParameterAt::Header)
}

fn body(
    written: &Body,
    schemas: &mut Schemas<'_>,
    plugins: &mut PluginUses,
    resolver: &mut Resolver<'_>,
) -> Option<BodyRule> {
    let table = match written {
        Either::This(file) => {
            let judge = schemas.add_file(file, None, plugins, resolver)?;
            let media_types = JSON.iter().filter_map(|text| MediaRange::parse(text));
            return Some(BodyRule {
                required: true,
                media_types: media_types.map(|it| (it, Judge::Validator(judge.clone()))).collect(),
                others: OtherMediaTypes::Refuse,
            });
        }
        Either::That(table) => table,
    };
    let judge = schemas.add_file(&table.schema, table.dialect, plugins, resolver)?;
    let media_types = table.media_types.iter().filter_map(|text| media_range(text, resolver));
    Some(BodyRule {
        required: table.required,
        media_types: media_types.map(|it| (it, Judge::Validator(judge.clone()))).collect(),
        others: match table.other_media_types {
            document::OtherMediaTypes::Refuse => OtherMediaTypes::Refuse,
            document::OtherMediaTypes::Pass => OtherMediaTypes::Pass,
        },
    })
}

/// The media types of JSON.
const JSON: [&str; 2] = ["application/json", "application/*+json"];

fn media_range(text: &Text, resolver: &mut Resolver<'_>) -> Option<MediaRange> {
    let range = MediaRange::parse(&text.value);
    if range.is_none() {
        let message = format!("`{}` is no media type", text.value);
        let help = "write it as `application/json`, `application/*+json` or `text/*`";
        resolver.problem_with_help(&text.place, message, help);
    }
    range
}

fn parameters(
    written: &Named<Parameter>,
    at: impl Fn(&str) -> Option<ParameterAt>,
    resolver: &mut Resolver<'_>,
) -> Vec<ParameterRule> {
    let each = written.entries.iter();
    each.filter_map(|entry| {
        let at = at(&entry.name);
        if at.is_none() {
            resolver.problem(&entry.place, format!("`{}` is no header", entry.name));
        }
        let (required, many, value) = parameter(entry, resolver)?;
        Some(ParameterRule { at: at?, required, many, value })
    })
    .collect()
}

fn parameter(
    entry: &NamedEntry<Parameter>,
    resolver: &mut Resolver<'_>,
) -> Option<(bool, Many, ValueRule)> {
    let written = entry.value.as_ref()?;
    let kind = match written.r#type {
        document::ParameterType::String => ValueKind::Text,
        document::ParameterType::Integer => ValueKind::Integer,
        document::ParameterType::Number => ValueKind::Number,
        document::ParameterType::Boolean => ValueKind::Boolean,
    };
    let number = matches!(kind, ValueKind::Integer | ValueKind::Number);
    let for_numbers = [&written.minimum, &written.maximum].into_iter().flatten();
    for bound in for_numbers.filter(|_| !number) {
        let help = "say `type = \"integer\"` or `type = \"number\"`";
        resolver.problem_with_help(&bound.place, "only numbers have such a bound", help);
    }
    let for_texts = [&written.min_length, &written.max_length].into_iter().flatten();
    for length in for_texts.filter(|_| kind != ValueKind::Text) {
        resolver.problem(&length.place, "only texts have a length");
    }
    for other in
        [written.pattern.as_ref().map(|it| &it.place), written.format.as_ref().map(|it| &it.place)]
            .into_iter()
            .flatten()
            .filter(|_| kind != ValueKind::Text)
    {
        resolver.problem(other, "only texts have a form");
    }
    let one_of = written.r#enum.as_ref().map(|values| {
        if values.value.is_empty() {
            resolver.problem(&values.place, "no value is one of none");
        }
        values.value.iter().map(scalar).collect()
    });
    let bound = |amount: &Option<read::Written<read::Amount>>| {
        amount.as_ref().map(|amount| (amount.value.0, Edge::Within))
    };
    let length = |length: &Option<read::Written<read::Number<0, 1_000_000>>>| {
        length.as_ref().map(|length| length.value.0 as usize)
    };
    let value = ValueRule {
        kind,
        one_of,
        range: Range { least: bound(&written.minimum), most: bound(&written.maximum) },
        min_length: length(&written.min_length),
        max_length: length(&written.max_length),
        pattern: written.pattern.as_ref().and_then(|text| pattern(text, resolver)),
        format: written.format.as_ref().map(|format| text_format(format.value)),
    };
    let many = if written.repeated { Many::Repeated(Items::default()) } else { Many::One };
    Some((written.required, many, value))
}

fn scalar(written: &read::Scalar) -> Scalar {
    match written {
        read::Scalar::Text(text) => Scalar::Text(text.clone()),
        read::Scalar::Number(number) => Scalar::Number(*number),
        read::Scalar::Boolean(truth) => Scalar::Boolean(*truth),
    }
}

fn pattern(text: &Text, resolver: &mut Resolver<'_>) -> Option<Regex> {
    let compiled = regex::RegexBuilder::new(&text.value).size_limit(PATTERN_BYTES).build();
    compiled
        .map_err(|error| {
            let message = format!("`{}` is no regular expression: {error}", text.value);
            resolver.problem(&text.place, message.replace('\n', " "));
        })
        .ok()
}

/// Bytes of a compiled pattern.
pub(super) const PATTERN_BYTES: usize = 1 << 20;

fn text_format(written: document::ParameterFormat) -> TextFormat {
    match written {
        document::ParameterFormat::Date => TextFormat::Date,
        document::ParameterFormat::DateTime => TextFormat::DateTime,
        document::ParameterFormat::Uuid => TextFormat::Uuid,
        document::ParameterFormat::Ipv4 => TextFormat::Ipv4,
        document::ParameterFormat::Ipv6 => TextFormat::Ipv6,
    }
}
