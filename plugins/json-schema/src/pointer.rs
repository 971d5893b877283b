//! JSON Pointers (RFC 6901).

/// A pointer and one more step.
pub(crate) fn below(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}
