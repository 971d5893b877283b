//! The project's own commands: `cargo xtask serve | test | clients | fuzz | bench`.
//!
//! Depends on nothing, so that it starts at once on a fresh machine.

mod bench;
mod clients;
mod demo_upstream;
mod fuzz;
mod serve;
mod setup;
mod step;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  serve [--exit]  build, start the quickstart and print what to try
                  (--exit: try it by itself, then stop)
  test            everything CI checks, in its order
  clients         install the programs that tests run against the gateway
  fuzz TARGET [--minutes N]
                  tries a parser with inputs that libFuzzer chooses
  bench [NAME]    measurements; benches/README.md says how to read them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve"] => serve::serve(serve::Until::Interrupted),
        ["serve", "--exit"] => serve::serve(serve::Until::Tried),
        ["test"] => test::test(),
        ["clients"] => clients::clients(),
        ["fuzz", name] => fuzz::fuzz(name, "5"),
        ["fuzz", name, "--minutes", minutes] => fuzz::fuzz(name, minutes),
        ["bench", names @ ..] => bench::bench(names),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nerror: {problem}");
            ExitCode::FAILURE
        }
    }
}
