//! The one clock. Code that decides takes `now`; whoever waits, waits here.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};

use crate::os;

/// The longest sleep in one go where the system has no alarm: timers do not count
/// a suspend and do not see the clock being set, so whoever waits asks again.
const LONGEST_NAP: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Clock {
    source: SharedTimeSource,
    nap: Duration,
    /// It is the system's own.
    has_alarm: bool,
}

impl Clock {
    pub fn system() -> Self {
        let source = SharedTimeSource::new(SystemTimeSource::new());
        Self {
            has_alarm: true,
            ..Self::of(source, LONGEST_NAP)
        }
    }

    /// A clock that somebody else moves, looked at every `nap`.
    pub fn of(source: SharedTimeSource, nap: Duration) -> Self {
        Self {
            source,
            nap,
            has_alarm: false,
        }
    }

    pub fn now(&self) -> SystemTime {
        self.source.now()
    }

    /// For SDK clients, so that signatures and expiries use the same time.
    pub fn time_source(&self) -> SharedTimeSource {
        self.source.clone()
    }

    /// Returns at `instant` by the wall clock; never, when there is none.
    pub async fn wait_until(&self, instant: Option<SystemTime>) {
        let Some(instant) = instant else {
            return std::future::pending().await;
        };
        while let Ok(left) = instant.duration_since(self.now())
            && !left.is_zero()
        {
            if !(self.has_alarm && os::alarm(instant).await.is_ok()) {
                tokio::time::sleep(left.min(self.nap)).await;
            }
        }
    }
}
