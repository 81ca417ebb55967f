//! How often AWS is asked: bounded concurrency and a pace per place, people
//! before lists, and retries that know what may be repeated.

mod fault;
mod pace;

use std::{
    collections::{BTreeMap, HashMap},
    error::Error as StdError,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use awsso_proto::disk;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};
use tracing::info;

pub use fault::{Fault, fault};
use pace::Pace;

/// Calls in flight towards one portal, or one account and region of SSM.
const IN_FLIGHT: usize = 24;
/// Of these, lists and other bulk work never take the last ones.
const IN_FLIGHT_BULK: usize = 22;

/// Places beyond this many push out those that nobody uses now.
const MAX_PLACES: usize = 4_096;

/// Tries of a call that fails without AWS saying "slow down".
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a call goes on after AWS said "slow down" to it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whether a call may be made again when nobody knows if it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Freely,
    OnlyIfNotDone,
}

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A person, or a program that needs this one answer.
    Person,
    /// One of many that belong together: a list, a run over all accounts.
    Bulk,
}

/// One place of AWS: a portal, or an account and region of a service.
#[derive(Debug)]
pub struct Limiter {
    slots: Semaphore,
    bulk: Semaphore,
    pace: Mutex<Pace>,
    /// Calls of people that have a slot and wait for their turn.
    people: AtomicUsize,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new(Pace::default())
    }
}

/// A call in flight; dropped, the next one goes.
struct Slot<'a> {
    _bulk: Option<SemaphorePermit<'a>>,
    _slot: SemaphorePermit<'a>,
}

impl Limiter {
    fn new(pace: Pace) -> Self {
        Self {
            slots: Semaphore::new(IN_FLIGHT),
            bulk: Semaphore::new(IN_FLIGHT_BULK),
            pace: Mutex::new(pace),
            people: AtomicUsize::new(0),
        }
    }

    /// Calls AWS, waits its turn and tries again as far as that is right.
    pub async fn call<T, E, F>(
        &self,
        name: &'static str,
        lane: Lane,
        repeat: Repeat,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let (mut throttled, mut failed) = (0, 0);
        let mut give_up = None;
        // Who has to ask again does not line up again behind thousands of others.
        let _slot = self.slot(lane).await;
        loop {
            self.turn(lane).await;
            let asked = Instant::now();
            // A call of the SDK is large: those that wait do without it.
            let result = Box::pin(attempt()).await.map_err(|error| fault(&error));
            self.learn(&result, asked);
            let fault = match result {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let pause = match &fault {
                Fault::Throttled => {
                    throttled += 1;
                    backoff(throttled)
                }
                Fault::Unavailable { maybe_done, .. }
                    if repeat == Repeat::Freely || !maybe_done =>
                {
                    failed += 1;
                    backoff(failed)
                }
                Fault::Unavailable { .. } | Fault::Refused { .. } => return Err(fault),
            };
            let now = Instant::now();
            if failed >= TRIES || now + pause > *give_up.get_or_insert(now + PATIENCE) {
                return Err(fault);
            }
            info!(call = name, ?fault, ?pause, "asking AWS again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn slot(&self, lane: Lane) -> Slot<'_> {
        let bulk = match lane {
            Lane::Person => None,
            Lane::Bulk => Some(acquire(&self.bulk).await),
        };
        Slot {
            _bulk: bulk,
            _slot: acquire(&self.slots).await,
        }
    }

    /// Waits for the next place in the row; at most as many wait as there are slots.
    async fn turn(&self, lane: Lane) {
        let _waiting = (lane == Lane::Person).then(|| Waiting::new(&self.people));
        loop {
            let now = Instant::now();
            let until = if lane == Lane::Bulk && self.people.load(Ordering::Relaxed) > 0 {
                self.pace().after_next(now)
            } else {
                self.pace().take(now)
            };
            match until {
                None => return,
                Some(until) => tokio::time::sleep_until(until).await,
            }
        }
    }

    fn learn<T>(&self, result: &Result<T, Fault>, asked: Instant) {
        let now = Instant::now();
        match result {
            Err(Fault::Throttled) => self.pace().throttled(asked, now),
            // A refusal is an answer, and was counted as one.
            Ok(_) | Err(Fault::Refused { .. }) => self.pace().answered(now),
            Err(Fault::Unavailable { .. }) => {}
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore
        .acquire()
        .await
        .expect("the semaphore is never closed")
}

/// Counts itself, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The limiters of all places, made when first asked for.
#[derive(Debug, Clone, Default)]
pub struct Limiters(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    limiters: HashMap<String, Arc<Limiter>>,
    /// What earlier daemons found out: calls a second, by place.
    ceilings: BTreeMap<String, f64>,
}

impl Limiters {
    /// With the ceilings that a file remembers; a bad file remembers none.
    pub fn remembered(file: &Path) -> Self {
        let ceilings = std::fs::read(file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self(Arc::new(Mutex::new(Places {
            limiters: HashMap::new(),
            ceilings,
        })))
    }

    /// For the next daemon. Where AWS never said "slow down" there is nothing to tell.
    pub fn remember(&self, file: &Path) -> std::io::Result<()> {
        let ceilings = {
            let mut places = self.lock();
            let Places { limiters, ceilings } = &mut *places;
            let found = limiters
                .iter()
                .filter_map(|(place, limiter)| Some((place.clone(), limiter.pace().ceiling()?)));
            ceilings.extend(found);
            while ceilings.len() > MAX_PLACES {
                ceilings.pop_first();
            }
            ceilings.clone()
        };
        if ceilings.is_empty() {
            return Ok(());
        }
        disk::replace(file, &serde_json::to_vec(&ceilings)?)
    }

    pub fn of(&self, place: &str) -> Arc<Limiter> {
        let mut places = self.lock();
        let Places { limiters, ceilings } = &mut *places;
        if limiters.len() >= MAX_PLACES {
            limiters.retain(|_, limiter| Arc::strong_count(limiter) > 1);
        }
        let limiter = limiters.entry(place.to_owned()).or_insert_with(|| {
            let known = ceilings.get(place).filter(|ceiling| ceiling.is_finite());
            Arc::new(Limiter::new(known.map_or_else(Pace::default, |ceiling| {
                Pace::remembering(*ceiling)
            })))
        });
        Arc::clone(limiter)
    }

    /// Where AWS said "slow down" within this span, and how long ago.
    pub fn throttled(&self, within: Duration) -> Vec<(String, Duration)> {
        let now = Instant::now();
        let places = self.lock();
        let ago = |limiter: &Limiter| {
            let at = limiter.pace().last_throttled()?;
            Some(now.saturating_duration_since(at)).filter(|ago| *ago <= within)
        };
        let found = places.limiters.iter();
        let mut found: Vec<_> = found
            .filter_map(|(place, limiter)| Some((place.clone(), ago(limiter)?)))
            .collect();
        found.sort();
        found
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exponential with jitter: between half and the whole of a doubling pause.
pub fn backoff(tries: u32) -> Duration {
    let whole = FIRST_PAUSE
        .saturating_mul(1 << tries.clamp(1, 8))
        .min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + chance() / 2.0)
}

/// Evenly spread over 0..1.
pub fn chance() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
