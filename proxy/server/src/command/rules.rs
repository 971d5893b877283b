//! What requests of a route must be, in words.

use portcullis_config::{
    BodyRule, Edge, Judge, Many, OtherMediaTypes, ParameterRule, RequestRules, Use, ValueKind,
    ValueRule,
};

/// Each rule in a line.
pub(crate) fn shown(rules: &RequestRules, name: &impl Fn(&Use) -> String) -> Vec<String> {
    let parameters = rules.parameters.iter().map(parameter);
    parameters.chain(rules.bodies.iter().map(|rule| body(rule, name))).collect()
}

fn parameter(rule: &ParameterRule) -> String {
    let mut words = vec![match rule.value.kind {
        ValueKind::Text => "a text".to_owned(),
        ValueKind::Integer => "a whole number".to_owned(),
        ValueKind::Number => "a number".to_owned(),
        ValueKind::Boolean => "true or false".to_owned(),
    }];
    if rule.many != Many::One {
        words = vec![format!("a list, each item {}", words.concat())];
    }
    if rule.required {
        words.push("required".to_owned());
    }
    words.extend(bounds(&rule.value));
    format!("{} {}", rule.at, words.join(", "))
}

fn bounds(rule: &ValueRule) -> Vec<String> {
    let mut words = Vec::new();
    let edge = |(bound, edge), within: &str, beyond: &str| match edge {
        Edge::Within => format!("{within} {bound}"),
        Edge::Beyond => format!("{beyond} {bound}"),
    };
    words.extend(rule.range.least.map(|least| edge(least, "at least", "above")));
    words.extend(rule.range.most.map(|most| edge(most, "at most", "below")));
    words.extend(rule.min_length.map(|least| format!("at least {least} characters")));
    words.extend(rule.max_length.map(|most| format!("at most {most} characters")));
    words.extend(rule.one_of.as_ref().map(|values| format!("one of {} values", values.len())));
    words.extend(rule.pattern.as_ref().map(|pattern| format!("matching {pattern}")));
    words.extend(rule.format.map(|format| format!("of the format {}", format.as_str())));
    words
}

fn body(rule: &BodyRule, name: &impl Fn(&Use) -> String) -> String {
    let each = rule.media_types.iter().map(|(range, judge)| match judge {
        Judge::Nobody => format!("{range} as it is"),
        Judge::Validator(judge) => format!("{range} by {}", name(judge)),
    });
    let mut words: Vec<String> = each.collect();
    words.push(match rule.others {
        OtherMediaTypes::Refuse => "nothing else".to_owned(),
        OtherMediaTypes::Pass => "other media types as they are".to_owned(),
    });
    let presence = if rule.required { "required" } else { "optional" };
    format!("body {presence}, {}", words.join(", "))
}
