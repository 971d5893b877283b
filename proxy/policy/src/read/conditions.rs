//! `Condition`: operators, their keys, and the values each compares with.

use super::{Reader, many};
use crate::arn::ArnPattern;
use crate::condition::{Condition, Number, Quantifier, Sense, Test, parse_bool, parse_network};
use crate::json::{Json, Member, Node};
use crate::key::Key;
use crate::operator::{Kind, Operator};
use crate::pattern::{Pattern, Template};
use crate::problem::Problem;
use crate::time;

impl Reader<'_> {
    /// Every condition, each of which must hold.
    pub(super) fn conditions(&mut self, node: &Node) -> Option<Vec<Condition>> {
        let mut conditions = Vec::new();
        for member in self.object(node)? {
            let operator = Operator::parse(&member.name);
            let operator =
                operator.map_err(|(problem, help)| self.notes.add(&member.place, problem, help));
            let Some(keys) = self.object(&member.node) else { continue };
            if keys.is_empty() {
                self.note(&member.node.place, Problem::Empty("this operator"));
            }
            if let Ok(operator) = operator {
                conditions.extend(keys.iter().filter_map(|key| self.condition(operator, key)));
            }
        }
        Some(conditions)
    }

    fn condition(&mut self, operator: Operator, member: &Member) -> Option<Condition> {
        let key = Key::parse(&member.name);
        let key = key.map_err(|(problem, help)| self.notes.add(&member.place, problem, help));
        let nodes = many(&member.node);
        if nodes.is_empty() {
            self.note(&member.node.place, Problem::Empty("this list"));
        }
        let test = self.test(operator.kind, nodes);
        let without = operator.if_exists
            || match operator.quantifier {
                Quantifier::Plain => operator.sense == Sense::IsNot,
                Quantifier::Any => false,
                Quantifier::All => true,
            };
        let Operator { quantifier, sense, .. } = operator;
        Some(Condition { key: key.ok()?, quantifier, sense, without, test })
    }

    fn test(&mut self, kind: Kind, nodes: &[Node]) -> Test {
        let variables = self.variables;
        let template = |text: &str| Template::parse(text, variables);
        let bool =
            |text: &str| parse_bool(text).ok_or_else(|| bad(text, "boolean", "`true` or `false`"));
        match kind {
            Kind::Text => Test::Text(self.values(nodes, template)),
            Kind::TextFolded => Test::TextFolded(self.values(nodes, template)),
            Kind::TextLike => {
                Test::TextLike(self.values(nodes, |text| Pattern::parse(text, variables)))
            }
            Kind::Number(comparison) => {
                let number = |text: &str| {
                    Number::parse(text).ok_or_else(|| bad(text, "number", "`1` or `0.5`"))
                };
                Test::Number(comparison, self.values(nodes, number))
            }
            Kind::Date(comparison) => {
                let example = "`2026-01-31T12:00:00Z`, `2026-01-31` or seconds since 1970";
                let date = |text: &str| time::parse(text).ok_or_else(|| bad(text, "date", example));
                Test::Date(comparison, self.values(nodes, date))
            }
            Kind::Bool => Test::Bool(self.values(nodes, bool)),
            Kind::Null => Test::Null(self.values(nodes, bool)),
            Kind::Address => {
                let network = |text: &str| {
                    parse_network(text).ok_or_else(|| {
                        bad(text, "network", "`10.0.0.0/8`, `10.0.0.1` or `2001:db8::/32`")
                    })
                };
                Test::Address(self.values(nodes, network))
            }
            Kind::Arn => Test::Arn(self.values(nodes, |text| ArnPattern::parse(text, variables))),
        }
    }

    fn values<T>(
        &mut self,
        nodes: &[Node],
        parse: impl Fn(&str) -> Result<T, (Problem, Option<String>)>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for node in nodes {
            let parsed = match &node.value {
                Json::Text(text) | Json::Number(text) => parse(text),
                Json::Bool(true) => parse("true"),
                Json::Bool(false) => parse("false"),
                Json::Null | Json::List(_) | Json::Object(_) => {
                    Err((Problem::Expected { expected: "a string, a number or a boolean" }, None))
                }
            };
            values.extend(self.kept(node, parsed));
        }
        values
    }
}

fn bad(value: &str, kind: &'static str, example: &str) -> (Problem, Option<String>) {
    let problem = Problem::BadValue { value: value.to_owned(), kind };
    (problem, Some(format!("write it as {example}")))
}
