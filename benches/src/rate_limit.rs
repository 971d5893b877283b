//! What a limit costs: the gateway's throttle and the limiter `rate-limit`, beside nginx's
//! `limit_req` and Envoy's local rate limit, under the limit and over it.

use std::net::SocketAddr;

use anyhow::Result;

use crate::Effort;
use crate::envoy::Envoy;
use crate::nginx::Nginx;
use crate::side_by_side::{self, Answers, Plugin, Runs, Subject};
use crate::site::Config;
use crate::wrk::Request;

const NGINX: &str = "nginx, no limit";
const NGINX_LIMIT: &str = "… limit_req, by address";
const ENVOY: &str = "Envoy, no filter";
const ENVOY_LIMIT: &str = "… local_ratelimit, one bucket";
const OPEN: &str = "Portcullis, no limit";
const THROTTLE: &str = "… throttle, by address";
const REUSED: &str = "… rate-limit, by address, reused";
const FRESH: &str = "… rate-limit, by address, fresh";

/// What is added, by what, to what.
const ADDED: [(&str, &str, &str); 5] = [
    ("nginx's limit_req", NGINX_LIMIT, NGINX),
    ("Envoy's local_ratelimit", ENVOY_LIMIT, ENVOY),
    ("a throttle", THROTTLE, OPEN),
    ("rate-limit, reused", REUSED, OPEN),
    ("rate-limit, fresh", FRESH, OPEN),
];

/// A limit, in the words of each proxy.
struct Limit {
    /// Rate and burst of nginx.
    nginx: (&'static str, u32),
    /// Tokens of Envoy's bucket, and the seconds in which it is filled.
    envoy: (u32, u32),
    /// A throttle's keys.
    throttle: &'static str,
    /// The same of a limit of `rate-limit`.
    limit: &'static str,
}

/// More than can be asked.
const AMPLE: Limit = Limit {
    nginx: ("1000000r/s", 1_000_000),
    envoy: (1_000_000, 1),
    throttle: "rate = 1_000_000, burst = 1_000_000",
    limit: "limit = 1_000_000, per = \"1s\"",
};

/// Next to nothing.
const SCANT: Limit = Limit {
    nginx: ("1r/m", 0),
    envoy: (1, 3_600),
    throttle: "rate = \"1/1h\"",
    limit: "limit = 1, per = \"1h\"",
};

/// Measures requests that pass, then such as are refused.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let upstream = Nginx::upstream()?;
    let nginx = Nginx::proxy(upstream.address)?;
    let nginx = Subject::other(NGINX, open(), (nginx.address, Runs::Nginx(nginx)));
    let envoy = Envoy::proxy(upstream.address)?;
    let envoy = Subject::other(ENVOY, open(), (envoy.address, Runs::Envoy(envoy)));
    let config = config(upstream.address);
    let gateway = Subject::portcullis(OPEN, open(), Plugin::Asleep, (&config, &[]))?;
    let mut subjects = vec![nginx, envoy, gateway];
    subjects.extend(limited(upstream.address, &AMPLE)?);
    side_by_side::measure(subjects, effort, |measured| {
        println!("Under the limit:\n\n{}", side_by_side::absolute(measured));
        println!("{}", side_by_side::added(measured, &ADDED)?);
        Ok(())
    })?;
    let refusing = |subject: Subject| subject.answering(Answers::Refusal);
    let subjects = limited(upstream.address, &SCANT)?.into_iter().map(refusing).collect();
    side_by_side::measure(subjects, effort, |measured| {
        println!("Over the limit, refused:\n\n{}", side_by_side::absolute(measured));
        println!("{}", side_by_side::relative(measured, NGINX_LIMIT)?);
        Ok(())
    })
}

/// Every proxy with the limit.
fn limited(upstream: SocketAddr, limit: &Limit) -> Result<Vec<Subject>> {
    let nginx = Nginx::with_limit(upstream, limit.nginx)?;
    let envoy = Envoy::with_limit(upstream, limit.envoy)?;
    let throttled = config(upstream)
        .limited(&format!("throttle = {{ {}, per = \"address\" }}\n", limit.throttle));
    let plugin = |isolation: &str| {
        config(upstream)
            .limiter(&format!(
                "plugin = \"rate-limit\"\nisolation = {isolation}\n\
                 settings.limits.one = {{ {}, by = [\"address\"] }}\n",
                limit.limit
            ))
            .limited("limiters = [\"limits\"]\n")
    };
    let gateway = |name, runs, config: &Config| {
        Subject::portcullis(name, Request::with_key("/limited"), runs, (config, &[]))
    };
    Ok(vec![
        Subject::other(NGINX_LIMIT, open(), (nginx.address, Runs::Nginx(nginx))),
        Subject::other(ENVOY_LIMIT, open(), (envoy.address, Runs::Envoy(envoy))),
        gateway(THROTTLE, Plugin::Asleep, &throttled)?,
        gateway(REUSED, Plugin::Reused, &plugin("{ reuse = 1_000_000 }"))?,
        gateway(FRESH, Plugin::FromImage, &plugin("\"fresh\""))?,
    ])
}

fn config(upstream: SocketAddr) -> Config {
    Config::new(upstream, 1).access_log("\"off\"")
}

fn open() -> Request {
    Request::with_key("/open")
}
