//! Whole-string patterns: `*` is any run of characters, `?` is any one, `${key}` is
//! what the request has under a condition key.

use std::borrow::Cow;

use crate::fact::Facts;
use crate::key::Key;
use crate::problem::Problem;

/// A text that may hold policy variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A pattern that may hold policy variables, whose values are taken as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    Fixed(Glob),
    Variable(Vec<Part>),
}

/// A piece of a template or a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    AnyOne,
    AnyRun,
    Variable { key: Key, default: Option<String> },
}

/// Which characters of a text are more than themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    pub(crate) wildcards: Taken,
    pub(crate) variables: Taken,
}

/// Whether something is read as the language has it, or is only a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    AsWritten,
    AsMeant,
}

type Malformed = (Problem, Option<String>);

impl Template {
    pub(crate) fn parse(text: &str, variables: Taken) -> Result<Self, Malformed> {
        let parts = parts(text, Syntax { wildcards: Taken::AsWritten, variables })?;
        Ok(Self { parts })
    }

    /// The text for a request; `None` where it lacks a variable.
    pub(crate) fn resolve(&self, facts: &dyn Facts) -> Option<Cow<'_, str>> {
        match self.parts.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [Part::Literal(text)] => Some(Cow::Borrowed(text)),
            parts => {
                let mut resolved = String::new();
                for part in parts {
                    resolved.push_str(&part.literal(facts)?);
                }
                Some(Cow::Owned(resolved))
            }
        }
    }
}

impl Pattern {
    pub(crate) fn parse(text: &str, variables: Taken) -> Result<Self, Malformed> {
        let parts = parts(text, Syntax { wildcards: Taken::AsMeant, variables })?;
        Ok(Self::of(parts))
    }

    /// The pattern of these parts.
    pub(crate) fn of(parts: Vec<Part>) -> Self {
        if parts.iter().any(|part| matches!(part, Part::Variable { .. })) {
            Self::Variable(parts)
        } else {
            Self::Fixed(Glob::of(parts))
        }
    }

    /// Whether the whole text matches. A variable that the request lacks matches nothing.
    pub(crate) fn matches(&self, text: &str, facts: &dyn Facts) -> bool {
        match self {
            Self::Fixed(glob) => glob.matches(text),
            Self::Variable(parts) => {
                let resolve = |part: &Part| match part {
                    Part::Variable { .. } => {
                        part.literal(facts).map(|text| Part::Literal(text.into_owned()))
                    }
                    part => Some(part.clone()),
                };
                let parts: Option<Vec<Part>> = parts.iter().map(resolve).collect();
                parts.is_some_and(|parts| Glob::of(parts).matches(text))
            }
        }
    }
}

impl Part {
    /// The text of a literal or a variable.
    fn literal<'a>(&'a self, facts: &'a dyn Facts) -> Option<Cow<'a, str>> {
        match self {
            Self::Literal(text) => Some(Cow::Borrowed(text)),
            Self::Variable { key, default } => {
                let value = facts.fact(key).and_then(|fact| fact.single());
                value.map(|value| value.text()).or_else(|| default.as_deref().map(Cow::Borrowed))
            }
            Self::AnyOne | Self::AnyRun => None,
        }
    }
}

/// Takes a text apart.
pub(crate) fn parts(text: &str, syntax: Syntax) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut taken = next.len_utf8();
        let part = match next {
            '*' if syntax.wildcards == Taken::AsMeant => Some(Part::AnyRun),
            '?' if syntax.wildcards == Taken::AsMeant => Some(Part::AnyOne),
            '$' if syntax.variables == Taken::AsMeant && rest.starts_with("${") => {
                let name = rest.get(2..).and_then(|after| after.split_once('}'));
                let Some((name, _)) = name else { return Err((Problem::OpenVariable, None)) };
                taken = name.len() + "${}".len();
                match name {
                    "*" | "?" | "$" => {
                        literal.push_str(name);
                        None
                    }
                    name => Some(variable(name)?),
                }
            }
            plain => {
                literal.push(plain);
                None
            }
        };
        if let Some(part) = part {
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// `key`, or `key, 'default'`.
fn variable(text: &str) -> Result<Part, Malformed> {
    let (name, default) = match text.split_once(',') {
        None => (text, None),
        Some((name, default)) => {
            let default = default.trim();
            let quoted = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            let Some(default) = quoted else {
                let problem = Problem::BadValue { value: default.to_owned(), kind: "default" };
                return Err((problem, Some("write it as `${key, 'default'}`".to_owned())));
            };
            (name, Some(default.to_owned()))
        }
    };
    Ok(Part::Variable { key: Key::parse(name.trim())?, default })
}

/// A pattern without variables: the stretches between its stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    first: Stretch,
    /// Those after the first star, in order.
    others: Vec<Stretch>,
}

/// A pattern without stars.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Stretch {
    atoms: Vec<Atom>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    Literal(String),
    AnyOne,
}

