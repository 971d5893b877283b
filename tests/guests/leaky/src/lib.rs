//! Remembers across requests what it should not: how many calls the instance has
//! served (`seen`, this one included) and the `x-secret` of the one before
//! (`remembered`). Only a fresh instance makes it forget.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};
use schemars::JsonSchema;
use serde::Deserialize;

static SEEN: AtomicI64 = AtomicI64::new(0);
static REMEMBERED: Mutex<String> = Mutex::new(String::new());

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Leaky {}

impl Plugin for Leaky {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().reads_header("x-secret")
    }
}

impl Authorizer for Leaky {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
        let secret = request.header("x-secret").unwrap_or_default().to_owned();
        let before = REMEMBERED.lock().map(|mut kept| std::mem::replace(&mut *kept, secret));
        Ok(Grant::to("leaky")
            .with_attribute("seen", seen)
            .with_attribute("remembered", before.unwrap_or_default()))
    }
}

export!(Leaky: authorizer);
