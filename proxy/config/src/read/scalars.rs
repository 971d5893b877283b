//! The scalar types that keys take.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::Read;
use crate::diagnostic::{Diagnostic, Problems};
use crate::tree::{Node, PlacedJson, Value};
use crate::units;

impl Read for String {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn expected() -> String {
        "a string".to_owned()
    }

    fn read_accepted(node: &Node, _: &mut Problems) -> Option<Self> {
        if let Value::String(text) = &node.value { Some(text.clone()) } else { None }
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl Read for bool {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Boolean(_))
    }

    fn expected() -> String {
        "`true` or `false`".to_owned()
    }

    fn read_accepted(node: &Node, _: &mut Problems) -> Option<Self> {
        if let Value::Boolean(value) = node.value { Some(value) } else { None }
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

/// A whole number within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32> Read for Number<LEAST, MOST> {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Integer(_))
    }

    fn expected() -> String {
        format!("a number from {LEAST} to {MOST}")
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Integer(number) = node.value else { return None };
        match u32::try_from(number) {
            Ok(number) if (LEAST..=MOST).contains(&number) => Some(Self(number)),
            _ => {
                let message = format!("{number} is not {}", Self::expected());
                problems.add(Diagnostic::at(&node.place, message));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }
}

/// A duration, zero included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeOrZero(pub(crate) Duration);

impl Read for TimeOrZero {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::String(_))
    }

    fn expected() -> String {
        "a duration in quotes, as `\"5s\"`".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::String(text) = &node.value else { return None };
        let problem = match units::duration(text) {
            Ok(duration) => return Some(Self(duration)),
            Err(problem) => problem,
        };
        let help = "durations are written as `250ms`, `5s`, `1m30s`, `1h` or `7d`";
        problems.add(Diagnostic::at(&node.place, problem.to_string()).with_help(help));
        None
    }

    fn schema() -> Json {
        let pattern = "^([0-9]+(ms|s|m|h|d))+$";
        json!({ "type": "string", "title": "duration", "pattern": pattern })
    }
}

/// A duration that lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Duration);

impl Read for Time {
    fn accepts(value: &Value) -> bool {
        TimeOrZero::accepts(value)
    }

    fn expected() -> String {
        TimeOrZero::expected()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let TimeOrZero(duration) = TimeOrZero::read_accepted(node, problems)?;
        if duration.is_zero() {
            problems.add(Diagnostic::at(&node.place, "this duration cannot be zero"));
            return None;
        }
        Some(Self(duration))
    }

    fn schema() -> Json {
        TimeOrZero::schema()
    }
}

/// A number of bytes of at least so many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size<const LEAST: u64>(pub(crate) u64);

impl<const LEAST: u64> Size<LEAST> {
    /// The size for what is held in memory.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const LEAST: u64> Read for Size<LEAST> {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::String(_) | Value::Integer(_))
    }

    fn expected() -> String {
        "a size, as `\"10MiB\"` or a number of bytes".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        let parsed = match &node.value {
            Value::String(text) => units::size(text).map_err(|problem| problem.to_string()),
            Value::Integer(number) => {
                u64::try_from(*number).map_err(|_| format!("{number} is no number of bytes"))
            }
            _ => return None,
        };
        let problem = match parsed {
            Ok(bytes) if bytes >= LEAST => return Some(Self(bytes)),
            Ok(_) => Diagnostic::at(&node.place, format!("at least {LEAST} bytes are needed here")),
            Err(message) => Diagnostic::at(&node.place, message).with_help(
                "sizes are written as `512B`, `64KiB`, `10MiB`, `1GiB`, or in `KB`, `MB`, `GB`",
            ),
        };
        problems.add(problem);
        None
    }

    fn schema() -> Json {
        let pattern = "^[0-9]+([KMG]i?)?B$";
        json!({ "title": "size", "oneOf": [
            { "type": "string", "pattern": pattern },
            { "type": "integer", "minimum": LEAST },
        ] })
    }
}

/// The settings of a plugin: any table.
#[derive(Debug, Clone)]
pub(crate) struct Settings(pub(crate) PlacedJson);

impl Read for Settings {
    fn accepts(value: &Value) -> bool {
        matches!(value, Value::Table(_))
    }

    fn expected() -> String {
        "a table".to_owned()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        PlacedJson::of(node, problems).map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "object", "title": "table" })
    }
}

/// A document of the operator's own: any value.
#[derive(Debug, Clone)]
pub(crate) struct AnyJson(pub(crate) Node);

impl Read for AnyJson {
    fn accepts(_: &Value) -> bool {
        true
    }

    fn expected() -> String {
        "a JSON value".to_owned()
    }

    fn read_accepted(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(Self(node.clone()))
    }

    fn schema() -> Json {
        json!({ "title": "JSON" })
    }
}
