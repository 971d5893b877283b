//! What the fuzz targets of all crates share. A target is a test of the crate whose
//! parser it tries, so that nothing is public for its sake:
//!
//! ```ignore
//! #[test]
//! fn fuzz_numbers() {
//!     portcullis_fuzz::target!("example", &["-", "0", "99999"], |input| {
//!         if let Ok(number) = String::from_utf8_lossy(input).parse::<i64>() {
//!             assert_eq!(number.to_string().parse(), Ok(number));
//!         }
//!     });
//! }
//! ```
//!
//! As a test it tries the files of `fuzz/corpus/<target>/`, then inputs near them: always
//! the same ones, unless [`MINUTES`] says for how long. `cargo xtask fuzz` has libFuzzer
//! choose the inputs by what code they reach. An input that fails is written beside the
//! corpus as `failing`, and is tried first from then on.

mod corpus;
mod random;

use std::path::PathBuf;

#[cfg(fuzzing)]
pub use bolero;

pub use corpus::Corpus;

/// Bytes of a recipe, from which an input is made: eight edits of a seed.
pub const RECIPE_BYTES: usize = 1 + 8 * corpus::EDIT_BYTES;

/// The variable that says for how many minutes a test tries inputs that nobody has seen.
pub const MINUTES: &str = "PORTCULLIS_FUZZ_MINUTES";

/// Makes a test a fuzz target: its name, words of its language, what holds for each input.
#[macro_export]
macro_rules! target {
    ($name:literal, $words:expr, |$input:ident| $body:expr) => {
        let corpus = $crate::Corpus::read($name, $words);
        let property = |$input: &[u8]| $body;
        for seed in corpus.seeds() {
            $crate::check($name, seed, property);
        }
        $crate::__drive!($name, |recipe| $crate::check($name, &corpus.input(recipe), property));
    };
}

/// Who chooses the recipes.
#[doc(hidden)]
#[cfg(fuzzing)]
#[macro_export]
macro_rules! __drive {
    ($name:literal, |$recipe:ident| $body:expr) => {
        $crate::bolero::check!(name = $name)
            .with_max_len($crate::RECIPE_BYTES)
            .for_each(|$recipe: &[u8]| $body);
    };
}

/// Who chooses the recipes.
#[doc(hidden)]
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! __drive {
    ($name:literal, |$recipe:ident| $body:expr) => {
        $crate::each_recipe($name, |$recipe: &[u8]| $body);
    };
}

/// Tries recipes: a fixed number of fixed ones, or new ones for as long as [`MINUTES`] says.
#[doc(hidden)]
pub fn each_recipe(name: &str, mut attempt: impl FnMut(&[u8])) {
    let minutes = std::env::var(MINUTES).ok().and_then(|text| text.parse::<f64>().ok());
    random::recipes(name, minutes, |recipe| attempt(recipe));
}

/// Checks one input; one that fails is kept.
#[doc(hidden)]
pub fn check(name: &str, input: &[u8], property: impl Fn(&[u8])) {
    let _kept = KeptIfItFails { name, input };
    property(input);
}

struct KeptIfItFails<'a> {
    name: &'a str,
    input: &'a [u8],
}

impl Drop for KeptIfItFails<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let file = directory(self.name).join("failing");
            let kept = std::fs::write(&file, self.input);
            let shown = String::from_utf8_lossy(self.input);
            eprintln!("{}: {kept:?}: {shown:?}", file.display());
        }
    }
}

/// Where the inputs of a target are.
fn directory(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", name].iter().collect()
}
