//! What `wit-bindgen` makes of the contract.
//!
//! One world for each exported interface, so that a plugin exports `lifecycle`
//! and exactly its roles: `wit-component` merges the worlds that the export
//! macros name into the component's one world, and drops imports nobody calls.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::all,
    reason = "generated"
)]

/// What a plugin imports, and the types everybody shares.
pub mod host {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package portcullis:sdk-host;
            world host {
                include portcullis:plugin/capabilities@0.1.0;
                import portcullis:plugin/types@0.1.0;
                import portcullis:plugin/edits@0.1.0;
            }
        ",
        generate_all,
        additional_derives: [PartialEq, Eq],
    });

    pub use portcullis::plugin::*;
}

macro_rules! export_world {
    ($module:ident, $macro:literal, { $($shared:literal: $at:path),* }, $wit:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                inline: $wit,
                with: {
                    $($shared: $at,)*
                    "portcullis:plugin/log@0.1.0": crate::bindings::host::log,
                    "portcullis:plugin/secrets@0.1.0": crate::bindings::host::secrets,
                    "portcullis:plugin/crypto@0.1.0": crate::bindings::host::crypto,
                    "portcullis:plugin/keys@0.1.0": crate::bindings::host::keys,
                    "portcullis:plugin/credentials@0.1.0": crate::bindings::host::credentials,
                },
                additional_derives: [PartialEq, Eq],
                pub_export_macro: true,
                export_macro_name: $macro,
            });

            pub use exports::portcullis::plugin::$module::*;
        }
    };
}

export_world!(
    lifecycle,
    "export_lifecycle",
    { "portcullis:plugin/types@0.1.0": crate::bindings::host::types },
    "package portcullis:sdk-lifecycle;
     world lifecycle {
         include portcullis:plugin/capabilities@0.1.0;
         export portcullis:plugin/lifecycle@0.1.0;
     }"
);
export_world!(
    authorizer,
    "export_authorizer",
    { "portcullis:plugin/types@0.1.0": crate::bindings::host::types },
    "package portcullis:sdk-authorizer;
     world authorizer {
         include portcullis:plugin/capabilities@0.1.0;
         export portcullis:plugin/authorizer@0.1.0;
     }"
);
export_world!(
    validator,
    "export_validator",
    { "portcullis:plugin/types@0.1.0": crate::bindings::host::types },
    "package portcullis:sdk-validator;
     world validator {
         include portcullis:plugin/capabilities@0.1.0;
         export portcullis:plugin/validator@0.1.0;
     }"
);
export_world!(
    request_transform,
    "export_request_transform",
    { "portcullis:plugin/types@0.1.0": crate::bindings::host::types,
      "portcullis:plugin/edits@0.1.0": crate::bindings::host::edits },
    "package portcullis:sdk-request-transform;
     world request-transform {
         include portcullis:plugin/capabilities@0.1.0;
         export portcullis:plugin/request-transform@0.1.0;
     }"
);
export_world!(
    response_transform,
    "export_response_transform",
    { "portcullis:plugin/types@0.1.0": crate::bindings::host::types,
      "portcullis:plugin/edits@0.1.0": crate::bindings::host::edits },
    "package portcullis:sdk-response-transform;
     world response-transform {
         include portcullis:plugin/capabilities@0.1.0;
         export portcullis:plugin/response-transform@0.1.0;
     }"
);
export_world!(
    limiter,
    "export_limiter",
    { "portcullis:plugin/types@0.1.0": crate::bindings::host::types },
    "package portcullis:sdk-limiter;
     world limiter {
         include portcullis:plugin/capabilities@0.1.0;
         export portcullis:plugin/limiter@0.1.0;
     }"
);
