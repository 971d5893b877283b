//! The configuration as typed: which keys there are, every value still untrusted.
//!
//! These declarations are the reader, the JSON Schema and the reference at once; the
//! comments on keys are what the operator reads in all of them.

use crate::read::{Either, Named, Number, Size, Time, TimeOrZero, Written, table, texts, words};

mod api;
mod checks;
mod composition;
mod compression;
mod cors;
mod guard;
mod limit;
mod mapping;
mod plan;
mod plugin_use;
mod respond;
mod stage;
mod upstream;

pub(crate) use api::{Api, Errors, OpenApi, Rewrite, Route, Scopes, Unsupported, Use};
pub(crate) use checks::{
    Body, CheckTable, Checks, Dialect, Formats, JsonRules, OtherMediaTypes, Parameter,
    ParameterFormat, ParameterType,
};
pub(crate) use composition::{Composable, Composition};
pub(crate) use compression::{Coding, Compression};
pub(crate) use cors::Cors;
pub(crate) use guard::{Attack, Guard, GuardMode, GuardMost, GuardRule, Networks};
pub(crate) use limit::{
    Concurrencies, FailedAuthorizations, LimitFields, Password, SharedLimits, Throttles, WhenAway,
};
pub(crate) use mapping::{RequestMapping, ResponseMapping, ResponseValue};
pub(crate) use plan::{Plan, PlanRoute, PlanThrottle, Quota, QuotaPeriod, UsagePlan};
pub(crate) use plugin_use::{
    Budget, Cache, Grants, HttpGrant, IdentitySource, Isolation, IsolationWord, Issuer, OnFault,
    PluginUse, Secret,
};
pub(crate) use respond::Respond;
pub(crate) use stage::Stage;
pub(crate) use upstream::{
    Balance, BalanceWord, HealthCheck, Host, HostWord, Protocol, Timeouts, Upstream, UpstreamTls,
};

texts! {
    /// Where something listens or is reached.
    Address = "address",
    /// A file, relative to the file it is written in.
    FilePath = "file",
    /// A directory, relative to the file it is written in.
    Directory = "directory",
    /// A name defined elsewhere, or a text with a form of its own.
    Text = "text",
}

table! {
    /// The configuration of a Portcullis gateway.
    "the configuration"
    struct Document {
        /// More files whose tables are added to this one's. A name may be defined once.
        #[allow(dead_code, reason = "followed before the document is read")]
        include: Option<Vec<FilePath>>,
        /// The directory of plugins: each `NAME.wasm` in it is the plugin `NAME`.
        plugins: Option<Directory>,
        /// Where compiled plugins are kept between starts, and the store of consumers and
        /// their credentials.
        state: Option<Directory>,
        /// Worker threads; one for each core where absent.
        workers: Option<Number<1, 1024>>,
        /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, as networks.
        trusted_proxies: Option<Vec<Text>>,
        /// The account that policies know the gateway by: 12 digits.
        account: Text = "000000000000",
        /// The region that policies know the gateway by.
        region: Text = "local",
        /// The authorizer of every route that neither names its own nor has one by its API;
        /// `"none"` opens them.
        authorizer: Option<Composable<Use>>,
        /// The guard of every API that has none of its own.
        guard: Option<Guard>,
        /// How many requests may come in all.
        throttle: Option<Throttles>,
        /// How many requests may be under way at the same time in all.
        concurrency: Option<Concurrencies>,
        /// How many refusals of authorizers an address may cause; no bound where absent.
        failed_authorizations: Option<FailedAuthorizations>,
        /// Where throttles that several gateways share are counted.
        shared_limits: Option<SharedLimits>,
        /// Health, readiness and metrics; `"off"` turns them off.
        admin: Either<Off, Admin> = {},
        /// Where access log lines go.
        access_log: AccessLog = "stdout",
        /// Bounds on what clients may send.
        limits: Limits = {},
        /// How the process stops.
        shutdown: Shutdown = {},
        /// The sockets that accept clients; at least one.
        listeners: Named<Listener>,
        /// The services requests are forwarded to.
        upstreams: Named<Upstream>,
        /// Plugins that decide who may do what, and compositions of them.
        authorizers: Named<Composable<PluginUse>>,
        /// Usage plans of API keys: what they open, and how much may come with each key.
        plans: Named<Plan>,
        /// Plugins that check messages.
        validators: Named<PluginUse>,
        /// Plugins that say which limits requests are charged to.
        limiters: Named<PluginUse>,
        /// Plugins that rewrite messages.
        transforms: Named<PluginUse>,
        /// Routes, grouped by the hosts and the path they share.
        apis: Named<Api>,
    }
}

