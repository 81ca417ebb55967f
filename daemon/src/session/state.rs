//! The session as a pure machine: `(state, event, now) → (state, effects)`. It
//! performs nothing, waits for nothing and asks no clock, so that every order
//! of events can be tried in a table.

mod life;
mod login;

use std::time::SystemTime;

use awsso_proto::{Failure, Reason, v1::SessionState};
use secrecy::SecretString;

use super::{
    event::{Effect, Event, Loaded},
    token::{Flow, Grant, Origin, RENEW_AHEAD, Registration, Registrations, Token, TokenDigest},
};

#[derive(Debug, Clone)]
enum Login {
    Starting(Flow),
    Waiting(Grant, Poll),
}

impl Login {
    fn flow(&self) -> Flow {
        match self {
            Self::Starting(flow) => *flow,
            Self::Waiting(grant, _) => grant.flow(),
        }
    }
}

/// When a device code is asked about; a browser comes by itself.
#[derive(Debug, Clone, Copy)]
struct Poll {
    next: SystemTime,
    running: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Renewal {
    running: bool,
    failures: u32,
    not_before: Option<SystemTime>,
}

/// One session.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    loaded: bool,
    /// Why the stored login cannot be opened now.
    locked: Option<String>,
    registrations: Registrations,
    token: Option<Token>,
    declined: Option<TokenDigest>,
    /// Bumped with every token: tells an old 401 from a new one.
    generation: u64,
    /// Bumped by login and logout: tells what was loaded before it, maybe for
    /// somebody else.
    epoch: u64,
    login: Option<Login>,
    /// The number of the login in progress, or of the last one.
    number: u64,
    /// Bumped by every start of a login, also when one changes its flow.
    attempt: u64,
    last_outcome: Option<Result<(), Failure>>,
    /// When another tool's token was last looked for, at the end of this one.
    looked: Option<SystemTime>,
    warned: bool,
    logged_out: bool,
    renewal: Renewal,
    renewals_tried: u64,
    renewals: u64,
    last_error: Option<Failure>,
    jitter: f64,
}

impl Machine {
    /// `jitter` (0..1) spreads the renewals of many daemons.
    pub fn new(jitter: f64) -> Self {
        Self {
            jitter,
            ..Self::default()
        }
    }

    pub fn on(&mut self, event: Event, now: SystemTime) -> Vec<Effect> {
        let mut effects = match event {
            Event::Loaded(loaded) => self.loaded(loaded, now),
            Event::LoginAsked {
                force,
                flow,
                insist,
            } => self.login_asked(force, flow, insist, now),
            Event::LoginStarted { attempt, result } => self.login_started(attempt, result, now),
            Event::Answered { attempt, answer } => self.answered(attempt, answer, now),
            // Renewed between the question and now.
            Event::RenewalAsked if self.token.as_ref().is_some_and(|t| t.is_usable(now)) => {
                Vec::new()
            }
            Event::RenewalAsked => {
                // Somebody waits: a pause between tries is for the idle.
                self.renewal.not_before = None;
                self.renew(now)
            }
            Event::Renewed { generation, answer } => self.renewed(generation, answer, now),
            Event::Rejected { generation } => self.rejected(generation, now),
            Event::Found(token) => self.found(token, now),
            Event::LogoutAsked => self.logged_out(),
            Event::LockAsked(why) => self.locked_away(why),
            Event::Tick => Vec::new(),
        };
        effects.extend(self.due(now));
        effects
    }

    /// When the machine wants a `Tick`; an end that has passed wants none.
    pub fn next_wake(&self, now: SystemTime) -> Option<SystemTime> {
        let ends = self.token.iter().flat_map(|token| {
            // The state changes at both.
            [token.expires_at - RENEW_AHEAD, token.unusable_at()]
        });
        let login = match &self.login {
            Some(Login::Waiting(Grant::Device(_), poll)) if !poll.running => Some(poll.next),
            Some(Login::Waiting(Grant::Browser(grant), _)) => Some(grant.expires_at),
            _ => None,
        };
        ends.filter(|end| *end > now)
            .chain(login)
            .chain(self.renewal_due(now))
            .chain(self.look_due(now))
            .min()
    }

    pub fn state(&self, now: SystemTime) -> SessionState {
        let usable = self.token.as_ref().filter(|token| token.is_usable(now));
        match (usable, &self.token, &self.login) {
            (Some(token), _, _)
                if self.is_refreshable(now) || now + RENEW_AHEAD <= token.expires_at =>
            {
                SessionState::Active
            }
            (Some(_), _, None) => SessionState::Expiring,
            (_, _, Some(_)) => SessionState::LoginPending,
            (None, Some(_), None) if self.is_refreshable(now) => SessionState::Expired,
            (None, _, None) => SessionState::LoginRequired,
        }
    }

