//! What the operator may have meant.

/// The known word nearest to what was typed, if any is near.
pub(crate) fn nearest<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let far = (typed.chars().count() / 3).max(1);
    let distance =
        |word: &str| strsim::damerau_levenshtein(&typed.to_lowercase(), &word.to_lowercase());
    let near = known.into_iter().map(|word| (distance(word), word));
    near.filter(|(distance, _)| *distance <= far).min().map(|(_, word)| word)
}

/// Help for a word of a fixed set: the nearest, else all of them.
pub(crate) fn word(typed: &str, known: &[&str]) -> String {
    match nearest(typed, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => list(known),
    }
}

/// Help for a name the operator chose elsewhere: the nearest, and all of them.
pub(crate) fn name(typed: &str, known: &[&str]) -> String {
    match nearest(typed, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`? {}", list(known)),
        None => list(known),
    }
}

fn list(known: &[&str]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = known.iter().take(SHOWN).map(|word| format!("`{word}`")).collect();
    match known.len() {
        0 => "none is defined".to_owned(),
        count if count > SHOWN => format!("known: {} and {} more", shown.join(", "), count - SHOWN),
        _ => format!("known: {}", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_listed() {
        assert_eq!(word("adress", &["address", "tls"]), "did you mean `address`?");
        assert_eq!(word("port", &["address", "tls"]), "known: `address`, `tls`");
        assert_eq!(name("orderz", &["orders"]), "did you mean `orders`? known: `orders`");
        assert_eq!(name("x", &[]), "none is defined");
    }
}
