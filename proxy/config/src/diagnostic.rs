//! A problem, shown where it is written: line, column, excerpt, help.
//!
//! The one way the operator is told what is wrong with a configuration, whoever
//! found it: the TOML parser, this crate, or the plugin host with the [`Place`]s
//! that the model keeps.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

/// A stretch of a configuration file. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

/// A configuration file as read.
#[derive(PartialEq, Eq)]
pub(crate) struct Source {
    /// What the operator calls it.
    pub(crate) name: String,
    /// What relative paths in it are relative to.
    pub(crate) directory: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

impl Source {
    /// The place of these bytes, cut to the text and to whole characters.
    pub(crate) fn place(self: &Arc<Self>, bytes: Range<usize>) -> Place {
        let start = self.text.floor_char_boundary(bytes.start);
        let end = self.text.floor_char_boundary(bytes.end).max(start);
        Place { source: Arc::clone(self), start, end }
    }
}

impl Place {
    /// A place in no file, for models built by hand in tests.
    pub fn synthetic() -> Self {
        Self::of_file("synthetic")
    }

    /// A whole file whose text is not to be had.
    pub(crate) fn of_file(name: &str) -> Self {
        let directory = PathBuf::new();
        let source = Source { name: name.to_owned(), directory, text: String::new() };
        Self { source: Arc::new(source), start: 0, end: 0 }
    }

    /// The file, as the operator calls it.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> usize {
        let line = self.before().rsplit('\n').next();
        line.map_or(0, |line| line.chars().count()) + 1
    }

    /// The text written there.
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or_default()
    }

    /// What relative paths written there are relative to.
    pub(crate) fn directory(&self) -> &Path {
        &self.source.directory
    }

    fn before(&self) -> &str {
        self.source.text.get(..self.start).unwrap_or_default()
    }

    /// The first line of the place: what precedes it there, itself, what follows.
    fn excerpt(&self) -> (&str, &str, &str) {
        let before = self.before().rsplit('\n').next().unwrap_or_default();
        let marked = self.text().split('\n').next().unwrap_or_default();
        let rest = self.source.text.get(self.start + marked.len()..).unwrap_or_default();
        let after = rest.split('\n').next().unwrap_or_default();
        (before, marked.trim_end_matches('\r'), after.trim_end_matches('\r'))
    }

    fn order(&self) -> (&str, usize, usize) {
        (&self.source.name, self.start, self.end)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", printable(self.file()), self.line(), self.column())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    place: Place,
    message: String,
    help: Option<String>,
}

impl Diagnostic {
    /// A problem at a place. The message is lower-case and has no full stop.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), help: None }
    }

    /// Adds what the operator may do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where the problem is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What the problem is.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the operator may do about it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is quoted may have been written with escapes: `"\u001b[2J"`.
        let lines = |text: &str| text.split('\n').map(printable).collect::<Vec<_>>().join("\n");
        let help = self.help.as_deref().map(lines);
        write!(f, "error: {}\n  --> {}", lines(&self.message), self.place)?;
        if self.place.source.text.is_empty() {
            return match &help {
                Some(help) => write!(f, "\n  {help}"),
                None => Ok(()),
            };
        }
        let line = self.place.line().to_string();
        let (before, marked, after) = self.place.excerpt();
        let excerpt = [before, marked, after].map(printable).concat();
        let indent = " ".repeat(before.chars().count());
        let carets = "^".repeat(marked.chars().count().max(1));
        write!(f, "\n{line} | {}", excerpt.trim_end())?;
        write!(f, "\n{:width$} | {indent}{carets}", "", width = line.len())?;
        match &help {
            Some(help) => write!(f, " {help}"),
            None => Ok(()),
        }
    }
}

/// One column for each character, and nothing a terminal would obey.
fn printable(text: &str) -> String {
    let plain = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(plain).collect()
}

/// Every problem of a configuration, by file and position; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    problems: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts problems for showing; `None` where there are none.
    pub fn from_problems(mut problems: Vec<Diagnostic>) -> Option<Self> {
        problems.sort_by(|a, b| a.place.order().cmp(&b.place.order()));
        problems.dedup();
        if problems.is_empty() { None } else { Some(Self { problems }) }
    }

    /// The problems, by file and position.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.problems.iter()
    }

    /// The problems for machines: an array of objects with `file`, `line`,
    /// `column`, `message`, `help` (or null) and `text`, what is written there.
    pub fn to_json(&self) -> serde_json::Value {
        let one = |problem: &Diagnostic| {
            json!({
                "file": problem.place.file(),
                "line": problem.place.line(),
                "column": problem.place.column(),
                "message": problem.message,
                "help": problem.help,
                "text": problem.place.text(),
            })
        };
        self.problems.iter().map(one).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(problem: Diagnostic) -> Self {
        Self { problems: vec![problem] }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.problems.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Problems found so far. A check notes its problem here and goes on.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Diagnostic>,
}

impl Problems {
    /// Adds a problem.
    pub(crate) fn add(&mut self, problem: Diagnostic) {
        self.found.push(problem);
    }

    /// The value, if nothing was found.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Diagnostics> {
        match (Diagnostics::from_problems(self.found), value) {
            (None, Some(value)) => Ok(value),
            (Some(problems), _) => Err(problems),
            (None, None) => {
                let place = Place::of_file("portcullis.toml");
                Err(Diagnostic::at(&place, "the configuration was refused without a reason").into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, bytes: Range<usize>, expected: &str) {
        let source = Source { name: "p.toml".into(), directory: "".into(), text: text.into() };
        let place = Arc::new(source).place(bytes);
        assert_eq!(Diagnostic::at(&place, "odd").with_help("help").to_string(), expected);
    }

    #[test]
    fn carets_stand_under_the_place() {
        check(
            "a = 1\nb = 22\n",
            10..12,
            "error: odd\n  --> p.toml:2:5\n2 | b = 22\n  |     ^^ help",
        );
        check("é = 1\r\n", 5..6, "error: odd\n  --> p.toml:1:5\n1 | é = 1\n  |     ^ help");
        check("a = [\n1]", 4..8, "error: odd\n  --> p.toml:1:5\n1 | a = [\n  |     ^ help");
        check("\ta\x1b", 9..99, "error: odd\n  --> p.toml:1:4\n1 |  a\u{fffd}\n  |    ^ help");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_is_quoted() {
        let place = Place::of_file("a\x1b.toml");
        let problem = Diagnostic::at(&place, "no `\x1b[2J`\nat all").with_help("not `\u{9b}`");
        assert_eq!(
            problem.to_string(),
            "error: no `\u{fffd}[2J`\nat all\n  --> a\u{fffd}.toml:1:1\n  not `\u{fffd}`"
        );
    }

    #[test]
    fn problems_are_shown_in_the_order_written() {
        let source = Source { name: "p".into(), directory: "".into(), text: "ab".into() };
        let source = Arc::new(source);
        let late = Diagnostic::at(&source.place(1..2), "late");
        let early = Diagnostic::at(&source.place(0..1), "early");
        let shown = Diagnostics::from_problems(vec![late, early]).unwrap().to_json();
        assert_eq!(shown[0]["message"], "early");
        assert_eq!(shown[1]["column"], 2);
        assert_eq!(Diagnostics::from_problems(Vec::new()), None);
    }
}
