//! What became of the charges of a request.

use portcullis_limits::{Exceeded, Short, Standing};

/// What became of each charge, in order; `None` where it is not known.
pub(super) struct Outcome(Vec<Option<Fate>>);

/// What became of one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// It is taken, or could be; how its limit stands.
    Taken(Standing),
    /// Its limit has too little, for so many nanoseconds.
    Short(Option<u64>),
    /// Nobody can say, and then it is not to pass.
    Unavailable,
}

impl Outcome {
    /// Of so many charges nothing is known yet.
    pub(super) fn unknown(charges: usize) -> Self {
        Self(vec![None; charges])
    }

    /// Says what became of a charge.
    pub(super) fn set(&mut self, at: usize, fate: Fate) {
        if let Some(place) = self.0.get_mut(at) {
            *place = Some(fate);
        }
    }

    /// Takes in what was refused here, of the charges at these places.
    pub(super) fn note(&mut self, places: &[usize], exceeded: &Exceeded) {
        for (at, standing) in places.iter().zip(&exceeded.standings) {
            self.set(*at, Fate::Taken(*standing));
        }
        for short in &exceeded.short {
            if let Some(at) = places.get(short.charge) {
                self.set(*at, Fate::Short(short.wait_ns));
            }
        }
    }

    /// Those of which nothing is known yet.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = self.0.iter().enumerate().filter(|(_, fate)| fate.is_none());
        open.map(|(at, _)| at).collect()
    }

    /// Whether a limit has too little.
    pub(super) fn is_short(&self) -> bool {
        self.0.iter().any(|fate| matches!(fate, Some(Fate::Short(_))))
    }

    /// Whether nobody can say of a charge.
    pub(super) fn is_unavailable(&self) -> bool {
        self.0.iter().any(|fate| matches!(fate, Some(Fate::Unavailable)))
    }

    /// The limits that have too little.
    pub(super) fn short(&self) -> Vec<Short> {
        let short = self.0.iter().enumerate().filter_map(|(charge, fate)| match fate {
            Some(Fate::Short(wait_ns)) => Some(Short { charge, wait_ns: *wait_ns }),
            _ => None,
        });
        short.collect()
    }

    /// How the limits stand.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let standing = |fate: &Option<Fate>| match fate {
            Some(Fate::Taken(standing)) => *standing,
            Some(Fate::Short(wait_ns)) => Standing { remaining: 0, wait_ns: *wait_ns },
            Some(Fate::Unavailable) | None => Standing { remaining: 0, wait_ns: None },
        };
        self.0.iter().map(standing).collect()
    }
}
