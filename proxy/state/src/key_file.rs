//! API keys in a file of comma-separated values (RFC 4180), with the columns of AWS API
//! Gateway's: text → rows. No message repeats what stands in a row: any field may hold a key
//! by mistake.

use csv::{ByteRecord, ReaderBuilder, Trim};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::database::NewCredential;
use crate::error::StateError;
use crate::model::{Attribute, Status, check_attributes, check_name, check_title};

/// Bytes a file of API keys may have.
pub const MOST_FILE_BYTES: usize = 16 << 20;

/// What the names of columns that become attributes begin with.
const ATTRIBUTE: &str = "attribute:";

/// A problem of a file, and its line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineProblem {
    /// The line.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    pub(crate) problems: Vec<LineProblem>,
}

/// An API key of a file, checked by itself.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) key: Zeroizing<String>,
    pub(crate) consumer: String,
    pub(crate) new: NewCredential,
    pub(crate) status: Status,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Name,
    Key,
    Enabled,
    Consumer,
    Plan,
    /// A text.
    Attribute(String),
    /// Texts with commas between them.
    Texts(&'static str),
}

/// Reads a file. Rows that name no consumer are this one's, or else that of their own name.
pub(crate) fn read(text: &[u8], consumer: Option<&str>) -> Rows {
    let mut read = Rows::default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text);
    let mut columns: Option<Vec<Column>> = None;
    // Reading from memory, the reader has no errors of its own.
    for record in reader.byte_records().flatten() {
        let line = line(text, &record);
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        match &columns {
            None => match read.header(line, &record) {
                Some(header) => columns = Some(header),
                None => return read,
            },
            Some(columns) => match row(columns, &record, consumer) {
                Ok(row) => read.rows.push(Row { line, ..row }),
                Err(problems) => problems.into_iter().for_each(|it| read.problem(line, it)),
            },
        }
    }
    if columns.is_none() {
        read.problem(1, HEADER.to_owned());
    }
    read
}

/// What is wrong where there is no header.
const HEADER: &str =
    "the first line is to name the columns, `name` and `key` among them: name,key,description";

impl Rows {
    fn problem(&mut self, line: u64, problem: String) {
        self.problems.push(LineProblem { line, problem });
    }

    /// The columns. What stands in the first line is told only where it is a header.
    fn header(&mut self, line: u64, record: &ByteRecord) -> Option<Vec<Column>> {
        let names: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
        let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        if !has("name") || !has("key") {
            self.problem(line, HEADER.to_owned());
            return None;
        }
        let mut columns = Vec::new();
        for name in &names {
            match column(name) {
                Some(column) if columns.contains(&column) => {
                    self.problem(line, format!("`{name}` is there twice"));
                }
                Some(column) => columns.push(column),
                None => self.problem(
                    line,
                    format!("`{name}` is no column: remove it, or name it `{ATTRIBUTE}NAME`"),
                ),
            }
        }
        self.problems.is_empty().then_some(columns)
    }
}

/// The column of this name, whose case does not matter.
fn column(name: &str) -> Option<Column> {
    Some(match name.to_ascii_lowercase().as_str() {
        "name" => Column::Name,
        "key" => Column::Key,
        "enabled" => Column::Enabled,
        "consumer" => Column::Consumer,
        "plan" => Column::Plan,
        "description" => Column::Attribute("description".to_owned()),
        "usageplanids" => Column::Texts("usage-plans"),
        lower if lower.starts_with(ATTRIBUTE) => {
            let name = name.get(ATTRIBUTE.len()..).filter(|name| !name.is_empty())?;
            match name {
                "usage-plans" => Column::Texts("usage-plans"),
                name => Column::Attribute(name.to_owned()),
            }
        }
        _ => return None,
    })
}

/// The row of a record, or all that is wrong with it.
fn row(
    columns: &[Column],
    record: &ByteRecord,
    consumer: Option<&str>,
) -> Result<Row, Vec<String>> {
    if record.len() != columns.len() {
        let (found, wanted) = (record.len(), columns.len());
        return Err(vec![format!("{found} fields, where the header has {wanted}")]);
    }
    let mut row = Row {
        line: 0,
        key: Zeroizing::default(),
        consumer: String::new(),
        new: NewCredential::default(),
        status: Status::Enabled,
    };
    let mut problems = Vec::new();
    for (column, field) in columns.iter().zip(record) {
        match std::str::from_utf8(field) {
            Err(_) => problems.push("a field is no UTF-8".to_owned()),
            Ok(field) if field.contains(['\n', '\r']) => {
                problems.push("a field has a line end: is a quote not closed?".to_owned());
            }
            Ok("") => {}
            Ok(field) => problems.extend(row.take(column, field).err()),
        }
    }
    if problems.is_empty() {
        problems = row.complete(consumer);
    }
    if problems.is_empty() { Ok(row) } else { Err(problems) }
}

impl Row {
    /// Takes a field that is not empty.
    fn take(&mut self, column: &Column, field: &str) -> Result<(), String> {
        match column {
            Column::Name => self.new.name = Some(field.to_owned()),
            Column::Key => self.key = Zeroizing::new(field.to_owned()),
            Column::Consumer => field.clone_into(&mut self.consumer),
            Column::Plan => self.new.plan = Some(field.to_owned()),
            Column::Enabled if field.eq_ignore_ascii_case("true") => {}
            Column::Enabled if field.eq_ignore_ascii_case("false") => {
                self.status = Status::Disabled;
            }
            Column::Enabled => return Err("`enabled` is to be true or false".to_owned()),
            Column::Attribute(name) => {
                self.new.attributes.insert(name.clone(), Attribute::Text(field.to_owned()));
            }
            Column::Texts(name) => {
                let texts = field.split(',').map(|text| text.trim().to_owned());
                let texts = texts.filter(|text| !text.is_empty()).collect();
                self.new.attributes.insert((*name).to_owned(), Attribute::Texts(texts));
            }
        }
        Ok(())
    }

    /// Fills in whose the key is, and tells all that cannot be kept.
    fn complete(&mut self, consumer: Option<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        let name = self.new.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            problems.push("`name` is empty".to_owned());
        }
        if self.key.is_empty() {
            problems.push("`key` is empty".to_owned());
        } else if self.key.as_str() == name {
            problems.push("`name` is the key itself, which it would give away".to_owned());
        }
        if !problems.is_empty() {
            return problems;
        }
        let mut note = |checked: Result<(), StateError>| {
            problems.extend(checked.err().map(|error| error.to_string()));
        };
        note(check_title(name));
        if let Some(plan) = &self.new.plan {
            note(check_name("the name of a plan", plan));
        }
        note(check_attributes(&self.new.attributes));
        note(crate::database::imported(&self.key).map(drop));
        let is_named = !self.consumer.is_empty();
        if !is_named {
            consumer.unwrap_or(name).clone_into(&mut self.consumer);
        }
        if check_name("the name of a consumer", &self.consumer).is_err() {
            problems.push(match (is_named, consumer) {
                (false, None) => "`name` cannot be a consumer's: name one".to_owned(),
                _ => "`consumer` cannot be a consumer's name".to_owned(),
            });
        }
        problems
    }
}

/// The line that a record begins in: the reader counts from the end of the one before it.
fn line(text: &[u8], record: &ByteRecord) -> u64 {
    let Some(position) = record.position() else { return 1 };
    let begin = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let before = text.get(begin..).unwrap_or_default().iter();
    let before = before.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let lines = before.filter(|byte| **byte == b'\n').count();
    position.line().saturating_add(u64::try_from(lines).unwrap_or(u64::MAX))
}
