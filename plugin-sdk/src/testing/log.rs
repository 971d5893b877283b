//! The double of `log`.

use super::INSTALLED;
use crate::log::Level;

pub(crate) fn log(_: Level, message: &str) {
    INSTALLED.with_borrow(|host| host.lines.borrow_mut().push(message.to_owned()));
}
