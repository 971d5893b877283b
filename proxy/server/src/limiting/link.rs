//! The connection to the Redis that counts shared limits: made, watched, made again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use portcullis_config::{Redis, SharedLimits, WhenAway};
use portcullis_limits::{Ask, CommonBucket};
use portcullis_state::now_ms;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, ScriptInvocation, TlsCertificates,
};
use tokio::sync::Notify;

use super::leases::{Counting, KeyId};
use super::scripts::{self, Answered, Scripts, Told};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// How often a connection is asked for a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// The pause after the first failure; it doubles with each more.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often it is logged that something could not be read.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What most scripts answer: three numbers, and the key whose value it could not read, if any.
type Counts = (u64, u64, u64, String);

/// A bucket of ten, one a second.
const TRIAL: CommonBucket =
    CommonBucket { tick_us: 1_000_000, per_tick: 1, per_token: 1, capacity: 10 };

/// The way to the Redis that counts shared limits, open or not.
pub(super) struct Link {
    client: Client,
    timeouts: AsyncConnectionConfig,
    /// What it is called in the log.
    shown: String,
    when_away: WhenAway,
    /// What it is asked.
    pub(super) scripts: Scripts,
    open: ArcSwapOption<Connection>,
    /// Told when a connection is lost.
    lost: Arc<Notify>,
    losses: AtomicU64,
    /// What was logged last.
    said: Mutex<Option<State>>,
    /// When it was last logged that something could not be read.
    told_unreadable: Mutex<Option<Instant>>,
}

/// A connection that may be used by many at once.
pub(super) struct Connection(MultiplexedConnection);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Away,
}

impl Link {
    /// The way to this Redis, not yet open.
    ///
    /// # Errors
    ///
    /// Where the authorities to trust cannot be.
    pub(super) fn new(settings: &SharedLimits) -> RedisResult<Self> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(settings.timeout));
        Ok(Self {
            client: client(&settings.redis)?,
            timeouts,
            shown: format!("{}:{}", settings.redis.host, settings.redis.port),
            when_away: settings.when_away,
            scripts: Scripts::new(&settings.prefix),
            open: ArcSwapOption::empty(),
            lost: Arc::default(),
            losses: AtomicU64::new(0),
            said: Mutex::default(),
            told_unreadable: Mutex::default(),
        })
    }

    /// The connection, if there is one.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.open.load_full()
    }

    /// How often a connection was lost.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Asks for tokens of a key, and tells what is to be told of it; `None` where Redis does not
    /// answer in time, which closes the link.
    pub(super) async fn put(
        &self,
        connection: &Arc<Connection>,
        (id, counting): (&KeyId, &Counting),
        (ask, told): (Ask, Told),
    ) -> Option<Answered> {
        let unix_ms = now_ms();
        let (answered, unreadable) = match counting {
            Counting::Bucket(bucket) => {
                let question = self.scripts.take(id, (bucket, ask, told.back));
                let (first, second, third, unreadable): Counts =
                    self.ask(connection, &question).await?;
                (scripts::of_bucket((first, second, third)), unreadable)
            }
            Counting::Quota(quota) => {
                let question = self.scripts.quota(quota, (ask, told), unix_ms);
                let (first, second, third, unreadable): Counts =
                    self.ask(connection, &question).await?;
                let ends_in_ns = quota.ends_in_ns(unix_ms);
                (scripts::of_quota((first, second, third), ends_in_ns), unreadable)
            }
            Counting::Window(window) => {
                let question = self.scripts.window(id, (window, ask, told), unix_ms);
                let (counts, unreadable): ((u64, u64, u64, u64, u64), String) =
                    self.ask(connection, &question).await?;
                (scripts::of_window(counts), unreadable)
            }
        };
        if !unreadable.is_empty() {
            self.note_unreadable(&unreadable);
        }
        Some(answered)
    }

    /// Asks something; `None` where Redis does not answer in time, which closes the link.
    async fn ask<T: FromRedisValue>(
        &self,
        connection: &Arc<Connection>,
        question: &ScriptInvocation<'_>,
    ) -> Option<T> {
        match question.invoke_async(&mut connection.0.clone()).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.lose(connection, &error);
                None
            }
        }
    }

    /// Opens the link, or looks whether it still is.
    pub(super) async fn renew(&self) -> Result<(), RedisError> {
        if let Some(connection) = self.connection() {
            let alive = ping(&mut connection.0.clone()).await;
            if let Err(error) = &alive {
                self.lose(&connection, error);
            }
            return alive;
        }
        let opened = self.connect().await;
        match &opened {
            Ok(_) => self.say(State::Open, || {
                tracing::info!("shared limits are counted by the Redis at {}", self.shown);
            }),
            Err(error) => self.say_away(error),
        }
        self.open.store(Some(Arc::new(Connection(opened?))));
        Ok(())
    }

    /// One that counts, and in time: that it can be connected to says little.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = &self.timeouts;
        let mut redis = self.client.get_multiplexed_async_connection_with_config(config).await?;
        self.scripts.trial(&TRIAL).invoke_async::<Counts>(&mut redis).await?;
        Ok(redis)
    }

    /// Somebody else wrote there, or it was of another version.
    fn note_unreadable(&self, key: &str) {
        let (now, mut told) = (Instant::now(), self.told_unreadable.lock());
        if told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY) {
            *told = Some(now);
            tracing::warn!(
                "the Redis at {} had no count under `{key}`: it is counted anew there",
                self.shown
            );
        }
    }

    fn lose(&self, connection: &Arc<Connection>, error: &RedisError) {
        let known = Some(Arc::clone(connection));
        let before = self.open.compare_and_swap(&known, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, connection)) {
            self.losses.fetch_add(1, Ordering::Relaxed);
            self.say_away(error);
            self.lost.notify_one();
        }
    }

    fn say_away(&self, error: &RedisError) {
        let holds = match self.when_away {
            WhenAway::Local => "each gateway goes on with its share",
            WhenAway::Deny => "requests to routes with shared limits are refused",
            WhenAway::Allow => "shared limits do not hold",
        };
        self.say(State::Away, || {
            tracing::warn!("the Redis at {} is away, {holds}: {error}", self.shown);
        });
    }

    fn say(&self, state: State, log: impl FnOnce()) {
        if self.said.lock().replace(state) != Some(state) {
            log();
        }
    }
}

