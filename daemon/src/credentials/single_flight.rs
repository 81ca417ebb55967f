//! One load per key, however many ask. A caller that leaves cancels nobody; a
//! failure is shared by those who wait and not kept; what was being loaded when
//! it was forgotten reaches nobody. A value that ages is handed out while its
//! successor is loaded. No AWS in here.

use std::{
    collections::HashMap,
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use awsso_proto::{Failure, Reason};
use futures_util::FutureExt as _;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

/// Values beyond this many push out those that are of no use any more, then any.
const CAPACITY: usize = 10_000;
/// After a successor could not be loaded: meanwhile the old value serves.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

type Outcome<V> = Option<Result<V, Failure>>;

/// What a held value is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    Good,
    /// Still good; whoever asks now has its successor loaded.
    Aging,
    Nothing,
}

/// A map of values that are loaded once at a time.
pub struct SingleFlight<K, V> {
    slots: Arc<Mutex<HashMap<K, Slot<V>>>>,
    tracker: TaskTracker,
}

type Load<V> = watch::Receiver<Outcome<V>>;

/// Thousands of values are held, and few are being loaded: a value is held bare.
enum Slot<V> {
    Loading(Load<V>),
    Held {
        value: V,
        renewal: Option<Box<Renewal<V>>>,
    },
}

enum Renewal<V> {
    /// The successor is being loaded.
    Loading(Load<V>),
    /// It could not be loaded; not again before.
    NotBefore(Instant),
}

impl<V> Slot<V> {
    fn held(value: V) -> Self {
        Self::Held {
            value,
            renewal: None,
        }
    }

    fn value(&self) -> Option<&V> {
        match self {
            Self::Loading(_) => None,
            Self::Held { value, .. } => Some(value),
        }
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self {
            slots: Arc::clone(&self.slots),
            tracker: self.tracker.clone(),
        }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub fn new(tracker: TaskTracker) -> Self {
        Self {
            slots: Arc::default(),
            tracker,
        }
    }

    /// The value, if it is worth anything, else what `load` gives: its own load
    /// or one that is in flight. A load is given the value that it replaces,
    /// unless that one goes on serving.
    pub async fn get<F>(
        &self,
        key: &K,
        worth: impl Fn(&V) -> Worth,
        load: impl FnOnce(Option<V>) -> F,
    ) -> Result<V, Failure>
    where
        F: Future<Output = Result<V, Failure>> + Send + 'static,
    {
        let mut outcome = {
            let mut slots = self.lock();
            match slots.get_mut(key) {
                None => self.start(&mut slots, key, &worth, load(None)),
                Some(Slot::Loading(outcome)) => outcome.clone(),
                Some(Slot::Held { value, renewal }) => match (worth(value), renewal.as_deref()) {
                    (Worth::Good, _) | (Worth::Aging, Some(Renewal::Loading(_))) => {
                        return Ok(value.clone());
                    }
                    (Worth::Aging, rest) => {
                        let rests =
                            matches!(rest, Some(Renewal::NotBefore(at)) if Instant::now() < *at);
                        if !rests {
                            let load = self.fly(key, load(None));
                            *renewal = Some(Box::new(Renewal::Loading(load)));
                        }
                        return Ok(value.clone());
                    }
                    (Worth::Nothing, Some(Renewal::Loading(load))) => load.clone(),
                    (Worth::Nothing, Some(Renewal::NotBefore(_)) | None) => {
                        let replaced = value.clone();
                        self.start(&mut slots, key, &worth, load(Some(replaced)))
                    }
                },
            }
        };
        // The sender is dropped without a value when the load was forgotten.
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("waited for a value"),
            Err(_) => Err(Failure::new(
                Reason::LoginRequired,
                "logged out while the credentials were being fetched",
            )),
        }
    }

    /// The value that is held, whatever it is worth.
    #[cfg(test)]
    fn peek(&self, key: &K) -> Option<V> {
        self.lock().get(key)?.value().cloned()
    }

    /// How many values are held that `which` means.
    pub fn count(&self, which: impl Fn(&K, &V) -> bool) -> usize {
        let slots = self.lock();
        let held = slots
            .iter()
            .filter(|(key, slot)| slot.value().is_some_and(|value| which(key, value)));
        held.count()
    }

