//! JSON objects of strangers, read in one pass and mostly without copying.
//!
//! Stricter than JSON is: a member must not be repeated at any depth (RFC 8725, section
//! 2.4 of RFC 8259 allows readers to differ on which counts), and depth and members are
//! bounded. Of what lies deeper than a list of scalars only that it is well formed is kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Members of one object, elements of one list.
const MOST: usize = 512;
/// Objects and lists within one another, the outermost included.
const DEEPEST: usize = 16;

/// An object's members, in the order written.
#[derive(Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// A value, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Finite: JSON has no other numbers.
    Number(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A list of scalars.
    List(Vec<Json<'a>>),
    /// An object of nothing but texts.
    Texts(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    /// Another object, or a list with more than scalars in it.
    Deep,
}

impl<'a> Object<'a> {
    /// Reads one object and nothing after it; none where it is anything else.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let object = reader.deserialize_map(Members).ok()?;
        reader.end().ok()?;
        Some(object)
    }

    /// A member by name.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// All members, in the order written.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl Json<'_> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a text or a list of texts; none where it is anything else.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::List(list) => list.iter().map(Json::text).collect(),
            _ => None,
        }
    }
}

/// Reads the members of the outermost object.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::with_capacity(16);
        while let Some(name) = map.next_key_seed(Name)? {
            if members.len() == MOST || members.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom("a repeated member, or too many"));
            }
            members.push((name, map.next_value_seed(Any { depth: 2 })?));
        }
        Ok(Object(members))
    }
}

/// Reads a name, borrowed unless it is written with escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Reads any value that lies this deep.
#[derive(Clone, Copy)]
struct Any {
    depth: usize,
}

impl Any {
    fn inside<E: Error>(self) -> Result<Self, E> {
        match self.depth <= DEEPEST {
            true => Ok(Self { depth: self.depth + 1 }),
            false => Err(E::custom("too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^63 nothing here is exact")]
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let inside = self.inside()?;
        let (mut elements, mut deep) = (Vec::new(), false);
        while let Some(element) = list.next_element_seed(inside)? {
            if elements.len() == MOST {
                return Err(A::Error::custom("too many elements"));
            }
            deep |= matches!(element, Json::List(_) | Json::Texts(_) | Json::Deep);
            elements.push(element);
        }
        Ok(if deep { Json::Deep } else { Json::List(elements) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inside = self.inside()?;
        let mut members: Vec<(Cow<'de, str>, Cow<'de, str>)> = Vec::new();
        let mut deep = false;
        while let Some(name) = map.next_key_seed(Name)? {
            if members.len() == MOST || members.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom("a repeated member, or too many"));
            }
            let value = match map.next_value_seed(inside)? {
                Json::Text(text) => text,
                _ => {
                    deep = true;
                    Cow::Borrowed("")
                }
            };
            members.push((name, value));
        }
        Ok(if deep { Json::Deep } else { Json::Texts(members) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_is_read_whole() {
        let object =
            Object::read(br#" {"a":"x","b":[1,"y"],"c":{"d":[{}]},"e":1.5,"\u0066":"\n"} "#);
        let object = object.unwrap();

        assert_eq!(object.get("a"), Some(&Json::Text("x".into())));
        assert!(matches!(object.get("a"), Some(Json::Text(Cow::Borrowed("x")))));
        assert_eq!(
            object.get("b"),
            Some(&Json::List(vec![Json::Integer(1), Json::Text("y".into())]))
        );
        assert_eq!(object.get("c"), Some(&Json::Deep));
        let bound = Object::read(br#"{"a":{"x5t#S256":"y","b":""},"b":{"c":1},"d":[{"e":"f"}]}"#);
        let bound = bound.unwrap();
        let texts = vec![("x5t#S256".into(), "y".into()), ("b".into(), "".into())];
        assert_eq!(bound.get("a"), Some(&Json::Texts(texts)));
        assert_eq!((bound.get("b"), bound.get("d")), (Some(&Json::Deep), Some(&Json::Deep)));
        assert_eq!(object.get("e"), Some(&Json::Number(1.5)));
        assert_eq!(object.get("f").and_then(Json::text), Some("\n"));
        assert_eq!(object.get("g"), None);
    }

    #[test]
    fn what_is_no_object_or_a_doubtful_one_is_refused() {
        let deep =
            |depth: usize| format!("{}{}", r#"{"a":"#.repeat(depth) + "1", "}".repeat(depth));
        let many = |count: usize| {
            let members: Vec<String> = (0..count).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        for refused in [
            "",
            "1",
            "[]",
            "null",
            "\"a\"",
            "{",
            "{}x",
            "{}{}",
            "{'a':1}",
            "{\"a\":1,}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":01}"#,
            "{\"a\":\"\t\"}",
            "\u{feff}{}",
            &deep(17),
            &many(513),
        ] {
            assert_eq!(Object::read(refused.as_bytes()), None, "{refused}");
        }
        assert_eq!(Object::read(b"{\"a\":\"\xff\"}"), None);
        for accepted in ["{}", &deep(16), &many(512)] {
            assert!(Object::read(accepted.as_bytes()).is_some(), "{accepted}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_what_serde_json_reads(text in r#"[{}\[\]",:a\\0-9.e\-u ]{0,40}"#) {
            if Object::read(text.as_bytes()).is_some() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
            }
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = Object::read(&bytes);
        }
    }
}
