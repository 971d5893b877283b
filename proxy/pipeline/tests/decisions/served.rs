//! APIs as a configuration has them, and the way of a request through one.

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::{
    Access, Api, ApiResource, Authorization, Balance, Errors, HostPattern, HostRewrite,
    Integration, PathPattern, PathRewrite, Place, PluginUseId, Route, RouteLimits, RouteMatch,
    Timeouts, Upstream, UpstreamProtocol, Use,
};
use portcullis_pipeline::{Admitted, Answer, Decision, Forward, Pipeline, Record, Rejection};

use crate::counted::{Counted, Tested};
use crate::scripted::Scripted;
use crate::sent::{Sent, arrival};

/// An open route to an upstream, by its key.
pub(crate) fn route(key: &str) -> Route {
    let matches = match key.split_once(' ') {
        None => RouteMatch::Default,
        Some((method, path)) => RouteMatch::Path {
            method: if method == "ANY" { None } else { Some(method.parse().unwrap()) },
            pattern: PathPattern::parse(path).unwrap(),
        },
    };
    Route {
        key: key.into(),
        operation: None,
        place: Place::synthetic(),
        matches,
        access: Access::Open,
        scopes: None,
        limits: RouteLimits::default(),
        limiters: Vec::new(),
        identity_headers: Arc::from([]),
        validators: Vec::new(),
        rules: Arc::default(),
        request_transforms: Vec::new(),
        response_transforms: Vec::new(),
        request: None,
        response: None,
        streams: false,
        integration: Integration::Proxy { upstream: upstream(), path: PathRewrite::Keep },
        body_limit: 100,
        cors: None,
        compression: None,
    }
}

/// `POST /orders/{id}` behind authorizer 0.
pub(crate) fn guarded() -> Route {
    Route { access: Access::By(Authorization::One(plugin(0))), ..route("POST /orders/{id}") }
}

pub(crate) fn plugin(id: usize) -> Use {
    Use { plugin: PluginUseId(id), argument: None }
}

pub(crate) fn api(name: &str, hosts: &[&str], base_path: &str, routes: Vec<Route>) -> Api {
    let host = |host: &&str| match host.strip_prefix("*.") {
        Some(suffix) => HostPattern::Wildcard(suffix.into()),
        None => HostPattern::Exact((*host).into()),
    };
    Api {
        name: name.into(),
        stage: None,
        hosts: hosts.iter().map(host).collect(),
        base_path: base_path.into(),
        resource: Arc::new(ApiResource::of(name, "000000000000", "local")),
        cors: None,
        guard: None,
        errors: Errors::Problem,
        routes,
    }
}

pub(crate) fn pipeline(route: Route, plugins: Scripted) -> Tested {
    Pipeline::new(vec![api("shop", &[], "", vec![route])], plugins, Counted::default())
}

/// What became of a request, and what it left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) admitted: Result<Admitted, Rejection>,
    pub(crate) record: Record,
}

pub(crate) async fn admit(pipeline: &Tested, mut sent: Sent) -> Outcome {
    let mut record = Record::default();
    let admitted = pipeline.admit(arrival(), &mut sent, &mut record).await;
    Outcome { admitted, record }
}

impl Outcome {
    pub(crate) fn forward(self) -> Forward {
        match self.admitted {
            Ok(Admitted::Forward(forward)) => *forward,
            other => panic!("not forwarded: {other:?}"),
        }
    }

    pub(crate) fn answer(self) -> Answer {
        match self.admitted {
            Ok(Admitted::Answer(answer)) => answer,
            other => panic!("not answered: {other:?}"),
        }
    }

    pub(crate) fn rejection(&self) -> &Rejection {
        self.admitted.as_ref().unwrap_err()
    }

    /// The status and code of the rejection, which the record agrees with.
    pub(crate) fn refusal(&self) -> (u16, &'static str) {
        let rejection = self.rejection();
        assert_eq!(self.record.decision, Some(rejection.decision()));
        (rejection.status().as_u16(), rejection.code())
    }

    pub(crate) fn decision(&self) -> &Decision {
        self.record.decision.as_ref().unwrap()
    }
}

fn upstream() -> Arc<Upstream> {
    let second = Duration::from_secs(1);
    Arc::new(Upstream {
        name: "orders".into(),
        endpoints: Vec::new(),
        balance: Balance::RoundRobin,
        tls: None,
        protocol: UpstreamProtocol::Http1,
        host: HostRewrite::Preserve,
        timeouts: Timeouts {
            connect: second,
            first_byte: second,
            idle: second,
            total: None,
            keep_alive: second,
        },
        retries: 0,
        health_check: None,
        resolve_every: second,
    })
}
