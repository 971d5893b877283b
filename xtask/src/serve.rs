//! `cargo xtask serve`: from a clone to the first allowed request.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::demo_upstream;
use crate::setup;
use crate::step::{Outcome, cargo, output, portcullis, root, run};

const UPSTREAM: &str = "127.0.0.1:9000";
const GATEWAY: &str = "http://127.0.0.1:8080";

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// When the gateway stops, as at Ctrl-C.
    Interrupted,
    /// When the lines to try have been tried.
    Tried,
}

/// A line to try, and the status it answers with.
const LINES: [(&str, &str, &[&str], &str); 3] = [
    (
        "allowed: the key opens, and the upstream answers",
        "200",
        &["-H", "x-api-key: sesame"],
        "/orders/7",
    ),
    (
        "denied: the authorizer does not know this key",
        "401",
        &["-H", "x-api-key: guess"],
        "/orders/7",
    ),
    ("open on purpose, answered by the gateway itself", "200", &[], "/hello"),
];

/// Builds, starts and shows the quickstart.
pub(crate) fn serve(until: Until) -> Outcome {
    let started = Instant::now();
    setup::build_tools()?;
    let what =
        "building the gateway and its built-in plugins (minutes the first time, then seconds)";
    run(what, cargo().args(["build", "--package", "portcullis"]))?;
    for example in ["door", "claims-header"] {
        let mut build = Command::new(portcullis());
        build.args(["plugin", "build", "--install", "examples/quickstart/plugins"]);
        build.arg(format!("examples/{example}")).current_dir(root()).stdout(Stdio::null());
        run(&format!("building the plugin examples/{example}"), &mut build)?;
    }
    demo_upstream::start(UPSTREAM)
        .map_err(|problem| format!("the demo upstream on {UPSTREAM}: {problem}"))?;
    let mut gateway = start_gateway()?;
    eprintln!(
        "\nready after {:.1} s. Try, in another terminal:\n",
        started.elapsed().as_secs_f32()
    );
    for (what, _, arguments, path) in LINES {
        let quoted: Vec<String> = arguments
            .iter()
            .map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() })
            .collect();
        eprintln!(
            "  # {what}\n  curl -i {}{GATEWAY}{path}\n",
            quoted.iter().map(|word| format!("{word} ")).collect::<String>()
        );
    }
    match until {
        Until::Interrupted => {
            eprintln!("Ctrl-C stops it. Its log follows.\n");
            let status = gateway.wait().map_err(|problem| problem.to_string())?;
            if status.success() { Ok(()) } else { Err(format!("the gateway ended: {status}")) }
        }
        Until::Tried => {
            let tried = try_lines();
            let stopped = Command::new("kill").arg(gateway.id().to_string()).status();
            drop(gateway.wait());
            stopped.map_err(|problem| problem.to_string())?;
            tried
        }
    }
}

fn start_gateway() -> Outcome<Child> {
    let mut gateway = Command::new(portcullis())
        .args(["run", "--config", "examples/quickstart/portcullis.toml"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|problem| format!("starting the gateway: {problem}"))?;
    let out = gateway.stdout.take().ok_or("the gateway has no standard output")?;
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let ready = lines.by_ref().any(|line| line.starts_with("listening public "));
    // Its access log goes on here.
    std::thread::spawn(move || lines.for_each(|line| println!("{line}")));
    if ready { Ok(gateway) } else { Err("the gateway ended before it was ready".to_owned()) }
}

fn try_lines() -> Outcome {
    for (what, expected, arguments, path) in LINES {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(arguments)
            .arg(format!("{GATEWAY}{path}"));
        let status = output(&mut curl)?;
        eprintln!("  {status}  {what}");
        if status != expected {
            return Err(format!("{path} answered {status}, not {expected}"));
        }
    }
    Ok(())
}
