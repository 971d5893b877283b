//! Waits for the end of the process: signals, and the requests still under way.

use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::Admin;
use crate::shared::Shared;
use crate::start::Serving;
use crate::watch::Wake;

/// How often it is looked whether clients are still there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The signals the process heeds from now on, in the place of what they do by themselves.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Serves until told to stop, then until the last client is gone, the grace is over or
/// a second signal comes.
pub(crate) async fn wait(
    mut signals: Signals,
    (serving, admin): (&Serving, &Admin),
    shared: &Shared,
    wake: &Sender<Wake>,
    grace: Duration,
) {
    signals.until_told_to_stop(shared, wake).await;
    tracing::info!(?grace, "stopping");
    admin.drain();
    serving.stopping.send_replace(true);
    tokio::select! {
        () = until_idle(shared) => tracing::info!("stopped"),
        () = tokio::time::sleep(grace) => tracing::warn!("stopped with requests under way"),
        () = signals.until_told_to_stop(shared, wake) => tracing::warn!("stopped at once"),
    }
}

impl Signals {
    /// Heeds them. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// When the system has no room for another handler.
    pub(crate) fn heed() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn until_told_to_stop(&mut self, shared: &Shared, wake: &Sender<Wake>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    shared.telemetry.reopen_log();
                    // A watcher that is gone cannot reload; it has said why.
                    let _gone = wake.send(Wake::Reload);
                }
            }
        }
    }
}

/// Waits until no client is connected. Connections that were accepted but not yet
/// counted are caught by the first pause.
async fn until_idle(shared: &Shared) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if shared.telemetry.open_connections() <= 0 {
            return;
        }
    }
}
