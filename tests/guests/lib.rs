//! The components that tests use: the guests beside this crate, each named by the
//! one thing it does, and the examples.

/// Each component by its folder's name, sorted.
const COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The component built from `tests/guests/NAME` or `examples/NAME`.
///
/// # Panics
///
/// Where there is no such folder.
pub fn component(name: &str) -> &'static [u8] {
    let found = COMPONENTS.iter().find(|(known, _)| *known == name);
    let Some((_, bytes)) = found else { no_such_guest(name) };
    bytes
}

/// The names of all of them, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMPONENTS.iter().map(|(name, _)| *name)
}

#[expect(clippy::panic, reason = "a test that names no guest is a mistake to see at once")]
fn no_such_guest(name: &str) -> ! {
    panic!("no guest is named `{name}`; known: {}", names().collect::<Vec<_>>().join(", "))
}
