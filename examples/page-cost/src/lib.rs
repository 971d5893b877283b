//! Charges lists by the items that they ask for.

use portcullis_plugin_sdk::{
    Bucket, Charge, Limit, LimitPolicy, Limiter, Plan, Plugin, Request, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

const MINUTE_MS: u64 = 60_000;
/// Items of a page where the client names no size.
const USUAL_PAGE: u64 = 20;

/// How many items clients may list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageCost {
    /// Items that an address may list in a minute.
    items_per_minute: u64,
}

impl Plugin for PageCost {
    type Settings = Self;

    fn plan(&self) -> Plan {
        let policy = LimitPolicy::Bucket(Bucket {
            count: self.items_per_minute,
            period_ms: MINUTE_MS,
            burst: self.items_per_minute,
        });
        let items = Limit { name: "items".into(), policy, gives_back: true };
        Plan::new().reads_parameter("size").charges(items)
    }
}

impl Limiter for PageCost {
    fn limit(&self, request: &Request) -> Vec<Charge> {
        let mut sizes = request.parameters_all("size");
        // What cannot be read, or is there twice, may be any size; more than all cannot be taken.
        let size = match (sizes.next(), sizes.next()) {
            (None, _) => Some(USUAL_PAGE),
            (Some(size), None) => size.parse().ok(),
            (Some(_), Some(_)) => None,
        };
        let cost = size.unwrap_or(u64::MAX).clamp(1, self.items_per_minute);
        vec![Charge { limit: "items".into(), key: request.client_address.clone().into(), cost }]
    }
}

export!(PageCost: limiter);

#[cfg(test)]
mod tests {
    use portcullis_plugin_sdk::testing::configured;
    use serde_json::json;

    use super::*;

    fn check(sizes: &[&str], expected: u64) {
        let plugin: PageCost = configured(json!({ "items_per_minute": 100 })).unwrap();
        let request = Request::get("/orders");
        let request =
            sizes.iter().fold(request, |request, size| request.with_parameter("size", size));

        let charges = plugin.limit(&request);

        let costs: Vec<_> = charges.iter().map(|it| (it.limit.as_str(), it.cost)).collect();
        assert_eq!(costs, [("items", expected)], "{sizes:?}");
    }

    #[test]
    fn a_list_costs_the_items_that_it_asks_for() {
        check(&[], 20);
        check(&["7"], 7);
        check(&["0"], 1);
    }

    #[test]
    fn who_asks_for_everything_takes_everything() {
        check(&["1000000"], 100);
        check(&["all"], 100);
        check(&["1", "2"], 100);
        check(&[""], 100);
    }
}
