//! Counts its calls in `wasi:keyvalue` and grants with `count`; where it is told to
//! keep something beside, a store that is full makes it refuse.

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;
use wasi::keyvalue::atomics::increment;
use wasi::keyvalue::store::{Error, open};

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; which lints it trips changes with the generator"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../proxy/plugin-host/wit/keyvalue",
        world: "imports",
        generate_all,
    });
}

use bindings::wasi;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Counts {
    /// Bytes to keep beside, under a key of their own for each call.
    #[serde(default)]
    ballast: usize,
}

impl Plugin for Counts {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new()
    }
}

impl Authorizer for Counts {
    fn authorize(&self, _: &Request) -> Result<Grant, Denial> {
        let bucket = open("default").map_err(refused)?;
        let count = increment(&bucket, "count", 1).map_err(refused)?;
        if self.ballast > 0 {
            let ballast = vec![0; self.ballast];
            bucket.set(&format!("ballast-{count}"), &ballast).map_err(refused)?;
        }
        let kept = bucket.list_keys(None).map_err(refused)?.keys;
        Ok(Grant::to("counter")
            .with_attribute("count", i64::try_from(count).unwrap_or(i64::MAX))
            .with_attribute("kept", kept))
    }
}

fn refused(error: Error) -> Denial {
    Denial::forbidden(match error {
        Error::NoSuchStore => "no-such-store",
        Error::AccessDenied => "access-denied",
        Error::Other(_) => "store-refused",
    })
}

export!(Counts: authorizer);
