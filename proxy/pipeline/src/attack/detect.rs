//! Asks libinjection about one value, within bounds.
//!
//! Its tokenizer starts every token of a word by looking for the word's end, so a long word of
//! many tokens (`or.or.or…`) takes time by the square of its length: words are shortened before
//! it sees them. What is left is linear, but some inputs cost a look into its dictionary for
//! each byte: what a request may cost is counted in such looks.

use std::borrow::Cow;

use libinjectionrs::xss::Html5Flags;
use libinjectionrs::{SqliFlags, SqliState, XssDetector};
use portcullis_config::Attack;

use super::contain::contain;

/// Why a value is not let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// It looks like an attack.
    #[error("{}", name(*.0))]
    Attack(Attack),
    /// There is more of it, and of values before it, than is looked at.
    #[error("more than is looked at")]
    TooMuch,
    /// It is encoded in a way that is not undone.
    #[error("what cannot be read")]
    Unreadable,
    /// The detector failed.
    #[error("what the detector fails at")]
    Fault,
}

fn name(kind: Attack) -> &'static str {
    match kind {
        Attack::SqlInjection => "SQL injection",
        Attack::CrossSiteScripting => "cross-site scripting",
    }
}

/// What looking at a request may still cost; a unit is about a token of SQL, or 16 bytes of
/// HTML, and takes less than a microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work(u64);

impl Work {
    /// What a rule may cost that looks at so many bytes of bodies: half a unit for each, which
    /// is several times what texts need.
    pub(super) fn most(body: Option<u64>) -> Self {
        const LEAST: u64 = 16 * 1024;
        Self(LEAST.max(body.unwrap_or_default() / 2))
    }

    fn spend(&mut self, units: usize) {
        self.0 = self.0.saturating_sub(u64::try_from(units).unwrap_or(u64::MAX));
    }

    /// Units that are left; never none.
    fn left(self) -> Result<usize, Suspicion> {
        match usize::try_from(self.0).unwrap_or(usize::MAX) {
            0 => Err(Suspicion::TooMuch),
            units => Ok(units),
        }
    }
}

/// Whether a value may pass. A detector that panics has not let it pass.
pub(super) fn detect(kind: Attack, value: &[u8], work: &mut Work) -> Result<(), Suspicion> {
    let detected = contain(|| match kind {
        Attack::SqlInjection => sql(value, work),
        Attack::CrossSiteScripting => html(value, work),
    });
    detected.unwrap_or(Err(Suspicion::Fault))
}

/// Reads a value as SQL, also as what follows a quote where it has one: the passes and their
/// order are those of libinjection's own `libinjection_is_sqli`.
fn sql(value: &[u8], work: &mut Work) -> Result<(), Suspicion> {
    let value = shortened(value);
    let contexts = [
        (SqliFlags::FLAG_QUOTE_NONE, true),
        (SqliFlags::FLAG_QUOTE_SINGLE, value.contains(&b'\'')),
    ];
    for (quote, _) in contexts.into_iter().filter(|(_, is_there)| *is_there) {
        let comments = pass(&value, quote | SqliFlags::FLAG_SQL_ANSI, work)?;
        if comments == Comments::AsMysql {
            pass(&value, quote | SqliFlags::FLAG_SQL_MYSQL, work)?;
        }
    }
    if value.contains(&b'"') {
        pass(&value, SqliFlags::FLAG_QUOTE_DOUBLE | SqliFlags::FLAG_SQL_MYSQL, work)?;
    }
    Ok(())
}

/// Whether a text has comments that MySQL reads otherwise.
#[derive(Debug, PartialEq, Eq)]
enum Comments {
    AsMysql,
    AsAll,
}

