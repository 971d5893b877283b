use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Diagnostic, Gateway, Surroundings, parse_duration, parse_within, units};

mod files;
mod texts;

const WORDS: &[&str] = &[
    "[",
    "]\n",
    "[[",
    "\n",
    " = ",
    "\"\"\"",
    "'",
    "{ ",
    " }",
    "é",
    "# ",
    "version = 1",
    "listeners",
    "upstreams",
    "authorizers.a",
    "apis.a",
    "routes",
    "include",
    "plugin",
    "settings",
    "servers",
    "address",
    "5s",
    "10MiB",
    "{ env = \"X\" }",
    "any = [",
    "\"GET /a/{b+}\"",
    "none",
    "state",
    "\\u00",
    "true",
    "-1",
    "1979-05-27",
];

/// Files by their names, and no variables.
struct Files<'a>(&'a [(&'a str, &'a str)]);

impl Surroundings for Files<'_> {
    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == file);
        found
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn is_directory(&self, _: &Path) -> bool {
        false
    }
}

/// Reads a configuration `p.toml` with these other files. Where it has problems, each is
/// shown where it is.
fn read(text: &str, others: &[(&str, &str)]) -> Option<Gateway> {
    let problems = match parse_within(text, "p.toml", Path::new(""), &Files(others)) {
        Ok(gateway) => return Some(gateway),
        Err(problems) => problems,
    };
    assert!(problems.iter().count() > 0);
    for problem in &problems {
        shows_its_place(problem, text, others);
    }
    let shown = problems.to_string();
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    None
}

/// The line and the column say where the place's own text begins.
fn shows_its_place(problem: &Diagnostic, text: &str, others: &[(&str, &str)]) {
    let place = problem.place();
    let text = match place.file() {
        "p.toml" => text,
        file => others.iter().find(|(name, _)| *name == file).expect("a file that was read").1,
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let line = lines.get(place.line() - 1).expect("a line of the text");
    let rest: String = line.chars().skip(place.column() - 1).collect();
    let first = place.text().split('\n').next().unwrap_or_default();
    assert!(rest.starts_with(first), "{problem}");
    assert!(!problem.message().is_empty());
}

#[test]
fn fuzz_configuration() {
    portcullis_fuzz::target!("configuration", WORDS, |input| {
        let _gateway = read(&String::from_utf8_lossy(input), &[]);
    });
}

#[test]
fn fuzz_units() {
    let words = &["ms", "s", "m", "h", "d", "KiB", "MB", "B", "0", "9", "18446744073709551615"];
    portcullis_fuzz::target!("units", words, |input| {
        let text = String::from_utf8_lossy(input);
        let Ok(parsed) = parse_duration(&text) else { return };
        // What is no sum of numbers and units here is no duration there.
        let mut rest = text.as_ref();
        let mut sum: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.chars().take_while(char::is_ascii_digit).count();
            let letters = rest[digits..].chars().take_while(char::is_ascii_alphabetic).count();
            let amount: u128 = rest[..digits].parse().unwrap();
            sum += amount
                * match &rest[digits..digits + letters] {
                    "ms" => 1,
                    "s" => 1000,
                    "m" => 60_000,
                    "h" => 3_600_000,
                    "d" => 86_400_000,
                    other => panic!("{other}"),
                };
            rest = &rest[digits + letters..];
        }
        assert_eq!(parsed, Duration::from_millis(sum.try_into().unwrap()), "{text}");
        assert!(units::size(&text).is_err(), "{text} is a duration and a size");
    });
}
