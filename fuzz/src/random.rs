//! Recipes where no fuzzer chooses them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::RECIPE_BYTES;

/// Recipes that a test tries.
const ITERATIONS: usize = 2000;

/// Gives recipes: new ones for so many minutes, or a fixed number of fixed ones.
pub(crate) fn recipes(name: &str, minutes: Option<f64>, mut attempt: impl FnMut(&[u8])) {
    let mut state = name.bytes().fold(0, |state: u64, byte| state.rotate_left(8) ^ u64::from(byte));
    let mut next = |state: &mut u64| {
        let mut recipe = [0; RECIPE_BYTES];
        recipe.iter_mut().for_each(|byte| *byte = random(state).to_be_bytes()[0]);
        let length = usize::try_from(random(state) >> 40).unwrap_or(0) % (RECIPE_BYTES + 1);
        attempt(recipe.get(..length).unwrap_or_default());
    };
    let Some(minutes) = minutes else {
        return (0..ITERATIONS).for_each(|_| next(&mut state));
    };
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    state ^= u64::try_from(since_1970.as_nanos()).unwrap_or_default();
    let (began, mut tried) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs_f64(minutes * 60.0) {
        next(&mut state);
        tried += 1;
    }
    println!("{name}: {tried} inputs");
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
