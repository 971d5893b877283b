//! Whether schemas are schemas.

use jsonschema::Draft;
use jsonschema::meta::MetaValidator;
use serde_json::Value;

/// What schemas are judged by, draft by draft. In a guest the crate would make it anew for
/// each schema, which takes as long as compiling one.
#[derive(Default)]
pub(crate) struct MetaSchemas(Vec<(Draft, MetaValidator<'static>)>);

impl MetaSchemas {
    /// Whether a value is a schema of a draft; else where it is not, and why.
    pub(crate) fn judge(&mut self, draft: Draft, schema: &Value) -> Result<(), (String, String)> {
        let judged = match self.0.iter().find(|(known, _)| *known == draft) {
            Some((_, meta)) => meta.validate(schema),
            None => {
                let meta = meta_schema(draft);
                let judged = meta.validate(schema);
                self.0.push((draft, meta));
                judged
            }
        };
        judged.map_err(|error| {
            let message = format!("is no schema: {}", error.masked_with("it"));
            (error.instance_path().to_string(), message)
        })
    }
}

fn meta_schema(draft: Draft) -> MetaValidator<'static> {
    match draft {
        Draft::Draft4 => jsonschema::draft4::meta::validator(),
        Draft::Draft6 => jsonschema::draft6::meta::validator(),
        Draft::Draft7 => jsonschema::draft7::meta::validator(),
        Draft::Draft201909 => jsonschema::draft201909::meta::validator(),
        _ => jsonschema::draft202012::meta::validator(),
    }
}
