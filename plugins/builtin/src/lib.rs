//! The components that come with Portcullis, compiled by the build script.
//!
//! They are ordinary plugins: nothing here knows what they do.

/// Each component by its folder's name, sorted.
const COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The built-in plugins: each name with its component, sorted by name.
pub fn components() -> &'static [(&'static str, &'static [u8])] {
    COMPONENTS
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn every_plugin_beside_this_crate_is_a_component() {
        let names: Vec<&str> = components().iter().map(|(name, _)| *name).collect();
        let shipped = [
            "api-key",
            "api-token",
            "client-certificate",
            "ext-authz",
            "forward-auth",
            "headers",
            "iam",
            "json-schema",
            "jwt",
            "oidc-login",
            "rate-limit",
        ];
        assert_eq!(names, shipped);
        for (name, bytes) in components() {
            // The preamble of the component layer, not of a core module.
            assert_eq!(bytes[..8], *b"\0asm\x0d\0\x01\0", "{name}");
        }
    }

    #[test]
    fn a_token_check_stays_small() {
        let (_, bytes) = components().iter().find(|(name, _)| *name == "api-token").unwrap();
        // Cargo unifies features, so what `json-schema` wants of serde_json is in here too.
        assert!(bytes.len() < 240 * 1024);
    }
}
