//! What goes wrong on purpose: faults that hit the next calls, and conditions that stand until changed.
//!
//! A target is `*`, a service (`ssm`) or an operation (`ssm.SendCommand`). Faults of one target are used up in the
//! order they were asked for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::answer::Refusal;
use crate::config::Config;
use crate::service::{Operation, Service};
use crate::ssm::{Unstarted, Uploads};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttle,
    Fail(u16),
    /// The connection is reset before anything is carried out.
    Reset,
    /// No answer, and the connection stays open.
    Hang,
    /// An answer that is not AWS's.
    Garbage,
    /// Carried out, and then the connection is reset.
    LoseAnswer,
}

/// What holds until it is changed.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) latency: Duration,
    pub(crate) portal_rate: Option<u32>,
    pub(crate) page_size: usize,
    pub(crate) rotate_refresh_tokens: bool,
    pub(crate) visibility_delay: Duration,
    pub(crate) pickup_delay: Duration,
    pub(crate) auto_approve: Option<Duration>,
    pub(crate) uploads: Uploads,
    /// Actions of IAM.
    pub(crate) denied: BTreeSet<String>,
    pub(crate) bucket_region: Option<String>,
    pub(crate) unstarted: Option<Unstarted>,
}

struct Planned {
    target: String,
    fault: Fault,
    left: u64,
}

struct State {
    standing: Standing,
    planned: VecDeque<Planned>,
    portal: Bucket,
}

/// The switches. Every method takes effect for the next request.
pub struct Faults {
    state: Mutex<State>,
}

impl Faults {
    pub(crate) fn new(config: &Config) -> Self {
        let standing = Standing {
            latency: config.latency,
            portal_rate: config.portal_rate,
            page_size: config.page_size.clamp(1, 100),
            rotate_refresh_tokens: config.rotate_refresh_tokens,
            visibility_delay: config.visibility_delay,
            pickup_delay: config.pickup_delay,
            auto_approve: config.auto_approve,
            uploads: Uploads {
                allowed: true,
                delay: Duration::ZERO,
            },
            denied: BTreeSet::new(),
            bucket_region: None,
            unstarted: None,
        };
        Self {
            state: Mutex::new(State {
                standing,
                planned: VecDeque::new(),
                portal: Bucket::default(),
            }),
        }
    }

    /// The next `count` calls are refused for their rate, in the words of their service.
    pub fn throttle_next(&self, target: &str, count: u64) {
        self.plan(target, Fault::Throttle, count);
    }

    /// The next `count` calls fail with this 5xx status.
    pub fn fail_next(&self, target: &str, count: u64, status: u16) {
        self.plan(target, Fault::Fail(status), count);
    }

    /// The next `count` connections are reset without an answer; nothing is carried out.
    pub fn reset_next(&self, target: &str, count: u64) {
        self.plan(target, Fault::Reset, count);
    }

    /// The next `count` calls are never answered; nothing is carried out.
    pub fn hang_next(&self, target: &str, count: u64) {
        self.plan(target, Fault::Hang, count);
    }

    /// The next `count` calls are answered by something that is not AWS.
    pub fn garbage_next(&self, target: &str, count: u64) {
        self.plan(target, Fault::Garbage, count);
    }

    /// The next call is *carried out*, and its answer is lost with the connection.
    pub fn lose_answer_next(&self, target: &str) {
        self.plan(target, Fault::LoseAnswer, 1);
    }