async fn ping(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(redis).await
}

/// Keeps a link open for as long as somebody has it.
pub(super) async fn keep(link: Weak<Link>) {
    let mut failures = 0;
    loop {
        let Some(live) = link.upgrade() else { return };
        let was_open = live.connection().is_some();
        let lost = Arc::clone(&live.lost);
        let pause = match live.renew().await {
            Ok(()) => {
                if was_open {
                    failures = 0;
                }
                SIGN_OF_LIFE
            }
            Err(_) => back_off(&mut failures),
        };
        drop(live);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // One that has just been made and is lost again is no reason to hurry.
            () = lost.notified() => tokio::time::sleep(back_off(&mut failures)).await,
        }
    }
}

/// The next pause: between half of it and all of it, so that gateways do not come all at once.
fn back_off(failures: &mut u32) -> Duration {
    let doubled = 1 << (*failures).min(16);
    *failures = failures.saturating_add(1);
    (PAUSE * doubled).min(LONGEST_PAUSE).mul_f64(rand::random_range(0.5..=1.0))
}

fn client(redis: &Redis) -> RedisResult<Client> {
    let (host, port) = (redis.host.clone(), redis.port);
    let address = match redis.tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    };
    let mut login = RedisConnectionInfo::default().set_db(redis.database.into());
    if let Some(user) = &redis.user {
        login = login.set_username(user);
    }
    if let Some(password) = &redis.password {
        login = login.set_password(String::from_utf8_lossy(password.expose()));
    }
    let info = address.into_connection_info()?.set_redis_settings(login);
    match redis.tls {
        true => {
            let root_cert = redis.ca.as_ref().map(|pem| pem.clone().into_bytes());
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        }
        false => Client::open(info),
    }
}
