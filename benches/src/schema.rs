//! What judging a body by a schema costs, and what loading many schemas does.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use portcullis_config::{Judge, Use};
use portcullis_pipeline::{Call, Plugins as _, View};
use portcullis_plugin_host::{Engine, EngineSettings, PluginHost};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::unconstrained;

use crate::Effort;
use crate::asked::{self, Asked};
use crate::meter::{median, thread_cpu};
use crate::site::Site;
use crate::table::Table;

/// How long an image of the large schema may take.
const IMAGE: Duration = Duration::from_secs(300);
/// Routes that each have a schema of their own.
const ROUTES: [usize; 3] = [1, 50, 500];

/// Measures both.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    judging(effort)?;
    loading()
}

fn judging(effort: Effort) -> Result<()> {
    let builtins = portcullis_builtin_plugins::components().to_vec();
    let engine = Engine::start(EngineSettings { builtins, ..EngineSettings::default() })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let bodies = [("1 KB", body(7), 5_000), ("50 KB", body(380), 300)];
    let columns =
        ["a body against a schema", "1 KB, CPU µs", "× native", "50 KB, CPU µs", "× native"];
    let mut table = Table::new(&columns);
    let validator = jsonschema::validator_for(&order()).map_err(|it| anyhow!("{it}"))?;
    let natively = |body: &[u8], calls| {
        timed(effort, calls, || {
            let value: Value = serde_json::from_slice(body)?;
            ensure!(validator.is_valid(&value), "the body is not valid");
            Ok(())
        })
    };
    let [(_, one, calls), (_, other, fewer)] = &bodies;
    let [small, large] = [natively(one, *calls)?, natively(other, *fewer)?];
    table.row("native: serde_json and jsonschema", cells([small, large], [small, large]));
    for (name, isolation, schema) in [
        ("`json-schema`, reused", "{ reuse = 1_000_000 }", order()),
        ("… fresh, from its image", "\"fresh\"", order()),
        ("… reused, a schema of 600 KB", "{ reuse = 1_000_000 }", huge()),
        ("… fresh, from its image, a schema of 600 KB", "\"fresh\"", huge()),
    ] {
        let caller = Caller::new(&engine, isolation, &schema)?;
        let mut took = [0.0; 2];
        for ((_, body, calls), took) in bodies.iter().zip(&mut took) {
            runtime.block_on(unconstrained(caller.ask(body, 50)))?;
            let mut times = Vec::new();
            for _ in 0..effort.rounds {
                times.push(caller.round(body, *calls, &runtime).context(name)?);
            }
            *took = median(times);
        }
        table.row(name, cells(took, [small, large]));
    }
    println!("{table}");
    Ok(())
}

fn cells([small, large]: [f64; 2], [native_small, native_large]: [f64; 2]) -> [String; 4] {
    let ratio = |took: f64, native: f64| format!("{:.2}", took / native);
    [
        format!("{small:.1}"),
        ratio(small, native_small),
        format!("{large:.0}"),
        ratio(large, native_large),
    ]
}

/// Processor time of this thread for each call, in microseconds: the median of rounds.
fn timed(effort: Effort, calls: u32, mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..effort.rounds {
        let started = thread_cpu();
        for _ in 0..calls {
            once()?;
        }
        times.push((thread_cpu() - started).as_secs_f64() * 1e6 / f64::from(calls));
    }
    Ok(median(times))
}

/// A loaded schema.
struct Caller {
    host: PluginHost,
    target: Use,
}

impl Caller {
    fn new(engine: &Engine, isolation: &str, schema: &Value) -> Result<Self> {
        let (_site, gateway) = gateway(&[schema.to_string()], isolation)?;
        let rules =
            gateway.apis.first().and_then(|api| api.routes.first()).map(|it| it.rules.clone());
        let rules = rules.context("a route")?;
        let judges = rules.bodies.iter().flat_map(|rule| &rule.media_types);
        let judge = judges.map(|(_, judge)| judge).next();
        let Some(Judge::Validator(target)) = judge.cloned() else {
            return Err(anyhow!("no schema judges"));
        };
        let host = engine.load(&gateway, None).map_err(|problems| anyhow!("{problems}"))?;
        if isolation == "\"fresh\"" {
            asked::wait_for_image(&host, IMAGE)?;
        }
        Ok(Self { host, target })
    }

    fn round(&self, body: &[u8], calls: u32, runtime: &Runtime) -> Result<f64> {
        let started = thread_cpu();
        runtime.block_on(unconstrained(self.ask(body, calls)))?;
        Ok((thread_cpu() - started).as_secs_f64() * 1e6 / f64::from(calls))
    }

    async fn ask(&self, body: &[u8], calls: u32) -> Result<()> {
        let request = Asked::new("POST /orders", 1_800_000_000_000).with_body(body.to_vec());
        let parts = request.parts();
        for _ in 0..calls {
            let call = Call { target: &self.target, view: View::of(&parts) };
            let violations = self.host.validate(call).await?;
            ensure!(violations.is_empty(), "{violations:?}");
        }
        Ok(())
    }
}

