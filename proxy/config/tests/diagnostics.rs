//! Exactly what the operator reads: `diagnostics/NAME.toml` gives `NAME.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p portcullis-config` writes the texts anew.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::io;
use std::path::{Path, PathBuf};

use portcullis_config::{Surroundings, parse_within};
use proptest::prelude::*;

/// The files beside the golden ones, and one variable.
struct Folder(PathBuf);

impl Surroundings for Folder {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        match name {
            "PRESENT" => Some(b"secret".to_vec()),
            "EMPTY" => Some(Vec::new()),
            _ => None,
        }
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.0.join(file)).map_err(|error| error.kind().into())
    }

    fn is_file(&self, file: &Path) -> bool {
        self.0.join(file).is_file()
    }

    fn is_directory(&self, directory: &Path) -> bool {
        self.0.join(directory).is_dir()
    }
}

fn check(file: &Path) -> Result<(), String> {
    let folder = Folder(file.parent().unwrap().to_owned());
    let name = file.file_name().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let shown = match parse_within(&text, name, Path::new(""), &folder) {
        Ok(_) => return Err(format!("{name} has no problem")),
        Err(problems) => format!("{problems}\n"),
    };
    let golden = file.with_extension("txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    if shown == expected {
        Ok(())
    } else {
        Err(format!("{name}, expected:\n{expected}shown:\n{shown}"))
    }
}

#[test]
fn the_operator_reads_every_problem() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut failures = Vec::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            failures.extend(check(&file).err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn never_panics(text: &str) {
    let nowhere = Folder(PathBuf::from("/nonexistent"));
    if let Err(problems) = parse_within(text, "p.toml", Path::new(""), &nowhere) {
        assert!(!problems.to_string().is_empty());
        problems.to_json();
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        never_panics(&text);
    }

    #[test]
    fn a_damaged_configuration_never_panics(
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        insert in "[\\PC\n]{0,8}",
    ) {
        let text = include_str!("whole.toml");
        let from = text.floor_char_boundary(at.index(text.len()));
        let to = text.floor_char_boundary((from + length).min(text.len()));
        never_panics(&format!("{}{insert}{}", &text[..from], &text[to..]));
    }
}
