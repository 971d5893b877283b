//! Runs the built gateway as a child process and looks at it from outside.
//!
//! ```text
//! Client, H2Client ──▶ Gateway (a child of the test) ──▶ Upstream, H2Upstream
//! ```
//!
//! Knows the gateway's command line, configuration, metrics and access log, and
//! nothing of its code. Everything panics with the cause rather than hang.

mod certificates;
mod client;
mod clients;
mod country_database;
mod eventually;
mod gateway;
mod h2_client;
mod h2_upstream;
mod lambda;
mod message;
mod metrics;
mod program;
mod redis;
mod site;
mod upstream;
mod wire;

pub use certificates::{Authority, Issued, Named, Tls, resumes, trusting, trusting_only};
pub use client::Client;
pub use clients::{Service, node, python, said};
pub use country_database::country_database;
pub use eventually::{eventually, eventually_within};
pub use gateway::Gateway;
pub use h2_client::{H2Client, H2Response};
pub use h2_upstream::{H2Reply, H2Seen, H2Upstream};
pub use lambda::{lambda_in_javascript, lambda_in_python};
pub use message::{Headers, Response};
pub use metrics::Metrics;
pub use program::{Outcome, program, run};
pub use redis::{Redis, Way, free_port};
pub use site::Site;
pub use upstream::{Reply, Seen, Upstream, dead_address};
pub use wire::Wire;
