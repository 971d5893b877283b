//! `[authorizers.NAME]`, `[validators.NAME]`, `[transforms.NAME]`, `[limiters.NAME]`, and
//! references to them.

use std::collections::BTreeMap;

use super::authorization::{self, Authorizer, Written};
use super::names::Names;
use super::shared_limits::{self, Common};
use super::{Resolver, check_names, grants, source};
use crate::diagnostic::Place;
use crate::document::{self, Composable, Document, IsolationWord, Text};
use crate::gateway::{
    Authorization, Budget, Grants, Isolation, OnFault, PluginUse, PluginUseId, Role,
    SettingsPlaces, Use,
};
use crate::read::{Either, Named};

/// Requests an instance serves where `isolation = "reuse"` gives no number.
const REUSE: u32 = 1000;

/// Bytes a call may return: an answer, or a body where the plugin is a transform.
const OUTPUT: usize = 1 << 20;
const TRANSFORM_OUTPUT: usize = 16 << 20;

/// The plugin uses, and the roles they are referred to in.
pub(super) struct PluginUses {
    /// `None` where a place is kept.
    uses: Vec<Option<PluginUse>>,
    authorizers: Names<Authorizer>,
    validators: Names<PluginUseId>,
    transforms: Names<PluginUseId>,
    limiters: Names<PluginUseId>,
}

/// The sections that define plugin uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Authorizers,
    Validators,
    Transforms,
    Limiters,
}

pub(super) fn plugin_uses(document: &Document, resolver: &mut Resolver<'_>) -> PluginUses {
    let common = Common::of(document);
    let mut uses = Vec::new();
    let authorizers = authorizers(document, &mut uses, resolver);
    let validators = ("validator", "a validator", Section::Validators);
    let transforms = ("transform", "a transform", Section::Transforms);
    let limiters = ("limiter", "a limiter", Section::Limiters);
    let mut section = |(kind, article, section), written: &Named<document::PluginUse>| {
        check_names(article, written, resolver);
        let mut names = Names::new(kind);
        for entry in &written.entries {
            let written = entry.value.as_ref();
            let id = written.map(|written| {
                check_store(document, written, resolver);
                add(&mut uses, plugin_use(section, (&entry.name, written), common, resolver))
            });
            names.define(&entry.name, id);
        }
        names
    };
    let validators = section(validators, &document.validators);
    let transforms = section(transforms, &document.transforms);
    let limiters = section(limiters, &document.limiters);
    PluginUses { uses, authorizers, validators, transforms, limiters }
}

fn authorizers(
    document: &Document,
    uses: &mut Vec<Option<PluginUse>>,
    resolver: &mut Resolver<'_>,
) -> Names<Authorizer> {
    check_names("an authorizer", &document.authorizers, resolver);
    let mut names = Names::new("authorizer");
    let mut compositions = Vec::new();
    for entry in &document.authorizers.entries {
        if entry.name == "none" {
            let message = "`none` opens a route and cannot name an authorizer";
            resolver.problem(&entry.place, message);
        }
        match &entry.value {
            None => names.define(&entry.name, None),
            Some(Composable::Plain(written)) => {
                check_store(document, written, resolver);
                let used = plugin_use(Section::Authorizers, (&entry.name, written), None, resolver);
                names.define(&entry.name, Some(Authorizer::Plugin(add(uses, used))));
            }
            Some(Composable::Composed(composition)) => {
                let (name, place) = (entry.name.as_str(), &entry.place);
                compositions.push(Written { name, place, composition });
            }
        }
    }
    authorization::define(&compositions, &mut names, resolver);
    names
}

fn add(uses: &mut Vec<Option<PluginUse>>, used: PluginUse) -> PluginUseId {
    uses.push(Some(used));
    PluginUseId(uses.len() - 1)
}

/// Notes a grant of the store where there is no place for one.
fn check_store(document: &Document, written: &document::PluginUse, resolver: &mut Resolver<'_>) {
    if let Some(granted) = &written.grants.credentials
        && granted.value
        && document.state.is_none()
    {
        let message = "there is no store of credentials to grant";
        let help = "set `state` to the directory that is to keep it";
        resolver.problem_with_help(&granted.place, message, help);
    }
}

impl PluginUses {
    /// Finds the authorizers that are referred to.
    pub(super) fn authorization(
        &self,
        written: &Composable<document::Use>,
        resolver: &mut Resolver<'_>,
    ) -> Option<Authorization> {
        authorization::refer(written, &self.authorizers, resolver)
    }

