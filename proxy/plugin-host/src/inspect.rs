//! What a component is, before anything of it runs: its kind, what it imports,
//! which roles it exports.

use portcullis_config::Role;
use wasmtime::component::Component;

/// The contract's package, as names in a component spell it.
const CONTRACT: &str = "portcullis:plugin/";
/// The contract's version.
const VERSION: &str = "0.1";

/// The capability of the operator's store.
pub(crate) const CREDENTIALS: &str = "credentials";
/// The capability of `wasi:http/outgoing-handler`.
pub(crate) const HTTP: &str = "wasi:http";
/// The capability of `wasi:keyvalue`.
pub(crate) const KEYVALUE: &str = "wasi:keyvalue";

/// What a component imports and exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// The capabilities that it imports: `log`, `secrets`, `wasi:http`, …
    pub capabilities: Vec<String>,
    /// The WASI interfaces it imports; each is linked to an inert version.
    pub wasi: Vec<String>,
    /// The roles it exports.
    pub roles: Vec<Role>,
}

impl Surface {
    /// Whether it imports a capability.
    pub(crate) fn imports(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|imported| imported == capability)
    }
}

/// Why bytes are no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentProblem {
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// A proxy-wasm module.
    #[error(
        "this is a proxy-wasm module; Portcullis runs components (see `portcullis plugin new`)"
    )]
    ProxyWasm,
    /// Not WebAssembly at all.
    #[error("this is not WebAssembly")]
    NotWasm,
    /// The engine refuses it.
    #[error("the component is broken or uses what is not supported: {0}")]
    Invalid(String),
    /// An import that nothing answers.
    #[error("the component imports `{0}`, which Portcullis does not offer")]
    UnknownImport(String),
    /// Another version of the contract.
    #[error("the component was built for `{0}`; this Portcullis speaks version {VERSION}")]
    OtherVersion(String),
    /// No `lifecycle`.
    #[error(
        "the component does not export `portcullis:plugin/lifecycle`, so it is not a Portcullis plugin"
    )]
    NoLifecycle,
    /// No role.
    #[error(
        "the component exports no role (authorizer, validator, request-transform, response-transform, limiter)"
    )]
    NoRole,
}

/// Says what kind of bytes these are, without compiling them.
pub(crate) fn check_kind(bytes: &[u8]) -> Result<(), ComponentProblem> {
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(b"\0asm"), Some([0x01, 0, 0, 0])) => {
            let proxy_wasm =
                bytes.windows(16).any(|window| window.starts_with(b"proxy_abi_versio"));
            Err(if proxy_wasm { ComponentProblem::ProxyWasm } else { ComponentProblem::CoreModule })
        }
        (Some(b"\0asm"), Some(_)) => Ok(()),
        _ => Err(ComponentProblem::NotWasm),
    }
}

/// Reads a component's surface and refuses what cannot be a plugin.
pub(crate) fn surface(component: &Component) -> Result<Surface, ComponentProblem> {
    let engine = component.engine();
    let ty = component.component_type();
    let mut surface = Surface { capabilities: Vec::new(), wasi: Vec::new(), roles: Vec::new() };
    for (name, _) in ty.imports(engine) {
        import(name, &mut surface)?;
    }
    let mut lifecycle = Err(ComponentProblem::NoLifecycle);
    for (name, _) in ty.exports(engine) {
        // Some toolchains export more than they were asked for; only ours matter.
        let Some(interface) = contract_interface(name)? else { continue };
        match interface {
            "lifecycle" => lifecycle = Ok(()),
            "authorizer" => surface.roles.push(Role::Authorizer),
            "validator" => surface.roles.push(Role::Validator),
            "request-transform" => surface.roles.push(Role::RequestTransform),
            "response-transform" => surface.roles.push(Role::ResponseTransform),
            "limiter" => surface.roles.push(Role::Limiter),
            _ => {}
        }
    }
    lifecycle?;
    if surface.roles.is_empty() { Err(ComponentProblem::NoRole) } else { Ok(surface) }
}

fn import(name: &str, surface: &mut Surface) -> Result<(), ComponentProblem> {
    const WASI: [&str; 7] = [
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        // Alone these types reach nobody, and toolchains bring them along.
        "wasi:http/types@0.2.",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
    ];
    if let Some(interface) = contract_interface(name)? {
        match interface {
            "types" | "edits" => {}
            "log" | "secrets" | "crypto" | "keys" | "credentials" => {
                surface.capabilities.push(interface.to_owned())
            }
            _ => return Err(ComponentProblem::UnknownImport(name.to_owned())),
        }
    } else if let Some(capability) = standard_capability(name) {
        // One grant stands for all the interfaces of a package.
        if !surface.capabilities.iter().any(|known| known == capability) {
            surface.capabilities.push(capability.to_owned());
        }
    } else if WASI.iter().any(|package| name.starts_with(package)) {
        surface.wasi.push(name.to_owned());
    } else {
        return Err(ComponentProblem::UnknownImport(name.to_owned()));
    }
    Ok(())
}

/// The capability that an interface of WASI belongs to, where it is granted and not
/// inert.
fn standard_capability(name: &str) -> Option<&'static str> {
    match name.split_once('@')? {
        ("wasi:http/outgoing-handler", version) if version.starts_with("0.2.") => Some(HTTP),
        (
            "wasi:keyvalue/store" | "wasi:keyvalue/atomics" | "wasi:keyvalue/batch",
            "0.2.0-draft",
        ) => Some(KEYVALUE),
        _ => None,
    }
}

/// The interface's name where it is of the contract.
fn contract_interface(name: &str) -> Result<Option<&str>, ComponentProblem> {
    let Some(rest) = name.strip_prefix(CONTRACT) else { return Ok(None) };
    match rest.split_once('@') {
        Some((interface, version)) if version == VERSION || version.starts_with("0.1.") => {
            Ok(Some(interface))
        }
        _ => Err(ComponentProblem::OtherVersion(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_versions_of_standard_capabilities_are_offered() {
        let check = |name, expected| assert_eq!(standard_capability(name), expected, "{name}");

        check("wasi:http/outgoing-handler@0.2.0", Some(HTTP));
        check("wasi:http/outgoing-handler@0.2.12", Some(HTTP));
        check("wasi:http/outgoing-handler@0.3.0", None);
        check("wasi:http/incoming-handler@0.2.0", None);
        check("wasi:keyvalue/store@0.2.0-draft", Some(KEYVALUE));
        check("wasi:keyvalue/atomics@0.2.0-draft2", None);
        check("wasi:keyvalue/watcher@0.2.0-draft", None);
    }

    #[test]
    fn bytes_that_are_no_component_are_named_for_what_they_are() {
        assert_eq!(check_kind(b"\0asm\x01\0\0\0rest"), Err(ComponentProblem::CoreModule));
        assert_eq!(
            check_kind(b"\0asm\x01\0\0\0..proxy_abi_version_0_2_1"),
            Err(ComponentProblem::ProxyWasm)
        );
        assert_eq!(check_kind(b"#!/bin/sh"), Err(ComponentProblem::NotWasm));
        assert_eq!(check_kind(b""), Err(ComponentProblem::NotWasm));
        assert_eq!(check_kind(b"\0asm\x0d\0\x01\0"), Ok(()));
    }
}
