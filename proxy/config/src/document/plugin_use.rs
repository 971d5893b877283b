//! `[authorizers.NAME]`, `[validators.NAME]`, `[transforms.NAME]` and `[limiters.NAME]` as
//! typed.

use super::{FilePath, Text};
use crate::read::{Either, Named, Number, Settings, Size, Time, Written, table, words};

table! {
    /// A configured use of a plugin.
    "a plugin use"
    struct PluginUse {
        /// The plugin: the name of its file without `.wasm`, or of a built-in one.
        plugin: Text,
        /// The plugin's own settings.
        settings: Settings = {},
        /// Whether an instance serves one request (`"fresh"`) or many (`"reuse"`, up to
        /// 1000, or `{ reuse = N }`); what the plugin asks for where absent.
        isolation: Option<Isolation>,
        /// What the plugin may do beyond computing and logging.
        grants: Grants = {},
        /// What one call may use.
        budget: Budget = {},
        /// How long grants may be kept; every request is asked about where absent.
        /// Authorizers only.
        cache: Option<Written<Cache>>,
        /// What a request must have for the plugin to be asked about it: texts as in
        /// `cache.by`. A request that has one of them not, or empty, is answered with 401
        /// without a call. Authorizers only.
        identity_sources: Option<Written<Vec<IdentitySource>>>,
        /// What happens to a request when the plugin faults: `"deny"` where absent. Not
        /// for authorizers, which deny always.
        on_fault: Option<Written<OnFault>>,
        /// Whether the limits of its plan are counted by all gateways of `shared_limits`
        /// together; none of them may be in flight. Limiters only.
        shared: Option<Written<bool>>,
    }
}

/// How long grants may be kept: a time, or that and more.
pub(crate) type Cache = Either<Time, CacheTable>;

table! {
    /// How long answers of an authorizer may be kept, and for which requests.
    "a cache"
    struct CacheTable {
        /// How long grants may be kept.
        life: Time,
        /// What tells requests apart: all that the plugin is shown where absent. Each is
        /// `"header:NAME"`, `"query:NAME"`, `"cookie:NAME"`, `"attribute:NAME"`, `"path"`,
        /// `"method"`, `"host"` or `"client-address"`, and one that the plugin reads. What
        /// else it reads does not count: requests that differ in it share an answer. A
        /// request that has none of the headers, parameters, cookies and `tls:` attributes named
        /// is asked about each time.
        by: Option<Written<Vec<Text>>>,
        /// How long refusals (401 and 403) may be kept; not at all where absent.
        denials: Option<Time>,
    }
}

/// What a request must have, with its form or without.
pub(crate) type IdentitySource = Either<Text, IdentitySourceTable>;

table! {
    /// What a request must have, and its form.
    "an identity source"
    struct IdentitySourceTable {
        /// What: a text as in `cache.by`.
        source: Text,
        /// A regular expression that the whole value must match; with several values, each.
        matches: Option<Text>,
    }
}

/// Whether an instance serves one request or many.
pub(crate) type Isolation = Either<IsolationWord, IsolationReuse>;

words! {
    /// An isolation without a number.
    enum IsolationWord { Fresh = "fresh", Reuse = "reuse", }
}

table! {
    /// An instance that serves many requests, one at a time.
    "an isolation"
    struct IsolationReuse {
        /// How many requests an instance serves.
        reuse: Number<1, 1_000_000>,
    }
}

table! {
    /// What a plugin may do beyond computing and logging.
    "a grants table"
    struct Grants {
        /// Secrets it may use, by the name it asks with.
        secrets: Named<Secret>,
        /// Issuers whose tokens it may verify, by their URL.
        issuers: Named<Issuer>,
        /// HTTP services it may call, by `wasi:http`; none where absent.
        http: Option<HttpGrant>,
        /// What it may remember from one call to another, by `wasi:keyvalue`; nothing
        /// where absent.
        keyvalue: Option<KeyValueGrant>,
        /// Whether it may ask the store of API keys and access keys in `state`. A
        /// built-in plugin that needs it has it without this.
        credentials: Option<Written<bool>>,
        /// Real randomness in the place of a seeded stream.
        random: bool = false,
        /// The real clock in the place of the request's time.
        clock: bool = false,
    }
}

