//! What a request must have for an authorizer to be asked about it.

use portcullis_config::IdentitySource;
use portcullis_pipeline::{Unidentified, View};

use crate::request_part::each_value;

/// Looks for each of these, and at its form. Every value counts, not the first: a plugin
/// may look at another one.
pub(crate) fn check(sources: &[IdentitySource], view: &View<'_>) -> Result<(), Unidentified> {
    for source in sources {
        let (mut found, mut fits) = (false, true);
        each_value(&source.part, view, |value| {
            found |= !value.is_empty();
            fits &= source.matches.as_ref().is_none_or(|form| form.is_match(value));
        });
        if !found {
            return Err(Unidentified::Missing);
        }
        if !fits {
            return Err(Unidentified::Malformed);
        }
    }
    Ok(())
}
