//! What "AWS" saw: calls per operation, refusals for rate, and how many were in flight at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::service::Operation;

#[derive(Default)]
struct Numbers {
    counts: BTreeMap<String, u64>,
    in_flight: BTreeMap<&'static str, u64>,
}

pub(crate) struct Tally {
    numbers: Mutex<Numbers>,
    /// Moves with every change, for those who wait for a count.
    changes: watch::Sender<()>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            numbers: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }
}

/// One request in flight; it is over when this is dropped.
pub(crate) struct InFlight<'a> {
    tally: &'a Tally,
    service: &'static str,
}

impl Tally {
    pub(crate) fn begin(&self, operation: &Operation) -> InFlight<'_> {
        let service = operation.service.name();
        self.change(|numbers| {
            *numbers.counts.entry(operation.to_string()).or_default() += 1;
            *numbers.in_flight.entry(service).or_default() += 1;
            let here = numbers.in_flight[service];
            let everywhere = numbers.in_flight.values().sum();
            raise(&mut numbers.counts, format!("inflight.max.{service}"), here);
            raise(&mut numbers.counts, "inflight.max".to_owned(), everywhere);
        });
        InFlight {
            tally: self,
            service,
        }
    }

    pub(crate) fn throttled(&self, operation: &Operation) {
        self.note(format!("throttled.{operation}"));
    }

    /// Counts something that is no operation.
    pub(crate) fn note(&self, what: String) {
        self.change(|numbers| *numbers.counts.entry(what).or_default() += 1);
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .counts
            .clone()
    }

    /// Forgets what was counted; requests in flight stay in flight.
    pub(crate) fn reset(&self) {
        self.change(|numbers| numbers.counts.clear());
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn change(&self, apply: impl FnOnce(&mut Numbers)) {
        apply(&mut self.numbers.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_replace(());
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.tally.change(|numbers| {
            if let Some(count) = numbers.in_flight.get_mut(self.service) {
                *count -= 1;
            }
        });
    }
}

fn raise(counts: &mut BTreeMap<String, u64>, key: String, to: u64) {
    let highest = counts.entry(key).or_default();
    *highest = to.max(*highest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    #[test]
    fn the_highest_number_in_flight_is_kept() {
        let tally = Tally::default();
        let operation = Operation {
            service: Service::Sso,
            name: "ListAccounts".into(),
        };
        let first = tally.begin(&operation);
        let second = tally.begin(&operation);
        drop((first, second));
        drop(tally.begin(&operation));
        let counts = tally.counts();
        assert_eq!(
            (
                counts["sso.ListAccounts"],
                counts["inflight.max.sso"],
                counts["inflight.max"]
            ),
            (3, 2, 2)
        );
    }
}