fn pass(value: &[u8], flags: SqliFlags, work: &mut Work) -> Result<Comments, Suspicion> {
    /// What a pass costs without any token.
    const PASS: usize = 2;
    let looked_at = beginning(value, work.left()?);
    let mut state = SqliState::new(looked_at, flags);
    let is_attack = state.is_sqli();
    work.spend(state.stats_tokens.saturating_add(PASS));
    if is_attack {
        return Err(Suspicion::Attack(Attack::SqlInjection));
    }
    // A fingerprint is whole once it has five tokens: what follows them changes nothing.
    let is_whole = state.fingerprint.iter().take_while(|token| **token != 0).count() >= 5;
    if looked_at.len() < value.len() && !is_whole {
        return Err(Suspicion::TooMuch);
    }
    Ok(match (state.stats_comment_ddx, state.stats_comment_hash) {
        (0, 0) => Comments::AsAll,
        _ => Comments::AsMysql,
    })
}

/// As much of a value as has no more tokens than these.
fn beginning(value: &[u8], most: usize) -> &[u8] {
    if value.len() <= most {
        return value;
    }
    let mut tokens = 0;
    let mut before = Class::Other;
    let end = value.iter().position(|byte| {
        let class = Class::of(*byte);
        tokens += usize::from(class == Class::Other || class != before);
        before = class;
        tokens > most
    });
    end.and_then(|end| value.get(..end)).unwrap_or(value)
}

/// Bytes of which several in a row are no more than one token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Digit,
    Letter,
    Space,
    Other,
}

impl Class {
    fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::Digit,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80.. => Self::Letter,
            0..=b' ' => Self::Space,
            _ => Self::Other,
        }
    }
}

/// A text in which words longer than any keyword have lost their middle.
fn shortened(value: &[u8]) -> Cow<'_, [u8]> {
    /// Bytes of a long word that are kept at either end. No keyword has more.
    const KEPT: usize = 32;
    let words = || value.split_inclusive(|byte| ends_word(*byte));
    if words().all(|word| word.len() <= 2 * KEPT) {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    for word in words() {
        let ends = word.split_at_checked(KEPT).zip(word.len().checked_sub(KEPT));
        match ends.and_then(|((head, _), at)| Some((head, word.get(at..)?))) {
            Some((head, tail)) if word.len() > 2 * KEPT => {
                text.extend_from_slice(head);
                text.extend_from_slice(tail);
            }
            Some(_) | None => text.extend_from_slice(word),
        }
    }
    Cow::Owned(text)
}

/// Whether libinjection ends a word here.
fn ends_word(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'['
            | b']'
            | b'{'
            | b'}'
            | b'<'
            | b'>'
            | b':'
            | b'\\'
            | b'?'
            | b'='
            | b'@'
            | b'!'
            | b'#'
            | b'~'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'&'
            | b'|'
            | b'^'
            | b'%'
            | b'('
            | b')'
            | b'\''
            | b'"'
            | b','
            | b';'
            | b'\t'..=b'\r' | 0xa0 | 0
    )
}

/// Reads a value as HTML, also as what stands in an attribute.
fn html(value: &[u8], work: &mut Work) -> Result<(), Suspicion> {
    let has = |byte: u8| value.contains(&byte);
    let contexts = [
        (Html5Flags::DataState, has(b'<')),
        (Html5Flags::ValueNoQuote, has(b'<') || has(b'=')),
        (Html5Flags::ValueSingleQuote, has(b'\'')),
        (Html5Flags::ValueDoubleQuote, has(b'"')),
        (Html5Flags::ValueBackQuote, has(b'`')),
    ];
    // Neither a tag nor an attribute with a value.
    if !has(b'<') && !has(b'=') {
        return Ok(());
    }
    // libinjection takes the byte 0xff for the end; browsers do not.
    let text = String::from_utf8_lossy(value);
    for (context, _) in contexts.into_iter().filter(|(_, is_there)| *is_there) {
        let units = text.len() / 16 + 1;
        if units > work.left()? {
            return Err(Suspicion::TooMuch);
        }
        work.spend(units);
        if XssDetector::is_xss(text.as_bytes(), context) {
            return Err(Suspicion::Attack(Attack::CrossSiteScripting));
        }
    }
    Ok(())
}
