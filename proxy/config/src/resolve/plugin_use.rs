//! `[authorizers.NAME]`, `[validators.NAME]`, `[transforms.NAME]`, and references to
//! them.

use super::names::Names;
use super::{Resolver, check_names, grants};
use crate::document::{self, Document, IsolationWord};
use crate::gateway::{Budget, Isolation, OnFault, PluginUse, PluginUseId, Role, Use};
use crate::read::{Either, Named};

/// Requests an instance serves where `isolation = "reuse"` gives no number.
const REUSE: u32 = 1000;

/// Bytes a call may return: an answer, or a body where the plugin is a transform.
const OUTPUT: usize = 1 << 20;
const TRANSFORM_OUTPUT: usize = 16 << 20;

/// The plugin uses, and the roles they are referred to in.
pub(super) struct PluginUses {
    uses: Vec<PluginUse>,
    authorizers: Names<PluginUseId>,
    validators: Names<PluginUseId>,
    transforms: Names<PluginUseId>,
}

/// The sections that define plugin uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Authorizers,
    Validators,
    Transforms,
}

pub(super) fn plugin_uses(document: &Document, resolver: &mut Resolver<'_>) -> PluginUses {
    let mut uses = Vec::new();
    let mut section = |section, written: &Named<document::PluginUse>| {
        let (kind, article) = match section {
            Section::Authorizers => ("authorizer", "an authorizer"),
            Section::Validators => ("validator", "a validator"),
            Section::Transforms => ("transform", "a transform"),
        };
        check_names(article, written, resolver);
        let mut names = Names::new(kind);
        for entry in &written.entries {
            if section == Section::Authorizers && entry.name == "none" {
                let message = "`none` opens a route and cannot name an authorizer";
                resolver.problem(&entry.place, message);
            }
            let written = entry.value.as_ref();
            let id = written.map(|written| {
                uses.push(plugin_use(section, &entry.name, written, resolver));
                PluginUseId(uses.len() - 1)
            });
            names.define(&entry.name, id);
        }
        names
    };
    let authorizers = section(Section::Authorizers, &document.authorizers);
    let validators = section(Section::Validators, &document.validators);
    let transforms = section(Section::Transforms, &document.transforms);
    PluginUses { uses, authorizers, validators, transforms }
}

impl PluginUses {
    /// Finds the plugin use that is referred to, and notes its role.
    pub(super) fn refer(
        &mut self,
        role: Role,
        written: &document::Use,
        resolver: &mut Resolver<'_>,
    ) -> Option<Use> {
        let (name, argument) = match written {
            Either::This(name) => (name, None),
            Either::That(table) => (&table.with, table.r#use.clone()),
        };
        let names = match role {
            Role::Authorizer => &self.authorizers,
            Role::Validator => &self.validators,
            Role::RequestTransform | Role::ResponseTransform => &self.transforms,
        };
        let plugin = names.find(&name.value, &name.place, resolver)?;
        if let Some(found) = self.uses.get_mut(plugin.0)
            && !found.roles.contains(&role)
        {
            found.roles.push(role);
            found.roles.sort();
        }
        Some(Use { plugin, argument })
    }

    /// All plugin uses, [`PluginUseId`] being the index.
    pub(super) fn finish(self) -> Vec<PluginUse> {
        self.uses
    }
}

fn plugin_use(
    section: Section,
    name: &str,
    written: &document::PluginUse,
    resolver: &mut Resolver<'_>,
) -> PluginUse {
    // A transform's role is not known before it is referred to.
    let roles = match section {
        Section::Authorizers => vec![Role::Authorizer],
        Section::Validators => vec![Role::Validator],
        Section::Transforms => Vec::new(),
    };
    if let (Section::Authorizers, Some(on_fault)) = (section, &written.on_fault) {
        let message = "an authorizer that faults always denies, so it takes no `on_fault`";
        resolver.problem(&on_fault.place, message);
    }
    if let (Section::Validators | Section::Transforms, Some(cache)) = (section, &written.cache) {
        resolver.problem(&cache.place, "only what authorizers grant can be cached");
    }
    PluginUse {
        name: name.to_owned(),
        roles,
        plugin: written.plugin.value.clone(),
        plugin_place: written.plugin.place.clone(),
        settings: written.settings.0.value.clone(),
        settings_places: written.settings.0.places.clone(),
        isolation: written.isolation.as_ref().map(isolation),
        grants: grants::grants(&written.grants, resolver),
        budget: budget(section, &written.budget),
        cache: written.cache.as_ref().map(|cache| cache.value.0),
        on_fault: match written.on_fault.as_ref().map(|on_fault| on_fault.value) {
            Some(document::OnFault::Skip) => OnFault::Skip,
            Some(document::OnFault::Deny) | None => OnFault::Deny,
        },
    }
}

fn isolation(written: &document::Isolation) -> Isolation {
    match written {
        Either::This(IsolationWord::Fresh) => Isolation::Fresh,
        Either::This(IsolationWord::Reuse) => Isolation::Reuse(REUSE),
        Either::That(table) => Isolation::Reuse(table.reuse.0),
    }
}

fn budget(section: Section, written: &document::Budget) -> Budget {
    let output = match section {
        Section::Transforms => TRANSFORM_OUTPUT,
        Section::Authorizers | Section::Validators => OUTPUT,
    };
    Budget {
        wall_time: written.wall_time.0,
        cpu_time: written.cpu_time.0,
        memory_bytes: written.memory.in_memory(),
        output_bytes: written.output.map_or(output, |output| output.in_memory()),
        instances: written.instances.0,
        breaker_after: written.breaker_after.0,
        breaker_pause: written.breaker_pause.0,
    }
}
