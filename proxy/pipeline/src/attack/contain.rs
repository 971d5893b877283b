//! Runs code of others that may panic.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, would be caught and is no fault of the gateway's own.
///
/// For a panic hook: what a client sends must not be able to write to the log at will.
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// The value of a function; `None` where it panics.
pub(super) fn contain<T>(function: impl FnOnce() -> T) -> Option<T> {
    CONTAINED.set(true);
    // Of what the function may have left half done, nothing is used but a count.
    let value = catch_unwind(AssertUnwindSafe(function));
    CONTAINED.set(false);
    value.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_missing_value() {
        assert_eq!(contain(|| 7), Some(7));
        let empty: &[u8] = &[];
        assert_eq!(contain(|| empty[std::hint::black_box(3)]), None);
        assert!(!is_contained());
        contain(|| assert!(is_contained())).unwrap();
    }
}
