//! `quota.lua` and `forgive.lua`: requests of a quota, and of each day.

use super::*;

const ACCOUNT: KeyId = [9; 16];
const DAY_US: u64 = DAY_MS * 1000;

/// What is counted of a period.
#[derive(Debug, Clone, Copy)]
struct Counted {
    taken: i64,
    epoch: u64,
}

/// What Redis should hold: each period by its first day, and requests by day.
#[derive(Default)]
struct Model {
    periods: HashMap<Day, Counted>,
    days: HashMap<Day, i64>,
}

impl Model {
    /// What is granted, what is left, and in which epoch.
    fn ask(&mut self, quota: &CommonQuota, (ask, told): (Ask, Told), now_us: u64) -> Answer {
        let (back, owed) = (signed(told.back), signed(told.owed));
        let key = quota.period.first(quota.today);
        let mut days = owed;
        let mut period = match self.periods.get(&key).copied() {
            Some(known) => {
                days -= back;
                let back = if known.epoch == told.epoch { back } else { 0 };
                Counted { taken: known.taken + owed - back, ..known }
            }
            None => Counted { taken: quota.own.max(owed), epoch: now_us },
        };
        let there = quota.limit.saturating_sub(u64::try_from(period.taken).unwrap_or(0));
        let there = match u64::try_from(-period.taken) {
            Ok(forgiven) => quota.limit + forgiven,
            Err(_) => there,
        };
        let granted = match there >= ask.need {
            true => ask.wish.min(ask.need.max(there / quota.parts)),
            false => 0,
        };
        period.taken += signed(granted);
        *self.days.entry(quota.today).or_default() += days + signed(granted);
        self.periods.insert(key, period);
        (granted, there - granted, period.epoch, String::new())
    }

    fn forgive(&mut self, quota: &CommonQuota, forgiven: Forgiven, now_us: u64) {
        let fresh = Counted { taken: quota.own, epoch: now_us };
        let period = self.periods.entry(quota.period.first(quota.today)).or_insert(fresh);
        match forgiven {
            Forgiven::All => *period = Counted { taken: 0, epoch: now_us },
            Forgiven::Some(requests) => period.taken -= signed(requests),
        }
    }
}

/// What a gateway took ahead on a day.
#[derive(Debug, Clone, Copy)]
struct Lease {
    quota: CommonQuota,
    epoch: u64,
    held: u64,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A gateway that has nothing left takes ahead, and tells what it owes.
    Take { need: u64, more: u64, owed: u64 },
    /// Requests are made of a lease.
    Use(usize, u64),
    /// What is left of a lease is given back, all or a part.
    PutBack(usize, u64),
    /// An operator forgives requests.
    Forgive(Option<u64>),
    /// Days pass.
    Days(u64),
    /// Redis loses what it has.
    Lose,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let owed = prop_oneof![3 => Just(0), 1 => 0..6_u64];
    let step = prop_oneof![
        8 => (1..3_u64, 0..9_u64, owed)
            .prop_map(|(need, more, owed)| Step::Take { need, more, owed }),
        6 => (0..9_usize, 0..4_u64).prop_map(|(lease, requests)| Step::Use(lease, requests)),
        4 => (0..9_usize, 0..9_u64).prop_map(|(lease, most)| Step::PutBack(lease, most)),
        1 => prop::option::of(0..20_u64).prop_map(Step::Forgive),
        2 => prop_oneof![Just(1_u64), 0..40_u64].prop_map(Step::Days),
        1 => Just(Step::Lose),
    ];
    prop::collection::vec(step, 1..60)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

/// One run: Redis, what it should hold, and the leases that are held.
struct Run<'b> {
    bench: &'b mut Bench,
    model: Model,
    leases: Vec<Lease>,
    /// Requests that were made of leases of the present epoch.
    passed: u64,
    now_us: u64,
}

impl Run<'_> {
    fn ask(&mut self, quota: &CommonQuota, (ask, told): (Ask, Told)) -> (Answer, Answer) {
        let unix_ms = self.now_us / 1000;
        let answer = self.bench.ask(|scripts| scripts.quota(quota, (ask, told), unix_ms));
        (answer, self.model.ask(quota, (ask, told), self.now_us))
    }

    fn take(&mut self, quota: CommonQuota, (ask, owed): (Ask, u64)) -> TestCaseResult {
        let (answer, expected) = self.ask(&quota, (ask, Told { owed, ..Told::default() }));
        prop_assert_eq!(&answer, &expected);
        let (granted, _, epoch, _) = answer;
        prop_assert!(granted == 0 || granted >= ask.need);
        self.leases.push(Lease { quota, epoch, held: granted });
        Ok(())
    }

    fn put_back(&mut self, lease: usize, most: u64) -> TestCaseResult {
        let Some(lease) = self.leases.get_mut(lease) else { return Ok(()) };
        let back = lease.held.min(most);
        lease.held -= back;
        let Lease { quota, epoch, .. } = *lease;
        let told = Told { back, epoch, owed: 0 };
        let (answer, expected) = self.ask(&quota, (Ask { need: 0, wish: 0 }, told));
        prop_assert_eq!(answer, expected);
        Ok(())
    }

    fn forgive(&mut self, quota: &CommonQuota, requests: Option<u64>) {
        let forgiven = requests.map_or(Forgiven::All, Forgiven::Some);
        let (question, redis) = (&self.bench.scripts, &mut self.bench.redis);
        let question = question.forgive(quota, forgiven, self.now_us / 1000);
        let _left: i64 = question.invoke(redis).unwrap();
        self.model.forgive(quota, forgiven, self.now_us);
    }

    /// What Redis holds of a quota is what it should.
    fn agrees(&mut self, quota: &CommonQuota) -> TestCaseResult {
        let key = self.bench.scripts.period(quota);
        let taken: Option<i64> = self.bench.say(&["HGET", &key, "taken"]);
        let period = self.model.periods.get(&quota.period.first(quota.today));
        prop_assert_eq!(taken, period.map(|period| period.taken));
        let key = self.bench.scripts.month(&quota.account, quota.today);
        let asked: Option<i64> = self.bench.say(&["HGET", &key, &quota.today.number().to_string()]);
        let expected = self.model.days.get(&quota.today).copied();
        prop_assert_eq!(asked.unwrap_or(0), expected.unwrap_or(0));
        Ok(())
    }
}

