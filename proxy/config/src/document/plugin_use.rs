//! `[authorizers.NAME]`, `[validators.NAME]` and `[transforms.NAME]` as typed.

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
        cache: Option<Written<Time>>,
        /// What happens to a request when the plugin faults: `"deny"` where absent. Not
        /// for authorizers, which deny always.
        on_fault: Option<Written<OnFault>>,
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
    /// The keys of an issuer.
    "an issuer"
    struct Issuer {
        /// The file that holds its JSON Web Key Set.
        jwks: FilePath,
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
        /// Faults in a row after which the plugin is not called for a while; 0 for never.
        breaker_after: Number<0, 1_000_000> = 5,
        /// How long that while is.
        breaker_pause: Time = "10s",
    }
}

words! {
    /// What happens to a request when a plugin other than an authorizer faults.
    enum OnFault { Deny = "deny", Skip = "skip", }
}