    /// Drops every value and every load whose key says so.
    pub fn forget(&self, which: impl Fn(&K) -> bool) {
        self.lock().retain(|key, _| !which(key));
    }

    /// Drops one value, if it is still the one that `is` means.
    pub fn forget_value(&self, key: &K, is: impl Fn(&V) -> bool) {
        let mut slots = self.lock();
        let same = slots.get(key).and_then(Slot::value).is_some_and(is);
        if same {
            slots.remove(key);
        }
    }

    fn start<F>(
        &self,
        slots: &mut HashMap<K, Slot<V>>,
        key: &K,
        worth: &impl Fn(&V) -> Worth,
        load: F,
    ) -> watch::Receiver<Outcome<V>>
    where
        F: Future<Output = Result<V, Failure>> + Send + 'static,
    {
        if slots.len() >= CAPACITY {
            slots.retain(|_, slot| {
                let worthless = |value| worth(value) == Worth::Nothing;
                !slot.value().is_some_and(worthless)
            });
        }
        if slots.len() >= CAPACITY
            && let Some(any) = slots.keys().next().cloned()
        {
            slots.remove(&any);
        }
        let outcome = self.fly(key, load);
        slots.insert(key.clone(), Slot::Loading(outcome.clone()));
        outcome
    }

    /// Loads in a task of its own, which nobody's leaving ends.
    fn fly<F>(&self, key: &K, load: F) -> watch::Receiver<Outcome<V>>
    where
        F: Future<Output = Result<V, Failure>> + Send + 'static,
    {
        let (sender, receiver) = watch::channel(None);
        let (flights, key, own) = (Arc::clone(&self.slots), key.clone(), receiver.clone());
        self.tracker.spawn(async move {
            let result = AssertUnwindSafe(load)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| {
                    Err(Failure::new(
                        Reason::Internal,
                        "a load panicked; see the log",
                    ))
                });
            let mut slots = flights.lock().unwrap_or_else(PoisonError::into_inner);
            // Forgotten, or replaced, while it was loading: then it reaches nobody.
            let Some(slot) = slots.get_mut(&key) else {
                return;
            };
            match slot {
                Slot::Loading(load) if load.same_channel(&own) => match &result {
                    Ok(value) => *slot = Slot::held(value.clone()),
                    Err(_) => drop(slots.remove(&key)),
                },
                Slot::Held {
                    renewal: Some(renewal),
                    ..
                } if matches!(&**renewal, Renewal::Loading(load) if load.same_channel(&own)) => {
                    if let Ok(value) = &result {
                        *slot = Slot::held(value.clone());
                    } else {
                        **renewal = Renewal::NotBefore(Instant::now() + RENEWAL_PAUSE);
                    }
                }
                Slot::Loading(_) | Slot::Held { .. } => return,
            }
            sender.send_replace(Some(result));
        });
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Slot<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> std::fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SingleFlight(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    struct Upstream {
        flight: SingleFlight<&'static str, usize>,
        loads: Arc<AtomicUsize>,
        gate: Arc<Notify>,
    }

    impl Upstream {
        fn new() -> Self {
            Self {
                flight: SingleFlight::new(TaskTracker::new()),
                loads: Arc::default(),
                gate: Arc::default(),
            }
        }

        async fn get(&self, fail: bool) -> Result<usize, Failure> {
            let (loads, gate) = (Arc::clone(&self.loads), Arc::clone(&self.gate));
            self.flight
                .get(
                    &"key",
                    |_| Worth::Good,
                    |_| async move {
                        let number = loads.fetch_add(1, Ordering::SeqCst) + 1;
                        gate.notified().await;
                        if fail {
                            Err(Failure::new(Reason::AwsUnavailable, "down"))
                        } else {
                            Ok(number)
                        }
                    },
                )
                .await
        }

        fn loads(&self) -> usize {
            self.loads.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_callers_make_one_load_even_if_the_first_leaves() {
        let upstream = Upstream::new();
        let first = upstream.get(false);
        let left = tokio::time::timeout(std::time::Duration::from_millis(1), first).await;
        assert!(left.is_err());
        let callers = futures_util::future::join_all((0..100).map(|_| upstream.get(false)));
        let (values, ()) = tokio::join!(callers, async {
            tokio::task::yield_now().await;
            upstream.gate.notify_one();
        });
        assert!(values.iter().all(|value| *value == Ok(1)));
        assert_eq!(upstream.loads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_but_not_kept() {
        let upstream = Upstream::new();
        upstream.gate.notify_one();
        let both = tokio::join!(upstream.get(true), upstream.get(true));
        assert!(both.0.is_err() && both.1.is_err());
        assert_eq!(upstream.loads(), 1);
        upstream.gate.notify_one();
        assert_eq!(upstream.get(false).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn logout_during_a_load_does_not_resurrect_the_secret() {
        let upstream = Upstream::new();
        let (result, ()) = tokio::join!(upstream.get(false), async {
            tokio::task::yield_now().await;
            upstream.flight.forget(|_| true);
            upstream.gate.notify_one();
        });
        assert_eq!(result.unwrap_err().reason, Reason::LoginRequired);
        assert_eq!(upstream.flight.peek(&"key"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_panics_is_an_error_and_frees_the_key() {
        let flight: SingleFlight<&str, usize> = SingleFlight::new(TaskTracker::new());
        let broken = flight
            .get(&"key", |_| Worth::Good, |_| async { panic!("a bug") })
            .await;
        assert!(broken.is_err());
        let mended = flight
            .get(&"key", |_| Worth::Good, |_| async { Ok(1) })
            .await;
        assert_eq!(mended, Ok(1));
    }

    /// Asks with the worth that the held value shall have.
    async fn ask(
        flight: &SingleFlight<&'static str, usize>,
        worth: Worth,
        load: Result<usize, Failure>,
    ) -> (Result<usize, Failure>, bool) {
        let loaded = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&loaded);
        let got = flight
            .get(
                &"key",
                |_| worth,
                |_| async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    load
                },
            )
            .await;
        // What was started in the background is over.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        (got, loaded.load(Ordering::SeqCst) == 1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_ages_serves_while_its_successor_is_loaded() {
        let flight = SingleFlight::new(TaskTracker::new());
        ask(&flight, Worth::Good, Ok(1)).await.0.unwrap();
        assert_eq!(ask(&flight, Worth::Aging, Ok(2)).await, (Ok(1), true));
        assert_eq!(ask(&flight, Worth::Good, Ok(3)).await, (Ok(2), false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_successor_that_cannot_be_loaded_is_asked_for_again_after_a_while() {
        let down = || Err(Failure::new(Reason::AwsUnavailable, "down"));
        let flight = SingleFlight::new(TaskTracker::new());
        ask(&flight, Worth::Good, Ok(1)).await.0.unwrap();
        assert_eq!(ask(&flight, Worth::Aging, down()).await, (Ok(1), true));
        assert_eq!(ask(&flight, Worth::Aging, Ok(2)).await, (Ok(1), false));
        tokio::time::advance(RENEWAL_PAUSE).await;
        assert_eq!(ask(&flight, Worth::Aging, Ok(2)).await, (Ok(1), true));
        assert_eq!(flight.peek(&"key"), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_nothing_good_joins_the_renewal_and_a_logout_ends_both() {
        let flight: SingleFlight<&str, usize> = SingleFlight::new(TaskTracker::new());
        let gate = Arc::new(Notify::new());
        let held = flight.get(&"key", |_| Worth::Good, |_| async { Ok(1) });
        held.await.unwrap();
        for (forget, expected) in [(false, Ok(2)), (true, Err(Reason::LoginRequired))] {
            let pass = Arc::clone(&gate);
            let renewal = async move {
                pass.notified().await;
                Ok(2)
            };
            flight
                .get(&"key", |_| Worth::Aging, |_| renewal)
                .await
                .unwrap();
            let second = |_| async { panic!("a second load") };
            let (joined, ()) =
                tokio::join!(flight.get(&"key", |_| Worth::Nothing, second), async {
                    tokio::task::yield_now().await;
                    if forget {
                        flight.forget(|_| true);
                    }
                    gate.notify_one();
                });
            assert_eq!(joined.map_err(|failure| failure.reason), expected);
        }
        assert_eq!(flight.peek(&"key"), None);
    }
}