    /// Finds the plugin use that is referred to in a role other than an authorizer's, and
    /// notes the role.
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
        self.refer_to(role, name, argument, resolver)
    }

    /// The same, by a name and an argument.
    pub(super) fn refer_to(
        &mut self,
        role: Role,
        name: &Text,
        argument: Option<String>,
        resolver: &mut Resolver<'_>,
    ) -> Option<Use> {
        let names = match role {
            Role::Validator => &self.validators,
            Role::Limiter => &self.limiters,
            Role::Authorizer | Role::RequestTransform | Role::ResponseTransform => &self.transforms,
        };
        let plugin = names.find(&name.value, &name.place, resolver)?;
        if let Some(Some(found)) = self.uses.get_mut(plugin.0)
            && !found.roles.contains(&role)
        {
            found.roles.push(role);
            found.roles.sort();
        }
        Some(Use { plugin, argument })
    }

    /// Keeps a place for a use that is [`filled`](Self::fill) later.
    pub(super) fn reserve(&mut self) -> PluginUseId {
        self.uses.push(None);
        PluginUseId(self.uses.len() - 1)
    }

    /// Fills the place that was kept.
    pub(super) fn fill(&mut self, id: PluginUseId, used: PluginUse) {
        if let Some(place) = self.uses.get_mut(id.0) {
            *place = Some(used);
        }
    }

    /// All plugin uses, [`PluginUseId`] being the index.
    pub(super) fn finish(self) -> Vec<PluginUse> {
        self.uses.into_iter().flatten().collect()
    }
}

/// A use that stands in no section: of the schemas of an API.
pub(super) fn of_schemas(
    name: String,
    plugin: &str,
    (settings, settings_places): (serde_json::Value, SettingsPlaces),
    place: Place,
    written: &document::JsonRules,
) -> PluginUse {
    PluginUse {
        name,
        roles: vec![Role::Validator],
        plugin: plugin.to_owned(),
        plugin_place: place,
        settings,
        settings_places,
        isolation: written.isolation.as_ref().map(isolation),
        grants: Grants::default(),
        secret_places: BTreeMap::new(),
        budget: budget(Section::Validators, &written.budget),
        cache: None,
        cache_by_places: Vec::new(),
        identity_sources: Vec::new(),
        on_fault: OnFault::Deny,
        limit_sharing: None,
    }
}

fn plugin_use(
    section: Section,
    (name, written): (&str, &document::PluginUse),
    common: Option<Common>,
    resolver: &mut Resolver<'_>,
) -> PluginUse {
    // A transform's role is not known before it is referred to.
    let roles = match section {
        Section::Authorizers => vec![Role::Authorizer],
        Section::Validators => vec![Role::Validator],
        Section::Transforms => Vec::new(),
        Section::Limiters => vec![Role::Limiter],
    };
    let (limits, shared) = (section == Section::Limiters, written.shared.as_ref());
    if let (false, Some(shared)) = (limits, shared) {
        resolver.problem(&shared.place, "only a limiter has limits to share");
    }
    let shared = shared.filter(|_| limits);
    if let (Section::Authorizers, Some(on_fault)) = (section, &written.on_fault) {
        let message = "an authorizer that faults always denies, so it takes no `on_fault`";
        resolver.problem(&on_fault.place, message);
    }
    let authorizes = section == Section::Authorizers;
    if let (false, Some(cache)) = (authorizes, &written.cache) {
        resolver.problem(&cache.place, "only what authorizers grant can be cached");
    }
    if let (false, Some(sources)) = (authorizes, &written.identity_sources) {
        resolver.problem(&sources.place, "only authorizers learn an identity from a request");
    }
    PluginUse {
        name: name.to_owned(),
        roles,
        plugin: written.plugin.value.clone(),
        plugin_place: written.plugin.place.clone(),
        settings: written.settings.0.value.clone(),
        settings_places: SettingsPlaces::of(written.settings.0.places.clone()),
        isolation: written.isolation.as_ref().map(isolation),
        grants: grants::grants(&written.grants, resolver),
        secret_places: grants::secret_places(&written.grants),
        budget: budget(section, &written.budget),
        cache: written.cache.as_ref().map(|cache| source::cache(&cache.value, resolver)),
        cache_by_places: source::cache_by_places(written),
        identity_sources: source::identity_sources(written, resolver),
        on_fault: match written.on_fault.as_ref().map(|on_fault| on_fault.value) {
            Some(document::OnFault::Skip) => OnFault::Skip,
            Some(document::OnFault::Deny) | None => OnFault::Deny,
        },
        limit_sharing: shared_limits::limit_sharing(shared, common, resolver),
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
        Section::Authorizers | Section::Validators | Section::Limiters => OUTPUT,
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
