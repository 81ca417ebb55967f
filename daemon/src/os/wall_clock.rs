//! Waiting for an instant of the wall clock, through suspends and changes of the
//! clock, without looking at it now and then: Linux's timers can do that.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, SystemTime},
};

use rustix::{
    io::{Errno, read},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::unix::AsyncFd;

/// Returns at the instant, or when the clock was set: then whoever waits looks again.
pub async fn alarm(at: SystemTime) -> io::Result<()> {
    let timer = registered(timer(at)?)?;
    loop {
        let mut ready = timer.readable().await?;
        let mut ticks = [0; 8];
        match read(timer.get_ref(), &mut ticks) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            Ok(_) | Err(Errno::CANCELED) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "a descriptor stays what it is while it is registered"
)]
fn registered(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names one open descriptor for as long as it lives, and
    // is given up only when it is dropped.
    Ok(unsafe { AsyncFd::register(timer) }?)
}

fn timer(at: SystemTime) -> io::Result<OwnedFd> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    // A timer of 0 would never fire; one of the past fires at once.
    let since = since.unwrap_or_default().max(Duration::from_nanos(1));
    let timer = timerfd_create(
        TimerfdClockId::Realtime,
        TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
    )?;
    let once = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: Timespec {
            tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: since.subsec_nanos().into(),
        },
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, flags, &once)?;
    Ok(timer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn an_alarm_goes_off_at_its_instant_and_not_before() {
        let clock = Clock::system();
        let start = clock.now();
        let at = start + Duration::from_millis(50);
        alarm(at).await.unwrap();
        assert!(clock.now() >= at);
        // What has passed is not waited for.
        alarm(SystemTime::UNIX_EPOCH).await.unwrap();
        alarm(start).await.unwrap();
    }
}
