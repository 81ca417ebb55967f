//! The login in progress: joined by all who ask, ended by AWS, by the person or
//! by time.

use std::time::{Duration, SystemTime};

use awsso_proto::{Failure, Reason};

use super::{Login, Machine, Poll};
use crate::session::{
    event::{Effect, LoginAnswer, Started},
    token::{Flow, Grant},
};

/// RFC 8628 section 3.5: `slow_down` adds this to the interval.
const SLOW_DOWN: Duration = Duration::from_secs(5);

impl Machine {
    pub(super) fn wait_for(&mut self, grant: Grant, now: SystemTime) {
        let poll = Poll {
            next: grant.next_poll(now),
            running: false,
        };
        self.login = Some(Login::Waiting(grant, poll));
    }

    pub(super) fn login_asked(
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

    pub(super) fn login_started(
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

    pub(super) fn answered(
        &mut self,
        attempt: u64,
        answer: LoginAnswer,
        now: SystemTime,
    ) -> Vec<Effect> {
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
                self.epoch += 1;
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

    pub(super) fn end_login(&mut self, outcome: Result<(), Failure>) {
        self.login = None;
        self.last_error = outcome.as_ref().err().cloned();
        self.last_outcome = Some(outcome);
    }

    pub(super) fn login_due(&mut self, now: SystemTime) -> Vec<Effect> {
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
