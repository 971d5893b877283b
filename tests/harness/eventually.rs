//! Waiting for what another process or thread is about to do.

use std::time::{Duration, Instant};

/// How long something that should happen at once may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `look` finds something.
///
/// # Panics
///
/// When it has not for two minutes; the message says what was waited for.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look)
}

/// Waits for at most `patience` until `look` finds something.
///
/// # Panics
///
/// When it has not by then; the message says what was waited for.
pub fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{patience:?} passed without {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
