//! JSON Web Tokens (RFC 7519) of issuers that an operator names: read, verified, judged.
//!
//! ```text
//! Parts::of ─▶ Token::read ─▶ issuer.admit ──────────────────────────────▶ policy.grant
//!              claims         alg, typ ─▶ exp, aud, … (rules) ─▶ signature    who it is
//! ```
//!
//! What the plugins share that take such tokens. It knows the SDK and nothing of where a
//! token came from.

mod algorithm;
#[cfg(test)]
mod fuzz;
mod issuer;
mod json;
mod refusal;
mod rules;
pub mod settings;
mod token;
pub mod url;

pub use algorithm::{Algorithm, Kind};
pub use issuer::Issuer;
pub use json::{Json, Object};
pub use refusal::Refusal;
pub use rules::{Policy, Rules};
pub use token::{Parts, Token};
