//! The contract `portcullis:plugin@0.1` as Rust types, generated from `wit/`, and
//! its translation to and from the pipeline's words.
//!
//! Nothing generated leaves this crate.

mod from_guest;
mod to_guest;

pub(crate) use from_guest::{
    authorizer_answer, charges, request_outcome, response_outcome, violations,
};
pub(crate) use to_guest::{body_part, each_attribute, request, response, size, value};

/// What wit-bindgen makes of `wit/`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; which lints it trips changes with the generator"
)]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package portcullis:host;
            world every-role {
                import portcullis:plugin/log@0.1.0;
                import portcullis:plugin/secrets@0.1.0;
                import portcullis:plugin/crypto@0.1.0;
                import portcullis:plugin/keys@0.1.0;
                import portcullis:plugin/credentials@0.1.0;
                export portcullis:plugin/lifecycle@0.1.0;
                export portcullis:plugin/authorizer@0.1.0;
                export portcullis:plugin/validator@0.1.0;
                export portcullis:plugin/request-transform@0.1.0;
                export portcullis:plugin/response-transform@0.1.0;
                export portcullis:plugin/limiter@0.1.0;
            }
        ",
        exports: { default: async },
        imports: {
            "portcullis:plugin/keys.verify": async | trappable,
            default: trappable,
        },
        with: { "portcullis:plugin/crypto.key": crate::capability::Key },
    });
}

pub(crate) use bindings::exports::portcullis::plugin as exports;
pub(crate) use bindings::portcullis::plugin as imports;
