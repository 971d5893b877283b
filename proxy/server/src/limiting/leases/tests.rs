//! Windows of several gateways under a virtual clock, against a Redis that counts as `window.lua`
//! does and a model that remembers every request.

use portcullis_limits::{
    Cycle, FixedWindow, Grant, Policy, PolicySharing, SlidingWindow, TakenOf, WindowSharing,
};
use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const GATEWAYS: usize = 3;
/// When all begins: neither a day nor a window begins then.
const EPOCH_US: u64 = 1_790_000_000_123_456;
const ID: KeyId = [7; 16];

fn sharing(policy: Policy, life_ms: u64) -> WindowSharing {
    match PolicySharing::new(policy, GATEWAYS as u64, life_ms * MS).unwrap() {
        PolicySharing::Window(sharing) => sharing,
        PolicySharing::Bucket(_) => panic!("{policy:?}"),
    }
}

fn fixed(limit: u64, length_ms: u64) -> Policy {
    Policy::Fixed(FixedWindow::new(limit, Cycle::Length(length_ms)).unwrap())
}

fn sliding(limit: u64, length_ms: u64) -> Policy {
    Policy::Sliding(SlidingWindow::new(limit, length_ms).unwrap())
}

fn want(sharing: &WindowSharing, cost: u64) -> Want {
    let counting = Counting::Window(sharing.common);
    Want { id: ID, counting, terms: sharing.terms, cost }
}

/// What Redis holds of the window, and the steps that it takes.
#[derive(Default)]
struct Redis {
    at: u64,
    taken: u64,
    before: u64,
}

impl Redis {
    fn step(&mut self, window: &CommonWindow, (ask, told): (Ask, Told), unix_ms: u64) -> Answered {
        let Cycle::Length(length) = window.cycle else { panic!("{window:?}") };
        let begins = unix_ms - unix_ms % length;
        let ends = begins + length;
        if self.at < begins {
            let is_next = window.slides && self.at + length == begins;
            self.before = if is_next { self.taken } else { 0 };
            (self.at, self.taken) = (begins, 0);
        }
        if told.epoch == self.at {
            self.taken = self.taken.saturating_sub(told.back);
        } else if window.slides && told.epoch + length == self.at {
            self.before = self.before.saturating_sub(told.back);
        }
        self.taken += told.owed;
        let faded =
            if window.slides { (self.before * (ends - unix_ms)).div_ceil(length) } else { 0 };
        let there = window.limit.saturating_sub(self.taken + faded);
        let mut tokens = 0;
        if there >= ask.need {
            tokens = ask.wish.min(ask.need.max(there / window.parts));
        }
        self.taken += tokens;
        let wait_ns = if there >= ask.need { 0 } else { (ends - unix_ms) * MS };
        let grant = Grant { tokens, left: there - tokens, wait_ns };
        Answered { grant, epoch: self.at, lasts_ns: (ends - unix_ms).saturating_sub(1) * MS }
    }
}

/// A question that is under way, and the answer where Redis gave it as it was asked.
struct UnderWay {
    flight: Flight,
    answered: Option<Answered>,
    lands_us: u64,
}

struct Gateway {
    leases: Leases,
    under_way: Option<UnderWay>,
}

/// What passed.
#[derive(Debug, Clone, Copy)]
struct Passed {
    gateway: usize,
    unix_us: u64,
    cost: u64,
    taken: InCommon,
}

struct World {
    sharing: WindowSharing,
    redis: Redis,
    gateways: [Gateway; GATEWAYS],
    us: u64,
    passed: Vec<Passed>,
}

impl World {
    fn new(sharing: WindowSharing) -> Self {
        let gateway = || Gateway { leases: Leases::new(100), under_way: None };
        let gateways = std::array::from_fn(|_| gateway());
        Self { sharing, redis: Redis::default(), gateways, us: EPOCH_US, passed: Vec::new() }
    }

    /// The clocks of a gateway: the calendar's is wrong, and no matter.
    fn now(&self, gateway: usize) -> Now {
        let ns = (self.us - EPOCH_US) * 1_000 + gateway as u64 * 17 * MS;
        Now { ns, unix_ms: self.us / 1_000 + gateway as u64 * 86_400_000 }
    }

    fn ask_redis(&mut self, ask: Ask, told: Told) -> Answered {
        self.redis.step(&self.sharing.common, (ask, told), self.us / 1_000)
    }

