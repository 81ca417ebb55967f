//! One vocabulary of errors: `Reason`, carried as `google.rpc.ErrorInfo`, and
//! `Failure`, what a client holds after a call failed, wherever it failed.

use std::{collections::HashMap, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub use crate::v1::Reason;

/// The `ErrorInfo.domain` of every error of ours.
const DOMAIN: &str = "awsso";

/// The largest text that an error carries: an HTTP/2 header has its limits.
const MAX_TEXT: usize = 2_000;

/// Keys of [`Failure::metadata`].
pub mod key {
    /// The session that the failure is about.
    pub const SESSION: &str = "session";
    /// The account, as twelve digits.
    pub const ACCOUNT: &str = "accountId";
    /// The account's name.
    pub const ACCOUNT_NAME: &str = "accountName";
    /// Roles that would work in the account, joined by commas.
    pub const ROLES: &str = "roles";
    /// What to do next: one line for a person at a terminal.
    pub const HINT: &str = "hint";
    /// What a request should have named and did not: `account`, `role`.
    pub const MISSING: &str = "missing";
    /// The approval that is waited for.
    pub const APPROVAL: &str = "approvalId";
    /// There when whoever asked may put that question to its own person.
    pub const MAY_RELAY: &str = "mayRelay";
    /// What work does that was to do nothing but read: a class of actions.
    pub const NOT_A_READ: &str = "notARead";
    /// The daemon's protocol.
    pub const DAEMON_PROTOCOL: &str = "daemonProtocol";
}

/// A call that failed: what a client can act on, and one line for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// Lower-case, one line, no trailing period.
    pub message: String,
    pub metadata: HashMap<String, String>,
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: one_line(&message.into()),
            metadata: HashMap::new(),
            retry_after: None,
        }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata
            .insert(key.to_owned(), one_line(&value.into()));
        self
    }

    #[must_use]
    pub fn retry_after(mut self, span: Option<Duration>) -> Self {
        self.retry_after = span;
        self
    }

    /// What to do next, when the failing side knew.
    pub fn hint(&self) -> Option<&str> {
        self.metadata.get(key::HINT).map(String::as_str)
    }

    /// The roles that would work instead.
    pub fn roles(&self) -> Vec<&str> {
        self.metadata
            .get(key::ROLES)
            .map(|roles| roles.split(',').filter(|role| !role.is_empty()).collect())
            .unwrap_or_default()
    }
}

/// Control characters never reach a terminal or a header, and a text has an end.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect();
    line.truncate(line.trim_end().len());
    line
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Reason {
    /// The name on the wire: `LOGIN_REQUIRED`.
    pub fn name(self) -> &'static str {
        let full = self.as_str_name();
        full.strip_prefix("REASON_").unwrap_or(full)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str_name(&format!("REASON_{name}"))
    }

    /// The gRPC code that goes with a reason (one table for both directions).
    pub fn code(self) -> Code {
        match self {
            Self::LoginRequired | Self::LoginExpired | Self::LoginDenied => Code::Unauthenticated,
            Self::AccessDenied | Self::DeniedByPolicy => Code::PermissionDenied,
            Self::ApprovalRequired
            | Self::ProtocolMismatch
            | Self::ProgramNotFound
            | Self::ProgramNotExecutable
            | Self::Busy => Code::FailedPrecondition,
            Self::NotFound => Code::NotFound,
            Self::InvalidArgument => Code::InvalidArgument,
            Self::Throttled => Code::ResourceExhausted,
            Self::AwsUnavailable | Self::ShuttingDown | Self::DaemonUnreachable => {
                Code::Unavailable
            }
            Self::Unspecified | Self::Internal => Code::Internal,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut details =
            ErrorDetails::with_error_info(failure.reason.name(), DOMAIN, failure.metadata);
        if failure.retry_after.is_some() {
            details.set_retry_info(failure.retry_after);
        }
        Status::with_error_details(failure.reason.code(), failure.message, details)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let reason = info.and_then(|info| Reason::from_name(&info.reason));
        Self {
            // A status that is not ours comes from the transport: the daemon went away.
            reason: reason.unwrap_or(match status.code() {
                Code::Unavailable | Code::Cancelled | Code::Unknown => Reason::DaemonUnreachable,
                _ => Reason::Internal,
            }),
            message: one_line(status.message()),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_reason() -> Vec<Reason> {
        (1..).map_while(|n| Reason::try_from(n).ok()).collect()
    }

    #[test]
    fn every_reason_survives_the_wire() {
        assert!(every_reason().len() >= 17);
        for reason in every_reason() {
            let failure = Failure::new(reason, "no such account")
                .with(key::SESSION, "corp")
                .with(key::ROLES, "ReadOnly,Admin")
                .retry_after(Some(Duration::from_secs(3)));
            let status = Status::from(failure.clone());
            assert_eq!(status.code(), reason.code());
            assert_eq!(Failure::from(status), failure);
        }
    }

    #[test]
    fn a_failure_is_one_line_without_control_characters() {
        let failure = Failure::new(Reason::NotFound, "no\r\nsuch\x1b[31m account\n");
        assert_eq!(failure.message, "no  such [31m account");
    }

    #[test]
    fn a_status_of_the_transport_means_the_daemon_is_gone() {
        let failure = Failure::from(Status::unavailable("connection reset"));
        assert_eq!(failure.reason, Reason::DaemonUnreachable);
    }
}
