//! Instants: RFC 3339 in UTC for everybody, and how far away for people.

use std::time::{Duration, SystemTime};

use awsso_proto::v1::instant;
use prost_types::Timestamp;

/// `2026-11-22T19:40:18Z`.
pub fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// The same, of an instant from the wire; `None` when there is none.
pub fn wire(at: Option<&Timestamp>) -> Option<String> {
    at.and_then(instant).map(rfc3339)
}

/// `in 7 h 58 min`, `3 min ago`.
pub fn relative(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        Ok(left) => format!("in {}", span(left)),
        Err(past) => format!("{} ago", span(past.duration())),
    }
}

/// `2026-11-22T19:40:18Z (in 7 h 58 min)`; empty when there is none.
pub fn both(at: Option<&Timestamp>, now: SystemTime) -> String {
    at.and_then(instant)
        .map(|at| format!("{} ({})", rfc3339(at), relative(at, now)))
        .unwrap_or_default()
}

/// The two largest units of a span.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min")
    } else {
        format!("{seconds} s")
    }
}

/// The same, as short as it gets: `7h58m`.
pub fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d{}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m")
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, told, in_short) in [
            (0, "0 s", "0s"),
            (59, "59 s", "59s"),
            (60, "1 min", "1m"),
            (3_599, "59 min", "59m"),
            (28_680, "7 h 58 min", "7h58m"),
            (90_000, "1 d 1 h", "1d1h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), told);
            assert_eq!(short(Duration::from_secs(seconds)), in_short);
        }
    }

    #[test]
    fn an_instant_is_ahead_or_behind() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let minute = Duration::from_mins(1);
        assert_eq!(relative(now + minute, now), "in 1 min");
        assert_eq!(relative(now - minute, now), "1 min ago");
    }
}