fn loading() -> Result<()> {
    let builtins = portcullis_builtin_plugins::components().to_vec();
    let state = tempfile::tempdir()?;
    let columns = [
        "routes that each have a schema",
        "load, ms",
        "reload after one changed, ms",
        "reload, nothing changed, ms",
    ];
    let mut table = Table::new(&columns);
    for routes in ROUTES {
        let cache_directory = Some(state.path().to_owned());
        let settings = EngineSettings {
            builtins: builtins.clone(),
            cache_directory,
            ..EngineSettings::default()
        };
        let engine = Engine::start(settings)?;
        let mut schemas: Vec<String> = (0..routes).map(|at| numbered(at).to_string()).collect();
        // Once before, so that compiled code is there as after any start but the first.
        load(&engine, &schemas, None)?;
        let (host, took) = load(&engine, &schemas, None)?;
        let (_, unchanged) = load(&engine, &schemas, Some(&host))?;
        if let Some(first) = schemas.first_mut() {
            *first = numbered(routes).to_string();
        }
        let (_, changed) = load(&engine, &schemas, Some(&host))?;
        let cells = [took, changed, unchanged].map(|it| format!("{:.1}", it.as_secs_f64() * 1e3));
        table.row(routes.to_string(), cells);
    }
    println!("{table}");
    Ok(())
}

fn load(
    engine: &Engine,
    schemas: &[String],
    previous: Option<&PluginHost>,
) -> Result<(PluginHost, Duration)> {
    let started = Instant::now();
    let (_site, gateway) = gateway(schemas, "{ reuse = 1_000_000 }")?;
    let host = engine.load(&gateway, previous).map_err(|problems| anyhow!("{problems}"))?;
    let took = started.elapsed();
    // Its image is made beside, and would slow down what is measured next.
    asked::wait_while_images_are_made(&host, IMAGE)?;
    Ok((host, took))
}

/// A configuration of one API with a route for each schema.
fn gateway(schemas: &[String], isolation: &str) -> Result<(Site, portcullis_config::Gateway)> {
    let site = Site::new()?;
    let mut config = format!(
        "listeners.public.address = \"127.0.0.1:0\"\nauthorizer = \"none\"\n\
         [apis.bench.json]\nisolation = {isolation}\n\
         budget = {{ memory = \"256MiB\", cpu_time = \"5s\", wall_time = \"20s\" }}\n\
         [apis.bench.routes]\n"
    );
    for (at, schema) in schemas.iter().enumerate() {
        std::fs::write(site.path().join(format!("{at}.json")), schema)?;
        config.push_str(&format!(
            "\"POST /{at}\" = {{ respond = {{}}, validate = {{ body = \"{at}.json\" }} }}\n"
        ));
    }
    std::fs::write(site.config(), config)?;
    let gateway =
        portcullis_config::load(&site.config()).map_err(|problems| anyhow!("{problems}"))?;
    Ok((site, gateway))
}

/// An order with so many lines.
fn body(lines: usize) -> Vec<u8> {
    let line = |at: usize| {
        json!({ "sku": format!("SKU-{at:06}"), "name": "a thing that is sold by weight", "quantity": at % 9 + 1,
            "price": { "amount": 1999 + at, "currency": "EUR" }, "tags": ["new", "fragile"] })
    };
    let lines: Vec<Value> = (0..lines).map(line).collect();
    json!({ "id": "6f0c1e2d-0000-4000-8000-0123456789ab", "customer": "customer@example.com", "lines": lines })
        .to_string()
        .into_bytes()
}

fn order() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["id", "customer", "lines"],
        "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "minLength": 36, "maxLength": 36 },
            "customer": { "type": "string", "maxLength": 100 },
            "lines": { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/line" } },
        },
        "definitions": {
            "line": {
                "type": "object",
                "required": ["sku", "quantity", "price"],
                "additionalProperties": false,
                "properties": {
                    "sku": { "type": "string", "pattern": "^SKU-[0-9]{6}$" },
                    "name": { "type": "string", "maxLength": 200 },
                    "quantity": { "type": "integer", "minimum": 1, "maximum": 100 },
                    "price": {
                        "type": "object",
                        "required": ["amount", "currency"],
                        "properties": {
                            "amount": { "type": "integer", "minimum": 0 },
                            "currency": { "enum": ["EUR", "USD", "GBP"] },
                        },
                    },
                    "tags": { "type": "array", "maxItems": 8, "items": { "type": "string" } },
                },
            },
        },
    })
}

/// The same with definitions beside it that make it 600 KB.
fn huge() -> Value {
    let mut schema = order();
    let more = |at: usize| {
        json!({ "type": "object", "required": ["a"], "properties": {
            "a": { "type": "string", "maxLength": at, "description": "one of many definitions" },
            "b": { "type": "array", "items": { "enum": [at, "x", "y"] } },
            "c": { "anyOf": [{ "type": "integer", "minimum": at }, { "type": "null" }] } } })
    };
    for at in 0..2_400 {
        add(&mut schema, at, more(at));
    }
    schema
}

fn numbered(at: usize) -> Value {
    let mut schema = order();
    add(&mut schema, at, json!({ "type": "string", "maxLength": at }));
    schema
}

/// Adds a member that bodies need not have.
fn add(schema: &mut Value, at: usize, member: Value) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(format!("member{at}"), member);
    }
}
