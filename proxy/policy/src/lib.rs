//! Policies in the language of AWS IAM (version 2012-10-17): text → checked
//! document → a verdict about one request.
//!
//! An explicit deny wins, and what nothing allows is denied.

mod document;
mod pattern;

pub use document::{Policy, PolicyError, Question, Verdict};
