//! `any = […]` and `all = […]`: several authorizers as one, as typed.

use serde_json::{Value as Json, json};

use super::Use;
use crate::diagnostic::Problems;
use crate::read::{Read, Written, table};
use crate::tree::{Node, Value};

table! {
    /// Several authorizers as one. Each is asked at most once.
    "a composition"
    struct Composition {
        /// Authorizers of which one has to grant, in order. One that finds no credential of
        /// its kind lets the next be asked; any other answer is final.
        any: Option<Written<Vec<Use>>>,
        /// Authorizers that all have to grant, in order. The first refusal is final, and
        /// later ones may read what the earlier ones found out as `identity:*`.
        all: Option<Written<Vec<Use>>>,
    }
}

/// Something, or a composition in its place.
#[derive(Debug, Clone)]
pub(crate) enum Composable<T> {
    Plain(T),
    Composed(Composition),
}

impl<T: Read> Read for Composable<T> {
    fn accepts(value: &Value) -> bool {
        T::accepts(value) || Composition::accepts(value)
    }

    fn expected() -> String {
        T::expected()
    }

    fn read_accepted(node: &Node, problems: &mut Problems) -> Option<Self> {
        if is_composition(&node.value) {
            Composition::read_accepted(node, problems).map(Self::Composed)
        } else {
            T::read_accepted(node, problems).map(Self::Plain)
        }
    }

    fn schema() -> Json {
        json!({ "oneOf": [T::schema(), Composition::schema()] })
    }
}

/// Whether a table is one by the keys it has.
fn is_composition(value: &Value) -> bool {
    let Value::Table(entries) = value else { return false };
    entries.iter().any(|entry| matches!(entry.key.as_str(), "any" | "all"))
}
