//! How a route changes the path on its way to the upstream.

use portcullis_config::PathRewrite;

use crate::phase::canonical::{CanonicalPath, canonical_segment, split_segment};

/// A prefix to take off and one to put there.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// The segments to take off, in canonical form.
    strip: Vec<String>,
    /// What to put there: empty, or from a slash to before a slash.
    add: String,
}

impl Rewrite {
    /// Prepares the rewrite; `None` keeps paths.
    pub(crate) fn new(rewrite: &PathRewrite) -> Option<Self> {
        let PathRewrite::ReplacePrefix { strip, add } = rewrite else { return None };
        let segments = strip.split('/').filter(|segment| !segment.is_empty());
        // A segment without canonical form never matches, so the path is kept.
        let canonical = |raw: &str| canonical_segment(raw).unwrap_or_else(|_| raw.to_owned());
        let add = match add.trim_matches('/') {
            "" => String::new(),
            trimmed => format!("/{trimmed}"),
        };
        Some(Self { strip: segments.map(canonical).collect(), add })
    }

    /// The path as sent, rewritten; `None` where the prefix is not there.
    ///
    /// The prefix is looked for in the canonical path, and as many segments are taken
    /// off the path as sent: the rest reaches the upstream spelt as the client did.
    pub(crate) fn apply(&self, raw: &str, path: &CanonicalPath) -> Option<String> {
        let mut canonical = Some(path.tail());
        let mut rest = raw;
        for strip in &self.strip {
            let (segment, after) = split_segment(canonical?);
            if segment != strip {
                return None;
            }
            canonical = after;
            rest = without_first_segment(rest);
        }
        let rewritten = format!("{}{rest}", self.add);
        Some(if rewritten.is_empty() { "/".to_owned() } else { rewritten })
    }
}

fn without_first_segment(path: &str) -> &str {
    let tail = path.strip_prefix('/').unwrap_or(path);
    tail.find('/').and_then(|slash| tail.get(slash..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(strip: &str, add: &str, raw: &str, expected: Option<&str>) {
        let rewrite = PathRewrite::ReplacePrefix { strip: strip.into(), add: add.into() };
        let rewrite = Rewrite::new(&rewrite).unwrap();
        let path = CanonicalPath::parse(raw).unwrap();
        assert_eq!(rewrite.apply(raw, &path).as_deref(), expected, "{strip} {add} {raw}");
    }

    #[test]
    fn whole_segments_are_replaced_and_the_rest_is_spelt_as_sent() {
        check("/orders", "/v2", "/orders/%7e1", Some("/v2/%7e1"));
        check("/orders", "/v2/", "/%6frders/1", Some("/v2/1"));
        check("/orders", "", "/orders", Some("/"));
        check("/orders/", "", "/orders/", Some("/"));
        check("/orders", "", "/ordersx/1", None);
        check("/a/b", "/c", "/a", None);
        check("", "/v2", "/a", Some("/v2/a"));
        check("/", "v2", "/", Some("/v2/"));
    }
}
