//! When each instance of a command starts and how it ends: decided when the command is sent. Pure.
//!
//! A command runs on `MaxConcurrency` instances at a time; once more than `MaxErrors` have failed, what has not
//! started yet is terminated. A later cancel is laid over it when the state is read.

use std::time::{Duration, SystemTime};

/// How long the agent takes to stop what it was told to cancel.
const CANCEL_DELAY: Duration = Duration::from_millis(200);
/// When Systems Manager stops calling an unreachable instance `Pending`.
const NOTICED_UNREACHABLE: Duration = Duration::from_millis(200);

/// Why an instance fails without a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstarted {
    /// The agent could not be given the command.
    Undeliverable,
    /// Whoever sent it may not run it there.
    AccessDenied,
    /// The document is for another platform.
    InvalidPlatform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Failed,
    ExecutionTimedOut,
    DeliveryTimedOut,
    Refused(Unstarted),
    Terminated,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Delayed,
    InProgress,
    Cancelling,
    Done(End),
}

/// What would happen on one instance if nothing stood in its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Prospect {
    Runs { takes: Duration, end: End },
    Unreachable,
    Refused(Unstarted),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// `None`: never started.
    pub(crate) starts: Option<SystemTime>,
    pub(crate) ends: SystemTime,
    pub(crate) end: End,
    delayed_from: Option<SystemTime>,
}

/// The terms of one command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) sent: SystemTime,
    pub(crate) pickup_delay: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) max_concurrency: usize,
    pub(crate) max_errors: usize,
}

pub(crate) fn schedule(prospects: &[Prospect], terms: &Terms) -> Vec<Timeline> {
    // When each slot is free again.
    let mut slots = vec![terms.sent; terms.max_concurrency.max(1)];
    let mut failures: Vec<SystemTime> = Vec::new();
    let mut timelines = Vec::with_capacity(prospects.len());
    for prospect in prospects {
        let slot = slots.iter_mut().min().expect("there is at least one slot");
        let begin = *slot;
        let mut failed_before = failures.clone();
        failed_before.retain(|&at| at <= begin && at > terms.sent);
        failed_before.sort_unstable();
        if let Some(&at) = failed_before.get(terms.max_errors) {
            let end = End::Terminated;
            timelines.push(Timeline {
                starts: None,
                ends: at,
                end,
                delayed_from: None,
            });
            continue;
        }
        let timeline = follow(*prospect, begin, terms);
        *slot = timeline.ends;
        if matches!(
            timeline.end,
            End::Failed | End::ExecutionTimedOut | End::Refused(_)
        ) {
            failures.push(timeline.ends);
        }
        timelines.push(timeline);
    }
    timelines
}

fn follow(prospect: Prospect, begin: SystemTime, terms: &Terms) -> Timeline {
    let starts = begin + terms.pickup_delay;
    match prospect {
        Prospect::Runs { takes, end } => Timeline {
            starts: Some(starts),
            ends: starts + takes,
            end,
            delayed_from: None,
        },
        Prospect::Unreachable => Timeline {
            starts: None,
            ends: begin + terms.delivery_timeout,
            end: End::DeliveryTimedOut,
            delayed_from: Some(begin + NOTICED_UNREACHABLE),
        },
        Prospect::Refused(how) => Timeline {
            starts: None,
            ends: starts,
            end: End::Refused(how),
            delayed_from: None,
        },
    }
}

impl Timeline {
    pub(crate) fn phase(&self, now: SystemTime, cancelled: Option<SystemTime>) -> Phase {
        match cancelled.filter(|&at| at < self.ends) {
            Some(at) if now >= at => {
                if now >= self.ended(cancelled) {
                    Phase::Done(End::Cancelled)
                } else {
                    Phase::Cancelling
                }
            }
            _ => self.undisturbed(now),
        }
    }

    /// When it is over, a cancel included.
    pub(crate) fn ended(&self, cancelled: Option<SystemTime>) -> SystemTime {
        match cancelled.filter(|&at| at < self.ends) {
            // What runs needs a moment to be stopped; what never started does not.
            Some(at) if self.starts.is_some_and(|starts| starts <= at) => at + CANCEL_DELAY,
            Some(at) => at,
            None => self.ends,
        }
    }

    fn undisturbed(&self, now: SystemTime) -> Phase {
        if now >= self.ends {
            return Phase::Done(self.end);
        }
        if self.starts.is_some_and(|starts| starts <= now) {
            return Phase::InProgress;
        }
        if self.delayed_from.is_some_and(|from| from <= now) {
            Phase::Delayed
        } else {
            Phase::Pending
        }
    }
}

