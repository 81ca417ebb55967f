//! Who may run a command now. Beyond a limit commands wait for their turn, in
//! order; beyond a second limit they are refused, so that nothing grows.

use std::sync::atomic::{AtomicUsize, Ordering};

use awsso_proto::{Failure, Reason};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

/// Commands of this process that run at the same time.
const AT_ONCE: usize = 16;

/// Commands that wait. A client that asks for more at once has lost count.
const WAITING: usize = 512;

pub(crate) struct Turns {
    permits: Semaphore,
    waiting: AtomicUsize,
}

/// Counts one that waits, until it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            permits: Semaphore::new(AT_ONCE),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A turn, which ends when it is dropped.
    pub(crate) async fn next(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.waiting);
        if before >= WAITING {
            return Err(busy());
        }
        let turn = timeout_at(deadline, self.permits.acquire()).await;
        drop(place);
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }
}

fn busy() -> Failure {
    Failure::new(
        Reason::Busy,
        "too many commands are running; this one has not been started",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_beyond_the_limit_waits_and_one_beyond_the_queue_is_refused() {
        let turns = Turns::new();
        let soon = Instant::now() + Duration::from_secs(45);
        let mut running = Vec::new();
        for _ in 0..AT_ONCE {
            running.push(turns.next(soon).await.unwrap());
        }
        let late = turns.next(soon).await.unwrap_err();
        assert_eq!(late.reason, Reason::Busy);
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);

        let soon = Instant::now() + Duration::from_secs(45);
        let freed = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            running.pop();
        };
        let (turn, ()) = tokio::join!(turns.next(soon), freed);
        assert!(turn.is_ok());

        turns.waiting.store(WAITING, Ordering::Relaxed);
        assert!(turns.next(soon).await.is_err());
        assert_eq!(turns.waiting.load(Ordering::Relaxed), WAITING);
    }
}
