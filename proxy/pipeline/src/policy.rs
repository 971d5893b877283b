//! Policy statements: an explicit deny wins, and what nothing allows is denied.

use crate::plugins::{Statement, StatementEffect};

/// Whether the statements let this request go on; no statement restricts nothing.
pub(crate) fn allows(statements: &[Statement], method: &str, path: &str) -> bool {
    if statements.is_empty() {
        return true;
    }
    let applies = |statement: &&Statement| {
        statement.methods.iter().any(|m| m == "*" || m == method)
            && statement.paths.iter().any(|pattern| matches(pattern.as_bytes(), path.as_bytes()))
    };
    let mut matching = statements.iter().filter(applies).peekable();
    matching.peek().is_some()
        && matching.all(|statement| statement.effect == StatementEffect::Allow)
}

/// Matches `*` (any run) and `?` (any one) in time linear in pattern × text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&b) if b == b'?' || b == byte => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(effect: StatementEffect, method: &str, path: &str) -> Statement {
        Statement { effect, methods: vec![method.into()], paths: vec![path.into()] }
    }

    #[test]
    fn an_explicit_deny_wins() {
        let policy = [
            statement(StatementEffect::Allow, "*", "*"),
            statement(StatementEffect::Deny, "DELETE", "/orders/*"),
        ];

        assert!(allows(&policy, "GET", "/orders/1"));
        assert!(!allows(&policy, "DELETE", "/orders/1"));
    }

    #[test]
    fn what_nothing_allows_is_denied() {
        let policy = [statement(StatementEffect::Allow, "GET", "/a?c*")];

        assert!(allows(&policy, "GET", "/abcd"));
        assert!(!allows(&policy, "GET", "/b"));
        assert!(!allows(&policy, "POST", "/abc"));
        assert!(allows(&[], "POST", "/abc"));
    }
}
