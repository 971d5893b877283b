//! What is wrong with a body, in the words that the client reads.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonTypeSet, ValidationError};
use portcullis_plugin_sdk::Violation;
use serde_json::Value;

use crate::pointer::{below, shown as shown_at};

/// Characters of a schema's own words in a message.
const SHOWN: usize = 200;

/// Everything that one error of the schema crate says.
pub(crate) fn violations(error: &ValidationError<'_>) -> Vec<Violation> {
    let place = error.instance_path().to_string();
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation::at(shown_at(below(&place, name)), "is required")]
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter();
            let at = |name: &String| shown_at(below(&place, name));
            names.map(|name| Violation::at(at(name), "is not known here")).collect()
        }
        Kind::PropertyNames { error } => {
            let message = format!("has a name that {}", message(error.kind()));
            vec![Violation::at(shown_at(place), message)]
        }
        kind => vec![Violation::at(shown_at(place), message(kind))],
    }
}

fn message(kind: &Kind) -> String {
    match kind {
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::UnevaluatedItems { .. } => "has items that are not known here".to_owned(),
        Kind::AnyOf { .. } => "must be one of the alternatives of the schema".to_owned(),
        Kind::OneOfNotValid { .. } => {
            "must be just one of the alternatives of the schema".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => {
            "must be just one of the alternatives of the schema, and is several".to_owned()
        }
        Kind::Constant { expected_value } => format!("must be {}", shown(expected_value)),
        Kind::Contains => "must have an item as the schema says, or has too many".to_owned(),
        Kind::ContentEncoding { content_encoding } => {
            format!("must be encoded as {content_encoding}")
        }
        Kind::FromUtf8 { .. } => "must encode text in UTF-8".to_owned(),
        Kind::ContentMediaType { content_media_type } => format!("must hold {content_media_type}"),
        Kind::Enum { options } => match options.as_array() {
            Some(options) => format!("must be one of {}", list(options)),
            None => "must be one of the values of the schema".to_owned(),
        },
        Kind::ExclusiveMaximum { limit } => format!("must be less than {}", shown(limit)),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {}", shown(limit)),
        Kind::Maximum { limit } => format!("must be at most {}", shown(limit)),
        Kind::Minimum { limit } => format!("must be at least {}", shown(limit)),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::FalseSchema => "must not be here".to_owned(),
        Kind::Format { format } => format!("must be of the format {}", cut(format)),
        Kind::Not { .. } => "must not be as the schema says it is not".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern {}", cut(pattern)),
        Kind::Type { kind } => format!("must be {}", type_words(kind)),
        Kind::UniqueItems => "must not have equal items".to_owned(),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "takes too long to be matched".to_owned()
        }
        // Those of `violations`, what no schema of ours uses, and kinds yet to come.
        _ => "is not as the schema says".to_owned(),
    }
}

fn type_words(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => with_article(one.as_str()).to_owned(),
        TypeKind::Multiple(several) => several_words(*several),
    }
}

fn several_words(several: JsonTypeSet) -> String {
    let words: Vec<&str> = several.iter().map(|one| with_article(one.as_str())).collect();
    words.join(" or ")
}

fn with_article(kind: &str) -> &'static str {
    match kind {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "null" => "null",
        "number" => "a number",
        "object" => "an object",
        _ => "a text",
    }
}

fn list(options: &[Value]) -> String {
    let each: Vec<String> = options.iter().map(Value::to_string).collect();
    cut(&each.join(", "))
}

fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
