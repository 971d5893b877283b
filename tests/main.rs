//! What the gateway promises, shown against the built program: a module for each
//! promise, a test for each sentence of it.

mod admin;
mod audit;
mod authorizers;
mod bodies;
mod breaker;
mod budgets;
mod caching;
mod capabilities;
mod challenges;
mod cli;
mod client_certificates;
mod clients;
mod composition;
mod compression;
mod cors;
mod credentials;
mod errors;
mod examples;
mod external;
mod faults;
mod forwarding;
mod grpc;
mod guard;
mod http2;
mod iam;
mod identity_headers;
mod images;
mod isolation;
mod issuers;
mod jwt;
mod key_import;
mod lambda;
mod last_good;
mod limiters;
mod limits;
mod loading;
mod malformed;
mod mapping;
mod oidc_login;
mod openapi;
mod plugin_test;
mod policies;
mod reads;
mod respond;
mod routing;
mod scaffolds;
mod schemas;
mod scopes;
mod shared_ladders;
mod shared_limits;
mod shared_quotas;
mod shutdown;
mod slow_redis;
mod stages;
mod streaming;
mod swap;
mod telemetry;
mod tidy;
mod tls;
mod transfers;
mod upstreams;
mod usage_plans;

/// Generous to plugins, for tests that are not about budgets: a busy machine is slow.
const ROOMY: &str =
    r#"budget = { cpu_time = "20s", wall_time = "60s", memory = "256MiB", breaker_after = 0 }"#;