fn quota_of((limit, period, parts): (u64, Period, u64), now_us: u64) -> CommonQuota {
    let today = Day::at(now_us / 1000);
    CommonQuota { account: ACCOUNT, limit, period, today, own: 0, parts }
}

fn quotas() -> impl Strategy<Value = (u64, Period, u64)> {
    (1..40_u64, prop::sample::select(Period::ALL.to_vec()), 1..6_u64)
}

#[test]
fn a_quota_in_redis_counts_as_its_model() {
    check(150, &(quotas(), 0..12_i64, steps()), |bench, (terms, own, steps)| {
        let now_us = BEGIN_US;
        let mut run = Run { bench, model: Model::default(), leases: Vec::new(), passed: 0, now_us };
        for step in steps {
            // No two things happen at once: an epoch is a moment.
            run.now_us += 1;
            run.bench.set_clock(run.now_us);
            let quota = CommonQuota { own, ..quota_of(terms, run.now_us) };
            match step {
                Step::Take { need, more, owed } => {
                    run.take(quota, (Ask { need, wish: need + more }, owed))?;
                }
                Step::Use(lease, requests) => {
                    if let Some(lease) = run.leases.get_mut(lease) {
                        lease.held -= lease.held.min(requests);
                    }
                }
                Step::PutBack(lease, most) => run.put_back(lease, most)?,
                Step::Forgive(requests) => run.forgive(&quota, requests),
                Step::Days(days) => run.now_us += days * DAY_US,
                Step::Lose => {
                    run.bench.say::<()>(&["FLUSHALL"]);
                    run.bench.set_clock(run.now_us);
                    run.model = Model::default();
                }
            }
            run.agrees(&quota)?;
        }
        Ok(())
    });
}

#[test]
fn no_more_than_the_quota_passes_and_what_is_given_back_is_there_for_others() {
    let steps = steps().prop_map(|steps| {
        let mut steps = steps;
        steps.retain(|step| matches!(step, Step::Take { .. } | Step::Use(..) | Step::PutBack(..)));
        steps
    });
    check(100, &(quotas(), steps), |bench, (terms, steps)| {
        let quota = quota_of(terms, BEGIN_US);
        let mut run =
            Run { bench, model: Model::default(), leases: Vec::new(), passed: 0, now_us: BEGIN_US };
        let mut granted_any = false;
        for step in steps {
            match step {
                Step::Take { need, more, .. } => {
                    granted_any = true;
                    run.take(quota, (Ask { need, wish: need + more }, 0))?;
                }
                Step::Use(lease, requests) => {
                    if let Some(lease) = run.leases.get_mut(lease) {
                        let made = lease.held.min(requests);
                        lease.held -= made;
                        run.passed += made;
                    }
                }
                Step::PutBack(lease, most) => run.put_back(lease, most)?,
                Step::Forgive(_) | Step::Days(_) | Step::Lose => {}
            }
            let held: u64 = run.leases.iter().map(|lease| lease.held).sum();
            prop_assert!(run.passed + held <= quota.limit);
            if granted_any {
                let key = run.bench.scripts.period(&quota);
                let taken: u64 = run.bench.say(&["HGET", &key, "taken"]);
                prop_assert_eq!(taken, run.passed + held);
            }
        }
        // All that is held goes back; then exactly the rest is to be had, one by one.
        for lease in 0..run.leases.len() {
            run.put_back(lease, u64::MAX)?;
        }
        let one = Ask { need: 1, wish: 1 };
        let more = (0..=quota.limit).filter(|_| run.ask(&quota, (one, Told::default())).0.0 == 1);
        prop_assert_eq!(more.count() as u64, quota.limit - run.passed);
        Ok(())
    });
}

#[test]
fn what_is_no_count_is_told_of_and_begins_anew() {
    let fields = prop_oneof![
        prop::sample::select(vec!["", "many", "1.5", "nan", "inf", "0x10", "1e3", "-", "--1"])
            .prop_map(|taken| (taken, "5")),
        prop::sample::select(vec!["", "early", "-1", "1.5"]).prop_map(|epoch| ("3", epoch)),
    ];
    check(80, &fields, |bench, (taken, epoch)| {
        let quota = CommonQuota { own: 2, ..quota_of((10, Period::Month, 1), BEGIN_US) };
        let key = bench.scripts.period(&quota);
        bench.say::<()>(&["HSET", &key, "taken", taken, "epoch", epoch]);
        let mut ask = || {
            let question = (Ask { need: 1, wish: 1 }, Told::default());
            bench.ask(|scripts| scripts.quota(&quota, question, BEGIN_US / 1000))
        };
        // With what the gateway counted by itself, as where there is nothing.
        prop_assert_eq!(ask(), (1, 7, BEGIN_US, key));
        prop_assert_eq!(ask(), (1, 6, BEGIN_US, String::new()));
        Ok(())
    });
}
