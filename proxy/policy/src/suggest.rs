//! What the author may have meant.

/// The known word nearest to what was typed, if any is near.
pub(crate) fn nearest<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    // Longer than any word of the language: comparing it would cost its length squared.
    const LONGEST: usize = 64;
    if typed.len() > LONGEST {
        return None;
    }
    let typed = typed.to_lowercase();
    let far = (typed.chars().count() / 3).max(1);
    let near = known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&typed, &word.to_lowercase()), word));
    near.filter(|(distance, _)| *distance <= far).min().map(|(_, word)| word)
}

/// Help for a word of a fixed set: the nearest, else all of them.
pub(crate) fn word(typed: &str, known: &[&str]) -> String {
    match nearest(typed, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => {
            let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("known: {}", known.join(", "))
        }
    }
}
