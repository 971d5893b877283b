//! JSON Pointers (RFC 6901).

/// A pointer and one more step.
pub(crate) fn below(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// Bytes of a pointer that are told.
const SHOWN: usize = 300;

/// As much of a pointer as is told: names may be as long as whoever wrote them likes.
pub(crate) fn shown(mut pointer: String) -> String {
    if pointer.len() > SHOWN {
        pointer.truncate(pointer.floor_char_boundary(SHOWN));
        pointer.push('…');
    }
    pointer
}
