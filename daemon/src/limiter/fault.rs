//! What AWS said, as far as a caller can act on it; never SDK text.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use awsso_proto::{Failure, Reason};

use super::LONGEST_PAUSE;

/// In the place of a code that AWS did not give.
const NAMELESS: &str = "status ";

/// Why AWS did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// "Slow down", for longer than the call could wait.
    Throttled,
    /// Not reached, or failed on its side. `maybe_done` is false when AWS
    /// certainly did nothing.
    Unavailable { what: String, maybe_done: bool },
    /// An answer: no.
    Refused {
        code: String,
        message: String,
        status: u16,
    },
}

impl Fault {
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Throttled | Self::Unavailable { .. } => "",
        }
    }

    /// Nothing that AWS decided: the same call may well succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable { .. } => true,
            Self::Refused { .. } => self.is_nameless(),
        }
    }

    /// A refusal without an error code: a proxy's words, not AWS's.
    pub fn is_nameless(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.starts_with(NAMELESS))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Throttled => Failure::new(
                Reason::Throttled,
                "AWS keeps asking to slow down; try again later",
            )
            .retry_after(Some(LONGEST_PAUSE)),
            Fault::Unavailable { what, .. } => Failure::new(
                Reason::AwsUnavailable,
                format!("AWS cannot be reached: {what}"),
            )
            .retry_after(Some(LONGEST_PAUSE)),
            Fault::Refused {
                code,
                message,
                status,
            } => {
                let reason = match (code.as_str(), status) {
                    (_, 401) => Reason::LoginExpired,
                    (code, 403) if !code.contains("Expired") => Reason::AccessDenied,
                    (code, _) if code.contains("AccessDenied") => Reason::AccessDenied,
                    (code, status) if status == 404 || code.contains("NotFound") => {
                        Reason::NotFound
                    }
                    _ => Reason::InvalidArgument,
                };
                Failure::new(reason, format!("AWS says {code}: {message}"))
            }
        }
    }
}

/// What an SDK call came to.
pub fn fault<E>(error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let unavailable = |maybe_done: bool| Fault::Unavailable {
        what: root_cause(error),
        maybe_done,
    };
    match error {
        SdkError::ConstructionFailure(_) => Fault::Refused {
            code: "InvalidRequest".to_owned(),
            message: root_cause(error),
            status: 400,
        },
        SdkError::DispatchFailure(_) => unavailable(!connection_refused(error)),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().map_or_else(
                || oauth_error(service.raw()).unwrap_or_default(),
                str::to_owned,
            );
            if status == 429 || is_throttle(&code) {
                Fault::Throttled
            } else if !(400..500).contains(&status) && !is_redirect(&code) {
                // Also a success that cannot be read, and a redirect of a proxy: no answer of AWS.
                Fault::Unavailable {
                    what: format!("it answered {status} {code}").trim_end().to_owned(),
                    maybe_done: true,
                }
            } else {
                Fault::Refused {
                    message: service
                        .err()
                        .message()
                        .unwrap_or("no reason given")
                        .to_owned(),
                    code: if code.is_empty() {
                        format!("{NAMELESS}{status}")
                    } else {
                        code
                    },
                    status,
                }
            }
        }
        // Time-outs, answers that cannot be understood, and what a newer SDK adds.
        _ => unavailable(true),
    }
}

/// The codes that mean "slow down", over all services.
fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "TooManyUpdates"
            | "SlowDown"
    )
}

/// How S3 says that a bucket is in another region.
fn is_redirect(code: &str) -> bool {
    matches!(code, "PermanentRedirect" | "TemporaryRedirect")
}

/// An OAuth error answer that came without AWS's error header (RFC 6749 §5.2).
fn oauth_error(response: &HttpResponse) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        error: String,
    }
    let body: Body = serde_json::from_slice(response.body().bytes()?).ok()?;
    let code = match body.error.as_str() {
        "authorization_pending" => "AuthorizationPendingException",
        "slow_down" => "SlowDownException",
        "expired_token" => "ExpiredTokenException",
        "access_denied" => "AccessDeniedException",
        "invalid_grant" => "InvalidGrantException",
        "invalid_client" => "InvalidClientException",
        "unauthorized_client" => "UnauthorizedClientException",
        "invalid_request" => "InvalidRequestException",
        "invalid_scope" => "InvalidScopeException",
        "unsupported_grant_type" => "UnsupportedGrantTypeException",
        _ => return None,
    };
    Some(code.to_owned())
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn connection_refused(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, status: u16) -> Failure {
        Fault::Refused {
            code: code.into(),
            message: "m".into(),
            status,
        }
        .into()
    }

    #[test]
    fn what_aws_says_becomes_a_reason() {
        for (code, status, reason) in [
            ("UnauthorizedException", 401, Reason::LoginExpired),
            ("ForbiddenException", 403, Reason::AccessDenied),
            ("AccessDeniedException", 400, Reason::AccessDenied),
            ("ResourceNotFoundException", 404, Reason::NotFound),
            ("InvalidRequestException", 400, Reason::InvalidArgument),
        ] {
            assert_eq!(refused(code, status).reason, reason, "{code}");
        }
        assert_eq!(Failure::from(Fault::Throttled).reason, Reason::Throttled);
    }

    #[test]
    fn a_refusal_without_a_code_is_not_the_word_of_aws() {
        let refused = |code: &str| Fault::Refused {
            code: code.into(),
            message: String::new(),
            status: 403,
        };
        assert!(refused("status 403").is_nameless());
        assert!(!refused("InvalidGrantException").is_nameless());
    }
}