impl Phase {
    /// The `Status` of an invocation.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Delayed => "Delayed",
            Self::InProgress => "InProgress",
            Self::Cancelling => "Cancelling",
            Self::Done(End::Success) => "Success",
            Self::Done(End::Cancelled | End::Terminated) => "Cancelled",
            Self::Done(End::Failed | End::Refused(_)) => "Failed",
            Self::Done(End::ExecutionTimedOut | End::DeliveryTimedOut) => "TimedOut",
        }
    }

    /// The `StatusDetails` of an invocation.
    pub(crate) fn details(self) -> &'static str {
        match self {
            Self::Done(End::ExecutionTimedOut) => "ExecutionTimedOut",
            Self::Done(End::DeliveryTimedOut) => "DeliveryTimedOut",
            Self::Done(End::Refused(Unstarted::Undeliverable)) => "Undeliverable",
            Self::Done(End::Refused(Unstarted::AccessDenied)) => "AccessDenied",
            Self::Done(End::Refused(Unstarted::InvalidPlatform)) => "InvalidPlatform",
            Self::Done(End::Terminated) => "Terminated",
            other => other.status(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const T0: SystemTime = UNIX_EPOCH;

    fn seconds(count: u64) -> SystemTime {
        T0 + Duration::from_secs(count)
    }

    fn terms(max_concurrency: usize, max_errors: usize) -> Terms {
        Terms {
            sent: T0,
            pickup_delay: Duration::from_secs(1),
            delivery_timeout: Duration::from_secs(30),
            max_concurrency,
            max_errors,
        }
    }

    fn runs(takes: u64, end: End) -> Prospect {
        Prospect::Runs {
            takes: Duration::from_secs(takes),
            end,
        }
    }

    #[test]
    fn an_invocation_goes_from_pending_through_running_to_its_end() {
        let timeline = schedule(&[runs(5, End::Failed)], &terms(50, 0))[0];
        let phases: Vec<_> = [0, 1, 5, 6]
            .map(|at| timeline.phase(seconds(at), None))
            .into();
        assert_eq!(
            phases,
            [
                Phase::Pending,
                Phase::InProgress,
                Phase::InProgress,
                Phase::Done(End::Failed)
            ]
        );
    }

    #[test]
    fn an_unreachable_instance_is_delayed_and_then_not_delivered() {
        let timeline = schedule(&[Prospect::Unreachable], &terms(50, 0))[0];
        assert_eq!(timeline.phase(seconds(1), None), Phase::Delayed);
        assert_eq!(
            timeline.phase(seconds(30), None),
            Phase::Done(End::DeliveryTimedOut)
        );
    }

    #[test]
    fn a_cancel_takes_a_moment_for_what_runs_and_none_for_what_waits() {
        let timeline = schedule(&[runs(60, End::Success)], &terms(50, 0))[0];
        let cancelled = Some(seconds(10));
        assert_eq!(timeline.phase(seconds(9), cancelled), Phase::InProgress);
        assert_eq!(timeline.phase(seconds(10), cancelled), Phase::Cancelling);
        assert_eq!(
            timeline.phase(seconds(11), cancelled),
            Phase::Done(End::Cancelled)
        );
        assert_eq!(timeline.phase(T0, Some(T0)), Phase::Done(End::Cancelled));
    }

    #[test]
    fn a_cancel_after_the_end_changes_nothing() {
        let timeline = schedule(&[runs(1, End::Success)], &terms(50, 0))[0];
        assert_eq!(
            timeline.phase(seconds(9), Some(seconds(5))),
            Phase::Done(End::Success)
        );
    }

    #[test]
    fn the_first_error_terminates_what_has_not_started() {
        let timelines = schedule(
            &[
                runs(1, End::Failed),
                runs(1, End::Success),
                runs(1, End::Success),
            ],
            &terms(1, 0),
        );
        assert_eq!(
            timelines.iter().map(|one| one.end).collect::<Vec<_>>(),
            [End::Failed, End::Terminated, End::Terminated]
        );
    }

    #[test]
    fn what_runs_at_the_same_time_is_not_terminated() {
        let timelines = schedule(
            &[runs(1, End::Failed), runs(1, End::Success)],
            &terms(50, 0),
        );
        assert_eq!(timelines[1].end, End::Success);
    }

    #[test]
    fn more_instances_than_slots_wait_their_turn() {
        let timelines = schedule(
            &[runs(4, End::Success), runs(4, End::Success)],
            &terms(1, 0),
        );
        assert_eq!(timelines[1].starts, Some(seconds(6)));
    }
}
