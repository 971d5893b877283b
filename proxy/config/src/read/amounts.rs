//! Numbers and values of any kind that a key may take.

use serde_json::{Value as Json, json};

use super::Read;
use crate::diagnostic::{Diagnostic, Problems};
use crate::tree::{Node, Value};

/// A number, whole or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount(pub(crate) f64);

impl Read for Amount {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Integer(_) | Value::Float(_))
    }

    fn expected() -> String {
        "a number".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let number = match node.value {
            // Beyond 2^53 the nearest double counts, as in JSON.
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => return None,
        };
        if !number.is_finite() {
            problems
                .add(Diagnostic::at(&node.place, "this is no number that can be compared with"));
            return None;
        }
        Some(Self(number))
    }

    fn schema() -> Json {
        json!({ "type": "number" })
    }
}

/// A text, a number or a boolean.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    Text(String),
    Number(f64),
    Boolean(bool),
}

impl Read for Scalar {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::String(_) | Value::Boolean(_)) || Amount::accepts(value)
    }

    fn expected() -> String {
        "a text, a number or a boolean".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Boolean(truth) => Some(Self::Boolean(*truth)),
            _ => Amount::read_accepted(node, problems).map(|number| Self::Number(number.0)),
        }
    }

    fn schema() -> Json {
        json!({ "title": "value", "type": ["string", "number", "boolean"] })
    }
}
