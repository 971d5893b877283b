use proptest::prelude::*;

use super::*;

const PAUSE: u64 = 100;

/// A breaker with its clock.
struct Watched {
    breaker: Breaker,
    start: Instant,
}

impl Watched {
    fn new(after: u32) -> Self {
        let start = Instant::now();
        Self { breaker: Breaker::new(after, Duration::from_millis(PAUSE), start), start }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// A call of a client, if it is let through.
    fn call(&self, client: u32, ms: u64, outcome: Outcome) -> bool {
        let client = ClientId::V4(client);
        let goes = self.breaker.lets_through(client, self.at(ms));
        match outcome {
            Outcome::Answer if goes => self.breaker.answered(client, self.at(ms)),
            Outcome::Fault if goes => self.breaker.faulted(client, self.at(ms)),
            _ => {}
        }
        goes
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answer,
    Fault,
}
use Outcome::{Answer, Fault};

#[test]
fn a_client_is_refused_after_faults_in_a_row_and_probes_once_a_pause() {
    let watched = Watched::new(3);

    assert!(watched.call(1, 1, Fault));
    assert!(watched.call(1, 2, Fault));
    assert!(watched.call(1, 3, Answer), "two faults in a row are not three");
    for ms in 4..7 {
        assert!(watched.call(1, ms, Fault));
    }

    assert!(!watched.call(1, 7, Answer));
    assert!(watched.call(2, 8, Answer), "another client is not refused");
    assert!(watched.call(1, 106, Fault), "the probe");
    assert!(!watched.call(1, 107, Answer), "only one probe");
    assert!(watched.call(1, 206, Answer), "the next probe");
    assert!(watched.call(1, 207, Answer));
    assert_eq!((watched.breaker.times_opened(), watched.breaker.clients_refused()), (0, 1));
}

#[test]
fn the_use_is_taken_out_when_several_clients_meet_faults_and_nobody_an_answer() {
    let watched = Watched::new(3);

    assert!(watched.call(1, 1, Fault));
    assert!(watched.call(2, 2, Fault));
    assert!(!watched.breaker.is_open());
    assert!(watched.call(3, 3, Fault));
    assert!(watched.breaker.is_open());

    assert!(!watched.call(4, 50, Answer));
    assert!(watched.call(1, 103, Fault), "a probe");
    assert!(!watched.call(1, 104, Fault), "one for each client");
    assert!(watched.call(2, 105, Fault));
    assert!(watched.call(4, 106, Answer), "the third");
    assert!(!watched.breaker.is_open());
    assert!(watched.call(5, 107, Answer));
    assert_eq!(watched.breaker.times_opened(), 1);
}

#[test]
fn the_use_stays_while_others_are_answered() {
    let watched = Watched::new(3);

    for ms in 1..PAUSE {
        let client = u32::try_from(ms).unwrap();
        assert!(watched.call(1_000 + client, ms, Fault));
        if ms == 2 {
            assert!(watched.call(1, ms, Answer));
        }
        assert!(!watched.breaker.is_open() || ms < 2, "at {ms}");
    }
    assert!(watched.call(2_000, PAUSE + 10, Fault), "no answer for a pause");
    assert!(watched.breaker.is_open());
}

#[test]
fn zero_never_opens() {
    let watched = Watched::new(0);

    for client in 0..100 {
        assert!(watched.call(client, 1, Fault));
        assert!(watched.call(1, 1, Fault));
    }
    assert!(!watched.breaker.is_open());
}

#[test]
fn no_more_clients_are_remembered_than_fit() {
    let watched = Watched::new(3);

    assert!(watched.call(0, 1, Answer));
    for client in 1..3_000 {
        assert!(watched.call(client, 2, Fault));
    }
    assert_eq!(watched.breaker.troubles().clients.len(), REMEMBERED);
    watched.call(5_000, 2 * PAUSE + 3, Fault);
    assert_eq!(watched.breaker.troubles().clients.len(), 1, "those of long ago are forgotten");
}

/// Steps of time and the client that calls after each.
fn calls(clients: u32) -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((0..PAUSE / 2, 0..clients), 0..300)
}

proptest! {
    /// Clients 0 and 1 send what makes the plugin fail, the others do not.
    #[test]
    fn two_clients_cannot_close_a_use_to_others(calls in calls(6), after in 1_u32..6) {
        let watched = Watched::new(after);
        let mut now = 0;
        for (step, client) in calls {
            now += step;
            let outcome = if client < 2 { Fault } else { Answer };
            let goes = watched.call(client, now, outcome);
            prop_assert!(client < 2 || goes, "client {client} was refused at {now}");
        }
    }

    /// The plugin fails for everybody for a while; then two clients go on making it fail.
    #[test]
    fn two_clients_cannot_keep_a_use_closed(
        before in calls(6),
        attack in prop::collection::vec((0..PAUSE / 2, 0_u32..2), 0..50),
        after in 1_u32..6,
    ) {
        let watched = Watched::new(after);
        let mut now = 0;
        for (step, client) in before {
            now += step;
            watched.call(client, now, Fault);
        }
        for (step, client) in attack {
            now += step;
            watched.call(client, now, Fault);
        }
        now += PAUSE;
        // They are there first.
        watched.call(0, now, Fault);
        watched.call(1, now, Fault);
        prop_assert!(watched.call(7, now, Answer));
        prop_assert!(watched.call(8, now, Answer));
    }

    /// Whoever asks, and how often: a plugin that fails always is seldom called.
    #[test]
    fn a_plugin_that_always_fails_is_seldom_called(calls in calls(40), after in 1_u32..6) {
        let watched = Watched::new(after);
        let mut now = 0;
        let mut made = 0;
        for (step, client) in calls {
            now += step;
            made += u64::from(watched.call(client, now, Fault));
        }
        let pauses = now / PAUSE + 1;
        let most = (pauses + 1) * (CLIENTS as u64 + 2 * u64::from(after));
        prop_assert!(made <= most, "{made} calls in {pauses} pauses, more than {most}");
    }
}
