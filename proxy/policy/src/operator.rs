//! The names of condition operators.

use crate::condition::{Comparison, Quantifier, Sense};
use crate::problem::Problem;
use crate::suggest;

/// An operator as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) kind: Kind,
    pub(crate) sense: Sense,
    pub(crate) quantifier: Quantifier,
    pub(crate) if_exists: bool,
}

/// What an operator compares, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    TextFolded,
    TextLike,
    Number(Comparison),
    Date(Comparison),
    Bool,
    Address,
    Arn,
    Null,
}

const NAMED: &[(&str, Kind, Sense)] = &[
    ("StringEquals", Kind::Text, Sense::Is),
    ("StringNotEquals", Kind::Text, Sense::IsNot),
    ("StringEqualsIgnoreCase", Kind::TextFolded, Sense::Is),
    ("StringNotEqualsIgnoreCase", Kind::TextFolded, Sense::IsNot),
    ("StringLike", Kind::TextLike, Sense::Is),
    ("StringNotLike", Kind::TextLike, Sense::IsNot),
    ("NumericEquals", Kind::Number(Comparison::Equal), Sense::Is),
    ("NumericNotEquals", Kind::Number(Comparison::Equal), Sense::IsNot),
    ("NumericLessThan", Kind::Number(Comparison::Less), Sense::Is),
    ("NumericLessThanEquals", Kind::Number(Comparison::AtMost), Sense::Is),
    ("NumericGreaterThan", Kind::Number(Comparison::Greater), Sense::Is),
    ("NumericGreaterThanEquals", Kind::Number(Comparison::AtLeast), Sense::Is),
    ("DateEquals", Kind::Date(Comparison::Equal), Sense::Is),
    ("DateNotEquals", Kind::Date(Comparison::Equal), Sense::IsNot),
    ("DateLessThan", Kind::Date(Comparison::Less), Sense::Is),
    ("DateLessThanEquals", Kind::Date(Comparison::AtMost), Sense::Is),
    ("DateGreaterThan", Kind::Date(Comparison::Greater), Sense::Is),
    ("DateGreaterThanEquals", Kind::Date(Comparison::AtLeast), Sense::Is),
    ("Bool", Kind::Bool, Sense::Is),
    ("IpAddress", Kind::Address, Sense::Is),
    ("NotIpAddress", Kind::Address, Sense::IsNot),
    ("ArnEquals", Kind::Arn, Sense::Is),
    ("ArnNotEquals", Kind::Arn, Sense::IsNot),
    ("ArnLike", Kind::Arn, Sense::Is),
    ("ArnNotLike", Kind::Arn, Sense::IsNot),
    ("Null", Kind::Null, Sense::Is),
];

impl Operator {
    /// The operator of this name, which has no case.
    pub(crate) fn parse(name: &str) -> Result<Self, (Problem, Option<String>)> {
        let (quantifier, rest) = match name.split_once(':') {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("ForAnyValue") => {
                (Quantifier::Any, rest)
            }
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("ForAllValues") => {
                (Quantifier::All, rest)
            }
            _ => (Quantifier::Plain, name),
        };
        let (base, if_exists) = match without_suffix(rest, "IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let found = NAMED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(base));
        match found {
            Some((_, Kind::Null, _)) if if_exists || quantifier != Quantifier::Plain => {
                let help = "`Null` asks whether a key is there, and takes nothing around it";
                Err((Problem::UnknownOperator(name.to_owned()), Some(help.to_owned())))
            }
            Some((_, kind, sense)) => {
                Ok(Self { kind: *kind, sense: *sense, quantifier, if_exists })
            }
            None => Err((Problem::UnknownOperator(name.to_owned()), Some(help(name, base)))),
        }
    }
}

/// The name that was meant, in the place of the one that was written.
fn help(name: &str, base: &str) -> String {
    let known: Vec<&str> = NAMED.iter().map(|(name, ..)| *name).collect();
    match suggest::nearest(base, known.iter().copied()) {
        Some(near) => format!("did you mean `{}`?", name.replacen(base, near, 1)),
        None if name.contains(':') => {
            "only `ForAnyValue:` and `ForAllValues:` stand before an operator".to_owned()
        }
        None => suggest::word(base, &known),
    }
}

fn without_suffix<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (base, end) = text.split_at_checked(at)?;
    end.eq_ignore_ascii_case(suffix).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let operator = Operator::parse("ForAllValues:StringNotLikeIfExists").unwrap();
        assert_eq!((operator.kind, operator.sense), (Kind::TextLike, Sense::IsNot));
        assert_eq!((operator.quantifier, operator.if_exists), (Quantifier::All, true));
        assert_eq!(Operator::parse("bool").unwrap().kind, Kind::Bool);
    }

    #[test]
    fn misspelt_names_are_mended() {
        let help = |name| Operator::parse(name).unwrap_err().1.unwrap();
        assert_eq!(help("StringEqual"), "did you mean `StringEquals`?");
        assert_eq!(
            help("ForAnyValue:StringLikesIfExists"),
            "did you mean `ForAnyValue:StringLikeIfExists`?"
        );
        assert!(help("NullIfExists").starts_with("`Null` asks"));
        assert!(help("ForSome:Weather").starts_with("only `ForAnyValue:`"));
        assert!(help("").starts_with("known: `StringEquals`"));
    }
}
