//! The token: renewed ahead of its end, given up when AWS says so, taken over
//! from another tool when there is none of our own.

use std::time::{Duration, SystemTime};

use awsso_proto::{Failure, Reason};

use super::{Machine, Renewal};
use crate::session::{
    event::{Effect, RenewAnswer},
    token::Token,
};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// Near the end of a token that cannot be renewed, another tool may log in.
pub(super) const LOOK_AGAIN: Duration = Duration::from_mins(1);

impl Machine {
    /// Another tool's token is of use when nothing of our own lasts as long.
    pub fn would_take(&self, token: &Token, now: SystemTime) -> bool {
        let lasts = |held: &Token| held.is_usable(now) && token.expires_at <= held.expires_at;
        token.is_usable(now)
            && !self.is_refreshable(now)
            && self.declined != Some(token.digest())
            && self.token.as_ref().map(Token::digest) != Some(token.digest())
            && !self.token.as_ref().is_some_and(lasts)
    }

    pub(super) fn found(&mut self, token: Token, now: SystemTime) -> Vec<Effect> {
        if !self.would_take(&token, now) {
            return Vec::new();
        }
        self.epoch += 1;
        let locked = self.locked.take();
        self.take(token);
        // Our own login may last longer, once it can be opened.
        self.locked = locked;
        if self.login.is_some() {
            self.end_login(Ok(()));
        }
        vec![Effect::Save]
    }

    pub(super) fn take(&mut self, token: Token) {
        self.token = Some(token);
        self.generation += 1;
        self.renewal = Renewal::default();
        self.last_error = None;
        self.locked = None;
        self.looked = None;
        self.warned = false;
        self.logged_out = false;
    }

    pub(super) fn renewal_due(&self, now: SystemTime) -> Option<SystemTime> {
        if self.renewal.running || !self.is_refreshable(now) {
            return None;
        }
        let token = self.token.as_ref()?;
        let due = token.renew_at(self.jitter);
        Some(self.renewal.not_before.map_or(due, |pause| pause.max(due)))
    }

    pub(super) fn renew(&mut self, now: SystemTime) -> Vec<Effect> {
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

    pub(super) fn renewed(
        &mut self,
        generation: u64,
        answer: RenewAnswer,
        now: SystemTime,
    ) -> Vec<Effect> {
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
                self.last_error = Some(Failure::new(Reason::LoginExpired, why));
                match self.token.as_mut() {
                    Some(token) if token.is_usable(now) => {
                        token.refresh = None;
                        vec![Effect::Save]
                    }
                    _ => {
                        let dropped = self.drop_token();
                        vec![Effect::Save, unshare(dropped.as_ref()), Effect::LookAround]
                    }
                }
            }
        }
    }

    pub(super) fn rejected(&mut self, generation: u64, now: SystemTime) -> Vec<Effect> {
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
        let dropped = self.drop_token();
        self.last_error = Some(Failure::new(
            Reason::LoginExpired,
            "AWS has ended the session",
        ));
        vec![Effect::Save, unshare(dropped.as_ref()), Effect::LookAround]
    }

    /// One of another tool is not taken a second time.
    pub(super) fn drop_token(&mut self) -> Option<Token> {
        let token = self.token.take()?;
        if token.is_taken_over() {
            self.declined = Some(token.digest());
        }
        Some(token)
    }

    pub(super) fn logged_out(&mut self) -> Vec<Effect> {
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
        [Effect::Save, unshare(ended.as_ref())]
            .into_iter()
            .chain(ended.map(Effect::EndPortalSession))
            .collect()
    }

    /// Nothing is ended at AWS and nothing changes on disk: only memory is emptied.
    pub(super) fn locked_away(&mut self, why: String) -> Vec<Effect> {
        if self.login.is_some() {
            self.attempt += 1;
            self.number += 1;
            self.end_login(Err(Failure::new(Reason::LoginRequired, why.as_str())));
        }
        *self = Self {
            loaded: true,
            locked: Some(why),
            declined: self.declined,
            generation: self.generation + 1,
            epoch: self.epoch + 1,
            number: self.number,
            attempt: self.attempt,
            last_outcome: self.last_outcome.take(),
            logged_out: self.logged_out,
            // Whoever waits for a renewal waits in vain.
            renewals_tried: self.renewals_tried + 1,
            renewals: self.renewals,
            jitter: self.jitter,
            ..Self::default()
        };
        Vec::new()
    }

    /// When another tool's token is looked for: near the end of one that cannot
    /// be renewed.
    pub(super) fn look_due(&self, now: SystemTime) -> Option<SystemTime> {
        let token = self.token.as_ref().filter(|token| token.is_usable(now))?;
        if self.is_refreshable(now) {
            return None;
        }
        Some(
            self.looked
                .map_or_else(|| token.renew_at(self.jitter), |last| last + LOOK_AGAIN),
        )
    }

    /// First another tool's token is looked for, then a person is warned, once.
    pub(super) fn end_nears(&mut self, now: SystemTime) -> Option<Effect> {
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
}

/// What we left for others goes; what they left for themselves is theirs.
fn unshare(dropped: Option<&Token>) -> Effect {
    let ours = dropped.filter(|token| !token.is_taken_over());
    Effect::Unshare(ours.map(Token::digest))
}
