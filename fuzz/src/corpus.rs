//! Inputs near a corpus: random bytes hardly ever pass a parser's first check, but a seed
//! that was cut, doubled or spliced in a few places often passes all of them but one.

/// Bytes of a recipe that one edit is made from.
pub(crate) const EDIT_BYTES: usize = 4;

/// Bytes that one edit removes or doubles.
const LONGEST_STRETCH: usize = 24;

/// Bytes that an input may grow to.
const MOST_BYTES: usize = 16 << 10;

/// What inputs are made from.
#[derive(Debug)]
pub struct Corpus<'a> {
    seeds: Vec<Vec<u8>>,
    words: &'a [&'a str],
}

impl<'a> Corpus<'a> {
    /// Reads the files of a target, in the order of their names.
    ///
    /// # Panics
    ///
    /// Where there are none: a target without a corpus tries next to nothing.
    #[expect(clippy::panic, reason = "a test ends where it cannot go on")]
    pub fn read(name: &str, words: &'a [&'a str]) -> Self {
        let directory = super::directory(name);
        let Ok(entries) = std::fs::read_dir(&directory) else {
            panic!("{} is missing", directory.display());
        };
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        let seeds: Vec<_> = files.iter().filter_map(|file| std::fs::read(file).ok()).collect();
        assert!(!seeds.is_empty(), "{} is empty", directory.display());
        Self { seeds, words }
    }

    /// The inputs as they are.
    pub fn seeds(&self) -> impl Iterator<Item = &[u8]> {
        self.seeds.iter().map(Vec::as_slice)
    }

    /// Makes an input: the recipe's first byte chooses a seed, or nothing to begin with,
    /// and the others edit it.
    pub fn input(&self, recipe: &[u8]) -> Vec<u8> {
        let (first, edits) = recipe.split_first().unwrap_or((&0, &[]));
        let choice = usize::from(*first) % (self.seeds.len() + 1);
        let mut input = self.seeds.get(choice).cloned().unwrap_or_default();
        for edit in edits.chunks_exact(EDIT_BYTES) {
            if let [what, place, fine, value] = edit {
                let place = place_in(input.len(), *place, *fine);
                self.edit(&mut input, *what, place, *value);
            }
        }
        input.truncate(MOST_BYTES);
        input
    }

    fn edit(&self, input: &mut Vec<u8>, what: u8, place: usize, value: u8) {
        let stretch = place..(place + usize::from(value) % LONGEST_STRETCH + 1).min(input.len());
        match what % 6 {
            0 | 1 => {
                let word = nth(self.words, value).copied().unwrap_or_default();
                let after = if what.is_multiple_of(6) { place } else { stretch.end.max(place) };
                input.splice(place..after, word.bytes());
            }
            2 => drop(input.drain(stretch)),
            3 => {
                let twice = input.get(stretch).unwrap_or_default().to_vec();
                input.splice(place..place, twice);
            }
            4 => {
                let other = nth(&self.seeds, value).map(Vec::as_slice).unwrap_or_default();
                let tail = other.get(place.min(other.len())..).unwrap_or_default();
                input.truncate(place);
                input.extend_from_slice(tail);
            }
            _ => match input.get_mut(place) {
                Some(byte) => *byte = value,
                None => input.push(value),
            },
        }
    }
}

/// A place in an input, its end included.
fn place_in(length: usize, place: u8, fine: u8) -> usize {
    (usize::from(place) << 8 | usize::from(fine)) % (length + 1)
}

fn nth<T>(list: &[T], value: u8) -> Option<&T> {
    list.get(usize::from(value).checked_rem(list.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(recipe: &[u8], expected: &str) {
        let seeds = vec![b"abcdef".to_vec(), b"ABCDEF".to_vec()];
        let corpus = Corpus { seeds, words: &["<>", "!"] };
        assert_eq!(String::from_utf8(corpus.input(recipe)).unwrap(), expected, "{recipe:?}");
    }

    #[test]
    fn a_recipe_edits_a_seed() {
        check(&[], "abcdef");
        check(&[1], "ABCDEF");
        check(&[2], "");
        check(&[0, 0, 0, 2, 0], "ab<>cdef");
        check(&[0, 1, 0, 2, 1], "ab!ef");
        check(&[0, 2, 0, 1, 2], "aef");
        check(&[0, 3, 0, 0, 1], "ababcdef");
        check(&[0, 4, 0, 3, 1], "abcDEF");
        check(&[0, 5, 0, 6, b'x'], "abcdefx");
        check(&[0, 5, 0, 0, b'x', 2, 0], "xbcdef");
    }
}
