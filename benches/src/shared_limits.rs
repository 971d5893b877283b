//! What sharing a throttle over Redis costs a gateway, and how many requests wait for it.

use anyhow::Result;

use crate::Effort;
use crate::nginx::Nginx;
use crate::redis::Redis;
use crate::side_by_side::{self, Answers, Measured, Plugin, Subject};
use crate::site::Config;
use crate::table::Table;
use crate::wrk::Request;

const OWN: &str = "a throttle of its own";
const SHARED: &str = "… shared";
const OVER: &str = "… over 10,000 a second";
const SHARED_OVER: &str = "… shared, over 10,000 a second";

/// What is added, by what, to what.
const ADDED: [(&str, &str, &str); 2] =
    [("sharing, under the limit", SHARED, OWN), ("sharing, over it", SHARED_OVER, OVER)];

/// Measures one gateway of two.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let upstream = Nginx::upstream()?;
    let redis = Redis::start()?;
    let gateway = |name, throttle: &str| {
        let config = Config::new(upstream.address, 1)
            .access_log("\"off\"")
            .shared_limits(redis.address)
            .limited(&format!("throttle = {{ {throttle}, per = \"address\" }}\n"));
        Subject::portcullis(name, Request::with_key("/limited"), Plugin::Asleep, (&config, &[]))
    };
    let (ample, scant) = ("rate = 1_000_000", "rate = 10_000, burst = 2_000");
    let subjects = vec![
        gateway(OWN, ample)?,
        gateway(SHARED, &format!("{ample}, shared = true"))?,
        gateway(OVER, scant)?.answering(Answers::Either),
        gateway(SHARED_OVER, &format!("{scant}, shared = true"))?.answering(Answers::Either),
    ];
    side_by_side::measure(subjects, effort, |measured| {
        println!("{}", side_by_side::absolute(measured));
        println!("{}", side_by_side::added(measured, &ADDED)?);
        println!("{}", waited(measured)?);
        Ok(())
    })
}

/// Who waited for Redis.
fn waited(measured: &[Measured]) -> Result<Table> {
    let mut table = Table::new(&["shared", "requests", "waited for Redis", "in a thousand"]);
    for one in measured.iter().filter(|one| [SHARED, SHARED_OVER].contains(&one.name())) {
        let charges = |by: &str| one.metric("portcullis_shared_limit_charges_total", by);
        let (all, waited) = (charges("")?, charges("by=\"redis\"")?);
        let share = format!("{:.2}", 1_000.0 * waited / all.max(1.0));
        table.row(one.name(), [format!("{all:.0}"), format!("{waited:.0}"), share]);
    }
    Ok(table)
}
