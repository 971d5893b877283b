//! JSON in which no object names a member twice: two readers of such a text may see two
//! different documents (RFC 8259 §4).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a document of at most so many values, each of which takes up to some hundred bytes,
/// however few it is written with.
///
/// # Errors
///
/// Where it is no JSON, has more values, or names a member twice.
pub fn strict_json(text: &[u8], most_values: usize) -> Result<Value, serde_json::Error> {
    let left = Cell::new(most_values);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let document = Bounded(&left).deserialize(&mut reader)?;
    reader.end()?;
    Ok(document)
}

/// Reads a value; so many may still come.
#[derive(Clone, Copy)]
struct Bounded<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let left =
            self.0.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.0.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("an object names a member twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Option<Value> {
        strict_json(text.as_bytes(), 1000).ok()
    }

    #[test]
    fn a_text_is_read_as_it_is() {
        let text = r#"{"a": [1, -2, 2.5, null, true], "b": {"a": "x"}}"#;
        let expected = json!({"a": [1, -2, 2.5, null, true], "b": {"a": "x"}});
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn what_two_readers_could_take_differently_is_no_document() {
        for text in [
            "",
            "{} {}",
            "[1,]",
            "{\"a\":1,\"a\":1}",
            "[{\"a\":1,\"\\u0061\":2}]",
            r#"[{"b": {"a": 1, "\u0061": 2}}]"#,
            "1e999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(parse(&deep), None);
    }

    #[test]
    fn so_many_values_and_no_more_are_read() {
        let list = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
        assert!(parse(&list(1000)).is_some());
        assert_eq!(parse(&list(1001)), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".{0,4}", inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn other_documents_are_as_they_are(document in any_json()) {
            prop_assert_eq!(parse(&document.to_string()), Some(document));
        }
    }
}
