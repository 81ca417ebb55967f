//! The sandbox's time: the only place that reads the host's clock.
//!
//! Two readings, because a test wants to move them apart. [`Clock::now`] is the time of the model: tokens age and
//! commands advance by it, and [`Clock::advance`] makes it jump. [`Clock::wire`] is what AWS's front door shows and
//! compares signatures with; it stays with the host (so that an advanced sandbox still accepts the SDK's signatures)
//! unless a skew is set.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Default)]
struct Offsets {
    model: Duration,
    skew_seconds: i64,
}

#[derive(Default)]
pub(crate) struct Clock {
    offsets: Mutex<Offsets>,
}

impl Clock {
    pub(crate) fn now(&self) -> SystemTime {
        host()
            + self
                .offsets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .model
    }

    pub(crate) fn wire(&self) -> SystemTime {
        let skew = self
            .offsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .skew_seconds;
        let by = Duration::from_secs(skew.unsigned_abs());
        if skew < 0 { host() - by } else { host() + by }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.offsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .model += by;
    }

    pub(crate) fn set_skew_seconds(&self, seconds: i64) {
        self.offsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .skew_seconds = seconds;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the sandbox's one clock; everything else is handed a time"
)]
fn host() -> SystemTime {
    SystemTime::now()
}

/// Seconds since the epoch with a fraction, as AWS's JSON protocols write a time.
pub(crate) fn epoch_seconds(at: SystemTime) -> f64 {
    // Whole milliseconds: what AWS sends, and a float that prints short.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit in 52 bits for 140,000 years"
    )]
    let millis = epoch_millis(at) as f64;
    millis / 1000.0
}

pub(crate) fn epoch_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-01-02T03:04:05.678Z`
pub(crate) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// The date of an HTTP answer, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let days_since_thursday = epoch_millis(at) / 86_400_000;
    let weekday = DAYS[usize::try_from(days_since_thursday % 7).unwrap_or(0)];
    let month = text[5..7]
        .parse::<usize>()
        .map_or("Jan", |number| MONTHS[number - 1]);
    format!(
        "{weekday}, {} {month} {} {} GMT",
        &text[8..10],
        &text[..4],
        &text[11..19]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_is_written_as_rfc_9110_shows_it() {
        let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn advancing_moves_the_model_and_leaves_the_wire_alone() {
        let clock = Clock::default();
        clock.advance(Duration::from_hours(2));
        let ahead = clock.now().duration_since(clock.wire()).unwrap();
        assert!(ahead > Duration::from_secs(7190));
    }
}
