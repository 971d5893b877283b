//! The scripts as a real Redis runs them, by a clock of the test's, against plain models.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_limits::{Rate, Sharing, TokenBucket};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use redis::{Client, Connection, FromRedisValue};
use tempfile::TempDir;

use super::*;

mod buckets;
mod quotas;
mod windows;

const US: u64 = 1_000_000;
/// When runs begin, in microseconds since 1970: at noon of 2026-11-29.
const BEGIN_US: u64 = 1_795_953_600 * US;
/// By how much longer a key is kept: it is kept by Redis's own clock, not by the test's.
const GRACE_MS: u64 = 3_600_000;

/// What a script of buckets or quotas answers.
type Answer = (u64, u64, u64, String);

/// A Redis of the test's own: in a directory, on no port, gone with the test.
struct Redis {
    child: Child,
    directory: TempDir,
}

impl Redis {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "no"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Debian's package `redis-server` is installed");
        Self { child, directory }
    }

    fn connect(&self) -> Connection {
        let path = self.directory.path().join("socket");
        let client = Client::open(format!("unix://{}", path.display())).unwrap();
        let began = Instant::now();
        loop {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that has ended by itself is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The scripts on a Redis, by a clock that stands still unless it is set.
struct Bench {
    redis: Connection,
    scripts: Scripts,
}

impl Bench {
    fn ask(&mut self, question: impl FnOnce(&Scripts) -> ScriptInvocation<'_>) -> Answer {
        self.ask_for(question)
    }

    fn ask_for<T: FromRedisValue>(
        &mut self,
        question: impl FnOnce(&Scripts) -> ScriptInvocation<'_>,
    ) -> T {
        question(&self.scripts).invoke(&mut self.redis).unwrap()
    }

    fn set_clock(&mut self, now_us: u64) {
        let (seconds, rest) = (now_us / US, now_us % US);
        self.say::<()>(&["MSET", "clock:s", &seconds.to_string(), "clock:us", &rest.to_string()]);
    }

    fn say<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut self.redis).unwrap()
    }
}

/// A script that reads the clock of the test.
fn by_test_clock(text: &str) -> String {
    assert_eq!(text.matches("redis.call('TIME')").count(), 1);
    text.replace("redis.call('TIME')", "redis.call('MGET', 'clock:s', 'clock:us')")
}

/// Runs a property on one Redis, empty for each case.
fn check<S>(cases: u32, strategy: &S, property: impl Fn(&mut Bench, S::Value) -> TestCaseResult)
where
    S: Strategy,
    S::Value: Debug,
{
    let redis = Redis::start();
    let take = by_test_clock(include_str!("../take.lua"));
    assert_eq!(take.matches("'PX', full_in_ms)").count(), 1);
    let take = take.replace("'PX', full_in_ms)", &format!("'PX', full_in_ms + {GRACE_MS})"));
    let window = by_test_clock(include_str!("../window.lua"));
    assert_eq!(window.matches("'%.0f', kept)").count(), 1);
    let window = window.replace("'%.0f', kept)", &format!("'%.0f', kept + {GRACE_MS})"));
    let scripts = Scripts {
        prefix: "test".into(),
        take: Script::new(&take),
        quota: Script::new(&by_test_clock(include_str!("../quota.lua"))),
        forgive: Script::new(&by_test_clock(include_str!("../forgive.lua"))),
        window: Script::new(&window),
    };
    let bench = RefCell::new(Bench { redis: redis.connect(), scripts });
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(strategy, |value| {
        let mut bench = bench.borrow_mut();
        bench.say::<()>(&["FLUSHALL"]);
        bench.set_clock(BEGIN_US);
        property(&mut bench, value)
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}
