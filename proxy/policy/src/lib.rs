//! Policies in the language of AWS IAM (versions 2012-10-17 and 2008-10-17): text →
//! checked document → a verdict about one request.
//!
//! ```text
//! text ─ json ─▶ Node ─ read ─▶ Policy ─ evaluate(Question) ─▶ Verdict
//!       places,          elements,            ▲
//!       no duplicates    operators, keys      Facts
//! ```
//!
//! An explicit deny wins, and what nothing allows is denied. Everything that can be
//! parsed is parsed at load: networks, numbers, dates, patterns, variables. This crate
//! knows no I/O and no clock; what it must know of a request comes through [`Facts`].

mod arn;
mod condition;
mod fact;
mod json;
mod key;
mod operator;
mod outlook;
mod pattern;
mod policy;
mod principal;
mod problem;
mod read;
mod suggest;
mod time;

pub use fact::{Fact, Facts, Value};
pub use key::Key;
pub use outlook::{Applies, Outlook};
pub use policy::{Effect, MOST_BYTES, Policy, Question, Verdict};
pub use problem::{PolicyError, PolicyProblem, Problem};
