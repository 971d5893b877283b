//! `[shared_limits]`, and `shared` of limits.

use portcullis_limits::{Policy, PolicySharing, Quota, QuotaSharing};

use super::{Resolver, files};
use crate::document::{self, Document};
use crate::gateway::{LimitSharing, Redis, SharedLimits, WhenAway};
use crate::read::Written;

/// The port of a Redis whose URL has none.
const PORT: u16 = 6379;

/// How limits are shared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    gateways: u64,
    lease_ns: u64,
}

impl Common {
    /// As it is written; `None` where nothing is.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let written = document.shared_limits.as_ref()?;
        let lease_ns = u64::try_from(written.lease.0.as_nanos()).unwrap_or(u64::MAX);
        Some(Self { gateways: written.gateways.0.into(), lease_ns })
    }
}

/// Where limits that several gateways share are counted.
pub(super) fn shared_limits(
    document: &Document,
    resolver: &mut Resolver<'_>,
) -> Option<SharedLimits> {
    let written = document.shared_limits.as_ref()?;
    let redis = redis(written, resolver);
    check_times(written, resolver);
    let prefix = &written.prefix;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    if prefix.value.is_empty() || !prefix.value.bytes().all(plain) {
        let message = format!("keys cannot begin with `{}`", prefix.value);
        let help = "a prefix holds letters, digits, `_`, `-`, `.` and `:`";
        resolver.problem_with_help(&prefix.place, message, help);
    }
    Some(SharedLimits {
        redis: redis?,
        lease: written.lease.0,
        timeout: written.timeout.0,
        when_away: match written.when_away {
            document::WhenAway::Local => WhenAway::Local,
            document::WhenAway::Deny => WhenAway::Deny,
            document::WhenAway::Allow => WhenAway::Allow,
        },
        gateways: written.gateways.0.into(),
        prefix: prefix.value.clone(),
    })
}

/// A request that waited for long, or tokens that are kept for long, are no limit any more.
fn check_times(written: &document::SharedLimits, resolver: &mut Resolver<'_>) {
    let bounds = [
        ("lease", written.lease.0, (10, 60_000), "from 10ms to 1m"),
        ("timeout", written.timeout.0, (1, 10_000), "from 1ms to 10s"),
    ];
    for (key, time, (least, most), words) in bounds {
        if !(least..=most).contains(&time.as_millis()) {
            resolver.problem(&written.place, format!("`{key}` of the shared limits is {words}"));
        }
    }
}

fn redis(written: &document::SharedLimits, resolver: &mut Resolver<'_>) -> Option<Redis> {
    let password = written.password.as_ref();
    let password = password.map(|password| files::password(password, resolver));
    let ca = written.ca.as_ref().map(|file| files::certificates(file, resolver));
    match parse(&written.redis.value) {
        Ok(redis) if ca.is_some() && !redis.tls => {
            let help = "write `rediss://`, or leave `ca` out";
            resolver.problem_with_help(&written.redis.place, "`ca` is for TLS", help);
            None
        }
        Ok(redis) => Some(Redis { ca: found(ca)?, password: found(password)?, ..redis }),
        Err(UrlProblem::Password) => {
            // Not at the URL: the place would be shown.
            let help = "take it out and write `password = { env = \"…\" }` or `{ file = \"…\" }`";
            resolver.problem_with_help(&written.place, UrlProblem::Password.to_string(), help);
            None
        }
        Err(problem) => {
            let help = "write it as `redis://10.0.0.5:6379/0` or `rediss://redis.example.com`";
            resolver.problem_with_help(&written.redis.place, problem.to_string(), help);
            None
        }
    }
}

/// `None` where something was written and could not be read.
fn found<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum UrlProblem {
    #[error("this is no URL of a Redis")]
    Form,
    #[error("a password does not belong in the URL of a Redis")]
    Password,
    #[error("a Redis is reached at a host name or an address")]
    Host,
    #[error("a port is a number from 1 to 65535")]
    Port,
    #[error("a database of a Redis is a number")]
    Database,
}

/// A URL as `redis://user@host:port/database`, all but scheme and host optional.
fn parse(url: &str) -> Result<Redis, UrlProblem> {
    let (scheme, rest) = url.split_once("://").ok_or(UrlProblem::Form)?;
    let tls = match scheme {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(UrlProblem::Form),
    };
    if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['?', '#', '%']) {
        return Err(UrlProblem::Form);
    }
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => return Err(UrlProblem::Password),
        Some((user, rest)) => (Some(user.to_owned()).filter(|user| !user.is_empty()), rest),
        None => (None, rest),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database = match database {
        "" => 0,
        number => number.parse().map_err(|_| UrlProblem::Database)?,
    };
    let (host, port) = host_and_port(authority)?;
    Ok(Redis { host, port, tls, ca: None, database, user, password: None })
}

