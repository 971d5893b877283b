//! `docs/configuration.md` is what the code says, to the letter.

use std::path::Path;

#[test]
fn the_reference_describes_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let generated = portcullis_config::reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }

    let written = std::fs::read_to_string(&file).unwrap_or_default();

    assert!(written == generated, "run: UPDATE_GOLDEN=1 cargo test -p portcullis-config");
}
