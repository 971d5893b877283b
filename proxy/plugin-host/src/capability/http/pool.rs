//! Connections that wait for their next request, a few for each destination.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::origin::Destination;

/// How long a connection waits. Servers commonly wait longer, so that it is seldom
/// found closed.
const WAITS: Duration = Duration::from_secs(15);
/// Connections that wait for one destination.
const PER_DESTINATION: usize = 8;
/// Destinations that connections are kept to: a wildcard grants any number of them.
const DESTINATIONS: usize = 32;

/// The waiting connections of one plugin use.
#[derive(Debug, Default)]
pub(super) struct Pool {
    waiting: Mutex<HashMap<Destination, Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Takes the connection that has waited the shortest, if one is still good.
    pub(super) fn take(&self, to: &Destination) -> Option<Connection> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = waiting.get_mut(to)?;
        while let Some(mut found) = connections.pop() {
            if found.is_good() {
                if let Some(same) = found.connection.shared() {
                    found.since = Instant::now();
                    connections.push(found);
                    return Some(same);
                }
                return Some(found.connection);
            }
        }
        waiting.remove(to);
        None
    }

    /// Keeps a connection that exchanges share, unless another is there.
    pub(super) fn share(&self, to: &Destination, connection: Connection) {
        let known = self.take(to);
        if known.is_none() {
            self.keep(to, connection);
        }
    }

    /// Keeps a connection, unless enough are kept.
    pub(super) fn keep(&self, to: &Destination, connection: Connection) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever keeps one clears the others away; no task has to.
        waiting.retain(|_, connections| {
            connections.retain(Waiting::is_good);
            !connections.is_empty()
        });
        let is_known = waiting.contains_key(to);
        if !is_known && waiting.len() >= DESTINATIONS {
            return;
        }
        let connections = waiting.entry(to.clone()).or_default();
        if connections.len() < PER_DESTINATION {
            connections.push(Waiting { connection, since: Instant::now() });
        }
    }
}

impl Waiting {
    fn is_good(&self) -> bool {
        !self.connection.is_closed() && self.since.elapsed() < WAITS
    }
}
