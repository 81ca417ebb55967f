//! The session as a pure machine: `(state, event, now) → (state, effects)`. It
//! performs nothing, waits for nothing and asks no clock, so that every order
//! of events can be tried in a table.

use std::time::{Duration, SystemTime};

use awsso_proto::{Failure, Reason, v1::SessionState};

use super::{
    event::{Effect, Event, PollAnswer, RenewAnswer},
    token::{Grant, RENEW_AHEAD, Registration, Token},
};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// RFC 8628 section 3.5: `slow_down` adds this to the interval.
const SLOW_DOWN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
enum Login {
    Starting,
    Waiting {
        grant: Grant,
        next_poll: SystemTime,
        polling: bool,
    },
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
    registration: Option<Registration>,
    token: Option<Token>,
    /// Bumped with every token: tells an old 401 from a new one.
    generation: u64,
    /// Bumped by logout: tells what was loaded before it.
    epoch: u64,
    login: Option<Login>,
    /// The number of the login in progress, or of the last one.
    attempt: u64,
    last_outcome: Option<Result<(), Failure>>,
    renewal: Renewal,
    renewals_tried: u64,
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
            Event::Loaded {
                registration,
                token,
                grant,
            } => {
                self.loaded(registration, token, grant, now);
                Vec::new()
            }
            Event::LoginAsked { force } => self.login_asked(force, now),
            Event::LoginStarted { attempt, result } => self.login_started(attempt, result, now),
            Event::Polled { attempt, answer } => self.polled(attempt, answer, now),
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
            Event::LogoutAsked => self.logged_out(),
            Event::Tick => Vec::new(),
        };
        effects.extend(self.due(now));
        effects
    }

    /// When the machine wants a `Tick`; an end that has passed wants none.
    pub fn next_wake(&self, now: SystemTime) -> Option<SystemTime> {
        let end = self
            .token
            .as_ref()
            .map(Token::unusable_at)
            .filter(|end| *end > now);
        let poll = match &self.login {
            Some(Login::Waiting {
                next_poll,
                polling: false,
                ..
            }) => Some(*next_poll),
            _ => None,
        };
        [poll, self.renewal_due(now), end]
            .into_iter()
            .flatten()
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
                .registration
                .as_ref()
                .is_some_and(|registration| now < registration.expires_at)
    }

    /// The store has been asked.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    /// What a person needs to finish the login in progress.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.login {
            Some(Login::Waiting { grant, .. }) => Some(grant),
            Some(Login::Starting) | None => None,
        }
    }

    pub fn login_in_progress(&self) -> bool {
        self.login.is_some()
    }

    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// How the login with the number `attempt` ended; `None` while it goes on.
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

    pub fn last_error(&self) -> Option<&Failure> {
        self.last_error.as_ref()
    }

    fn loaded(
        &mut self,
        registration: Option<Registration>,
        token: Option<Token>,
        grant: Option<Grant>,
        now: SystemTime,
    ) {
        self.loaded = true;
        self.registration = registration;
        if token.is_some() {
            self.generation += 1;
        }
        self.token = token;
        // A login that a restart interrupted goes on where it was.
        if let Some(grant) = grant.filter(|grant| now < grant.expires_at)
            && self.registration.is_some()
        {
            self.attempt += 1;
            self.login = Some(Login::Waiting {
                // The last poll may have been a moment ago.
                next_poll: now + grant.interval,
                grant,
                polling: false,
            });
        }
    }

    fn login_asked(&mut self, force: bool, now: SystemTime) -> Vec<Effect> {
        let valid = matches!(
            self.state(now),
            SessionState::Active | SessionState::Expiring
        ) && self
            .token
            .as_ref()
            .is_some_and(|token| token.is_usable(now));
        if self.login.is_some() || (valid && !force) {
            return Vec::new();
        }
        self.attempt += 1;
        self.last_outcome = None;
        self.login = Some(Login::Starting);
        vec![Effect::StartLogin {
            attempt: self.attempt,
            registration: self.registration.clone().filter(|r| r.is_usable(now)),
        }]
    }

    fn login_started(
        &mut self,
        attempt: u64,
        result: Result<(Registration, Grant), Failure>,
        now: SystemTime,
    ) -> Vec<Effect> {
        if attempt != self.attempt || !matches!(self.login, Some(Login::Starting)) {
            return Vec::new();
        }
        match result {
            Ok((registration, grant)) => {
                self.registration = Some(registration);
                let next_poll = now + grant.interval;
                self.login = Some(Login::Waiting {
                    grant,
                    next_poll,
                    polling: false,
                });
                vec![Effect::Save]
            }
            Err(failure) => {
                self.end_login(Err(failure));
                Vec::new()
            }
        }
    }

    fn polled(&mut self, attempt: u64, answer: PollAnswer, now: SystemTime) -> Vec<Effect> {
        let Some(Login::Waiting {
            grant,
            next_poll,
            polling,
        }) = self.login.as_mut().filter(|_| attempt == self.attempt)
        else {
            return Vec::new();
        };
        *polling = false;
        match answer {
            PollAnswer::Token(token) => {
                self.take(token);
                self.end_login(Ok(()));
                return vec![Effect::Save];
            }
            PollAnswer::Pending => *next_poll = now + grant.interval,
            PollAnswer::SlowDown => {
                grant.interval += SLOW_DOWN;
                *next_poll = now + grant.interval;
            }
            // RFC 8628 section 3.5: on a connection time-out, back off; the login goes on.
            PollAnswer::NotNow(why) => {
                *next_poll = now + grant.interval;
                self.last_error = Some(Failure::new(Reason::AwsUnavailable, why));
            }
            PollAnswer::UnknownClient => {
                self.registration = None;
                self.end_login(Err(Failure::new(
                    Reason::LoginRequired,
                    "AWS has forgotten this client during the login; log in again",
                )));
                return vec![Effect::Save];
            }
            PollAnswer::Failed(failure) => {
                self.end_login(Err(failure));
                return vec![Effect::Save];
            }
        }
        Vec::new()
    }

    fn end_login(&mut self, outcome: Result<(), Failure>) {
        self.login = None;
        self.last_error = outcome.as_ref().err().cloned();
        self.last_outcome = Some(outcome);
    }

    fn take(&mut self, token: Token) {
        self.token = Some(token);
        self.generation += 1;
        self.renewal = Renewal::default();
        self.last_error = None;
    }

    fn renewal_due(&self, now: SystemTime) -> Option<SystemTime> {
        if self.renewal.running || !self.is_refreshable(now) {
            return None;
        }
        let token = self.token.as_ref()?;
        let due = token.renew_at(self.jitter);
        Some(self.renewal.not_before.map_or(due, |pause| pause.max(due)))
    }

    fn renew(&mut self, now: SystemTime) -> Vec<Effect> {
        if self.renewal.running || !self.is_refreshable(now) {
            return Vec::new();
        }
        let (Some(registration), Some(token)) = (self.registration.clone(), self.token.clone())
        else {
            return Vec::new();
        };
        self.renewal.running = true;
        vec![Effect::Renew {
            generation: self.generation,
            registration,
            token,
        }]
    }

    fn renewed(&mut self, generation: u64, answer: RenewAnswer, now: SystemTime) -> Vec<Effect> {
        if generation != self.generation {
            return Vec::new();
        }
        self.renewal.running = false;
        self.renewals_tried += 1;
        match answer {
            RenewAnswer::Token(mut token) => {
                // An answer without a new refresh token leaves the old one in use.
                if token.refresh.is_none() {
                    token.refresh = self.token.take().and_then(|old| old.refresh);
                }
                self.take(token);
                vec![Effect::Save]
            }
            RenewAnswer::NotNow(why) => {
                self.renewal.failures = self.renewal.failures.saturating_add(1);
                let pause = FIRST_RETRY
                    .saturating_mul(1 << self.renewal.failures.min(7))
                    .min(LONGEST_RETRY);
                self.renewal.not_before = Some(now + pause);
                self.last_error = Some(Failure::new(
                    Reason::AwsUnavailable,
                    format!("the session could not be renewed yet: {why}"),
                ));
                Vec::new()
            }
            RenewAnswer::Refused(why) => {
                self.last_error = Some(Failure::new(
                    Reason::LoginExpired,
                    format!("AWS does not renew the session: {why}"),
                ));
                match self.token.as_mut() {
                    Some(token) if token.is_usable(now) => token.refresh = None,
                    _ => self.token = None,
                }
                vec![Effect::Save]
            }
        }
    }

    fn rejected(&mut self, generation: u64, now: SystemTime) -> Vec<Effect> {
        if generation != self.generation || self.token.is_none() {
            return Vec::new();
        }
        if self.is_refreshable(now) {
            // The clock says otherwise, but AWS has ended it: only a renewal can help.
            if let Some(token) = self.token.as_mut() {
                token.expires_at = token.expires_at.min(now);
            }
            self.renewal.not_before = None;
            return self.renew(now);
        }
        self.token = None;
        self.last_error = Some(Failure::new(
            Reason::LoginExpired,
            "AWS has ended the session",
        ));
        vec![Effect::Save]
    }

    fn logged_out(&mut self) -> Vec<Effect> {
        self.epoch += 1;
        self.generation += 1;
        if self.login.is_some() {
            self.attempt += 1;
            self.end_login(Err(Failure::new(Reason::LoginRequired, "logged out")));
        }
        self.last_error = None;
        self.renewal = Renewal::default();
        let mut effects = vec![Effect::Save];
        effects.extend(self.token.take().map(Effect::EndPortalSession));
        effects
    }

    /// What the clock asks for.
    fn due(&mut self, now: SystemTime) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(Login::Waiting {
            grant,
            next_poll,
            polling,
        }) = self.login.as_mut()
        {
            if now >= grant.expires_at && !*polling {
                self.end_login(Err(Failure::new(
                    Reason::LoginExpired,
                    "nobody confirmed the code in time",
                )));
                effects.push(Effect::Save);
            } else if now >= *next_poll && !*polling {
                *polling = true;
                if let Some(registration) = self.registration.clone() {
                    effects.push(Effect::Poll {
                        attempt: self.attempt,
                        registration,
                        grant: grant.clone(),
                    });
                }
            }
        }
        if self.renewal_due(now).is_some_and(|due| now >= due) {
            effects.extend(self.renew(now));
        }
        effects
    }
}

#[cfg(test)]
mod tests;
