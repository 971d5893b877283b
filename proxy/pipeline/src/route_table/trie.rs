//! Path patterns of one method, as a tree of segments.

use std::collections::HashMap;

use portcullis_config::Segment;

use crate::phase::canonical::{CanonicalPath, canonical_segment, split_segment};
use crate::route_table::served::RouteId;

/// Patterns as a tree. A lookup visits each node at most once.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
    /// The route whose pattern ends here.
    end: Option<RouteId>,
    /// The route whose pattern takes one or more segments from here.
    greedy: Option<RouteId>,
}

impl Trie {
    /// Adds a pattern; one that is there already stays.
    pub(crate) fn insert(&mut self, pattern: &[Segment], id: RouteId) {
        let mut node = &mut self.root;
        for segment in pattern {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(literal(text)).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Greedy(_) => {
                    node.greedy.get_or_insert(id);
                    return;
                }
            };
        }
        node.end.get_or_insert(id);
    }

    /// Adds a path whose every extension is meant; empty for all paths.
    pub(crate) fn insert_prefix(&mut self, prefix: &str, id: RouteId) {
        let mut node = &mut self.root;
        for segment in prefix.split('/').filter(|segment| !segment.is_empty()) {
            node = node.literals.entry(literal(segment)).or_default();
        }
        node.end.get_or_insert(id);
    }

    /// The best pattern without a greedy end that matches the whole path.
    pub(crate) fn whole(&self, path: &CanonicalPath) -> Option<RouteId> {
        self.root.whole(Some(path.tail()))
    }

    /// The best pattern with a greedy end that matches.
    pub(crate) fn greedy(&self, path: &CanonicalPath) -> Option<RouteId> {
        self.root.greedy(Some(path.tail()))
    }

    /// The longest inserted prefix of the path, by whole segments.
    pub(crate) fn longest_prefix(&self, path: &CanonicalPath) -> Option<RouteId> {
        let mut node = &self.root;
        let mut longest = node.end;
        let mut rest = Some(path.tail());
        while let Some((segment, after)) = rest.map(split_segment) {
            let Some(child) = node.literals.get(segment) else { break };
            node = child;
            longest = node.end.or(longest);
            rest = after;
        }
        longest
    }
}

impl Node {
    /// Recurses once for each segment: at most as deep as a canonical path is long.
    fn whole(&self, rest: Option<&str>) -> Option<RouteId> {
        let Some(rest) = rest else { return self.end };
        let (segment, after) = split_segment(rest);
        let literal = self.literals.get(segment).and_then(|child| child.whole(after));
        literal.or_else(|| self.parameter_for(segment)?.whole(after))
    }

    fn greedy(&self, rest: Option<&str>) -> Option<RouteId> {
        let (segment, after) = split_segment(rest?);
        let literal = self.literals.get(segment).and_then(|child| child.greedy(after));
        let own = self.greedy.filter(|_| !segment.is_empty());
        literal.or_else(|| self.parameter_for(segment)?.greedy(after)).or(own)
    }

    fn parameter_for(&self, segment: &str) -> Option<&Node> {
        self.parameter.as_deref().filter(|_| !segment.is_empty())
    }
}

/// A literal that has no canonical form stays as it is, and never matches.
fn literal(text: &str) -> Box<str> {
    canonical_segment(text).unwrap_or_else(|_| text.to_owned()).into_boxed_str()
}
