//! `[apis.NAME]` and its routes as typed.

use super::{
    Checks, Composable, Compression, Concurrencies, Cors, FailedAuthorizations, FilePath, Guard,
    JsonRules, Off, RequestMapping, Respond, ResponseMapping, Stage, Text, Throttles, UsagePlan,
};
use crate::read::{Either, Named, Number, Size, Written, table, words};

table! {
    /// A set of routes that share hosts and a base path.
    "an api"
    struct Api {
        /// The hosts it answers to, as `api.example.com` or `*.example.com`; all where
        /// absent.
        hosts: Option<Vec<Text>>,
        /// The path before every route's path. Below `/v1`, the route `GET /` answers
        /// `/v1` and `/v1/`.
        base_path: Option<Text>,
        /// The authorizer of its routes; `"none"` opens them.
        authorizer: Option<Composable<Use>>,
        /// Rules that are looked at before anybody is asked who the caller is. The gateway's
        /// where absent.
        guard: Option<Guard>,
        /// Its resource policy: a file with a JSON document in the language of AWS IAM.
        policy: Option<FilePath>,
        /// The scopes that callers of its routes need, as a route writes them.
        scopes: Option<Written<Scopes>>,
        /// Request headers that tell the upstream who calls, as a route writes them.
        identity_headers: Option<Named<Text>>,
        /// How many requests may come to all of its routes together. Those of the routes and of
        /// the whole gateway hold beside it.
        throttle: Option<Throttles>,
        /// How many requests may be under way at the same time in all of its routes.
        concurrency: Option<Concurrencies>,
        /// What a request to one of its routes takes out of throttles; 0 nothing.
        cost: Option<Written<Number<0, 1_000_000>>>,
        /// How many refusals of its authorizers an address may cause; the gateway's where
        /// absent.
        failed_authorizations: Option<FailedAuthorizations>,
        /// Whether callers of its routes need an API key with a usage plan.
        usage_plan: Option<UsagePlan>,
        /// What is checked of requests of its routes: validators by name, and tables of
        /// checks, in order.
        validate: Option<Checks>,
        /// An OpenAPI document (3.0 or 3.1) whose operations are routes of this API; a route
        /// written here under the key of an operation says more of it, or otherwise.
        openapi: Option<OpenApi>,
        /// The authorizers that stand for the security schemes of the OpenAPI document, by
        /// their names in it; `"none"` opens what needs one.
        security: Named<Composable<Use>>,
        /// How JSON bodies are judged where a schema is given for them.
        json: JsonRules = {},
        /// The limiters of its routes.
        limiters: Option<Vec<Use>>,
        /// What rewrites requests of its routes, in order.
        request_transforms: Option<Vec<Use>>,
        /// What rewrites responses of its routes, in order.
        response_transforms: Option<Vec<Use>>,
        /// What is changed of requests of its routes, as a route writes it.
        request: Option<RequestMapping>,
        /// What is changed of responses of its routes, as a route writes it.
        response: Option<ResponseMapping>,
        /// Whether its routes stream, as a route writes it.
        streams: bool = false,
        /// The upstream of its routes.
        upstream: Option<Text>,
        /// Bytes a request body may have. The default is generous because bodies stream.
        body_limit: Size<0> = "16GiB",
        /// Which pages of other origins may call its routes, and read what is answered.
        cors: Option<Cors>,
        /// How refusals and failures are worded: as problem details (RFC 9457), or as an HTTP
        /// or a REST API of Amazon API Gateway words them.
        errors: Errors = "problem",
        /// Which responses of its routes are compressed; none where absent.
        compression: Option<Compression>,
        /// The ways to it, by name: the API is served at each of them, and only there. At its
        /// hosts and base path alone where there are none.
        stages: Option<Named<Stage>>,
        /// Its routes, by `METHOD /path`, `ANY /path` or `$default`. A path may hold
        /// `{name}` for one segment and end in `{name+}` for the rest.
        routes: Named<Route>,
    }
}

words! {
    /// How refusals are worded.
    enum Errors {
        Problem = "problem",
        AwsHttpApi = "aws-http-api",
        AwsRestApi = "aws-rest-api",
    }
}