impl Glob {
    fn of(parts: Vec<Part>) -> Self {
        let mut stretches = vec![Stretch::default()];
        for part in parts {
            let atom = match part {
                Part::AnyRun => {
                    stretches.push(Stretch::default());
                    continue;
                }
                Part::AnyOne | Part::Variable { .. } => Atom::AnyOne,
                Part::Literal(text) => Atom::Literal(text),
            };
            if let Some(stretch) = stretches.last_mut() {
                stretch.push(atom);
            }
        }
        let mut stretches = stretches.into_iter();
        Self { first: stretches.next().unwrap_or_default(), others: stretches.collect() }
    }

    /// Whether the whole text matches.
    ///
    /// Each stretch is looked for once, from where the one before it ended: no later
    /// place could match where the earliest does not. So nothing is tried twice but
    /// stretches with a `?` in them, whose cost is their length times the text's.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(rest) = self.first.strip_from_start(text) else { return false };
        let Some((last, between)) = self.others.split_last() else { return rest.is_empty() };
        let Some(mut rest) = last.strip_from_end(rest) else { return false };
        for stretch in between {
            match stretch.find(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }
}

impl Stretch {
    fn push(&mut self, atom: Atom) {
        match (self.atoms.last_mut(), atom) {
            (Some(Atom::Literal(before)), Atom::Literal(text)) => before.push_str(&text),
            (_, atom) => self.atoms.push(atom),
        }
    }

    /// What follows the stretch at the beginning of a text.
    fn strip_from_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.atoms.iter().try_fold(text, |rest, atom| match atom {
            Atom::Literal(literal) => rest.strip_prefix(literal.as_str()),
            Atom::AnyOne => {
                let mut chars = rest.chars();
                chars.next().map(|_| chars.as_str())
            }
        })
    }

    /// What precedes the stretch at the end of a text.
    fn strip_from_end<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.atoms.iter().rev().try_fold(text, |rest, atom| match atom {
            Atom::Literal(literal) => rest.strip_suffix(literal.as_str()),
            Atom::AnyOne => {
                let mut chars = rest.chars();
                chars.next_back().map(|_| chars.as_str())
            }
        })
    }

    /// What follows the stretch's first place in a text.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self.atoms.as_slice() {
            [] => Some(text),
            // The standard library's search is linear.
            [Atom::Literal(literal)] => text.split_once(literal.as_str()).map(|(_, after)| after),
            _ => {
                let starts = text.char_indices().map(|(at, _)| at);
                starts.filter_map(|at| text.get(at..)).find_map(|rest| self.strip_from_start(rest))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fact::{Fact, Value};

    struct Nothing;

    impl Facts for Nothing {
        fn fact(&self, key: &Key) -> Option<Fact<'_>> {
            matches!(key, Key::Username).then_some(Fact::One(Value::Text("a*b")))
        }
    }

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern, Taken::AsMeant).unwrap().matches(text, &Nothing)
    }

    /// What a pattern means, said as briefly as can be.
    fn model(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', after)), _) => (0..=text.len()).any(|at| model(after, &text[at..])),
            (Some(('?', after)), Some((_, rest))) => model(after, rest),
            (Some((p, after)), Some((t, rest))) => p == t && model(after, rest),
            _ => false,
        }
    }

    #[test]
    fn stars_take_any_run_and_question_marks_one() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*/GET/*", "api/prod/GET/a/b", true),
            ("a*b*c", "a-b-b", false),
            ("a*a", "a", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn variables_are_taken_as_they_are_and_missing_ones_match_nothing() {
        assert!(matches("x/${aws:username}/*", "x/a*b/y"));
        assert!(!matches("x/${aws:username}/*", "x/aab/y"));
        assert!(!matches("${aws:userid}*", "anything"));
        assert!(matches("${aws:userid, 'all'}*", "all of it"));
        assert!(matches("${*}${?}${$}", "*?$"));
        assert!(!matches("${*}", "a"));
        assert!(matches("$x{", "$x{"));
        let literal = Pattern::parse("${aws:username}", Taken::AsWritten).unwrap();
        assert!(literal.matches("${aws:username}", &Nothing));
        assert!(Pattern::parse("${aws:username", Taken::AsMeant).is_err());
        assert!(Pattern::parse("${aws:usrname}", Taken::AsMeant).is_err());
        assert!(Pattern::parse("${aws:userid, all}", Taken::AsMeant).is_err());
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = format!("{}b", "*a".repeat(1000));
        let text = "a".repeat(8000);
        let started = std::time::Instant::now();
        assert!(!matches(&pattern, &text));
        // It would not end at all.
        assert!(started.elapsed() < std::time::Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn patterns_mean_what_they_say(pattern in "[ab?*é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), model(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn any_text_is_a_pattern_or_a_problem(pattern in any::<String>(), text in any::<String>()) {
            if let Ok(pattern) = Pattern::parse(&pattern, Taken::AsMeant) {
                pattern.matches(&text, &Nothing);
            }
        }
    }
}
