//! What a component asks for against what a configuration grants it: for
//! `portcullis plugin audit`.

use portcullis_config::{Grants, Origin, PluginUse};

use crate::capability::covers;
use crate::inspect::{CREDENTIALS, HTTP, KEYVALUE, Surface};
use crate::inspection::Inspection;
use crate::load::{names_it, ungranted};

/// Something that a plugin may reach, or wants to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Of which kind: `secret`, `revealed secret`, `issuer`, `origin`, `capability`, `role`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// Where a component and the grants of a use differ.
#[derive(Debug, Default)]
pub struct Audit {
    /// Asked for and not granted: the use is refused at load.
    pub not_granted: Vec<Reach>,
    /// Granted and not asked for: the grant could be narrower.
    pub not_asked: Vec<Reach>,
}

impl Inspection {
    /// Compares what the component asks for with what a use of it grants.
    pub fn audit(&self, plugin_use: &PluginUse) -> Audit {
        let grants = &plugin_use.grants;
        let mut audit = Audit::default();
        let roles = plugin_use.roles.iter().filter(|role| !self.surface.roles.contains(role));
        let roles = roles.map(|role| role.as_str().to_owned());
        note("role", roles, &mut audit.not_granted);
        self.secrets(grants, &mut audit);
        self.issuers(grants, &mut audit);
        self.origins(grants, &mut audit);
        if audit.not_granted.is_empty() {
            let capabilities = ungranted(grants, &self.surface).map(str::to_owned);
            note("capability", capabilities, &mut audit.not_granted);
        }
        let unused = unused_capabilities(grants, &self.surface).map(str::to_owned);
        note("capability", unused, &mut audit.not_asked);
        audit
    }

    fn secrets(&self, grants: &Grants, audit: &mut Audit) {
        let granted = || grants.secrets.keys();
        let is_asked = |asked: &[String], name: &str| asked.iter().any(|it| names_it(it, name));
        let missing =
            self.secrets.iter().filter(|asked| !granted().any(|name| names_it(asked, name)));
        note("secret", missing.cloned(), &mut audit.not_granted);
        let unused = granted().filter(|name| !is_asked(&self.secrets, name));
        note("secret", unused.cloned(), &mut audit.not_asked);
        let is_shown = |name: &str| is_asked(&self.revealed, name);
        let hidden = grants.secrets.iter().filter(|(name, it)| is_shown(name) && !it.reveal);
        let hidden = hidden.map(|(name, _)| name.clone());
        note("revealed secret", hidden, &mut audit.not_granted);
        let shown = grants.secrets.iter().filter(|(name, it)| it.reveal && !is_shown(name));
        // A secret that is not even asked for has been told of.
        let shown = shown.filter(|(name, _)| is_asked(&self.secrets, name));
        let shown = shown.map(|(name, _)| name.clone());
        note("revealed secret", shown, &mut audit.not_asked);
    }

    fn issuers(&self, grants: &Grants, audit: &mut Audit) {
        let missing = self.issuers.iter().filter(|asked| !grants.issuers.contains_key(*asked));
        note("issuer", missing.cloned(), &mut audit.not_granted);
        let unused = grants.issuers.keys().filter(|name| !self.issuers.contains(name));
        note("issuer", unused.cloned(), &mut audit.not_asked);
    }

    /// A plan need not name the origins that a component calls: where it names none, those
    /// granted may all be used.
    fn origins(&self, grants: &Grants, audit: &mut Audit) {
        let granted = grants.http.as_ref().map_or(&[][..], |http| &http.origins);
        let missing = self.origins.iter().filter(|asked| !covers(granted, asked));
        note("origin", missing.map(Origin::to_string), &mut audit.not_granted);
        if self.surface.imports(HTTP) && self.origins.is_empty() {
            return;
        }
        let unused = granted.iter().filter(|origin| !self.origins.contains(origin));
        note("origin", unused.map(Origin::to_string), &mut audit.not_asked);
    }
}

fn note(kind: &'static str, names: impl Iterator<Item = String>, into: &mut Vec<Reach>) {
    into.extend(names.map(|name| Reach { kind, name }));
}

/// What is granted to a component that does not even import it.
fn unused_capabilities(grants: &Grants, surface: &Surface) -> impl Iterator<Item = &'static str> {
    let imports_wasi = |package| surface.wasi.iter().any(|name| name.starts_with(package));
    [
        (CREDENTIALS, grants.credentials && !surface.imports(CREDENTIALS)),
        (KEYVALUE, grants.keyvalue.is_some() && !surface.imports(KEYVALUE)),
        ("random", grants.random && !imports_wasi("wasi:random/")),
        ("clock", grants.clock && !imports_wasi("wasi:clocks/")),
    ]
    .into_iter()
    .filter_map(|(name, unused)| unused.then_some(name))
}
