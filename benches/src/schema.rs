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
use crate::meter::{median, spread, thread_cpu};
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

/// How instances are kept, and by which schema they judge.
struct Case {
    name: &'static str,
    isolation: &'static str,
    schema: fn() -> Value,
}

const REUSED: &str = "{ reuse = 1_000_000 }";
const FRESH: &str = "\"fresh\"";

/// Each fresh one after the reused one that it is held against.
const CASES: [Case; 4] = [
    Case { name: "`json-schema`, reused", isolation: REUSED, schema: order },
    Case { name: "… fresh, from its image", isolation: FRESH, schema: order },
    Case { name: "… reused, a schema of 600 KB", isolation: REUSED, schema: huge },
    Case { name: "… fresh, from its image, a schema of 600 KB", isolation: FRESH, schema: huge },
];

/// Microseconds of a small and of a large body.
type Round = [f64; 2];

fn judging(effort: Effort) -> Result<()> {
    let builtins = portcullis_builtin_plugins::components().to_vec();
    let engine = Engine::start(EngineSettings { builtins, ..EngineSettings::default() })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let bodies = [(body(7), 5_000), (body(380), 300)];
    let [(small, many), (large, few)] = &bodies;
    let validator = jsonschema::validator_for(&order()).map_err(|it| anyhow!("{it}"))?;
    let mut callers = Vec::new();
    for case in &CASES {
        let caller = Caller::new(&engine, case)?;
        for (body, _) in &bodies {
            runtime.block_on(unconstrained(caller.ask(body, 50))).context(case.name)?;
        }
        callers.push((caller, Vec::<Round>::new()));
    }
    let mut native = Vec::<Round>::new();
    // In turns, so that what disturbs the machine disturbs them all.
    for _ in 0..effort.rounds {
        native.push([natively(&validator, small, *many)?, natively(&validator, large, *few)?]);
        for (caller, times) in &mut callers {
            let small = caller.round(small, *many, &runtime)?;
            times.push([small, caller.round(large, *few, &runtime)?]);
        }
    }
    let times: Vec<Vec<Round>> = callers.into_iter().map(|(_, times)| times).collect();
    show(&native, &times);
    Ok(())
}

/// Ratios and differences are taken within a round.
fn show(native: &[Round], cases: &[Vec<Round>]) {
    let columns =
        ["a body against a schema", "1 KB, CPU µs", "× native", "50 KB, CPU µs", "× native"];
    let mut table = Table::new(&columns);
    let cells = |times: &[Round]| {
        let ratios: Vec<Round> =
            pairs(times, native).map(|([a, b], [c, d])| [a / c, b / d]).collect();
        let ([small, large], [ratio, of_large]) = (middle(times), middle(&ratios));
        [
            format!("{small:.1}"),
            format!("{ratio:.2}"),
            format!("{large:.0}"),
            format!("{of_large:.2}"),
        ]
    };
    table.row("native: serde_json and jsonschema", cells(native));
    for (case, times) in CASES.iter().zip(cases) {
        table.row(case.name, cells(times));
    }
    println!("{table}");
    let columns = ["a fresh instance above a reused one", "1 KB, CPU µs", "least–most"];
    let mut table = Table::new(&columns);
    for (name, pair) in ["the schema", "a schema of 600 KB"].iter().zip(cases.chunks(2)) {
        let [reused, fresh] = pair else { continue };
        let above: Vec<f64> = pairs(fresh, reused).map(|([a, _], [b, _])| a - b).collect();
        let (least, most) = spread(above.iter().copied());
        table.row(*name, [format!("{:.1}", median(above)), format!("{least:.1}–{most:.1}")]);
    }
    println!("{table}");
}

fn pairs(one: &[Round], other: &[Round]) -> impl Iterator<Item = (Round, Round)> {
    one.iter().copied().zip(other.iter().copied())
}

fn middle(times: &[Round]) -> Round {
    [median(times.iter().map(|[small, _]| *small)), median(times.iter().map(|[_, large]| *large))]
}

