//! The one place that says how the program ends: which exit code a failure
//! has, and which words and hints a person reads.

use std::{fmt::Display, io};

use awsso_proto::{Failure, Reason, error::key, v1::Problem};
use tonic::Status;

use crate::terminal;

pub const OK: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const LOGIN_REQUIRED: u8 = 3;
pub const DAEMON_UNREACHABLE: u8 = 4;
pub const DENIED: u8 = 5;
/// Of several tasks, some succeeded and some did not.
pub const SOME_SUCCEEDED: u8 = 6;
/// A failure of ours where any smaller code could be the child's own.
pub const RUN_FAILED: u8 = 125;
pub const NOT_EXECUTABLE: u8 = 126;
pub const NOT_FOUND: u8 = 127;
/// 128 + SIGINT, as shells say it.
pub const INTERRUPTED: u8 = 130;

/// Commands with the same meaning of their exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Plain,
    /// As plain, and told in one line: an SDK shows it as its own error.
    CredentialProcess,
    /// To be logged out is what `login` is for: it only fails.
    Login,
    /// Codes below 125 are those of what was run.
    Runs,
}

/// Why a command ends before it has done what it was asked for.
#[derive(Debug)]
pub enum Stop {
    Failure(Failure),
    /// This machine refused: a full disk, no more descriptors.
    Io(io::Error),
    /// The arguments are wrong, or ask for the help.
    Usage(clap::Error),
    /// The reader of stdout has gone: it had what it wanted.
    ReaderGone,
    /// A person pressed Ctrl-C.
    Interrupted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        let mut failure = Failure::from(status);
        if failure.reason == Reason::DaemonUnreachable {
            // The transport says how, not what.
            failure.message = format!("the daemon went away: {failure}");
        }
        Self::Failure(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Io(error),
        }
    }
}

/// Says why, for a person, and gives the exit code.
pub fn report(stop: Stop, family: Family) -> u8 {
    match stop {
        Stop::Failure(failure) => {
            match family {
                Family::CredentialProcess => terminal::complain(in_one_line(&failure)),
                Family::Plain | Family::Login | Family::Runs => tell(&failure),
            }
            code_of(&failure, family)
        }
        Stop::Io(error) => {
            terminal::complain(error);
            code(Reason::Internal, family)
        }
        Stop::Usage(error) => {
            // Nobody is left to be told when neither stream can be written.
            let _ = error.print();
            if error.use_stderr() { USAGE } else { OK }
        }
        Stop::ReaderGone => OK,
        Stop::Interrupted => INTERRUPTED,
    }
}

/// One line, and below it what to do.
pub fn tell(failure: &Failure) {
    terminal::complain(failure);
    let roles = failure.roles();
    if !roles.is_empty() {
        terminal::say(format_args!(
            "  roles that would work: {}",
            roles.join(", ")
        ));
    }
    if let Some(hint) = hint(failure) {
        terminal::say(format_args!("  hint: {hint}"));
    }
}

fn in_one_line(failure: &Failure) -> String {
    match hint(failure) {
        Some(hint) => format!("{failure}; {hint}"),
        None => failure.to_string(),
    }
}

/// The failure of a job, told as data, as the failure that it is.
pub fn failure_of(problem: &Problem) -> Failure {
    let reason = Reason::from_name(&problem.reason).unwrap_or(Reason::Internal);
    let failure = Failure::new(reason, problem.message.clone());
    problem
        .metadata
        .iter()
        .fold(failure, |failure, (key, value)| failure.with(key, value))
}

/// The failure to read or write a file of ours.
pub fn file_failure(path: &dyn Display, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => Reason::NotFound,
        _ => Reason::Internal,
    };
    Failure::new(reason, format!("{path}: {error}"))
}

fn code_of(failure: &Failure, family: Family) -> u8 {
    // A flag is missing, which only the daemon could see.
    if failure.metadata.contains_key(key::MISSING) {
        return USAGE;
    }
    code(failure.reason, family)
}

pub fn code(reason: Reason, family: Family) -> u8 {
    match family {
        Family::Plain | Family::CredentialProcess => plain_code(reason),
        Family::Login => match plain_code(reason) {
            LOGIN_REQUIRED => FAILED,
            code => code,
        },
        Family::Runs => match reason {
            Reason::ProgramNotExecutable => NOT_EXECUTABLE,
            Reason::ProgramNotFound => NOT_FOUND,
            _ => RUN_FAILED,
        },
    }
}

fn plain_code(reason: Reason) -> u8 {
    match reason {
        Reason::InvalidArgument => USAGE,
        Reason::LoginRequired | Reason::LoginExpired => LOGIN_REQUIRED,
        Reason::DaemonUnreachable | Reason::ProtocolMismatch | Reason::ShuttingDown => {
            DAEMON_UNREACHABLE
        }
        Reason::AccessDenied | Reason::DeniedByPolicy | Reason::ApprovalRequired => DENIED,
        Reason::Unspecified
        | Reason::NotFound
        | Reason::Throttled
        | Reason::AwsUnavailable
        | Reason::Internal
        | Reason::LoginDenied
        | Reason::ProgramNotFound
        | Reason::ProgramNotExecutable
        | Reason::Busy => FAILED,
    }
}

