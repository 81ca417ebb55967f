//! The session as a pure machine: `(state, event, now) → (state, effects)`. It
//! performs nothing, waits for nothing and asks no clock, so that every order
//! of events can be tried in a table.

use std::time::{Duration, SystemTime};

use awsso_proto::{Failure, Reason, v1::SessionState};

use super::{
    event::{Effect, Event, Loaded, LoginAnswer, RenewAnswer, Started},
    token::{Flow, Grant, Origin, RENEW_AHEAD, Registration, Registrations, Token, TokenDigest},
};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// RFC 8628 section 3.5: `slow_down` adds this to the interval.
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Near the end of a token that cannot be renewed, another tool may log in.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

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
    /// Bumped by logout: tells what was loaded before it.
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
                (false, None) => "nobody has logged in yet",
            };
            why.to_owned()
        }))
    }

    fn loaded(&mut self, loaded: Loaded, now: SystemTime) -> Vec<Effect> {
        self.loaded = true;
        self.locked = loaded.locked;
        if self.token.is_some() || self.login.is_some() {
            // The store was opened late; what happened since counts.
            return Vec::new();
        }
        self.registrations = loaded.registrations;
        self.declined = loaded.declined;
        let token = loaded.token.is_some();
        if token {
            self.generation += 1;
        }
        self.token = loaded.token;
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

    fn wait_for(&mut self, grant: Grant, now: SystemTime) {
        let poll = Poll {
            next: grant.next_poll(now),
            running: false,
        };
        self.login = Some(Login::Waiting(grant, poll));
    }

    fn login_asked(
        &mut self,
        force: bool,
        flow: Flow,
        insist: bool,
        now: SystemTime,
    ) -> Vec<Effect> {
        let valid = self
            .token
            .as_ref()
            .is_some_and(|token| token.is_usable(now));
        match &self.login {
            // Those who wait for the login wait for the same one in its new flow.
            Some(login) if insist && login.flow() != flow => {}
            Some(_) => return Vec::new(),
            None if valid && !force => return Vec::new(),
            None => self.number += 1,
        }
        self.attempt += 1;
        self.last_outcome = None;
        self.login = Some(Login::Starting(flow));
        let cached = self.registrations.device.as_ref();
        vec![match flow {
            Flow::Browser => Effect::StartInBrowser {
                attempt: self.attempt,
            },
            Flow::Device => Effect::StartOnDevice {
                attempt: self.attempt,
                cached: cached.filter(|r| r.is_usable(now)).cloned(),
            },
        }]
    }

    fn login_started(
        &mut self,
        attempt: u64,
        result: Result<Started, Failure>,
        now: SystemTime,
    ) -> Vec<Effect> {
        if attempt != self.attempt || !matches!(self.login, Some(Login::Starting(_))) {
            return Vec::new();
        }
        match result {
            Ok(Started::Device(registration, grant)) => {
                self.registrations.device = Some(registration);
                self.wait_for(Grant::Device(grant), now);
                vec![Effect::Save]
            }
            Ok(Started::Browser(grant)) => {
                self.wait_for(Grant::Browser(grant.clone()), now);
                vec![Effect::AwaitBrowser { attempt, grant }]
            }
            Err(failure) => {
                self.end_login(Err(failure));
                Vec::new()
            }
        }
    }

    fn answered(&mut self, attempt: u64, answer: LoginAnswer, now: SystemTime) -> Vec<Effect> {
        let Some(Login::Waiting(grant, poll)) =
            self.login.as_mut().filter(|_| attempt == self.attempt)
        else {
            return Vec::new();
        };
        poll.running = false;
        if let (Grant::Device(grant), LoginAnswer::SlowDown) = (&mut *grant, &answer) {
            grant.interval += SLOW_DOWN;
        }
        match answer {
            LoginAnswer::Token(token) => {
                if let Grant::Browser(grant) = grant {
                    self.registrations.browser = Some(grant.registration.clone());
                }
                self.take(token);
                self.end_login(Ok(()));
                return vec![Effect::Save, Effect::Share { login: true }];
            }
            LoginAnswer::Pending | LoginAnswer::SlowDown => poll.next = grant.next_poll(now),
            // RFC 8628 section 3.5: on a connection time-out, back off; the login goes on.
            LoginAnswer::NotNow(why) => {
                poll.next = grant.next_poll(now);
                self.last_error = Some(Failure::new(Reason::AwsUnavailable, why));
            }
            LoginAnswer::UnknownClient => {
                if grant.flow() == Flow::Device {
                    self.registrations.device = None;
                }
                self.end_login(Err(Failure::new(
                    Reason::LoginRequired,
                    "AWS has forgotten this client during the login; log in again",
                )));
                return vec![Effect::Save];
            }
            LoginAnswer::Failed(failure) => {
                self.end_login(Err(failure));
                return vec![Effect::Save];
            }
        }
        Vec::new()
    }

    /// Another tool's token is of use when nothing of our own lasts as long.
    pub fn would_take(&self, token: &Token, now: SystemTime) -> bool {
        let lasts = |held: &Token| held.is_usable(now) && token.expires_at <= held.expires_at;
        token.is_usable(now)
            && !self.is_refreshable(now)
            && self.declined != Some(token.digest())
            && !self.token.as_ref().is_some_and(lasts)
    }

    fn found(&mut self, token: Token, now: SystemTime) -> Vec<Effect> {
        if !self.would_take(&token, now) {
            return Vec::new();
        }
        self.take(token);
        if self.login.is_some() {
            self.end_login(Ok(()));
        }
        vec![Effect::Save]
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
        self.locked = None;
        self.looked = None;
        self.warned = false;
        self.logged_out = false;
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
        let (Some(registration), Some(token)) =
            (self.registration_of_token().cloned(), self.token.clone())
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
                self.renewals += 1;
                vec![Effect::Save, Effect::Share { login: false }]
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
                    Some(token) if token.is_usable(now) => {
                        token.refresh = None;
                        vec![Effect::Save]
                    }
                    _ => {
                        let dropped = self.drop_token().map(|token| token.digest());
                        vec![Effect::Save, Effect::Unshare(dropped), Effect::LookAround]
                    }
                }
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
        let dropped = self.drop_token().map(|token| token.digest());
        self.last_error = Some(Failure::new(
            Reason::LoginExpired,
            "AWS has ended the session",
        ));
        vec![Effect::Save, Effect::Unshare(dropped), Effect::LookAround]
    }

    /// One of another tool is not taken a second time.
    fn drop_token(&mut self) -> Option<Token> {
        let token = self.token.take()?;
        if token.is_taken_over() {
            self.declined = Some(token.digest());
        }
        Some(token)
    }

    fn logged_out(&mut self) -> Vec<Effect> {
        self.epoch += 1;
        self.generation += 1;
        if self.login.is_some() {
            self.attempt += 1;
            self.number += 1;
            self.end_login(Err(Failure::new(Reason::LoginRequired, "logged out")));
        }
        self.last_error = None;
        self.locked = None;
        self.logged_out = true;
        self.renewal = Renewal::default();
        let ended = self.drop_token();
        let dropped = ended.as_ref().map(Token::digest);
        [Effect::Save, Effect::Unshare(dropped)]
            .into_iter()
            .chain(ended.map(Effect::EndPortalSession))
            .collect()
    }

    /// When another tool's token is looked for: near the end of one that cannot
    /// be renewed.
    fn look_due(&self, now: SystemTime) -> Option<SystemTime> {
        let token = self.token.as_ref().filter(|token| token.is_usable(now))?;
        if self.is_refreshable(now) {
            return None;
        }
        Some(
            self.looked
                .map_or_else(|| token.renew_at(self.jitter), |last| last + LOOK_AGAIN),
        )
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

    /// First another tool's token is looked for, then a person is warned, once.
    fn end_nears(&mut self, now: SystemTime) -> Option<Effect> {
        if now >= self.look_due(now)? {
            self.looked = Some(now);
            return Some(Effect::LookAround);
        }
        if self.looked.is_none() || self.warned {
            return None;
        }
        self.warned = true;
        Some(Effect::WarnOfEnd(self.token.as_ref()?.expires_at))
    }

    fn login_due(&mut self, now: SystemTime) -> Vec<Effect> {
        let Some(Login::Waiting(grant, poll)) = self.login.as_mut() else {
            return Vec::new();
        };
        if poll.running {
            return Vec::new();
        }
        if now >= grant.expires_at() {
            let why = match grant.flow() {
                Flow::Browser => "nobody finished the login in the browser in time",
                Flow::Device => "nobody confirmed the code in time",
            };
            self.end_login(Err(Failure::new(Reason::LoginExpired, why)));
            return vec![Effect::Save];
        }
        let Grant::Device(grant) = grant else {
            return Vec::new();
        };
        if now < poll.next {
            return Vec::new();
        }
        poll.running = true;
        let (attempt, grant) = (self.attempt, grant.clone());
        let poll = |registration| Effect::Poll {
            attempt,
            registration,
            grant,
        };
        self.registrations
            .device
            .clone()
            .map(poll)
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests;
