//! A path that a plugin answers itself must be one that requests for it come to it by.

use portcullis_config::{Access, Authorization, PluginUseId, Route};
use portcullis_pipeline::{Pipeline, Unreached};

use crate::counted::Counted;
use crate::scripted::Scripted;
use crate::served::{api, plugin, route};

const CALLBACK: &str = "/login/callback";

/// A route that asks plugin 0, which answers the callback itself.
fn asking(key: &str) -> Route {
    Route { access: Access::By(Authorization::Any(vec![one(1), one(0)])), ..route(key) }
}

fn one(id: usize) -> Authorization {
    Authorization::One(plugin(id))
}

/// Whether the callback is unreached in these APIs: hosts and routes.
fn is_unreached<const N: usize>(apis: [(&[&str], Vec<Route>); N]) -> bool {
    let apis = apis.into_iter().map(|(hosts, routes)| api("shop", hosts, "", routes)).collect();
    let plugins = Scripted::default().answers(0, CALLBACK);
    let found = Pipeline::new(apis, plugins, Counted::default()).unreached();
    let callback = Unreached { plugin: PluginUseId(0), path: CALLBACK.into() };
    assert!(found.is_empty() || found == [callback], "{found:?}");
    !found.is_empty()
}

#[test]
fn a_route_that_takes_the_path_and_asks_the_plugin_is_enough() {
    for key in ["$default", "ANY /{all+}", "GET /login/{what}", "GET /login/callback"] {
        assert!(!is_unreached([(&[], vec![asking(key)])]), "{key}");
        assert!(!is_unreached([(&["*.shop.test"], vec![asking(key)])]), "{key}");
    }
    assert!(!is_unreached([(&[], vec![asking("GET /a"), asking("GET /login/callback")])]));
    let parts = [asking("GET /a"), asking("GET /login/callback")].map(|route| vec![route]);
    let [here, there] = parts;
    assert!(!is_unreached([(&["a.test"], here), (&["b.test"], there)]));
}

#[test]
fn no_other_route_is() {
    for key in ["GET /orders", "POST /login/callback", "GET /login"] {
        assert!(is_unreached([(&[], vec![asking(key)])]), "{key}");
    }
    // Another route takes its requests, and does not ask the plugin.
    let open = || route("GET /login/callback");
    assert!(is_unreached([(&[], vec![asking("$default"), open()])]));
    // It is served, at a host where nobody is sent to log in.
    assert!(is_unreached([(&["a.test"], vec![asking("GET /a")]), (&["b.test"], vec![open()])]));
}

#[test]
fn a_plugin_that_no_route_asks_answers_nobody() {
    assert!(!is_unreached([(&[], vec![route("GET /orders")])]));
}