    /// Added to every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.stand(|standing| standing.latency = latency);
    }

    /// Requests per second the portal takes before it says 429.
    pub fn set_portal_rate(&self, per_second: Option<u32>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.standing.portal_rate = per_second;
        state.portal = Bucket::default();
    }

    /// The largest page of the portal's lists, 1 to 100.
    pub fn set_page_size(&self, size: usize) {
        self.stand(|standing| standing.page_size = size.clamp(1, 100));
    }

    /// Whether a refresh token is replaced when it is used.
    pub fn set_refresh_token_rotation(&self, on: bool) {
        self.stand(|standing| standing.rotate_refresh_tokens = on);
    }

    /// How long a new invocation is invisible to its readers.
    pub fn set_visibility_delay(&self, delay: Duration) {
        self.stand(|standing| standing.visibility_delay = delay);
    }

    /// How long a command sent from now on stays `Pending`.
    pub fn set_pickup_delay(&self, delay: Duration) {
        self.stand(|standing| standing.pickup_delay = delay);
    }

    /// Every instance fails a command sent from now on like this.
    pub fn set_unstarted(&self, how: Option<Unstarted>) {
        self.stand(|standing| standing.unstarted = how);
    }

    /// Whether the role of the instances may leave the output of a command sent from now on in a bucket or log group.
    pub fn set_instances_may_write(&self, may: bool) {
        self.stand(|standing| standing.uploads.allowed = may);
    }

    /// How long after its end the output of a command sent from now on can be read in a bucket or log group.
    pub fn set_upload_delay(&self, delay: Duration) {
        self.stand(|standing| standing.uploads.delay = delay);
    }

    /// A service control policy denies this action to everybody: `s3:GetObject`.
    pub fn deny(&self, action: &str) {
        self.stand(|standing| {
            standing.denied.insert(action.to_owned());
        });
    }

    /// The region that every bucket is in; whoever asks in another one is told.
    pub fn set_bucket_region(&self, region: &str) {
        self.stand(|standing| standing.bucket_region = Some(region.to_owned()));
    }

    /// Drops the faults that are still waiting for a call; standing conditions stay.
    pub fn clear(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .planned
            .clear();
    }

    pub(crate) fn set_auto_approve(&self, after: Option<Duration>) {
        self.stand(|standing| standing.auto_approve = after);
    }

    pub(crate) fn standing(&self) -> Standing {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .standing
            .clone()
    }

    /// Uses up one planned fault for this call.
    pub(crate) fn strike(&self, operation: &Operation) -> Option<Fault> {
        let name = operation.to_string();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.planned.iter().position(|planned| {
            planned.target == "*"
                || planned.target == operation.service.name()
                || planned.target == name
        })?;
        let planned = &mut state.planned[at];
        let fault = planned.fault;
        planned.left -= 1;
        if planned.left == 0 {
            state.planned.remove(at);
        }
        Some(fault)
    }

    /// Whether the portal is asked faster than its rate.
    pub(crate) fn over_rate(&self, service: Service, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.standing.portal_rate {
            Some(rate) if service == Service::Sso => !state.portal.take(rate, now),
            _ => false,
        }
    }

    fn plan(&self, target: &str, fault: Fault, left: u64) {
        if left > 0 {
            let planned = Planned {
                target: target.to_owned(),
                fault,
                left,
            };
            self.state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .planned
                .push_back(planned);
        }
    }

    fn stand(&self, change: impl FnOnce(&mut Standing)) {
        change(
            &mut self
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .standing,
        );
    }
}

/// "Too fast", as the service says it.
pub(crate) fn throttled(service: Service) -> Refusal {
    match service {
        Service::Sso => Refusal::new(
            429,
            "TooManyRequestsException",
            "HTTP 429 Too Many Requests",
        ),
        Service::Oidc | Service::Signin => {
            Refusal::new(429, "TooManyRequestsException", "Rate exceeded")
        }
        Service::Ssm | Service::Logs => Refusal::new(400, "ThrottlingException", "Rate exceeded"),
        Service::Sts => Refusal::new(400, "Throttling", "Rate exceeded"),
        Service::Ec2 => Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        Service::S3 => Refusal::new(503, "SlowDown", "Please reduce your request rate."),
    }
}

/// "It is us", as the service says it.
pub(crate) fn failed(service: Service, status: u16) -> Refusal {
    let code = match service {
        Service::Oidc => "InternalServerException",
        Service::Sso | Service::Ssm => "InternalServerError",
        Service::Sts | Service::Signin => "InternalFailure",
        Service::Logs => "ServiceUnavailableException",
        Service::Ec2 | Service::S3 => "InternalError",
    };
    Refusal::new(
        status,
        code,
        "We encountered an internal error. Please try again.",
    )
}

/// A token bucket that holds one second's worth.
#[derive(Default)]
struct Bucket {
    level: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn take(&mut self, rate: u32, now: Instant) -> bool {
        let rate = f64::from(rate);
        let gained = self.filled.map_or(rate, |last| {
            now.saturating_duration_since(last).as_secs_f64() * rate
        });
        self.level = (self.level + gained).min(rate);
        self.filled = Some(now);
        let enough = self.level >= 1.0;
        if enough {
            self.level -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(service: Service, name: &str) -> Operation {
        Operation {
            service,
            name: name.into(),
        }
    }

    #[test]
    fn a_fault_hits_its_target_as_often_as_asked_and_no_other() {
        let faults = Faults::new(&Config::default());
        let (send, list) = (
            operation(Service::Ssm, "SendCommand"),
            operation(Service::Sso, "ListAccounts"),
        );
        faults.throttle_next("ssm", 2);
        faults.lose_answer_next("ssm.SendCommand");
        assert_eq!(faults.strike(&list), None);
        assert_eq!(faults.strike(&send), Some(Fault::Throttle));
        assert_eq!(faults.strike(&send), Some(Fault::Throttle));
        assert_eq!(faults.strike(&send), Some(Fault::LoseAnswer));
        assert_eq!(faults.strike(&send), None);
    }

    #[test]
    fn the_portal_takes_its_rate_and_refills_with_time() {
        let faults = Faults::new(&Config {
            portal_rate: Some(2),
            ..Config::default()
        });
        let start = Instant::now();
        let over = |seconds| faults.over_rate(Service::Sso, start + Duration::from_secs(seconds));
        assert_eq!([over(0), over(0), over(0)], [false, false, true]);
        assert!(!over(1));
        assert!(
            !faults.over_rate(Service::Ssm, start),
            "only the portal has a rate"
        );
    }
}
