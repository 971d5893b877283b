//! Media types, one or several at once.

use std::fmt;

/// A media type, or several: `application/json`, `text/*`, `application/*+json`, `*/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    /// `None` is any.
    kind: Option<String>,
    /// What the subtype begins and ends with; the whole where there is no end.
    subtype: (String, Option<String>),
}

impl MediaRange {
    /// Parses a range; none where the text is no such.
    pub fn parse(text: &str) -> Option<Self> {
        let token = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+%'`|~".contains(&b);
            part.bytes().all(plain)
        };
        let text = text.to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        let (before, after) = match subtype.split_once('*') {
            None if subtype.is_empty() => return None,
            None => (subtype, None),
            Some((before, after)) => (before, Some(after)),
        };
        if !token(before) || !after.is_none_or(token) {
            return None;
        }
        let kind = match kind {
            "*" => None,
            kind if !kind.is_empty() && token(kind) => Some(kind.to_owned()),
            _ => return None,
        };
        Some(Self { kind, subtype: (before.to_owned(), after.map(str::to_owned)) })
    }

    /// Whether a `Content-Type` is of this range; its parameters do not matter.
    pub fn holds(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let Some((kind, subtype)) = essence.split_once('/') else { return false };
        let begins = |text: &str, with: &str| {
            text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        let is_kind = self.kind.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(kind));
        let (before, after) = &self.subtype;
        is_kind
            && !subtype.is_empty()
            && match after {
                None => subtype.eq_ignore_ascii_case(before),
                Some(after) => {
                    let rest = subtype.get(before.len()..).unwrap_or_default();
                    let end = rest.len().checked_sub(after.len()).and_then(|at| rest.get(at..));
                    begins(subtype, before)
                        && end.is_some_and(|end| end.eq_ignore_ascii_case(after))
                }
            }
    }

    /// Whether it is this one type, in lower case, by its name.
    pub fn names(&self, essence: &str) -> bool {
        let (subtype, end) = &self.subtype;
        let kind = self.kind.as_deref();
        end.is_none() && essence.split_once('/') == kind.map(|kind| (kind, subtype.as_str()))
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = &self.subtype;
        write!(f, "{}/{before}", self.kind.as_deref().unwrap_or("*"))?;
        match after {
            Some(after) => write!(f, "*{after}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MediaRange;

    #[test]
    fn ranges_hold_what_they_say() {
        let holds = |range: &str, text: &str| MediaRange::parse(range).unwrap().holds(text);
        assert!(holds("application/json", "Application/JSON; charset=utf-8"));
        assert!(!holds("application/json", "application/jsonx"));
        assert!(!holds("application/json", "application/json-patch+json"));
        assert!(holds("application/*+json", "application/problem+JSON"));
        assert!(!holds("application/*+json", "application/json"));
        assert!(!holds("application/*+json", "text/x+json"));
        assert!(holds("text/*", "text/plain"));
        assert!(holds("*/*", "a/b"));
        assert!(!holds("*/*", "a/"));
        assert!(!holds("*/*", ""));
        for text in ["json", "a/", "/b", "a b/c", "a/b;c=d", "*json/a", "a/*+*"] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
        let names = |range: &str, text: &str| MediaRange::parse(range).unwrap().names(text);
        assert!(names("Text/Event-Stream", "text/event-stream"));
        assert!(!names("text/*", "text/event-stream"));
        for text in ["a/b", "a/*", "*/*", "a/*+json", "a/vnd.*+json"] {
            assert_eq!(MediaRange::parse(text).unwrap().to_string(), text);
        }
    }
}
