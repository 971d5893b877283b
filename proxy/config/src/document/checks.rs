//! `validate`, of APIs and routes, as typed.

use super::{Budget, FilePath, Isolation, Text};
use crate::read::{Amount, Either, Named, Number, Scalar, Size, Written, table, words};

/// What is checked: one thing, or several in order.
pub(crate) type Checks = Either<Check, Vec<Check>>;

/// A validator by its name, or a table of checks.
pub(crate) type Check = Either<Text, CheckTable>;

table! {
    /// A validator with its argument, or checks of the gateway's own: of the body by a
    /// JSON Schema, and of parameters. All violations are told in one answer.
    "a validate table"
    struct CheckTable {
        /// The name of a validator. Beside it stands nothing but `use`.
        with: Option<Text>,
        /// The argument of the validator.
        r#use: Option<Written<String>>,
        /// The schema of JSON bodies: a file, with a JSON Pointer after `#` where the schema
        /// is not the whole of it.
        body: Option<Written<Body>>,
        /// Query parameters, by name.
        query: Named<Parameter>,
        /// Request headers, by name.
        headers: Named<Parameter>,
        /// Path parameters, by name.
        path: Named<Parameter>,
        /// Cookies, by name.
        cookies: Named<Parameter>,
    }
}

/// A schema file, or that and more.
pub(crate) type Body = Either<FilePath, BodyTable>;

table! {
    /// A body that is judged by a schema.
    "a body table"
    struct BodyTable {
        /// The schema: a file in JSON or YAML, with a JSON Pointer after `#` where the schema
        /// is not the whole of it.
        schema: FilePath,
        /// How the schema is to be understood; as its file says (`$schema`, `openapi`) where
        /// absent, else by draft 2020-12.
        dialect: Option<Dialect>,
        /// The media types that are judged, as `type/subtype`, `type/*` or
        /// `type/*+suffix`.
        media_types: Vec<Text> = ["application/json", "application/*+json"],
        /// What happens to a body of another media type, or of none: it is refused with 415,
        /// or goes on unjudged.
        other_media_types: OtherMediaTypes = "refuse",
        /// Whether there must be a body.
        required: bool = true,
    }
}

words! {
    /// A way to understand schemas.
    enum Dialect {
        Draft04 = "draft-04",
        Draft06 = "draft-06",
        Draft07 = "draft-07",
        Draft201909 = "2019-09",
        Draft202012 = "2020-12",
        OpenApi30 = "openapi-3.0",
        OpenApi31 = "openapi-3.1",
    }
}

impl Dialect {
    /// The word, as the plugin takes it too.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Draft04 => "draft-04",
            Self::Draft06 => "draft-06",
            Self::Draft07 => "draft-07",
            Self::Draft201909 => "2019-09",
            Self::Draft202012 => "2020-12",
            Self::OpenApi30 => "openapi-3.0",
            Self::OpenApi31 => "openapi-3.1",
        }
    }
}

words! {
    /// What happens to bodies of media types that are not judged.
    enum OtherMediaTypes { Refuse = "refuse", Pass = "pass", }
}

table! {
    /// What a parameter must be.
    "a parameter"
    struct Parameter {
        /// What its text must stand for.
        r#type: ParameterType = "string",
        /// Whether it must be there, and not blank. Path parameters always are.
        required: bool = false,
        /// The values it may have.
        r#enum: Option<Written<Vec<Scalar>>>,
        /// The least value of a number.
        minimum: Option<Written<Amount>>,
        /// The greatest value of a number.
        maximum: Option<Written<Amount>>,
        /// The fewest characters of a text.
        min_length: Option<Written<Number<0, 1_000_000>>>,
        /// The most characters of a text.
        max_length: Option<Written<Number<0, 1_000_000>>>,
        /// A regular expression that a part of the text must match; `^` and `$` make it the
        /// whole.
        pattern: Option<Text>,
        /// A form that the text must have.
        format: Option<Written<ParameterFormat>>,
        /// Whether it may be there several times; what is said of a value is then said of
        /// each.
        repeated: bool = false,
    }
}

words! {
    /// What the text of a parameter stands for.
    enum ParameterType {
        String = "string",
        Integer = "integer",
        Number = "number",
        Boolean = "boolean",
    }
}

words! {
    /// The form of a text.
    enum ParameterFormat {
        Date = "date",
        DateTime = "date-time",
        Uuid = "uuid",
        Ipv4 = "ipv4",
        Ipv6 = "ipv6",
    }
}

table! {
    /// How JSON bodies of an API are judged. Its schemas are one plugin use.
    "a json table"
    struct JsonRules {
        /// Whether texts must be of the `format` that a schema names.
        formats: Formats = "check",
        /// Bytes of a body; a longer one is refused with 413.
        size: Size<1> = "1MiB",
        /// Objects and lists within one another.
        depth: Number<1, 256> = 64,
        /// Values in a body.
        values: Number<1, 100_000_000> = 100_000,
        /// Bytes of one text or name.
        text: Size<1> = "1MiB",
        /// Bytes of one number, as written.
        number: Number<1, 1024> = 64,
        /// Violations that the client is told of at once.
        violations: Number<1, 1000> = 20,
        /// Whether an instance judges one body or many; many where absent.
        isolation: Option<Isolation>,
        /// What judging one body may use.
        budget: Budget = {},
    }
}

words! {
    /// Whether formats count.
    enum Formats { Check = "check", Ignore = "ignore", }
}
