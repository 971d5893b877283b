//! Patterns of ARNs: six parts between colons, compared part by part, so that a star
//! does not reach from one part into the next.

use crate::fact::Facts;
use crate::pattern::{Part, Pattern, Syntax, Taken, parts};
use crate::problem::Problem;

/// `arn:partition:service:region:account:resource`; the last part may hold colons.
const PARTS: usize = 6;

/// A pattern of ARNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    /// `*`.
    Any,
    /// One pattern for each part.
    Parts(Vec<Pattern>),
}

impl ArnPattern {
    pub(crate) fn parse(text: &str, variables: Taken) -> Result<Self, (Problem, Option<String>)> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut split: Vec<Vec<Part>> = vec![Vec::new()];
        for part in parts(text, Syntax { wildcards: Taken::AsMeant, variables })? {
            let Part::Literal(literal) = part else {
                push(&mut split, part);
                continue;
            };
            let mut rest = literal.as_str();
            while split.len() < PARTS
                && let Some((before, after)) = rest.split_once(':')
            {
                push(&mut split, Part::Literal(before.to_owned()));
                split.push(Vec::new());
                rest = after;
            }
            push(&mut split, Part::Literal(rest.to_owned()));
        }
        if split.len() < PARTS {
            let problem = Problem::BadValue { value: text.to_owned(), kind: "ARN" };
            let help = "an ARN is `arn:partition:service:region:account:resource`, and a `*` does not stand for a colon in it";
            return Err((problem, Some(help.to_owned())));
        }
        Ok(Self::Parts(split.into_iter().map(Pattern::of).collect()))
    }

    pub(crate) fn matches(&self, arn: &str, facts: &dyn Facts) -> bool {
        match self {
            Self::Any => true,
            Self::Parts(patterns) => {
                let mut parts = arn.splitn(PARTS, ':');
                patterns
                    .iter()
                    .all(|pattern| parts.next().is_some_and(|part| pattern.matches(part, facts)))
            }
        }
    }
}

fn push(split: &mut [Vec<Part>], part: Part) {
    if let Some(last) = split.last_mut()
        && part != Part::Literal(String::new())
    {
        last.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Fact;
    use crate::key::Key;

    struct Nothing;

    impl Facts for Nothing {
        fn fact(&self, _: &Key) -> Option<Fact<'_>> {
            None
        }
    }

    #[test]
    fn stars_stay_within_their_part() {
        let arn = "arn:aws:iam::111122223333:user/team:a/alice";
        for (pattern, expected) in [
            ("arn:aws:iam::111122223333:user/*", true),
            ("arn:*:iam:*:*:*alice", true),
            ("arn:aws:iam::*:user/team:?/alice", true),
            ("arn:aws:*:111122223333:user/team:a/alice", false),
            ("arn:aws:iam::1111222233334:*", false),
            ("*", true),
        ] {
            match ArnPattern::parse(pattern, Taken::AsMeant) {
                Ok(parsed) => assert_eq!(parsed.matches(arn, &Nothing), expected, "{pattern}"),
                Err(_) => assert!(!expected, "{pattern}"),
            }
        }
        assert!(ArnPattern::parse("arn:aws:*", Taken::AsMeant).is_err());
        let any = ArnPattern::parse("arn:*:*:*:*:*", Taken::AsMeant).unwrap();
        assert!(!any.matches("arn:aws:iam", &Nothing));
    }
}
