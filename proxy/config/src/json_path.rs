//! JSONPath (RFC 9535) as far as it names places: members, elements, and all of either.
//!
//! No recursive descent, no filters and no slices: what a path costs does not depend on
//! what it meets.

use std::fmt;

/// Steps that a path may have.
const MOST_STEPS: usize = 32;

/// A path into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath(Vec<Step>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of this name.
    Member(String),
    /// The element of this index; from the end where it is negative.
    Element(i32),
    /// Every member or element, in order.
    Every,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathProblem {
    /// It does not start at the root.
    #[error("a JSONPath starts with `$`")]
    NoRoot,
    /// `..`.
    #[error("a JSONPath here has no `..`: name each member on the way")]
    Descent,
    /// `[?…]`, `[1:2]` or `['a','b']`.
    #[error("a JSONPath here has no filters, slices and lists")]
    Selector,
    /// Something that is no step.
    #[error("`{0}` is no step of a JSONPath; steps are `.name`, `['name']`, `[0]` and `[*]`")]
    Step(String),
    /// More steps than a document is looked into.
    #[error("a JSONPath has at most {MOST_STEPS} steps")]
    TooManySteps,
}

impl JsonPath {
    /// Parses a path.
    ///
    /// # Errors
    ///
    /// When the text is none, or has more than names of places.
    pub fn parse(text: &str) -> Result<Self, JsonPathProblem> {
        let mut rest = text.strip_prefix('$').ok_or(JsonPathProblem::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == MOST_STEPS {
                return Err(JsonPathProblem::TooManySteps);
            }
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
        }
        Ok(Self(steps))
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Member(name) if is_shorthand(name) => write!(f, ".{name}")?,
                Step::Member(name) => {
                    write!(f, "['{}']", name.replace('\\', r"\\").replace('\'', r"\'"))?;
                }
                Step::Element(index) => write!(f, "[{index}]")?,
                Step::Every => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

/// The first step, and what follows it.
fn step(text: &str) -> Result<(Step, &str), JsonPathProblem> {
    if text.starts_with("..") {
        return Err(JsonPathProblem::Descent);
    }
    let unknown = || JsonPathProblem::Step(text.to_owned());
    if let Some(rest) = text.strip_prefix('.') {
        if let Some(after) = rest.strip_prefix('*') {
            return Ok((Step::Every, after));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let step = Some(Step::Member(name.to_owned())).filter(|_| is_shorthand(name));
        return Ok((step.ok_or_else(unknown)?, after));
    }
    let inner = text.strip_prefix('[').ok_or_else(unknown)?;
    if let Some(quote) = inner.chars().next().filter(|first| matches!(first, '\'' | '"')) {
        let (name, after) = quoted(inner, quote).ok_or_else(unknown)?;
        return match after.strip_prefix(']') {
            Some(after) => Ok((Step::Member(name), after)),
            None if after.trim_start().starts_with(',') => Err(JsonPathProblem::Selector),
            None => Err(unknown()),
        };
    }
    let (selector, after) = inner.split_once(']').ok_or_else(unknown)?;
    if selector == "*" {
        return Ok((Step::Every, after));
    }
    if selector.starts_with('?') || selector.contains([':', ',']) {
        return Err(JsonPathProblem::Selector);
    }
    Ok((Step::Element(index(selector).ok_or_else(unknown)?), after))
}

/// An index as RFC 9535 writes it: no `+`, no leading zero, no `-0`.
fn index(text: &str) -> Option<i32> {
    let index: i32 = text.parse().ok()?;
    (index.to_string() == text).then_some(index)
}

/// The text within quotes at the start, and what follows them.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next()?.1 {
                escaped if escaped == quote || matches!(escaped, '\\' | '/') => name.push(escaped),
                _ => return None,
            },
            _ if character == quote => return Some((name, text.get(at + 1..)?)),
            _ if character.is_control() => return None,
            _ => name.push(character),
        }
    }
    None
}

/// Whether a name needs no quotes.
fn is_shorthand(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let mut characters = name.chars();
    characters.next().is_some_and(first) && characters.all(|c| first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[Step]) {
        assert_eq!(JsonPath::parse(text).unwrap().steps(), expected, "{text}");
    }

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn places_are_named() {
        check("$", &[]);
        check("$.order.id", &[member("order"), member("id")]);
        check("$['order id'][0]", &[member("order id"), Step::Element(0)]);
        check(r#"$["it's"].é[-1]"#, &[member("it's"), member("é"), Step::Element(-1)]);
        check(r"$['it\'s\\'].a", &[member(r"it's\"), member("a")]);
        check("$.lines[*].*", &[member("lines"), Step::Every, Step::Every]);
        check("$['a]b']", &[member("a]b")]);
    }

    #[test]
    fn what_searches_or_counts_is_refused() {
        for (text, expected) in [
            ("order", JsonPathProblem::NoRoot),
            ("", JsonPathProblem::NoRoot),
            ("$..id", JsonPathProblem::Descent),
            ("$.a..id", JsonPathProblem::Descent),
            ("$[?@.a > 1]", JsonPathProblem::Selector),
            ("$[0:2]", JsonPathProblem::Selector),
            ("$[0,1]", JsonPathProblem::Selector),
            ("$['a', 'b']", JsonPathProblem::Selector),
            ("$.", JsonPathProblem::Step(".".into())),
            ("$.x-y", JsonPathProblem::Step(".x-y".into())),
            ("$.1", JsonPathProblem::Step(".1".into())),
            ("$[01]", JsonPathProblem::Step("[01]".into())),
            ("$[-0]", JsonPathProblem::Step("[-0]".into())),
            ("$[a]", JsonPathProblem::Step("[a]".into())),
            ("$['a", JsonPathProblem::Step("['a".into())),
            ("$['a'b]", JsonPathProblem::Step("['a'b]".into())),
            ("$x", JsonPathProblem::Step("x".into())),
        ] {
            assert_eq!(JsonPath::parse(text), Err(expected), "{text}");
        }
        assert_eq!(
            JsonPath::parse(&format!("${}", ".a".repeat(33))),
            Err(JsonPathProblem::TooManySteps)
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in any::<String>(), name in "[^\\pC]*") {
            let _any_text = JsonPath::parse(&text);
            let path = JsonPath(vec![Step::Member(name), Step::Element(-3), Step::Every]);
            prop_assert_eq!(JsonPath::parse(&path.to_string()), Ok(path));
        }
    }
}
