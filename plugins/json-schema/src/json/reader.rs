//! From bytes to a [`Body`].

use std::borrow::Cow;

use super::{Body, FEW, Inside, Kind, Limits, Number, Refusal, Value};
use crate::pointer::{below, shown};

/// Bytes of text for each value, about, and the most values that this is taken to mean.
const BYTES_PER_VALUE: usize = 12;
const FORESEEN: usize = 4096;

/// Reads one value and nothing after it.
pub(crate) fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Body<'a>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("is not UTF-8 from byte {} on", error.valid_up_to());
        Refusal { pointer: String::new(), message }
    })?;
    let foreseen = (bytes.len() / BYTES_PER_VALUE + 1).min(FORESEEN);
    let body = Body { values: Vec::with_capacity(foreseen), by_name: Vec::new() };
    let mut reader =
        Reader { text, at: 0, values: limits.values, limits, body, members: Vec::new() };
    let root = reader.begin(Cow::Borrowed(""));
    reader.value(root, limits.depth).map_err(|fault| fault.finish())?;
    reader.blank();
    if reader.peek().is_some() {
        return Err(reader.fault("is followed by something else").finish());
    }
    Ok(reader.body)
}

struct Reader<'a, 'l> {
    text: &'a str,
    at: usize,
    /// How many more values may come.
    values: usize,
    limits: &'l Limits,
    body: Body<'a>,
    /// Places of the members of the objects that are open.
    members: Vec<usize>,
}

/// A refusal whose pointer grows from its end as the reader leaves what it was in.
struct Fault {
    steps: Vec<String>,
    message: String,
}

impl Fault {
    fn within(mut self: Box<Self>, step: impl Into<String>) -> Box<Self> {
        self.steps.push(step.into());
        self
    }

    fn finish(self) -> Refusal {
        let steps = self.steps.iter().rev();
        let pointer = steps.fold(String::new(), |pointer, step| below(&pointer, step));
        Refusal { pointer: shown(pointer), message: self.message }
    }
}

/// Boxed, for hardly anything fails and every answer would be as large.
type Outcome<T> = Result<T, Box<Fault>>;

