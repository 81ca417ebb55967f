//! When an SSM job asks next, and what AWS's words mean: pure.

use std::time::Duration;

use awsso_proto::v1::TaskState;

/// Short lists are "not yet" this long after sending; an instance that a list lacks
/// then is asked for by name.
pub const UNLISTED: Duration = Duration::from_secs(30);

/// `InvocationDoesNotExist` is "not yet" this long: twice what is known of AWS,
/// because a wrong end is worse than a late one.
pub const NOT_YET: Duration = Duration::from_mins(1);

/// Quick at first, because most commands are; slower with age.
pub fn next_poll(age: Duration) -> Duration {
    match age.as_secs() {
        0 => Duration::from_millis(300),
        // Not a second: what takes whole seconds would always end just after a look.
        1..10 => Duration::from_millis(750),
        10..30 => Duration::from_millis(1_250),
        30..120 => Duration::from_secs(2),
        120..600 => Duration::from_secs(5),
        _ => Duration::from_secs(15),
    }
}

/// What `Status` and `StatusDetails` of an invocation come to; `None` while it
/// is not final. Words come with and without blanks, in either case; one that
/// is not known is not final.
pub fn invocation_state(status: &str, details: &str) -> Option<TaskState> {
    let word = |text: &str| {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
            .to_lowercase()
    };
    let details = word(details);
    match word(status).as_str() {
        "success" => Some(TaskState::Succeeded),
        "cancelled" => Some(TaskState::Cancelled),
        "timedout" => Some(match details.as_str() {
            "deliverytimedout" => TaskState::Undeliverable,
            _ => TaskState::TimedOut,
        }),
        "failed" => Some(match details.as_str() {
            "undeliverable" | "deliverytimedout" => TaskState::Undeliverable,
            "executiontimedout" => TaskState::TimedOut,
            "terminated" => TaskState::Cancelled,
            "accessdenied" => TaskState::Denied,
            _ => TaskState::Failed,
        }),
        // Pending, InProgress, Delayed, Cancelling, and what AWS may add.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_end_state() {
        for (status, details, state) in [
            ("Pending", "Pending", None),
            ("InProgress", "In Progress", None),
            ("In Progress", "InProgress", None),
            ("Delayed", "Delayed", None),
            ("Cancelling", "Cancelling", None),
            ("SomethingNew", "", None),
            ("Success", "Success", Some(TaskState::Succeeded)),
            ("Failed", "Failed", Some(TaskState::Failed)),
            ("Failed", "", Some(TaskState::Failed)),
            ("Failed", "Undeliverable", Some(TaskState::Undeliverable)),
            ("Failed", "Terminated", Some(TaskState::Cancelled)),
            ("Failed", "Access Denied", Some(TaskState::Denied)),
            ("Failed", "Invalid Platform", Some(TaskState::Failed)),
            ("Failed", "InvalidPlatform", Some(TaskState::Failed)),
            ("Failed", "ExecutionTimedOut", Some(TaskState::TimedOut)),
            (
                "Failed",
                "Delivery Timed Out",
                Some(TaskState::Undeliverable),
            ),
            ("Cancelled", "Terminated", Some(TaskState::Cancelled)),
            ("success", "", Some(TaskState::Succeeded)),
            ("", "", None),
            (
                "TimedOut",
                "Delivery Timed Out",
                Some(TaskState::Undeliverable),
            ),
            (
                "TimedOut",
                "DeliveryTimedOut",
                Some(TaskState::Undeliverable),
            ),
            ("TimedOut", "Execution Timed Out", Some(TaskState::TimedOut)),
            ("TimedOut", "", Some(TaskState::TimedOut)),
            ("Cancelled", "Cancelled", Some(TaskState::Cancelled)),
        ] {
            assert_eq!(
                invocation_state(status, details),
                state,
                "{status} / {details}"
            );
        }
    }

    #[test]
    fn polls_come_slower_with_age() {
        let pauses: Vec<_> = [0, 5, 60, 300, 3_000]
            .map(|age| next_poll(Duration::from_secs(age)))
            .into();
        assert!(pauses.is_sorted());
        assert!(next_poll(Duration::from_secs(9)) < Duration::from_secs(1));
    }
}