table! {
    /// What to do with the requests of one method and path.
    "a route"
    struct Route {
        /// The authorizer; `"none"` opens the route. The API's where absent.
        authorizer: Option<Composable<Use>>,
        /// The scopes of which a caller needs one, by the identity attribute `scopes`; an
        /// empty list for none. The API's where absent.
        scopes: Option<Written<Scopes>>,
        /// Request headers that tell the upstream who calls, each by the attribute it is set
        /// from: `identity:*`, `path:*`, `request:*`, `stage:*` or `tls:*`. What clients send by these
        /// names is taken off. The API's where absent.
        identity_headers: Option<Named<Text>>,
        /// How many requests may come to this route. Those of the API and of the whole gateway
        /// hold beside it.
        throttle: Option<Throttles>,
        /// How many requests may be under way at the same time.
        concurrency: Option<Concurrencies>,
        /// What a request takes out of throttles; 0 nothing. The API's, or 1, where absent.
        cost: Option<Written<Number<0, 1_000_000>>>,
        /// Whether callers need an API key with a usage plan; other routes neither ask for
        /// one nor count. The API's, or `"off"`, where absent.
        usage_plan: Option<Written<UsagePlan>>,
        /// What is checked: validators by name, and tables of checks, in order. The API's
        /// where absent.
        validate: Option<Checks>,
        /// The limiters. The API's where absent.
        limiters: Option<Vec<Use>>,
        /// What rewrites requests, in order. The API's where absent.
        request_transforms: Option<Vec<Use>>,
        /// What rewrites responses, in order. The API's where absent.
        response_transforms: Option<Vec<Use>>,
        /// What is changed of requests on their way to the upstream. The API's where absent.
        request: Option<RequestMapping>,
        /// What is changed of the upstream's responses. The API's where absent.
        response: Option<ResponseMapping>,
        /// Whether its bodies are streams, as those of WebSocket, server-sent events and gRPC
        /// are: whatever would hold one is then refused when the configuration is read. The
        /// API's where absent.
        streams: Option<bool>,
        /// The upstream that answers. The API's where absent.
        upstream: Option<Text>,
        /// The answer the gateway itself gives, in the place of an upstream.
        respond: Option<Respond>,
        /// How the path changes on its way to the upstream; not at all where absent.
        rewrite: Option<Rewrite>,
        /// Bytes a request body may have. The API's where absent.
        body_limit: Option<Size<0>>,
        /// Which pages of other origins may call, and read what is answered; `"off"` leaves
        /// it to the upstream. The API's where absent.
        cors: Option<Either<Off, Cors>>,
        /// Which responses are compressed; `"off"` leaves it to the upstream. The API's
        /// where absent.
        compression: Option<Either<Off, Compression>>,
    }
}

/// An OpenAPI document, or that and more.
pub(crate) type OpenApi = Either<FilePath, OpenApiTable>;

table! {
    /// An OpenAPI document.
    "an openapi table"
    struct OpenApiTable {
        /// The document, in YAML or JSON.
        file: FilePath,
        /// What happens where the document asks for what the gateway does not check: it is
        /// a problem, or goes on without. Security is never ignored.
        unsupported: Unsupported = "refuse",
    }
}

words! {
    /// What happens to what the gateway does not hold to.
    enum Unsupported { Refuse = "refuse", Ignore = "ignore", }
}

/// Scopes of which one is needed, or all.
pub(crate) type Scopes = Either<Vec<Text>, AllScopes>;

table! {
    /// Scopes that are all needed.
    "a scopes table"
    struct AllScopes {
        /// The scopes.
        all: Vec<Text>,
    }
}

/// A plugin use by its name, or with an argument.
pub(crate) type Use = Either<Text, UseTable>;

table! {
    /// A plugin use with the argument it takes for this route.
    "a plugin use with an argument"
    struct UseTable {
        /// The name of the plugin use.
        with: Text,
        /// The argument.
        r#use: Option<String>,
    }
}

table! {
    /// How the path changes on its way to the upstream.
    "a rewrite"
    struct Rewrite {
        /// The prefix to take off: whole segments that the route's path starts with.
        strip_prefix: Option<Text>,
        /// The prefix to put in its place.
        add_prefix: Option<Text>,
    }
}
