//! Write Portcullis plugins in Rust.
//!
//! A plugin is a type made from its settings. It says what it reads, and it
//! plays one role or several: [`Authorizer`], [`Validator`],
//! [`RequestTransform`], [`ResponseTransform`], [`Limiter`]. This is a whole one:
//!
//! ```
//! use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export, secrets};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! /// Opens for whoever has the key.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Door {
//!     guest: String,
//! }
//!
//! impl Plugin for Door {
//!     type Settings = Self;
//!
//!     fn plan(&self) -> Plan {
//!         Plan::new().reads_header("x-api-key").asks_secret("key")
//!     }
//! }
//!
//! impl Authorizer for Door {
//!     fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
//!         let key = request.header("x-api-key").ok_or(Denial::NotMine)?;
//!         match secrets::matches("key", key)? {
//!             true => Ok(Grant::to(&self.guest)),
//!             false => Err(Denial::unauthenticated("wrong-key")),
//!         }
//!     }
//! }
//!
//! export!(Door: authorizer);
//!
//! // Plugins are tested natively, without a gateway:
//! use portcullis_plugin_sdk::testing::{Host, configured};
//!
//! let _host = Host::new().with_secret("key", "sesame").install();
//! let door: Door = configured(serde_json::json!({ "guest": "alice" })).unwrap();
//!
//! let answer = door.authorize(&Request::get("/").with_header("x-api-key", "sesame"));
//! assert_eq!(answer, Ok(Grant::to("alice")));
//!
//! let answer = door.authorize(&Request::get("/").with_header("x-api-key", "guess"));
//! assert_eq!(answer, Err(Denial::unauthenticated("wrong-key")));
//!
//! assert_eq!(door.authorize(&Request::get("/")), Err(Denial::NotMine));
//! ```
//!
//! The crate is a `cdylib` (add `rlib` to use it elsewhere), built with
//! `cargo build --target wasm32-wasip2 --release`. What it may use of the host
//! is in [`log`], [`secrets`], [`crypto`], [`keys`],
//! [`credentials`] and [`http`]; a component imports only
//! those it calls.

#[doc(hidden)]
pub mod bindings;
pub mod credentials;
pub mod crypto;
#[doc(hidden)]
pub mod export;
pub mod http;
pub mod keys;
pub mod log;
pub mod secrets;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

mod answer;
mod edit;
mod json;
mod message;
mod plan;
mod plugin;
mod slot;

pub use bindings::authorizer::{Denial, Grant, Identity, Policy, Reason};
pub use bindings::host::edits::{RequestEdit, ResponseEdit};
pub use bindings::host::types::{
    Attribute, Body, FullResponse, Header, Parameter, Request, Response, Value,
};
pub use bindings::lifecycle::{
    BodyMode, Bucket, FixedWindow, KeySource, Limit, LimitPolicy, Period, Role, SettingsError,
    SlidingWindow,
};
pub use bindings::limiter::Charge;
pub use bindings::request_transform::Outcome as RequestOutcome;
pub use bindings::response_transform::Outcome as ResponseOutcome;
pub use bindings::validator::Violation;
pub use json::JsonError;
pub use plan::{Plan, Reads};
pub use plugin::{Authorizer, Limiter, Plugin, RequestTransform, ResponseTransform, Validator};
