//! JSON in which no object names a member twice: two readers of such a text may see
//! two different documents (RFC 8259, section 4).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses a text, or says where it is none.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(text).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if object.insert(name, value).is_some() {
                return Err(Error::custom("an object names a member twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_read_as_it_is() {
        let text = br#"{"a": [1, -2, 2.5, null, true], "b": {"a": "x"}}"#;
        assert_eq!(parse(text).unwrap(), json!({"a": [1, -2, 2.5, null, true], "b": {"a": "x"}}));
    }

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        for text in [r#"{"a": 1, "a": 1}"#, r#"[{"b": {"a": 1, "\u0061": 2}}]"#, "{} {}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn fuzz_key_set() {
        let words = &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"keys\":",
            "\"kty\":",
            "\"RSA\"",
            "\"EC\"",
            "\"OKP\"",
            "\"crv\":",
            "\"P-256\"",
            "\"P-521\"",
            "\"Ed25519\"",
            "\"n\":",
            "\"e\":",
            "\"AQAB\"",
            "\"x\":",
            "\"kid\":",
            "\"alg\":",
            "\"use\":",
            "\"sig\"",
            "\"key_ops\":",
            "\\u0041",
            "null",
            "1e999",
            "é",
        ];
        portcullis_fuzz::target!("key-set", words, |input| {
            let parsed = parse(input);
            if let Ok(value) = &parsed {
                // A laxer reader reads the same, and what is written again reads the same.
                assert_eq!(serde_json::from_slice::<Value>(input).as_ref().ok(), Some(value));
                assert_eq!(parse(value.to_string().as_bytes()).as_ref().ok(), Some(value));
            }
            let set = super::super::key_set::KeySet::parse_text(input);
            assert!(set.is_err() || parsed.is_ok());
            if let Ok(set) = set {
                assert!(set.len() > 0 && !set.has_more_than(&set));
            }
        });
    }
}