impl<'a> Reader<'a, '_> {
    /// Makes a place for a value whose name is known.
    fn begin(&mut self, name: Cow<'a, str>) -> usize {
        self.body.values.push(Value { name, kind: Kind::Null });
        self.body.values.len() - 1
    }

    fn name_at(&self, place: usize) -> &str {
        self.body.values.get(place).map_or("", |value| value.name.as_ref())
    }

    /// Reads a value into its place.
    fn value(&mut self, place: usize, depth: usize) -> Outcome<()> {
        self.blank();
        let Some(values) = self.values.checked_sub(1) else {
            return Err(limit(format!("holds more than {} values", self.limits.values)));
        };
        self.values = values;
        let kind = match self.peek() {
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            Some(b'{') => self.object(self.deeper(depth)?)?,
            Some(b'[') => self.list(self.deeper(depth)?)?,
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(_) => return Err(self.fault("is no JSON: a value is expected")),
            None => return Err(self.fault("is no JSON: it ends where a value is expected")),
        };
        if let Some(value) = self.body.values.get_mut(place) {
            value.kind = kind;
        }
        Ok(())
    }

    fn deeper(&self, depth: usize) -> Outcome<usize> {
        depth
            .checked_sub(1)
            .ok_or_else(|| limit(format!("is nested deeper than {} levels", self.limits.depth)))
    }

    fn object(&mut self, depth: usize) -> Outcome<Kind<'a>> {
        self.at += 1;
        let (first, outer) = (self.body.values.len(), self.members.len());
        self.blank();
        if self.take(b'}') {
            return Ok(Kind::Object(self.inside(first, 0)));
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
            let place = self.begin(name);
            self.members.push(place);
            if let Err(fault) = self.value(place, depth) {
                return Err(fault.within(self.name_at(place)));
            }
            self.blank();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.fault("is no JSON: `,` or `}` is expected"));
            }
        }
        self.close(first, outer).map(Kind::Object)
    }

    /// Ends an object whose members are those after `outer`, unless a name is there twice.
    fn close(&mut self, first: usize, outer: usize) -> Outcome<Inside> {
        let values = &self.body.values;
        let name = |place: &usize| values.get(*place).map_or("", |value| value.name.as_ref());
        let members = self.members.get_mut(outer..).unwrap_or_default();
        let inside = Inside {
            first,
            end: values.len(),
            count: members.len(),
            by_name: self.body.by_name.len(),
        };
        let twice = if members.len() <= FEW {
            let mut rest = &*members;
            loop {
                let Some((one, later)) = rest.split_first() else { break None };
                let one = name(one);
                if later.iter().any(|other| name(other) == one) {
                    break Some(one);
                }
                rest = later;
            }
        } else {
            members.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            self.body.by_name.extend_from_slice(members);
            let mut pairs = members.windows(2);
            pairs.find_map(|pair| match pair {
                [a, b] if name(a) == name(b) => Some(name(a)),
                _ => None,
            })
        };
        if let Some(name) = twice {
            return Err(limit("is written twice".to_owned()).within(name));
        }
        self.members.truncate(outer);
        Ok(inside)
    }

    fn list(&mut self, depth: usize) -> Outcome<Kind<'a>> {
        self.at += 1;
        let first = self.body.values.len();
        self.blank();
        if self.take(b']') {
            return Ok(Kind::List(self.inside(first, 0)));
        }
        for count in 0.. {
            let place = self.begin(Cow::Borrowed(""));
            if let Err(fault) = self.value(place, depth) {
                return Err(fault.within(count.to_string()));
            }
            self.blank();
            if self.take(b']') {
                return Ok(Kind::List(self.inside(first, count + 1)));
            }
            if !self.take(b',') {
                break;
            }
        }
        Err(self.fault("is no JSON: `,` or `]` is expected"))
    }

    /// What begins at this place and ends here.
    fn inside(&self, first: usize, count: usize) -> Inside {
        Inside { first, end: self.body.values.len(), count, by_name: 0 }
    }

    /// A text, from its first quote on.
    fn string(&mut self) -> Outcome<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut from = start;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += plain(rest);
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
    fn escape(&mut self) -> Outcome<char> {
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

    fn unicode(&mut self) -> Outcome<char> {
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

    fn hex(&mut self) -> Outcome<u32> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.fault("is no JSON: `\\u` takes four hexadecimal digits"))
    }

    fn number(&mut self) -> Outcome<Number<'a>> {
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
        Ok(Number { text, is_whole: whole })
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        count
    }

    fn word(&mut self, word: &str, kind: Kind<'a>) -> Outcome<Kind<'a>> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.fault("is no JSON: a value is expected"));
        }
        self.at += word.len();
        Ok(kind)
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

    #[cold]
    fn fault(&self, message: &str) -> Box<Fault> {
        limit(format!("{message} (byte {})", self.at.min(self.text.len())))
    }
}

#[cold]
fn limit(message: String) -> Box<Fault> {
    Box::new(Fault { steps: Vec::new(), message })
}

/// How many bytes come before one that a text cannot hold as it is: eight are looked at
/// at once, as of each the lowest mark is right.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*eight);
        // Marks bytes less than `than`; those above the first one may be marked wrongly.
        let less = |word: u64, than: u64| word.wrapping_sub(than * ONES) & !word;
        let quote = less(word ^ (u64::from(b'"') * ONES), 1);
        let backslash = less(word ^ (u64::from(b'\\') * ONES), 1);
        let marks = (less(word, 0x20) | quote | backslash) & HIGH;
        if marks != 0 {
            let clear = usize::try_from(marks.trailing_zeros() / 8).unwrap_or_default();
            return bytes.len() - rest.len() + clear;
        }
        rest = after;
    }
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    bytes.len() - rest.len() + stop.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_byte_that_a_text_cannot_hold() {
        for length in 0..20 {
            let run = "é~\u{7f} !#[]0azä".repeat(2).into_bytes();
            let run = &run[..length];
            assert_eq!(plain(run), length);
            for stop in [b'"', b'\\', 0, b'\n', 0x1f] {
                for after in [&b""[..], b"\"", b"\\aaaaaaaaaa", b"aaaaaaaaaa", b"\0\xff"] {
                    let bytes = [run, &[stop], after].concat();
                    assert_eq!(plain(&bytes), length, "{bytes:?}");
                }
            }
        }
    }
}
