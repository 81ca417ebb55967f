//! Whether AWS is reached, whether both clocks agree, whether AWS said "slow down".

use std::time::{Duration, SystemTime};

use awsso_proto::v1::{AwsContact, DiagnoseResponse, Throttled, instant};

use super::{Check, Finding};
use crate::render::time;

/// AWS refuses signatures that are older or newer than this.
const TOLERATED: Duration = Duration::from_mins(5);
/// The `Date` header has whole seconds, and answers take their time.
const NOTEWORTHY: Duration = Duration::from_mins(1);

pub fn checks(answer: &DiagnoseResponse) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(contact) = &answer.aws {
        checks.push(reached(contact));
        let instants = contact.aws_time.as_ref().and_then(instant);
        let instants = instants.zip(contact.own_time.as_ref().and_then(instant));
        checks.extend(instants.map(|(aws, own)| clock(aws, own)));
    }
    checks.extend(throttled(&answer.throttled));
    checks
}

fn reached(contact: &AwsContact) -> Check {
    let AwsContact {
        url, error, proxy, ..
    } = contact;
    let way = if *proxy { " through a proxy" } else { "" };
    if error.is_empty() {
        return Check::ok(Finding::NetworkReached, format!("AWS answers{way}: {url}"));
    }
    let cure = if *proxy {
        "look at HTTPS_PROXY, NO_PROXY and [network] proxy, and at ca_bundle when the proxy has its own certificate; then: awsso daemon restart"
    } else {
        "look at the network; behind a proxy set [network] proxy (and ca_bundle) in config.toml; then: awsso daemon restart"
    };
    let summary = format!("{url} is not reached{way}: {error}");
    Check::fail(Finding::NetworkUnreached, summary, cure)
}

fn clock(aws: SystemTime, own: SystemTime) -> Check {
    let (apart, word) = match own.duration_since(aws) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart < NOTEWORTHY {
        return Check::ok(Finding::ClockAgrees, "this clock and that of AWS agree");
    }
    let cure = "set the clock: timedatectl set-ntp true";
    let summary = format!("this clock is {} {word} that of AWS", time::span(apart));
    if apart < TOLERATED {
        Check::warn(Finding::ClockDiffers, summary, cure)
    } else {
        let summary = format!("{summary}, which refuses such requests");
        Check::fail(Finding::ClockRefused, summary, cure)
    }
}

fn throttled(places: &[Throttled]) -> Vec<Check> {
    if places.is_empty() {
        let summary = "AWS has not said \"slow down\" lately";
        return vec![Check::ok(Finding::ThrottlingNone, summary)];
    }
    let of_one = |throttled: &Throttled| {
        let ago = throttled.ago.and_then(|ago| Duration::try_from(ago).ok());
        Check::warn(
            Finding::ThrottlingLately,
            format!(
                "AWS said \"slow down\" {} ago: {}",
                time::span(ago.unwrap_or_default()),
                throttled.place
            ),
            "nothing: awsso keeps below AWS's limit; other tools that ask the same place may not",
        )
    };
    places.iter().map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn a_clock_is_judged_by_what_aws_tolerates() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (own, status, words) in [
            (10_059, Status::Ok, "agree"),
            (9_941, Status::Ok, "agree"),
            (10_060, Status::Warn, "1 min ahead of"),
            (9_900, Status::Warn, "1 min behind"),
            (10_300, Status::Fail, "5 min ahead of"),
            (6_400, Status::Fail, "1 h 0 min behind"),
        ] {
            let check = clock(at(10_000), at(own));
            assert_eq!(check.status, status, "{own}");
            assert!(check.summary.contains(words), "{}", check.summary);
        }
    }
}
