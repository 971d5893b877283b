//! `guard`, of the gateway and of APIs, as typed.

use super::{FilePath, Text};
use crate::read::{Either, Named, Number, Size, Written, table, words};

table! {
    /// Rules that are looked at before anybody is asked who the caller is.
    "a guard table"
    struct Guard {
        /// A database in MaxMind's format that tells the country of an address; for rules
        /// about countries.
        country_database: Option<FilePath>,
        /// The rules by name, in the order they are looked at. Each has one condition.
        rules: Named<GuardRule>,
    }
}

table! {
    /// A rule of a guard: one condition, and what happens to a request that it finds.
    "a guard rule"
    struct GuardRule {
        /// What happens to a request that the rule finds: it is refused (`"block"`), or
        /// counted and goes on (`"count"`).
        mode: GuardMode = "block",
        /// Finds clients whose address is in none of these networks.
        allow_addresses: Option<Vec<Networks>>,
        /// Finds clients whose address is in one of these networks.
        deny_addresses: Option<Vec<Networks>>,
        /// Finds clients of other countries than these, and of none that is known; as
        /// ISO 3166-1 writes them: `"DE"`.
        allow_countries: Option<Vec<Text>>,
        /// Finds clients of these countries.
        deny_countries: Option<Vec<Text>>,
        /// Finds requests with other methods.
        allow_methods: Option<Vec<Text>>,
        /// Finds requests with a body of another media type, or of none; as
        /// `"application/json"` or `"text/*"`.
        allow_content_types: Option<Vec<Text>>,
        /// Finds requests that have more of something than this.
        most: Option<GuardMost>,
        /// Finds requests with a part that this regular expression finds something in.
        deny_matching: Option<Text>,
        /// Finds requests with a part in which a value looks like one of these attacks.
        deny_attacks: Option<Vec<Attack>>,
        /// The parts that `deny_matching` or `deny_attacks` looks at: `path`, `query`,
        /// `query:NAME`, `header:NAME`, `body`. An expression looks at the path and the query
        /// decoded, and as sent; for attacks each of their values is looked at, decoded.
        parts: Option<Written<Vec<Text>>>,
        /// Bytes of a body that `deny_matching` or `deny_attacks` looks at. A rule that blocks
        /// refuses longer bodies; one that counts looks at their beginning.
        body_limit: Size<1> = "64KiB",
    }
}

words! {
    /// What happens to a request that a rule finds.
    enum GuardMode { Block = "block", Count = "count", }
}

words! {
    /// A kind of attack that the guard knows by its looks.
    enum Attack {
        SqlInjection = "sql-injection",
        CrossSiteScripting = "cross-site-scripting",
    }
}

/// A network, or a file of networks.
pub(crate) type Networks = Either<Text, NetworksFile>;

table! {
    /// A file with a network or an address on each line; what follows a `#` is a remark. When
    /// it changes it is read again.
    "a table of networks"
    struct NetworksFile {
        /// The file.
        file: FilePath,
    }
}

table! {
    /// The most that a request may have.
    "a table of what requests may have"
    struct GuardMost {
        /// Header fields.
        headers: Option<Number<0, 10_000>>,
        /// Bytes of one header field, its name and its value.
        header_bytes: Option<Size<1>>,
        /// Bytes of the path as sent.
        path_bytes: Option<Size<1>>,
        /// Bytes of the query as sent.
        query_bytes: Option<Size<0>>,
        /// Query parameters.
        query_parameters: Option<Number<0, 10_000>>,
    }
}
