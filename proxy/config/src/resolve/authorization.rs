//! Compositions of authorizers, named or written in place.

use std::collections::{BTreeMap, HashSet};

use super::Resolver;
use super::names::Names;
use crate::diagnostic::Place;
use crate::document::{self, Composable, Composition};
use crate::gateway::{Authorization, PluginUseId, Use};
use crate::read::Either;

/// What `[authorizers]` defines.
#[derive(Debug, Clone)]
pub(super) enum Authorizer {
    /// A plugin use.
    Plugin(PluginUseId),
    /// A composition, all its members found.
    Composed(Authorization),
}

/// A composition as written, with its name.
pub(super) struct Written<'d> {
    pub(super) name: &'d str,
    pub(super) place: &'d Place,
    pub(super) composition: &'d Composition,
}

/// Adds the compositions to the authorizers that are plugin uses.
///
/// A member may be a composition that is written further down, so each is resolved when
/// it is first asked for.
pub(super) fn define(
    written: &[Written<'_>],
    names: &mut Names<Authorizer>,
    resolver: &mut Resolver<'_>,
) {
    for each in written {
        names.define(each.name, None);
    }
    let by_name = written.iter().map(|each| (each.name, each)).collect();
    let mut order = Order { by_name, states: BTreeMap::new() };
    for each in written {
        order.visit(each, names, resolver);
    }
}

/// How far a composition is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its members are being resolved.
    Begun,
    Done,
}

struct Order<'d> {
    by_name: BTreeMap<&'d str, &'d Written<'d>>,
    states: BTreeMap<&'d str, State>,
}

impl<'d> Order<'d> {
    /// Resolves a composition after those it is made of. Recurses once for each name.
    fn visit(
        &mut self,
        written: &'d Written<'d>,
        names: &mut Names<Authorizer>,
        resolver: &mut Resolver<'_>,
    ) {
        if self.states.contains_key(written.name) {
            return;
        }
        self.states.insert(written.name, State::Begun);
        let mut is_circular = false;
        for member in members(written.composition) {
            let name = name_of(member);
            let Some(other) = self.by_name.get(name.value.as_str()).copied() else { continue };
            if self.states.get(other.name) == Some(&State::Begun) {
                is_circular = true;
                let message = format!("`{}` is a part of itself", other.name);
                resolver.problem(&name.place, message);
            } else {
                self.visit(other, names, resolver);
            }
        }
        if !is_circular {
            let composed = compose(written.composition, written.place, names, resolver);
            names.redefine(written.name, composed.map(Authorizer::Composed));
        }
        self.states.insert(written.name, State::Done);
    }
}

/// Finds who is to be asked; a name alone, with an argument, or a composition in place.
pub(super) fn refer(
    written: &Composable<document::Use>,
    names: &Names<Authorizer>,
    resolver: &mut Resolver<'_>,
) -> Option<Authorization> {
    match written {
        Composable::Plain(used) => member(used, names, resolver),
        Composable::Composed(composition) => {
            compose(composition, &composition.place, names, resolver)
        }
    }
}

fn member(
    written: &document::Use,
    names: &Names<Authorizer>,
    resolver: &mut Resolver<'_>,
) -> Option<Authorization> {
    let (name, argument) = match written {
        Either::This(name) => (name, None),
        Either::That(table) => (&table.with, table.r#use.clone()),
    };
    match names.find(&name.value, &name.place, resolver)? {
        Authorizer::Plugin(plugin) => Some(Authorization::One(Use { plugin, argument })),
        Authorizer::Composed(_) if argument.is_some() => {
            let help = "give it to the members that take one";
            resolver.problem_with_help(&name.place, "a composition takes no argument", help);
            None
        }
        Authorizer::Composed(composed) => Some(composed),
    }
}

fn compose(
    written: &Composition,
    place: &Place,
    names: &Names<Authorizer>,
    resolver: &mut Resolver<'_>,
) -> Option<Authorization> {
    let (list, make): (_, fn(Vec<Authorization>) -> Authorization) =
        match (&written.any, &written.all) {
            (Some(any), None) => (any, Authorization::Any),
            (None, Some(all)) => (all, Authorization::All),
            (Some(_), Some(all)) => {
                let help = "give one of them a name, and make it a member of the other";
                let message = "a composition has one of `any` and `all`";
                resolver.problem_with_help(&all.place, message, help);
                return None;
            }
            // The key was there, and could not be read.
            (None, None) => return None,
        };
    if list.value.len() < 2 {
        resolver.problem(&list.place, "a composition has at least two members");
        return None;
    }
    let each = list.value.iter().map(|used| member(used, names, resolver));
    let members: Vec<Option<Authorization>> = each.collect();
    let members: Vec<Authorization> = members.into_iter().collect::<Option<_>>()?;
    let whole = make(members);
    // Each use is asked at most once about a request. This also bounds how large a
    // composition of compositions can grow.
    let uses = whole.uses();
    let distinct: HashSet<&Use> = uses.iter().copied().collect();
    if distinct.len() < uses.len() {
        let help = "nest `any` and `all` so that each authorizer is named once";
        let message = "an authorizer stands in this composition twice";
        resolver.problem_with_help(place, message, help);
        return None;
    }
    Some(whole)
}

fn members(composition: &Composition) -> impl Iterator<Item = &document::Use> {
    let lists = [&composition.any, &composition.all];
    lists.into_iter().flatten().flat_map(|list| &list.value)
}

fn name_of(written: &document::Use) -> &document::Text {
    match written {
        Either::This(name) => name,
        Either::That(table) => &table.with,
    }
}
