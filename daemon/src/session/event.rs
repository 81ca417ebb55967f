//! What happens to a session's machine, and what it wants done.

use awsso_proto::Failure;

use super::token::{Grant, Registration, Token};

#[derive(Debug)]
pub enum Event {
    /// What the store held when the daemon started.
    Loaded {
        registration: Option<Registration>,
        token: Option<Token>,
        grant: Option<Grant>,
    },
    LoginAsked {
        force: bool,
    },
    LoginStarted {
        attempt: u64,
        result: Result<(Registration, Grant), Failure>,
    },
    Polled {
        attempt: u64,
        answer: PollAnswer,
    },
    RenewalAsked,
    Renewed {
        generation: u64,
        answer: RenewAnswer,
    },
    /// AWS said 401 to the token of this generation.
    Rejected {
        generation: u64,
    },
    LogoutAsked,
    /// A deadline came, or may have come.
    Tick,
}

#[derive(Debug)]
pub enum PollAnswer {
    Token(Token),
    Pending,
    SlowDown,
    /// Not reached, throttled, failed: the login goes on.
    NotNow(String),
    Failed(Failure),
    /// AWS does not know this client registration any more.
    UnknownClient,
}

#[derive(Debug)]
pub enum RenewAnswer {
    Token(Token),
    NotNow(String),
    Refused(String),
}

#[derive(Debug)]
pub enum Effect {
    StartLogin {
        attempt: u64,
        registration: Option<Registration>,
    },
    Poll {
        attempt: u64,
        registration: Registration,
        grant: Grant,
    },
    Renew {
        generation: u64,
        registration: Registration,
        token: Token,
    },
    Save,
    EndPortalSession(Token),
}
