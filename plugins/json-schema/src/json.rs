//! JSON bodies of strangers, read strictly, within limits and mostly without copying.
//!
//! What two readers could take differently is refused: a name twice in an object, text
//! that is no UTF-8, half a surrogate pair, a number that no double holds. Numbers keep
//! their text.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::pointer::below;

/// Members up to which an object is searched from its beginning.
const FEW: usize = 8;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The members of an object, no name twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object<'a> {
    /// In the order written where there are few, by name where there are many.
    members: Vec<Member<'a>>,
}

/// A member's name and value.
pub(crate) type Member<'a> = (Cow<'a, str>, Json<'a>);

/// Bounds on bodies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Bytes of a body; a longer one is refused with 413.
    pub(crate) size: u64,
    /// Objects and lists within one another, the outermost included.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) depth: usize,
    /// Values in a body: members, items, and what holds them.
    pub(crate) values: usize,
    /// Bytes of one text or name, as written.
    pub(crate) text: usize,
    /// Bytes of one number, as written.
    #[schemars(range(max = 1024))]
    pub(crate) number: usize,
    /// Violations that the client is told of at once.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) violations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 1 << 20,
            depth: 64,
            values: 100_000,
            text: 1 << 20,
            number: 64,
            violations: 20,
        }
    }
}

/// Why a text is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// JSON Pointer (RFC 6901) to the value at fault.
    pub(crate) pointer: String,
    pub(crate) message: String,
}

impl<'a> Object<'a> {
    /// A member by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let found = if self.members.len() <= FEW {
            self.members.iter().find(|(other, _)| other == name)
        } else {
            let at = self.members.binary_search_by(|(other, _)| other.as_ref().cmp(name)).ok()?;
            self.members.get(at)
        };
        found.map(|(_, value)| value)
    }

    /// All members.
    pub(crate) fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// Takes members as read; a name that is there twice is given back.
    fn of(mut members: Vec<Member<'a>>) -> Result<Self, String> {
        let twice = if members.len() <= FEW {
            let mut rest = members.as_slice();
            loop {
                let Some(((name, _), later)) = rest.split_first() else { break None };
                if later.iter().any(|(other, _)| other == name) {
                    break Some(name);
                }
                rest = later;
            }
        } else {
            members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let mut pairs = members.windows(2);
            pairs.find_map(|pair| match pair {
                [(a, _), (b, _)] if a == b => Some(a),
                _ => None,
            })
        };
        match twice.map(|name| name.clone().into_owned()) {
            Some(name) => Err(name),
            None => Ok(Self { members }),
        }
    }
}

/// Reads one value and nothing after it.
pub(crate) fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Json<'a>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("is not UTF-8 from byte {} on", error.valid_up_to());
        Refusal { pointer: String::new(), message }
    })?;
    let mut reader = Reader { text, at: 0, values: limits.values, limits };
    let value = reader.value(limits.depth).map_err(Fault::finish)?;
    reader.blank();
    if reader.peek().is_some() {
        return Err(reader.fault("is followed by something else").finish());
    }
    Ok(value)
}

struct Reader<'a, 'l> {
    text: &'a str,
    at: usize,
    /// How many more values may come.
    values: usize,
    limits: &'l Limits,
}

/// A refusal whose pointer grows from its end as the reader leaves what it was in.
struct Fault {
    steps: Vec<String>,
    message: String,
}

impl Fault {
    fn within(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }

    fn finish(self) -> Refusal {
        let steps = self.steps.iter().rev();
        let pointer = steps.fold(String::new(), |pointer, step| below(&pointer, step));
        Refusal { pointer, message: self.message }
    }
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, depth: usize) -> Result<Json<'a>, Fault> {
        self.blank();
        let Some(values) = self.values.checked_sub(1) else {
            return Err(limit(format!("holds more than {} values", self.limits.values)));
        };
        self.values = values;
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.list(self.deeper(depth)?),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.fault("is no JSON: a value is expected")),
            None => Err(self.fault("is no JSON: it ends where a value is expected")),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        depth
            .checked_sub(1)
            .ok_or_else(|| limit(format!("is nested deeper than {} levels", self.limits.depth)))
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, Fault> {
        self.at += 1;
        let mut members: Vec<Member<'a>> = Vec::new();
        self.blank();
        if self.take(b'}') {
            return Ok(Json::Object(Object { members }));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.fault("is no JSON: a name is expected"));
            }
            let name = self.string()?;
            self.blank();
            if !self.take(b':') {
                return Err(self.fault("is no JSON: `:` is expected").within(name));
            }
            match self.value(depth) {
                Ok(value) => members.push((name, value)),
                Err(fault) => return Err(fault.within(name)),
            }
            self.blank();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.fault("is no JSON: `,` or `}` is expected"));
            }
        }
        let object = Object::of(members);
        object.map(Json::Object).map_err(|name| limit("is written twice".to_owned()).within(name))
    }

    fn list(&mut self, depth: usize) -> Result<Json<'a>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            match self.value(depth) {
                Ok(item) => items.push(item),
                Err(fault) => return Err(fault.within(items.len().to_string())),
            }
            self.blank();
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            if !self.take(b',') {
                return Err(self.fault("is no JSON: `,` or `]` is expected"));
            }
        }
    }

    /// A text, from its first quote on.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut from = start;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
            self.at += plain.unwrap_or(rest.len());
            if self.at - start > self.limits.text {
                return Err(limit(format!("has a text of more than {} bytes", self.limits.text)));
            }
            let piece = self.text.get(from..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(piece),
                        Some(text) => Cow::Owned(text + piece),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(piece);
                    let escaped = self.escape()?;
                    owned.get_or_insert_default().push(escaped);
                    from = self.at;
                }
                Some(_) => return Err(self.fault("is no JSON: a text holds a control character")),
                None => return Err(self.fault("is no JSON: it ends within a text")),
            }
        }
    }

    /// What a backslash and what follows it stand for.
    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.fault("is no JSON: no such escape")),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(self.fault("holds half a surrogate pair"));
                }
                match self.hex()? {
                    second @ 0xdc00..=0xdfff => {
                        0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return Err(self.fault("holds half a surrogate pair")),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| self.fault("holds half a surrogate pair"))
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.fault("is no JSON: `\\u` takes four hexadecimal digits"))
    }

    fn number(&mut self) -> Result<Json<'a>, Fault> {
        let start = self.at;
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        let mut whole = true;
        if digits == 0 || leading_zero && digits > 1 {
            return Err(self.fault("is no JSON: a number is written so"));
        }
        if self.take(b'.') {
            whole = false;
            if self.digits() == 0 {
                return Err(self.fault("is no JSON: digits are expected after `.`"));
            }
        }
        if self.take(b'e') || self.take(b'E') {
            whole = false;
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(self.fault("is no JSON: digits are expected in an exponent"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text.len() > self.limits.number {
            return Err(limit(format!("is a number of more than {} bytes", self.limits.number)));
        }
        // A whole number of fewer digits is finite without a look.
        let is_finite = whole && text.len() < 300 || text.parse().is_ok_and(f64::is_finite);
        if !is_finite {
            return Err(limit("is a number too large to be held".to_owned()));
        }
        Ok(Json::Number(text))
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        count
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.fault("is no JSON: a value is expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn fault(&self, message: &str) -> Fault {
        limit(format!("{message} (byte {})", self.at.min(self.text.len())))
    }
}

fn limit(message: String) -> Fault {
    Fault { steps: Vec::new(), message }
}
