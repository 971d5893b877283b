use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Surroundings, parse_duration, parse_within, units};

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

/// No files and no variables.
struct Nowhere;

impl Surroundings for Nowhere {
    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn is_directory(&self, _: &Path) -> bool {
        false
    }
}

#[test]
fn fuzz_configuration() {
    portcullis_fuzz::target!("configuration", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let Err(problems) = parse_within(&text, "p.toml", Path::new(""), &Nowhere) else { return };
        assert!(problems.iter().count() > 0);
        for problem in &problems {
            let place = problem.place();
            assert_eq!(place.file(), "p.toml");
            // The line and the column say where the place's own text begins.
            let lines: Vec<&str> = text.split('\n').collect();
            let line = lines.get(place.line() - 1).expect("a line of the text");
            let rest: String = line.chars().skip(place.column() - 1).collect();
            let first = place.text().split('\n').next().unwrap_or_default();
            assert!(rest.starts_with(first), "{problem}");
            assert!(!problem.message().is_empty());
        }
        let shown = problems.to_string();
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
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