    fn land(&mut self, at: usize) {
        let is_due = |it: &mut UnderWay| it.lands_us <= self.us;
        let Some(landed) = self.gateways[at].under_way.take_if(is_due) else { return };
        let UnderWay { flight, answered, .. } = landed;
        let answered = answered.unwrap_or_else(|| self.ask_redis(flight.ask, flight.told));
        self.gateways[at].leases.granted(&ID, &flight, &answered);
    }

    /// Whether a request passes; one that would wait is refused.
    fn passes(&mut self, at: usize, (cost, trip_us, is_late): (u64, u64, bool)) -> bool {
        self.land(at);
        let now = self.now(at);
        let (found, flight) = self.gateways[at].leases.take(&want(&self.sharing, cost), now);
        if let Some(flight) = flight {
            let answered = (!is_late).then(|| self.ask_redis(flight.ask, flight.told));
            let lands_us = self.us + trip_us;
            self.gateways[at].under_way = Some(UnderWay { flight, answered, lands_us });
        }
        let Found::Taken(got) = found else { return false };
        let taken = InCommon { id: ID, epoch: got.epoch, of: TakenOf::Lease };
        self.passed.push(Passed { gateway: at, unix_us: self.us, cost, taken });
        true
    }

    /// The same for one that waits, where Redis answers at once.
    fn passes_at_last(&mut self, at: usize, cost: u64) -> bool {
        self.passes(at, (cost, 0, false)) || self.passes(at, (cost, 0, false))
    }

    fn give_back_last(&mut self) {
        let Some(last) = self.passed.pop() else { return };
        if !self.gateways[last.gateway].leases.put_back(&last.taken, last.cost) {
            let told = Told { back: last.cost, epoch: last.taken.epoch, owed: 0 };
            self.ask_redis(Ask { need: 0, wish: 0 }, told);
        }
    }

    fn return_expired(&mut self, at: usize) {
        let now = self.now(at);
        for Return { id, told, .. } in self.gateways[at].leases.returns(Unused::Expired, now) {
            let answered = self.ask_redis(Ask { need: 0, wish: 0 }, told);
            self.gateways[at].leases.returned(&id, &told, Some((answered, now)));
        }
    }

    /// What passed in the period that begins so many before the present one.
    fn passed_in(&self, ago: u64) -> u64 {
        let length = self.sharing.common.cycle.longest_ms() * 1_000;
        let same = |passed: &&Passed| passed.unix_us / length + ago == self.us / length;
        self.passed.iter().filter(same).map(|passed| passed.cost).sum()
    }

    /// Whether what passed is what one gateway would let pass.
    fn is_within_the_limit(&self) -> bool {
        let CommonWindow { limit, cycle, slides, .. } = self.sharing.common;
        let length = cycle.longest_ms();
        let fading =
            if slides { self.passed_in(1) * (length - self.us / 1_000 % length) } else { 0 };
        self.passed_in(0) * length + fading <= limit * length
    }
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Request { gateway: usize, cost: u64, trip_us: u64, is_late: bool },
    GiveBack,
    Return(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let request = (0..GATEWAYS, 1_u64..4, 0_u64..30_000, any::<bool>());
    let request = request.prop_map(|(gateway, cost, trip_us, is_late)| Step::Request {
        gateway,
        cost,
        trip_us,
        is_late,
    });
    prop_oneof![
        12 => request,
        1 => Just(Step::GiveBack),
        1 => (0..GATEWAYS).prop_map(Step::Return),
    ]
}

fn pause_us() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 8 => 0..20_000_u64, 2 => 0..400_000_u64, 1 => 0..2_500_000_u64]
}