table! {
    /// A secret, from the environment or a file.
    "a secret"
    struct Secret {
        /// The environment variable that holds it.
        env: Option<Text>,
        /// The file that holds it; one line end at its end is no part of it.
        file: Option<FilePath>,
        /// Whether the plugin may see its bytes, not only compute with them.
        reveal: bool = false,
    }
}

table! {
    /// The keys of an issuer, and how they are fetched. Of `jwks`, `jwks_url` and
    /// `discovery` one may be given; without any, they are where the plugin's settings
    /// say.
    "an issuer"
    struct Issuer {
        /// The file that holds its JSON Web Key Set.
        jwks: Option<FilePath>,
        /// The URL of its JSON Web Key Set.
        jwks_url: Option<Text>,
        /// Whether the issuer's discovery document says where its keys are: the issuer's
        /// URL followed by `/.well-known/openid-configuration`.
        discovery: bool = false,
        /// Whether the names in these URLs may resolve to loopback, private and link-local
        /// addresses. An address that is written here may be asked either way.
        private_addresses: bool = false,
        /// A file of authorities to trust in the place of the system's.
        ca: Option<FilePath>,
        /// How long one document may take.
        timeout: Time = "1500ms",
        /// How often the keys are fetched again; where absent, as the issuer's
        /// `Cache-Control` says within 5 min and 24 h, or every hour.
        refresh: Option<Time>,
        /// The least time between two fetches for tokens whose key is unknown.
        min_refresh: Time = "10s",
        /// How long keys go on being used while none can be fetched.
        max_stale: Time = "24h",
    }
}

table! {
    /// HTTP services a plugin may call, and how much of them.
    "an HTTP grant"
    struct HttpGrant {
        /// The origins it may call, each a scheme, a host and, unless it is the scheme's
        /// own, a port: `"https://login.example.com"`, `"http://10.0.0.7:9000"`. All names
        /// below one are `"https://*.example.com"`.
        origins: Vec<Text>,
        /// Whether names may resolve to loopback, private and link-local addresses. An
        /// origin that is an address may be called either way.
        private_addresses: bool = false,
        /// A file of authorities to trust in the place of the system's.
        ca: Option<FilePath>,
        /// How long one request may take, the body of its answer included.
        timeout: Time = "2s",
        /// Bytes the body of a request may have.
        request: Size<0> = "1MiB",
        /// Bytes the body of an answer may have.
        response: Size<0> = "1MiB",
        /// Requests that one call of the plugin may make.
        requests: Number<1, 1000> = 4,
    }
}

table! {
    /// How much a plugin may remember from one call to another, all its instances together.
    "a key-value grant"
    struct KeyValueGrant {
        /// Bytes of keys and values, with what it costs to keep them. Nothing is evicted:
        /// what does not fit is refused.
        size: Size<1024> = "16MiB",
        /// Keys there may be.
        keys: Number<1, 10_000_000> = 100_000,
    }
}

table! {
    /// What one call of a plugin may use.
    "a budget"
    struct Budget {
        /// Wall time, waiting included.
        wall_time: Time = "1s",
        /// Time spent running the plugin's code.
        cpu_time: Time = "100ms",
        /// Memory of one instance.
        memory: Size<65_536> = "64MiB",
        /// Bytes a call may return: `1MiB` where absent, for transforms `16MiB`.
        output: Option<Size<0>>,
        /// Instances that may live at once.
        instances: Number<1, 100_000> = 64,
        /// Faults in a row after which the plugin is not called for a while for the client that
        /// met them or, where nobody is answered, for anybody; 0 for never.
        breaker_after: Number<0, 1_000_000> = 5,
        /// How long that while is.
        breaker_pause: Time = "10s",
    }
}

words! {
    /// What happens to a request when a plugin other than an authorizer faults.
    enum OnFault { Deny = "deny", Skip = "skip", }
}