    pub fn is_refreshable(&self, now: SystemTime) -> bool {
        self.token
            .as_ref()
            .is_some_and(|token| token.refresh.is_some())
            && self
                .registration_of_token()
                .is_some_and(|registration| now < registration.expires_at)
    }

    fn registration_of_token(&self) -> Option<&Registration> {
        match self.token.as_ref()?.origin {
            Origin::Login(flow) => self.registrations.of(flow),
            Origin::TakenOver => None,
        }
    }

    /// The store has been asked.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// All that nobody else may see: tokens, client secrets, a device code.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let tokens = self.token.iter();
        let tokens = tokens.flat_map(|token| std::iter::once(&token.access).chain(&token.refresh));
        let Registrations { browser, device } = &self.registrations;
        let code = self.grant().map(|grant| match grant {
            Grant::Browser(grant) => &grant.registration.client_secret,
            Grant::Device(grant) => &grant.device_code,
        });
        let clients = browser.iter().chain(device);
        tokens
            .chain(clients.map(|client| &client.client_secret))
            .chain(code)
    }

    pub fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    pub fn declined(&self) -> Option<TokenDigest> {
        self.declined
    }

    /// The store holds a login that could not be opened.
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Another tool's token would be of use.
    pub fn wants_a_token(&self, now: SystemTime) -> bool {
        !self
            .token
            .as_ref()
            .is_some_and(|token| token.is_usable(now))
            && !self.is_refreshable(now)
    }

    /// A renewal is under way: AWS may have replaced the refresh token already.
    pub fn is_renewing(&self) -> bool {
        self.renewal.running
    }

    /// What a person needs to finish the login in progress.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.login {
            Some(Login::Waiting(grant, _)) => Some(grant),
            Some(Login::Starting(_)) | None => None,
        }
    }

    pub fn login_in_progress(&self) -> bool {
        self.login.is_some()
    }

    /// Tells one login from the next, for those who wait.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// How the login with this [`number`](Self::number) ended; `None` while it goes on.
    pub fn outcome(&self) -> Option<&Result<(), Failure>> {
        self.last_outcome.as_ref()
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn renewals_tried(&self) -> u64 {
        self.renewals_tried
    }

    /// Those that AWS granted.
    pub fn renewals(&self) -> u64 {
        self.renewals
    }

    pub fn last_error(&self) -> Option<&Failure> {
        self.last_error.as_ref()
    }

    /// Why only a person helps.
    pub fn why(&self, now: SystemTime) -> Option<String> {
        if self.state(now) != SessionState::LoginRequired {
            return None;
        }
        let ended = self
            .last_error
            .as_ref()
            .filter(|failure| failure.reason != Reason::AwsUnavailable)
            .map(|failure| failure.message.clone());
        Some(ended.or_else(|| self.locked.clone()).unwrap_or_else(|| {
            let why = match (self.logged_out, &self.token) {
                (true, _) => "logged out",
                (false, Some(_)) => "the login has expired",
                (false, None) if !self.loaded => "the store of logins has not answered yet",
                (false, None) => "nobody has logged in yet",
            };
            why.to_owned()
        }))
    }

    fn loaded(&mut self, loaded: Loaded, now: SystemTime) -> Vec<Effect> {
        self.loaded = true;
        self.locked = loaded.locked;
        let of_ours = |token: &Token| !token.is_taken_over();
        if self.token.as_ref().is_some_and(of_ours) || self.login.is_some() {
            // The store was opened late; what happened since counts.
            return Vec::new();
        }
        self.registrations = loaded.registrations;
        self.declined = self.declined.or(loaded.declined);
        let held = self.token.as_ref().map(|token| token.expires_at);
        let stored = loaded.token.filter(|stored| {
            stored.refresh.is_some() || held.is_none_or(|end| end < stored.expires_at)
        });
        let token = stored.is_some();
        if let Some(stored) = stored {
            self.generation += 1;
            self.token = Some(stored);
            self.looked = None;
            self.warned = false;
        }
        // A login that a restart interrupted goes on where it was.
        if let Some(grant) = loaded.grant.filter(|grant| now < grant.expires_at)
            && self.registrations.device.is_some()
        {
            self.attempt += 1;
            self.number += 1;
            // The last poll may have been a moment ago.
            self.wait_for(Grant::Device(grant), now);
        }
        if token {
            vec![Effect::Share { login: false }]
        } else {
            Vec::new()
        }
    }

    /// What the clock asks for.
    fn due(&mut self, now: SystemTime) -> Vec<Effect> {
        let mut effects = self.login_due(now);
        if self.renewal_due(now).is_some_and(|due| now >= due) {
            effects.extend(self.renew(now));
        }
        effects.extend(self.end_nears(now));
        effects
    }
}

#[cfg(test)]
mod tests;