/// What to do next: the failing side knows best, else the reason decides.
fn hint(failure: &Failure) -> Option<String> {
    if let Some(hint) = failure.hint() {
        return Some(hint.to_owned());
    }
    match failure.reason {
        Reason::LoginRequired | Reason::LoginExpired => {
            let name = failure
                .metadata
                .get(key::SESSION)
                .map_or("", String::as_str);
            Some(format!("run: awsso login {name}").trim_end().to_owned())
        }
        Reason::ProtocolMismatch => Some("run: awsso daemon restart".to_owned()),
        Reason::DaemonUnreachable | Reason::Internal => Some("run: awsso daemon logs".to_owned()),
        Reason::ShuttingDown => Some("run the command again".to_owned()),
        Reason::Throttled => Some(match failure.retry_after {
            Some(span) => format!("AWS asks to wait for {} s", span.as_secs().max(1)),
            None => "AWS asks to slow down; try again later".to_owned(),
        }),
        Reason::AwsUnavailable => Some("check the network, then try again".to_owned()),
        Reason::ProgramNotFound => Some("install it, or put its folder into PATH".to_owned()),
        Reason::LoginDenied => Some("run: awsso login, and allow it in the browser".to_owned()),
        Reason::Unspecified
        | Reason::AccessDenied
        | Reason::DeniedByPolicy
        | Reason::ApprovalRequired
        | Reason::NotFound
        | Reason::InvalidArgument
        | Reason::ProgramNotExecutable
        | Reason::Busy => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reason_decides_the_exit_code() {
        for (reason, plain) in [
            (Reason::LoginRequired, 3),
            (Reason::LoginExpired, 3),
            (Reason::LoginDenied, 1),
            (Reason::DaemonUnreachable, 4),
            (Reason::ProtocolMismatch, 4),
            (Reason::ShuttingDown, 4),
            (Reason::AccessDenied, 5),
            (Reason::DeniedByPolicy, 5),
            (Reason::ApprovalRequired, 5),
            (Reason::InvalidArgument, 2),
            (Reason::NotFound, 1),
            (Reason::Internal, 1),
        ] {
            assert_eq!(code(reason, Family::Plain), plain, "{reason:?}");
            assert_eq!(code(reason, Family::Runs), 125, "{reason:?}");
        }
        assert_eq!(code(Reason::ProgramNotFound, Family::Runs), 127);
        assert_eq!(code(Reason::ProgramNotExecutable, Family::Runs), 126);
    }

    #[test]
    fn a_login_that_does_not_come_about_has_failed() {
        assert_eq!(code(Reason::LoginDenied, Family::Login), 1);
        assert_eq!(code(Reason::LoginExpired, Family::Login), 1);
        assert_eq!(code(Reason::DaemonUnreachable, Family::Login), 4);
    }

    #[test]
    fn the_hint_of_the_failing_side_comes_first() {
        let bare = Failure::new(Reason::LoginRequired, "not logged in");
        assert_eq!(hint(&bare).as_deref(), Some("run: awsso login"));
        let named = bare.clone().with(key::SESSION, "corp");
        assert_eq!(hint(&named).as_deref(), Some("run: awsso login corp"));
        let own = named.with(key::HINT, "ask Ann");
        assert_eq!(hint(&own).as_deref(), Some("ask Ann"));
    }

    #[test]
    fn an_sdk_is_told_all_in_one_line() {
        let failure = Failure::new(Reason::LoginExpired, "the login has ended");
        assert_eq!(
            in_one_line(&failure.with(key::SESSION, "corp")),
            "the login has ended; run: awsso login corp"
        );
    }

    #[test]
    fn a_throttled_person_learns_how_long_to_wait() {
        let failure =
            Failure::new(Reason::Throttled, "slow down").retry_after(Some(Duration::from_secs(7)));
        assert_eq!(hint(&failure).as_deref(), Some("AWS asks to wait for 7 s"));
    }

    #[test]
    fn a_flag_that_only_the_daemon_misses_is_a_usage_error_in_every_family() {
        let failure = Failure::new(Reason::InvalidArgument, "no account is named");
        let missing = failure.clone().with(key::MISSING, "account");
        for family in [Family::Plain, Family::CredentialProcess, Family::Runs] {
            assert_eq!(code_of(&missing, family), USAGE, "{family:?}");
        }
        assert_eq!(code_of(&failure, Family::Runs), RUN_FAILED);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let stop = Stop::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(stop, Stop::ReaderGone));
        assert_eq!(report(stop, Family::Runs), 0);
    }
}