fn host_and_port(authority: &str) -> Result<(String, u16), UrlProblem> {
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((address, rest)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_| UrlProblem::Host)?;
            (address, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            if host.is_empty() || !host.bytes().all(plain) {
                return Err(UrlProblem::Host);
            }
            (host, Some(port))
        }
    };
    let port = match port {
        Some("") => PORT,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(UrlProblem::Port)?,
        None => return Err(UrlProblem::Host),
    };
    Ok((host.to_owned(), port))
}

/// How a throttle is shared; `None` where each gateway counts for itself.
pub(super) fn sharing(
    shared: Option<&Written<bool>>,
    policy: Policy,
    common: Option<Common>,
    resolver: &mut Resolver<'_>,
) -> Option<PolicySharing> {
    let (shared, common) = wanted(shared, common, resolver)?;
    // `check_not_shared` says so.
    if policy.is_in_flight() {
        return None;
    }
    match PolicySharing::new(policy, common.gateways, common.lease_ns) {
        Ok(sharing) => Some(sharing),
        Err(problem) => {
            let help = "write it with fewer digits, with a smaller burst, or with a shorter time";
            resolver.problem_with_help(&shared.place, problem.to_string(), help);
            None
        }
    }
}

/// How a quota is shared; `None` where each gateway counts for itself.
pub(super) fn quota_sharing(
    shared: Option<&Written<bool>>,
    quota: Quota,
    common: Option<Common>,
    resolver: &mut Resolver<'_>,
) -> Option<QuotaSharing> {
    let (_, common) = wanted(shared, common, resolver)?;
    Some(QuotaSharing::new(quota, common.gateways, common.lease_ns))
}

/// How the limits of a limiter's plan are shared; `None` where each gateway counts for itself.
pub(super) fn limit_sharing(
    shared: Option<&Written<bool>>,
    common: Option<Common>,
    resolver: &mut Resolver<'_>,
) -> Option<LimitSharing> {
    let (_, Common { gateways, lease_ns }) = wanted(shared, common, resolver)?;
    Some(LimitSharing { gateways, lease_ns })
}

/// What is to be shared, and how; `None` where it is not, or nothing says where.
fn wanted<'w>(
    shared: Option<&'w Written<bool>>,
    common: Option<Common>,
    resolver: &mut Resolver<'_>,
) -> Option<(&'w Written<bool>, Common)> {
    let shared = shared.filter(|shared| shared.value)?;
    if common.is_none() {
        let message = "nothing says where this limit is shared";
        let help = "add `[shared_limits]` with the `redis` that counts it";
        resolver.problem_with_help(&shared.place, message, help);
    }
    Some((shared, common?))
}

/// Notes that a concurrency limit cannot be shared.
pub(super) fn check_not_shared(shared: Option<&Written<bool>>, resolver: &mut Resolver<'_>) {
    if let Some(shared) = shared.filter(|shared| shared.value) {
        let message = "a concurrency limit cannot be shared: each gateway counts what is under way for itself";
        let help = "leave `shared` out, and give each gateway its part of the limit";
        resolver.problem_with_help(&shared.place, message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_a_redis_is() {
        let shown = |url: &str| {
            let redis = parse(url).unwrap();
            (redis.host, redis.port, redis.tls, redis.database, redis.user)
        };
        let host = "10.0.0.5".to_owned();
        assert_eq!(shown("redis://10.0.0.5"), (host.clone(), 6379, false, 0, None));
        assert_eq!(shown("redis://10.0.0.5:80/3"), (host, 80, false, 3, None));
        let user = Some("gate".to_owned());
        assert_eq!(shown("rediss://gate@r.test/"), ("r.test".into(), 6379, true, 0, user));
        assert_eq!(shown("valkey://[::1]:7"), ("::1".into(), 7, false, 0, None));
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for (url, problem) in [
            ("10.0.0.5", UrlProblem::Form),
            ("http://10.0.0.5", UrlProblem::Form),
            ("redis://a b", UrlProblem::Form),
            ("redis://a?db=1", UrlProblem::Form),
            ("redis://:secret@a", UrlProblem::Password),
            ("redis://user:se@cret@a", UrlProblem::Password),
            ("redis://", UrlProblem::Host),
            ("redis://[::1", UrlProblem::Host),
            ("redis://[::1]7", UrlProblem::Host),
            ("redis://a:0", UrlProblem::Port),
            ("redis://a:99999", UrlProblem::Port),
            ("redis://a/one", UrlProblem::Database),
        ] {
            assert_eq!(parse(url).unwrap_err(), problem, "{url}");
        }
    }
}
