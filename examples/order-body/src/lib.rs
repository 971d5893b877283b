//! Judges orders before the upstream hears of them.

use portcullis_plugin_sdk::{Plan, Plugin, Request, Validator, Violation, export};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

const BODY_LIMIT_BYTES: u64 = 16 << 20;

/// What an order must be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    /// The largest quantity one order may ask for.
    #[serde(default = "any_quantity")]
    largest_quantity: u64,
}

impl Plugin for OrderBody {
    type Settings = Self;

    fn plan(&self) -> Plan {
        Plan::new().buffers_body(BODY_LIMIT_BYTES)
    }
}

impl Validator for OrderBody {
    fn validate(&self, request: &Request) -> Vec<Violation> {
        match request.json::<Value>() {
            Err(error) => vec![error.into()],
            Ok(order) if !order.is_object() => vec![Violation::at("", "must be an object")],
            Ok(order) => [self.quantity(&order), item(&order)].into_iter().flatten().collect(),
        }
    }
}

impl OrderBody {
    fn quantity(&self, order: &Value) -> Option<Violation> {
        let message = match order.get("quantity").map(Value::as_u64) {
            None => "is required".to_owned(),
            Some(None | Some(0)) => "must be a whole number above 0".to_owned(),
            Some(Some(quantity)) if quantity > self.largest_quantity => {
                format!("must be at most {}", self.largest_quantity)
            }
            Some(Some(_)) => return None,
        };
        Some(Violation::at("/quantity", message))
    }
}

fn item(order: &Value) -> Option<Violation> {
    match order.get("item") {
        None | Some(Value::String(_)) => None,
        Some(_) => Some(Violation::at("/item", "must be a text")),
    }
}

fn any_quantity() -> u64 {
    u64::MAX
}

export!(OrderBody: validator);

#[cfg(test)]
mod tests {
    use portcullis_plugin_sdk::testing::configured;
    use serde_json::json;

    use super::*;

    fn check(body: &str, expected: &[(&str, &str)]) {
        let plugin: OrderBody = configured(json!({ "largest_quantity": 100 })).unwrap();

        let violations = plugin.validate(&Request::post("/orders", body));

        let found: Vec<_> =
            violations.iter().map(|it| (it.location.as_str(), it.message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_order_as_promised_goes_on() {
        check(r#"{"quantity": 1, "item": "tea"}"#, &[]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let whole = ("/quantity", "must be a whole number above 0");
        check(r#"{"quantity": 0, "item": 5}"#, &[whole, ("/item", "must be a text")]);
        check(r#"{"quantity": 1.5}"#, &[whole]);
        check(r#"{"quantity": 101}"#, &[("/quantity", "must be at most 100")]);
        check("{}", &[("/quantity", "is required")]);
        check("[]", &[("", "must be an object")]);
    }
}
