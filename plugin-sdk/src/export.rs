//! What [`export!`](crate::export!) expands to. Not for authors.

use crate::Plugin;
use crate::bindings::lifecycle::Descriptor;

pub use crate::bindings::lifecycle::Role;
pub use crate::slot::Slot;

/// Makes a component of a plugin, with exactly the roles named.
///
/// ```ignore
/// export!(Door: authorizer);
/// export!(Headers: request_transform, response_transform);
/// ```
///
/// The component's name, version and description are the crate's. Natively the
/// macro only checks that the type plays the roles, so that the crate links and
/// its tests run as any other's.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($role:ident),+ $(,)?) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($crate::__role!(check $role, $plugin);)+
        };

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, unused_qualifications, reason = "the component's entry points")]
        const _: () = {
            use $crate::bindings;
            use $crate::export::{Role, Slot};

            static SLOT: Slot<$plugin> = Slot::new();
            const ROLES: &[Role] = &[$($crate::__role!(name $role)),+];

            struct Component;

            impl bindings::lifecycle::Guest for Component {
                fn describe() -> bindings::lifecycle::Descriptor {
                    let package = $crate::export::Package {
                        name: env!("CARGO_PKG_NAME"),
                        version: env!("CARGO_PKG_VERSION"),
                        description: env!("CARGO_PKG_DESCRIPTION"),
                    };
                    $crate::export::describe::<$plugin>(package, ROLES)
                }

                fn configure(
                    settings: String,
                ) -> Result<bindings::lifecycle::Plan, $crate::SettingsError> {
                    SLOT.configure(&settings, ROLES)
                }
            }

            bindings::lifecycle::export_lifecycle!(
                Component with_types_in $crate::bindings::lifecycle
            );
            $($crate::__role!(export $role, Component, SLOT);)+
        };
    };
}

/// What differs from role to role.
#[doc(hidden)]
#[macro_export]
macro_rules! __role {
    (name authorizer) => { Role::Authorizer };
    (name validator) => { Role::Validator };
    (name request_transform) => { Role::RequestTransform };
    (name response_transform) => { Role::ResponseTransform };
    (name limiter) => { Role::Limiter };

    (check authorizer, $plugin:ty) => { $crate::__role!(requires $crate::Authorizer, $plugin) };
    (check validator, $plugin:ty) => { $crate::__role!(requires $crate::Validator, $plugin) };
    (check request_transform, $plugin:ty) => {
        $crate::__role!(requires $crate::RequestTransform, $plugin)
    };
    (check response_transform, $plugin:ty) => {
        $crate::__role!(requires $crate::ResponseTransform, $plugin)
    };
    (check limiter, $plugin:ty) => { $crate::__role!(requires $crate::Limiter, $plugin) };
    (requires $trait:path, $plugin:ty) => {
        const _: fn() = || {
            fn plays<P: $trait>() {}
            plays::<$plugin>();
        };
    };

    (export authorizer, $component:ident, $slot:ident) => {
        impl bindings::authorizer::Guest for $component {
            fn authorize(request: $crate::Request) -> Result<$crate::Grant, $crate::Denial> {
                $crate::Authorizer::authorize($slot.plugin(), &request)
            }
        }
        bindings::authorizer::export_authorizer!(
            $component with_types_in $crate::bindings::authorizer
        );
    };
    (export validator, $component:ident, $slot:ident) => {
        impl bindings::validator::Guest for $component {
            fn validate(request: $crate::Request) -> Vec<$crate::Violation> {
                $crate::Validator::validate($slot.plugin(), &request)
            }
        }
        bindings::validator::export_validator!(
            $component with_types_in $crate::bindings::validator
        );
    };
    (export limiter, $component:ident, $slot:ident) => {
        impl bindings::limiter::Guest for $component {
            fn limit(request: $crate::Request) -> Vec<$crate::Charge> {
                $crate::Limiter::limit($slot.plugin(), &request)
            }
        }
        bindings::limiter::export_limiter!(
            $component with_types_in $crate::bindings::limiter
        );
    };
    (export request_transform, $component:ident, $slot:ident) => {
        impl bindings::request_transform::Guest for $component {
            fn transform(request: $crate::Request) -> $crate::RequestOutcome {
                $crate::RequestTransform::transform_request($slot.plugin(), &request)
            }
        }
        bindings::request_transform::export_request_transform!(
            $component with_types_in $crate::bindings::request_transform
        );
    };
    (export response_transform, $component:ident, $slot:ident) => {
        impl bindings::response_transform::Guest for $component {
            fn transform(
                request: $crate::Request,
                response: $crate::Response,
            ) -> $crate::ResponseOutcome {
                $crate::ResponseTransform::transform_response($slot.plugin(), &request, &response)
            }
        }
        bindings::response_transform::export_response_transform!(
            $component with_types_in $crate::bindings::response_transform
        );
    };
}

/// The crate a plugin comes from.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its description.
    pub description: &'static str,
}

/// Introduces a plugin.
pub fn describe<P: Plugin>(package: Package, roles: &[Role]) -> Descriptor {
    Descriptor {
        name: package.name.to_owned(),
        version: package.version.to_owned(),
        description: package.description.to_owned(),
        roles: roles.to_vec(),
        settings_schema: schemars::schema_for!(P::Settings).as_value().to_string(),
    }
}
