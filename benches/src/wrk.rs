//! Load, by wrk.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::site::KEY;

/// Connections that wrk keeps alive, as in the reference measurements.
pub(crate) const CONNECTIONS: usize = 32;

/// What wrk saw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Load {
    /// Responses.
    pub(crate) requests: f64,
    /// Responses a second.
    pub(crate) per_second: f64,
    /// Half of all responses came within this many microseconds.
    pub(crate) p50_us: f64,
    /// All but one in a hundred came within this many microseconds.
    pub(crate) p99_us: f64,
    /// Responses that were no success.
    pub(crate) refusals: u64,
    /// Those, and connections that broke.
    pub(crate) failures: u64,
}

/// What every connection asks for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    path: String,
    /// A header's line.
    header: String,
}

impl Request {
    /// A request with the key that the authorizers know.
    pub(crate) fn with_key(path: &str) -> Self {
        Self { path: path.to_owned(), header: format!("x-api-key: {KEY}") }
    }

    /// A request with a bearer token.
    pub(crate) fn with_token(path: &str, token: &str) -> Self {
        Self { path: path.to_owned(), header: format!("authorization: Bearer {token}") }
    }
}

/// Sends requests for `seconds`, each connection its next as soon as it has an answer.
pub(crate) fn load(address: SocketAddr, request: &Request, seconds: u64) -> Result<Load> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--latency", "--timeout", "5s"])
        .args(["--connections", &CONNECTIONS.to_string(), "--duration", &format!("{seconds}s")])
        .args(["--header", &request.header])
        .arg(format!("http://{address}{}", request.path))
        .output()
        .context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("wrk: {}{text}", String::from_utf8_lossy(&output.stderr));
    }
    parse(&text).with_context(|| format!("what wrk said: {text}"))
}

fn parse(text: &str) -> Result<Load> {
    let mut load = Load::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["50%", time] => load.p50_us = micros(time)?,
            ["99%", time] => load.p99_us = micros(time)?,
            [count, "requests", "in", ..] => load.requests = count.parse()?,
            ["Requests/sec:", rate] => load.per_second = rate.parse()?,
            ["Socket", "errors:", rest @ ..] => {
                let counts =
                    rest.iter().filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok());
                load.failures += counts.sum::<u64>();
            }
            ["Non-2xx", .., count] => {
                load.refusals = count.parse()?;
                load.failures += load.refusals;
            }
            _ => {}
        }
    }
    if load.requests == 0.0 {
        bail!("no request was answered");
    }
    Ok(load)
}

fn micros(time: &str) -> Result<f64> {
    let digits = time.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match time.trim_start_matches(digits) {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        unit => bail!("wrk has a unit of time `{unit}`"),
    };
    Ok(digits.parse::<f64>()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_understood() {
        let text = "Running 3s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  \
            Latency Distribution\n     50%  812.00us\n     75%    1.00ms\n     99%    2.25ms\n  \
            60000 requests in 3.00s, 10.00MB read\n  \
            Socket errors: connect 0, read 1, write 2, timeout 3\n  \
            Non-2xx or 3xx responses: 4\nRequests/sec:  20000.50\nTransfer/sec: 1MB\n";

        let load = parse(text).unwrap();

        assert_eq!(
            load,
            Load {
                requests: 60000.0,
                per_second: 20000.5,
                p50_us: 812.0,
                p99_us: 2250.0,
                refusals: 4,
                failures: 10
            }
        );
        assert!(parse("nothing").is_err());
    }
}
