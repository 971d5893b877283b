//! What stages make of an API.

use portcullis_config::{Api, HostPattern, Integration, Limit, PathRewrite, Route, RouteMatch};

use crate::limits::shown;
use crate::whole;

fn path(route: &Route) -> String {
    match &route.matches {
        RouteMatch::Path { pattern, .. } => pattern.to_string(),
        RouteMatch::Default => String::new(),
    }
}

fn value<'a>(api: &'a Api, name: &str) -> Option<&'a str> {
    api.stage.as_ref()?.values.get(name).map(String::as_str)
}

fn hosts(name: &str) -> [HostPattern; 1] {
    [HostPattern::Exact(name.into())]
}

#[test]
fn an_api_is_served_at_each_of_its_stages() {
    let (_folder, gateway) = whole();

    let stages: Vec<&Api> = gateway.apis.iter().filter(|api| api.name == "staged").collect();
    let [default, dev, beta] = stages[..] else { panic!("three stages") };

    let names = [default, dev, beta].map(|api| api.stage.as_ref().unwrap().name.as_str());
    assert_eq!(names, ["$default", "dev", "beta"]);
    assert_eq!([default, dev, beta].map(Api::is_apart), [false, true, true]);
    let base_paths = [default, dev, beta].map(|api| api.base_path.as_str());
    assert_eq!(base_paths, ["/v2", "/dev/v2", "/b/v2"]);
    assert_eq!(default.hosts, hosts("staged.example.com"));
    assert_eq!(dev.hosts, default.hosts);
    assert_eq!(beta.hosts, hosts("beta.example.com"));
    let paths = [default, dev, beta].map(|api| path(&api.routes[0]));
    assert_eq!(paths, ["/v2/{id}", "/dev/v2/{id}", "/b/v2/{id}"]);
    let colours = [default, dev, beta].map(|api| value(api, "colour"));
    assert_eq!(colours, [Some("blue"), Some("green"), Some("red")]);
    assert_eq!(value(dev, "more.of-it"), Some(""));
    let upstreams = [default, dev, beta].map(|api| {
        let Integration::Proxy { upstream, path } = &api.routes[0].integration else {
            panic!("an upstream")
        };
        let PathRewrite::ReplacePrefix { strip, add } = path else { panic!("rewritten") };
        assert_eq!(add, "");
        (upstream.name.as_str(), strip.as_str())
    });
    assert_eq!(upstreams, [("plain", "/v2"), ("orders", "/dev/v2"), ("plain", "/b/v2")]);
}

#[test]
fn a_stage_has_limits_of_its_own_of_each_route() {
    let (_folder, gateway) = whole();

    let stages: Vec<&Api> = gateway.apis.iter().filter(|api| api.name == "staged").collect();
    let ladder = |at: usize| -> Vec<String> {
        let route: &Route = &stages[at].routes[0];
        let limits: Vec<&Limit> = route.limits.ladder.iter().map(|limit| &**limit).collect();
        // What the whole gateway holds to is the same everywhere.
        let (last, own) = limits.split_last().unwrap();
        assert_eq!(last.spec.name, "account-in-flight");
        own[..own.len() - 1]
            .iter()
            .map(|limit| format!("{} {}", limit.spec.scope, shown(limit)))
            .collect()
    };

    let route = |stage: &str| format!("apis.staged.stages.\"{stage}\".routes.\"GET /{{id}}\"");
    let api = "apis.staged api 90/s 90 all".to_owned();
    assert_eq!(
        ladder(0),
        [
            format!("{} route 10/s 10 all", route("$default")),
            format!("{} route-in-flight 3 all", route("$default")),
            "apis.staged.stages.\"$default\" stage 50/s 50 all".to_owned(),
            api.clone(),
        ]
    );
    assert_eq!(
        ladder(1),
        [
            format!("{} route-attribute 2/s 2 path:id", route("dev")),
            format!("{} route-in-flight 3 all", route("dev")),
            "apis.staged.stages.\"dev\" stage-in-flight 5 all".to_owned(),
            api.clone(),
        ]
    );
    assert_eq!(
        ladder(2),
        [
            format!("{} route 10/s 10 all", route("beta")),
            format!("{} route-in-flight 1 all", route("beta")),
            api,
        ]
    );
    for (at, limit) in gateway.throttles.iter().enumerate() {
        assert_eq!(limit.index, at);
    }
}

#[test]
fn a_plan_opens_a_stage_and_a_route_of_one() {
    let (_folder, gateway) = whole();

    let stages = gateway.apis.iter().filter(|api| api.name == "staged");
    let trial: Vec<Option<String>> = stages
        .map(|api| {
            let plans = api.routes[0].limits.plans.as_ref().unwrap();
            let open = plans.open.iter().find(|open| &*open.plan.name == "trial")?;
            Some(open.ladder.first().map(|limit| shown(limit)).unwrap())
        })
        .collect();

    let own = "plan-trial-stage-route 7/s 7 api-key".to_owned();
    assert_eq!(trial, [Some(own), Some("route-attribute 2/s 2 path:id".to_owned()), None]);
}
