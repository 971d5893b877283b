//! JSON bodies of strangers, read strictly, within limits and mostly without copying.
//!
//! What two readers could take differently is refused: a name twice in an object, text
//! that is no UTF-8, half a surrogate pair, a number that no double holds. Numbers keep
//! their text.
//!
//! A body is one list of values in the order written, each container before what is in
//! it, so that reading one asks for memory a few times, however many values it holds:
//!
//! ```text
//! {"a": [1, 2], "b": 3}   ─▶   object of 4 ┊ a: list of 2 ┊ 1 ┊ 2 ┊ b: 3
//! ```

mod reader;

use std::borrow::Cow;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use reader::parse;

/// Members up to which an object is searched from its beginning.
const FEW: usize = 8;

/// What a body of no value, or a value of no body, is part of.
static NOTHING: Body<'static> = Body { values: Vec::new(), by_name: Vec::new() };

/// A body as read. The first value holds all others.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    /// In the order written.
    values: Vec<Value<'a>>,
    /// Places of members among the values: of each object that has many, by name.
    by_name: Vec<usize>,
}

/// A value, as an item or under its name.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    /// Empty where it is no member.
    name: Cow<'a, str>,
    kind: Kind<'a>,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List(Inside),
    Object(Inside),
}

/// A number as written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    pub(crate) text: &'a str,
    /// Whether it has neither a fraction nor an exponent.
    pub(crate) is_whole: bool,
}

/// What an object or a list holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside {
    /// The place of the first value in it.
    first: usize,
    /// The place after the last one, however deep.
    end: usize,
    /// Its own members or items.
    count: usize,
    /// Where its members are by name, if it is an object that has many.
    by_name: usize,
}

/// A value within its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    value: &'a Value<'a>,
    body: &'a Body<'a>,
}

/// The members or items of a value, all or those that are left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Children<'a> {
    inside: Inside,
    rest: &'a [Value<'a>],
    body: &'a Body<'a>,
}

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

impl<'a> Body<'a> {
    /// The value that holds all others.
    pub(crate) fn root(&'a self) -> Json<'a> {
        const NULL: &Value<'static> = &Value { name: Cow::Borrowed(""), kind: Kind::Null };
        Json { value: self.values.first().unwrap_or(NULL), body: self }
    }

    fn within(&self, places: Range<usize>) -> &[Value<'a>] {
        self.values.get(places).unwrap_or_default()
    }
}

impl Inside {
    /// Its own members or items, without those within them.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl<'a> Value<'a> {
    /// A text of its own.
    pub(crate) fn text(text: &'a str) -> Self {
        Self { name: Cow::Borrowed(""), kind: Kind::Text(Cow::Borrowed(text)) }
    }

    /// The same where a value of a body is asked for.
    pub(crate) fn alone(&'a self) -> Json<'a> {
        Json { value: self, body: &NOTHING }
    }
}

impl<'a> Json<'a> {
    /// What it is.
    pub(crate) fn kind(self) -> &'a Kind<'a> {
        &self.value.kind
    }

    /// What no other value of the body shares with it.
    pub(crate) fn address(self) -> usize {
        std::ptr::from_ref(self.value).addr()
    }

    /// What is in an object or a list.
    pub(crate) fn children(self, inside: &Inside) -> Children<'a> {
        let rest = self.body.within(inside.first..inside.end);
        Children { inside: *inside, rest, body: self.body }
    }
}

impl<'a> Children<'a> {
    /// How many there are, with those that were passed.
    pub(crate) fn in_all(&self) -> usize {
        self.inside.count
    }

    /// A member by name.
    pub(crate) fn get(&self, name: &str) -> Option<Json<'a>> {
        if self.inside.count <= FEW {
            let mut members = *self;
            return members.find(|(other, _)| *other == name).map(|(_, value)| value);
        }
        let Inside { by_name, count, .. } = self.inside;
        let places = self.body.by_name.get(by_name..by_name + count)?;
        let named = |place: &usize| self.body.values.get(*place);
        let compare = |place: &usize| named(place).map_or("", |it| it.name.as_ref()).cmp(name);
        let value = named(places.get(places.binary_search_by(compare).ok()?)?)?;
        Some(Json { value, body: self.body })
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = (&'a str, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (value, mut rest) = self.rest.split_first()?;
        if let Kind::List(inside) | Kind::Object(inside) = &value.kind {
            rest = rest.get(inside.end - inside.first..).unwrap_or_default();
        }
        self.rest = rest;
        Some((value.name.as_ref(), Json { value, body: self.body }))
    }
}
