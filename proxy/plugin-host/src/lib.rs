//! Runs plugins: components behind the pipeline's port. The only crate that knows
//! wasmtime; it must not know Pingora.
//!
//! ```text
//! bytes ─ component_source ─▶ inspect ─▶ compile ─▶ describe, configure ─▶ plan × grants
//!                                                                              │
//!                        image (in the background) ──replaces──▶ Prepared ◀────┘
//!                                                                   │
//! call ─▶ breaker ─▶ slot ─▶ instance (idle or fresh) ─▶ role ─▶ answer, or a fault
//! ```
//!
//! Deliberately absent: a retry of a faulted call, a second chance for an instance
//! that faulted, and any way for a guest to reach a file, a variable, or an address not granted.

mod abi;
mod audit;
mod breaker;
mod call;
mod capability;
mod clock;
mod code_cache;
mod component_source;
mod credentials;
mod engine;
mod host;
mod identity;
mod image;
mod inspect;
mod inspection;
mod instance;
mod load;
mod metrics;
mod plugin_use;
mod request_part;
mod result_cache;
mod shared;
mod slots;
mod state;

pub use audit::{Audit, Reach};
pub use capability::IssuerReading;
pub use code_cache::CacheProblem;
pub use component_source::{
    ComponentFiles, ComponentOrigin, KeptComponent, KeptComponents, component_path,
};
pub use credentials::{CredentialKind, CredentialSource, KnownCredential};
pub use engine::{Engine, EngineError, EngineSettings};
pub use host::{LoadedComponent, PluginHost};
pub use inspect::{ComponentProblem, Surface};
pub use inspection::{Inspection, InspectionProblem, PlannedRole};
pub use metrics::{BreakerReading, ImageState, UseReading};
