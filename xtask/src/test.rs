//! `cargo xtask test`: everything CI checks, quick things first.

use crate::step::{Outcome, cargo, run};
use crate::{clients, setup};

/// Checks everything.
pub(crate) fn test() -> Outcome {
    setup::build_tools()?;
    clients::clients()?;
    run("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    let lint = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run("lints", cargo().args(lint))?;
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    run(
        "documentation",
        cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
    )?;
    // All targets at once, so that the gateway and the tests share every dependency.
    run("building", cargo().args(["build", "--workspace", "--all-targets"]))?;
    // More than cores: tests wait for events more than they compute.
    let tests = ["test", "--workspace", "--no-fail-fast"];
    run("tests", cargo().args(tests).env("RUST_TEST_THREADS", "4"))?;
    let deny = setup::cargo_deny()?;
    run(
        "licences, sources and duplicates of dependencies",
        std::process::Command::new(deny).current_dir(crate::step::root()).args([
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]),
    )
}