/// Processor time of this thread for each judgement without the gateway, in microseconds.
fn natively(validator: &jsonschema::Validator, body: &[u8], calls: u32) -> Result<f64> {
    let started = thread_cpu();
    for _ in 0..calls {
        let value: Value = serde_json::from_slice(body)?;
        ensure!(validator.is_valid(&value), "the body is not valid");
    }
    Ok((thread_cpu() - started).as_secs_f64() * 1e6 / f64::from(calls))
}

/// A loaded schema.
struct Caller {
    host: PluginHost,
    target: Use,
}

impl Caller {
    fn new(engine: &Engine, case: &Case) -> Result<Self> {
        let gateway = read(&site(&[(case.schema)().to_string()], case.isolation)?)?;
        let rules =
            gateway.apis.first().and_then(|api| api.routes.first()).map(|it| it.rules.clone());
        let rules = rules.context("a route")?;
        let judges = rules.bodies.iter().flat_map(|rule| &rule.media_types);
        let judge = judges.map(|(_, judge)| judge).next();
        let Some(Judge::Validator(target)) = judge.cloned() else {
            return Err(anyhow!("no schema judges"));
        };
        let host = engine.load(&gateway, None).map_err(|problems| anyhow!("{problems}"))?;
        // One that is made meanwhile would slow down what is measured.
        asked::wait_while_images_are_made(&host, IMAGE)?;
        if case.isolation == FRESH {
            asked::wait_for_image(&host, IMAGE)?;
        }
        Ok(Self { host, target })
    }

    /// Processor time of this thread for each call, in microseconds.
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
        let schemas: Vec<String> = (0..routes).map(|at| numbered(at).to_string()).collect();
        let site = site(&schemas, REUSED)?;
        // Once before, so that compiled code is there as after any start but the first.
        load(&engine, &site, None)?;
        let (host, took) = load(&engine, &site, None)?;
        let (host, unchanged) = load(&engine, &site, Some(&host))?;
        write_schema(&site, 0, &numbered(routes).to_string())?;
        let (_, changed) = load(&engine, &site, Some(&host))?;
        let cells = [took, changed, unchanged].map(|it| format!("{:.1}", it.as_secs_f64() * 1e3));
        table.row(routes.to_string(), cells);
    }
    println!("{table}");
    Ok(())
}

/// Loads what a site holds, from its files on.
fn load(
    engine: &Engine,
    site: &Site,
    previous: Option<&PluginHost>,
) -> Result<(PluginHost, Duration)> {
    let started = Instant::now();
    let gateway = read(site)?;
    let host = engine.load(&gateway, previous).map_err(|problems| anyhow!("{problems}"))?;
    let took = started.elapsed();
    // Its image is made beside, and would slow down what is measured next.
    asked::wait_while_images_are_made(&host, IMAGE)?;
    Ok((host, took))
}

fn read(site: &Site) -> Result<portcullis_config::Gateway> {
    portcullis_config::load(&site.config()).map_err(|problems| anyhow!("{problems}"))
}

/// A site of one API with a route for each schema.
fn site(schemas: &[String], isolation: &str) -> Result<Site> {
    let site = Site::new()?;
    let mut config = format!(
        "listeners.public.address = \"127.0.0.1:0\"\nauthorizer = \"none\"\n\
         [apis.bench.json]\nisolation = {isolation}\n\
         budget = {{ memory = \"256MiB\", cpu_time = \"5s\", wall_time = \"20s\" }}\n\
         [apis.bench.routes]\n"
    );
    for (at, schema) in schemas.iter().enumerate() {
        write_schema(&site, at, schema)?;
        config.push_str(&format!(
            "\"POST /{at}\" = {{ respond = {{}}, validate = {{ body = \"{at}.json\" }} }}\n"
        ));
    }
    std::fs::write(site.config(), config)?;
    Ok(site)
}

fn write_schema(site: &Site, at: usize, schema: &str) -> Result<()> {
    Ok(std::fs::write(site.path().join(format!("{at}.json")), schema)?)
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
