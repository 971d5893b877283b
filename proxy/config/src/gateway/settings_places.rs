//! Where the members of a plugin's settings are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::data::Node;
use crate::diagnostic::Place;

/// Where each member of a plugin's settings is written, by JSON Pointer (RFC 6901); the
/// empty pointer is the whole.
#[derive(Debug, Clone, Default)]
pub struct SettingsPlaces {
    members: BTreeMap<String, Place>,
    /// Members that are the content of a file. Files are large and seldom asked about, so
    /// what is in them is looked for when it is.
    files: BTreeMap<String, Arc<Node>>,
}

impl SettingsPlaces {
    /// Of members one by one.
    pub(crate) fn of(members: BTreeMap<String, Place>) -> Self {
        Self { members, files: BTreeMap::new() }
    }

    /// Adds a member.
    pub(crate) fn add(&mut self, pointer: String, place: Place) {
        self.members.insert(pointer, place);
    }

    /// Adds a member that is the content of a file, with all that is in it.
    pub(crate) fn add_file(&mut self, pointer: String, content: Arc<Node>) {
        self.files.insert(pointer, content);
    }

    /// The place of a member; none where no such member is written.
    pub fn get(&self, pointer: &str) -> Option<&Place> {
        self.members.get(pointer).or_else(|| {
            let ends = pointer.match_indices('/').map(|(slash, _)| slash).chain([pointer.len()]);
            let mut splits = ends.filter_map(|end| pointer.split_at_checked(end));
            splits.find_map(|(file, within)| {
                self.files.get(file)?.pointer(within).map(|node| &node.place)
            })
        })
    }
}
