//! What happens to a session's machine, and what it wants done.

use std::time::SystemTime;

use awsso_proto::Failure;

use super::token::{
    BrowserGrant, DeviceGrant, Flow, Registration, Registrations, Token, TokenDigest,
};

#[derive(Debug)]
pub enum Event {
    /// What the store held.
    Loaded(Loaded),
    LoginAsked {
        force: bool,
        flow: Flow,
        /// A person named the flow: a login in progress changes to it.
        insist: bool,
    },
    LoginStarted {
        attempt: u64,
        result: Result<Started, Failure>,
    },
    /// A poll was answered, or the browser came back.
    Answered {
        attempt: u64,
        answer: LoginAnswer,
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
    /// Another tool's token lies in the shared cache.
    Found(Token),
    LogoutAsked,
    /// All secrets go; the store keeps what it has. Why, for whoever asks.
    LockAsked(String),
    /// A deadline came, or may have come.
    Tick,
}

/// What a login waits for.
#[derive(Debug)]
pub enum Started {
    Browser(BrowserGrant),
    Device(Registration, DeviceGrant),
}

/// What survives a restart.
#[derive(Debug, Default)]
pub struct Loaded {
    pub registrations: Registrations,
    pub token: Option<Token>,
    pub grant: Option<DeviceGrant>,
    /// A token of another tool that is not wanted any more.
    pub declined: Option<TokenDigest>,
    /// There is a login in the store that cannot be opened now, and why.
    pub locked: Option<String>,
}

#[derive(Debug)]
pub enum LoginAnswer {
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
    /// In a sentence.
    Refused(String),
}

#[derive(Debug)]
pub enum Effect {
    StartInBrowser {
        attempt: u64,
    },
    StartOnDevice {
        attempt: u64,
        cached: Option<Registration>,
    },
    Poll {
        attempt: u64,
        registration: Registration,
        grant: DeviceGrant,
    },
    /// Wait for the browser, and exchange the code that it brings.
    AwaitBrowser {
        attempt: u64,
        grant: BrowserGrant,
    },
    Renew {
        generation: u64,
        registration: Registration,
        token: Token,
    },
    Save,
    /// Other tools may use the token: in the shared cache.
    Share {
        /// A person has just logged in.
        login: bool,
    },
    /// What was shared is void: this token, and what was left before it.
    Unshare(Option<TokenDigest>),
    /// Another tool may have left a newer token.
    LookAround,
    /// A session that cannot be renewed ends soon.
    WarnOfEnd(SystemTime),
    EndPortalSession(Token),
}