words! {
    /// The word that turns something off.
    enum Off { Off = "off", }
}

table! {
    /// The listener for operators.
    "the admin listener"
    struct Admin {
        /// The address it binds.
        address: Address = "127.0.0.1:9901",
        /// Host names that operators reach it by, beside addresses and `localhost`. Requests
        /// with the token for another host are refused.
        hosts: Option<Vec<Text>>,
        /// The token that reads and changes state: consumers, keys, policies, the last
        /// reload. Without it those routes are refused to everyone.
        token: Option<AdminToken>,
    }
}

table! {
    /// A bearer token, from the environment or a file; at least 16 bytes.
    "the admin token"
    struct AdminToken {
        /// The environment variable that holds it.
        env: Option<Text>,
        /// The file that holds it; one line end at its end is no part of it.
        file: Option<FilePath>,
    }
}

/// Where access log lines go.
pub(crate) type AccessLog = Either<AccessLogWord, AccessLogFile>;

words! {
    /// A place for access log lines that is no file.
    enum AccessLogWord { Stdout = "stdout", Off = "off", }
}

table! {
    /// A file for access log lines.
    "the access log"
    struct AccessLogFile {
        /// The file that lines are appended to.
        file: FilePath,
    }
}

table! {
    /// Bounds on what clients may send.
    "the limits table"
    struct Limits {
        /// Bytes of a request head.
        header_bytes: Size<1024> = "32KiB",
        /// Header fields of a request.
        header_count: Number<1, 10_000> = 100,
        /// Bytes of a request target.
        target_bytes: Size<64> = "8KiB",
        /// How long a whole request head may take.
        header_timeout: Time = "10s",
        /// How long a client may pause within a body. A body that is held has this long in all,
        /// and a second more for each 64 KiB of it.
        body_timeout: Time = "60s",
        /// How long an idle client connection is kept.
        keep_alive: Time = "60s",
        /// Request bodies that may be held in memory at once, together.
        held_body_bytes: Size<0> = "256MiB",
        /// Keys of each throttle and concurrency limit that have a count of their own; up to
        /// twice as many are held. Others that come share one while all of these are charged.
        throttle_keys: Number<1, 100_000_000> = 100000,
        /// How many bits of an IPv6 address are one address to throttles.
        throttle_ipv6_prefix: Number<1, 128> = 64,
        /// Which responses carry `RateLimit` and `RateLimit-Policy`.
        throttle_fields: LimitFields = "refusals",
    }
}

table! {
    /// How the process stops.
    "the shutdown table"
    struct Shutdown {
        /// How long requests under way may take to finish.
        grace: TimeOrZero = "30s",
    }
}

table! {
    /// A socket that accepts clients.
    "a listener"
    struct Listener {
        /// The address it binds, as `0.0.0.0:8443` or `[::]:8443`.
        address: Address,
        /// TLS; plain HTTP where absent.
        tls: Option<ListenerTls>,
        /// Answers every request with a redirect to this HTTPS port. Plain listeners only.
        redirect_to_https: Option<Written<Number<1, 65_535>>>,
    }
}

table! {
    /// The TLS of a listener.
    "a listener's tls"
    struct ListenerTls {
        /// The certificate chain, leaf first, as PEM. It serves clients that name no host.
        certificate: FilePath,
        /// Its private key, as PEM.
        key: FilePath,
        /// More certificates, chosen by the host names they hold.
        more: Option<Vec<Certificate>>,
        /// Certificates that client certificates must chain to; none are asked for where
        /// absent.
        client_ca: Option<FilePath>,
        /// Lists of the client certificates that are taken back (CRLs), as PEM. They must be
        /// current, and there must be one of each authority below `client_ca`'s own.
        client_crl: Option<FilePath>,
        /// Whether clients must show a certificate (`"require"`, the default where
        /// `client_ca` is set) or may come without one (`"request"`).
        client_certificate: Option<Written<ClientCertificate>>,
        /// The oldest TLS version accepted.
        minimum: TlsVersion = "1.2",
        /// Whether HTTP/2 is offered.
        http2: bool = true,
    }
}

table! {
    /// A certificate and its key.
    "a certificate"
    struct Certificate {
        /// The certificate chain, leaf first, as PEM.
        certificate: FilePath,
        /// Its private key, as PEM.
        key: FilePath,
    }
}

words! {
    /// Whether a client must show a certificate.
    enum ClientCertificate { Require = "require", Request = "request", }
}

words! {
    /// A version of TLS.
    enum TlsVersion { V1_2 = "1.2", V1_3 = "1.3", }
}
