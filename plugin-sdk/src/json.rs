//! JSON that says where it is wrong.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::Violation;

/// Why a JSON text is not what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// JSON Pointer (RFC 6901) to the member at fault; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

impl std::error::Error for JsonError {}

impl From<JsonError> for Violation {
    fn from(error: JsonError) -> Self {
        Self { location: error.pointer, message: error.message }
    }
}

/// Reads one JSON text and nothing after it.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| JsonError {
        pointer: pointer(error.path()),
        message: message(error.inner()),
    })?;
    reader.end().map_err(|error| JsonError { pointer: String::new(), message: message(&error) })?;
    Ok(value)
}

/// What is wrong. Where the text is JSON, the pointer says where; a line and a
/// column would mislead, since settings are not written in the JSON seen here.
fn message(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if error.is_data() {
        let place = format!(" at line {} column {}", error.line(), error.column());
        message.truncate(message.strip_suffix(&place).unwrap_or(&message).len());
    }
    message
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let member = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            // Nothing is known of what lies deeper.
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&member);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::from_slice;

    fn check(text: &str, pointer: &str) {
        let error = from_slice::<BTreeMap<String, Vec<u8>>>(text.as_bytes()).unwrap_err();
        assert_eq!(error.pointer, pointer, "{error}");
    }

    #[test]
    fn a_message_leaves_the_place_to_the_pointer() {
        let error = from_slice::<u8>(b"\"x\"").unwrap_err();
        assert_eq!(error.to_string(), "invalid type: string \"x\", expected u8");
    }

    #[test]
    fn errors_point_at_the_member_at_fault() {
        check(r#"{"a": [1, "x"]}"#, "/a/1");
        check(r#"{"a/b~c": 1}"#, "/a~1b~0c");
        check(r#"{} trailing"#, "");
        check("", "");
    }
}