proptest! {
    #[test]
    fn all_gateways_together_pass_no_more_than_one_would(
        slides in any::<bool>(),
        limit in prop_oneof![1_u64..20, 200_u64..2_000],
        length_ms in prop::sample::select(vec![1_000_u64, 7_000]),
        life_ms in 10_u64..2_000,
        steps in prop::collection::vec((pause_us(), step()), 1..400),
    ) {
        let policy = if slides { sliding(limit, length_ms) } else { fixed(limit, length_ms) };
        let mut world = World::new(sharing(policy, life_ms));
        for (pause_us, step) in steps {
            world.us += pause_us;
            match step {
                Step::Request { gateway, cost, trip_us, is_late } => {
                    world.passes(gateway, (cost, trip_us, is_late));
                    prop_assert!(world.is_within_the_limit(), "{:?}", world.passed);
                }
                Step::GiveBack => world.give_back_last(),
                Step::Return(gateway) => world.return_expired(gateway),
            }
        }
    }

    #[test]
    fn what_passed_without_asking_is_told_in_its_period(
        limit in 10_u64..1_000,
        before in prop::collection::vec((0..GATEWAYS, 1_u64..4), 0..60),
        alone in prop::collection::vec((0..GATEWAYS, 1_u64..4), 0..100),
    ) {
        let mut world = World::new(sharing(fixed(limit, 86_400_000), 1_000));
        for (gateway, cost) in before {
            world.passes_at_last(gateway, cost);
        }
        let heard = world.redis.taken;
        let mut owed = [0; GATEWAYS];
        for (gateway, cost) in alone {
            let (now, want) = (world.now(gateway), want(&world.sharing, cost));
            let (window, sharing) = (world.sharing.common, world.sharing);
            let leases = &world.gateways[gateway].leases;
            let passes = leases.spend(&want, now).is_some() || {
                let part = |left| Some(sharing.part(left));
                let noted = leases.owe_window((&want, &window), part, now);
                owed[gateway] += if let Owed::Noted(_) = noted { cost } else { 0 };
                noted != Owed::Unnoted && !matches!(noted, Owed::Short(_))
            };
            let taken = InCommon { id: ID, epoch: 0, of: TakenOf::Debt };
            if passes {
                let unix_us = world.us;
                world.passed.push(Passed { gateway, unix_us, cost, taken });
            }
        }
        for gateway in 0..GATEWAYS {
            world.return_expired(gateway);
        }
        prop_assert_eq!(world.redis.taken, heard + owed.iter().sum::<u64>());
        prop_assert!(world.redis.taken >= world.passed_in(0));
    }
}

#[test]
fn exactly_the_limit_passes_gateways_that_ask_for_more() {
    for policy in [fixed(1_000, 60_000), sliding(1_000, 60_000)] {
        let mut world = World::new(sharing(policy, 1_000));
        let passed = (0..3_000).filter(|at| world.passes_at_last(at % GATEWAYS, 1)).count();
        assert_eq!(passed, 1_000, "{policy:?}");

        // The next period, whole; of the sliding one the last still counts by a half.
        world.us += (60_000 - world.us / 1_000 % 60_000 + 30_000) * 1_000;
        let passed = (0..3_000).filter(|at| world.passes_at_last(at % GATEWAYS, 1)).count();
        let expected = if world.sharing.common.slides { 500 } else { 1_000 };
        assert_eq!(passed, expected, "{policy:?}");
    }
}

#[test]
fn what_is_unused_comes_back_to_others() {
    let mut world = World::new(sharing(fixed(1_000, 60_000), 1_000));
    for _ in 0..200 {
        assert!(world.passes_at_last(0, 1));
    }
    world.land(0);
    assert!(world.redis.taken > 200, "some is taken ahead");
    world.us += 1_100_000;
    world.return_expired(0);
    assert_eq!(world.redis.taken, 200);
    let passed = (0..900).filter(|_| world.passes_at_last(1, 1)).count();
    assert_eq!(passed, 800);
}

#[test]
fn what_a_request_gives_back_serves_another() {
    let mut world = World::new(sharing(fixed(2, 60_000), 1_000));
    assert!(world.passes_at_last(0, 1) && world.passes_at_last(0, 1));
    assert!(!world.passes_at_last(0, 1));
    world.give_back_last();
    assert!(world.passes_at_last(0, 1), "though Redis has none left");
    assert!(!world.passes_at_last(0, 1));
}

#[test]
fn alone_a_gateway_passes_its_part_of_what_was_left_and_of_the_next_period_its_share() {
    let mut world = World::new(sharing(fixed(30, 60_000), 1_000));
    assert!((0..6).all(|_| world.passes_at_last(0, 1)));
    let sharing = world.sharing;
    let owe = |world: &World, cost| {
        let part = |left| Some(sharing.part(left));
        let leases = &world.gateways[0].leases;
        leases.owe_window((&want(&sharing, cost), &sharing.common), part, world.now(0))
    };
    let epoch = world.redis.at;
    let noted = (0..20).filter(|_| owe(&world, 1) == Owed::Noted(epoch)).count();
    assert_eq!(noted, 8, "a third of 24");
    assert!(matches!(owe(&world, 1), Owed::Short(wait_ns) if wait_ns <= 60_000 * MS));

    world.us += 60_000_000;
    // Nothing was heard of it: the gateway's own share holds, which is counted elsewhere.
    assert_eq!(owe(&world, 9), Owed::Noted(0));
}
