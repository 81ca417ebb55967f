//! Sign-in: client registrations, device and authorization codes, portal sessions and their tokens.
//!
//! [`Login`] owns all of it behind one lock that is never held across an await. Every method is handed the time, so
//! that a code or a token is judged by the model's clock. What is on the wire is in [`oidc`], what a person sees in
//! [`pages`].

mod authorize;
mod device;
pub(crate) mod oidc;
pub(crate) mod pages;
mod pkce;
mod token;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::answer::Refusal;
use crate::config::Config;
use crate::mint::{self, Mint};

pub(crate) use self::authorize::AuthorizeRequest;
pub(crate) use self::device::Choice;

/// The scope that makes AWS issue a refresh token.
const ACCOUNT_ACCESS: &str = "sso:account:access";

struct Registration {
    secret: String,
    expires: SystemTime,
    scopes: Vec<String>,
    grant_types: Vec<String>,
    redirect_uris: Vec<String>,
}

/// One sign-in of the user at the portal.
struct PortalSession {
    expires: SystemTime,
    ended: bool,
}

struct AccessToken {
    session: usize,
    expires: SystemTime,
}

struct RefreshToken {
    session: usize,
    client_id: String,
    spent: bool,
}

#[derive(Default)]
struct State {
    registrations: HashMap<String, Registration>,
    /// In the order they were asked for.
    devices: Vec<device::Device>,
    codes: HashMap<String, authorize::Code>,
    sessions: Vec<PortalSession>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, RefreshToken>,
}

/// The lifetimes, which do not change while the sandbox runs.
struct Lifetimes {
    token: Duration,
    session: Duration,
    device_code: Duration,
    registration: Duration,
    interval: Duration,
}

pub(crate) struct Login {
    lifetimes: Lifetimes,
    state: Mutex<State>,
    /// The user code asked for last, for those who wait for one.
    asked: watch::Sender<Option<String>>,
}

/// What a client says of itself when it registers; the wire form is in [`oidc`].
pub(crate) struct NewClient {
    pub(crate) scopes: Vec<String>,
    pub(crate) grant_types: Vec<String>,
    pub(crate) redirect_uris: Vec<String>,
}

pub(crate) struct Registered {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) expires: SystemTime,
}

pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) lifetime: Duration,
}

impl Login {
    pub(crate) fn new(config: &Config) -> Self {
        let lifetimes = Lifetimes {
            token: config.token_lifetime,
            session: config.session_lifetime,
            device_code: config.device_code_lifetime,
            registration: config.registration_lifetime,
            interval: config.interval,
        };
        Self {
            lifetimes,
            state: Mutex::default(),
            asked: watch::Sender::new(None),
        }
    }

    pub(crate) fn register(&self, client: NewClient, mint: &Mint, now: SystemTime) -> Registered {
        let registered = Registered {
            client_id: mint::client_id(),
            client_secret: mint.client_secret(),
            expires: now + self.lifetimes.registration,
        };
        let registration = Registration {
            secret: registered.client_secret.clone(),
            expires: registered.expires,
            scopes: client.scopes,
            grant_types: client.grant_types,
            redirect_uris: client.redirect_uris,
        };
        self.lock()
            .registrations
            .insert(registered.client_id.clone(), registration);
        registered
    }

    /// Whether the portal takes this access token.
    pub(crate) fn is_signed_in(&self, access_token: &str, now: SystemTime) -> bool {
        let state = self.lock();
        state
            .access_tokens
            .get(access_token)
            .is_some_and(|token| token.expires > now && !state.sessions[token.session].ended)
    }

    /// Ends the portal session; `false` when the token belongs to none.
    pub(crate) fn sign_out(&self, access_token: &str) -> bool {
        let mut state = self.lock();
        let Some(session) = state
            .access_tokens
            .get(access_token)
            .map(|token| token.session)
        else {
            return false;
        };
        state.sessions[session].ended = true;
        true
    }

    /// A session and its access token without any dance, for tests that are not about signing in.
    pub(crate) fn sign_in(&self, mint: &Mint, now: SystemTime) -> String {
        let mut state = self.lock();
        let session = self.open_session(&mut state, now);
        let text = mint.access_token();
        state.access_tokens.insert(
            text.clone(),
            AccessToken {
                session,
                expires: now + self.lifetimes.token,
            },
        );
        text
    }

    /// AWS no longer knows any token, of either kind.
    pub(crate) fn revoke_tokens(&self) {
        let mut state = self.lock();
        state.access_tokens.clear();
        state.refresh_tokens.clear();
    }

    /// Every access token is past its end; refresh tokens still work.
    pub(crate) fn expire_tokens(&self, now: SystemTime) {
        for token in self.lock().access_tokens.values_mut() {
            token.expires = now;
        }
    }

    /// AWS no longer knows any registration.
    pub(crate) fn forget_clients(&self) {
        self.lock().registrations.clear();
    }

    fn open_session(&self, state: &mut State, now: SystemTime) -> usize {
        state.sessions.push(PortalSession {
            expires: now + self.lifetimes.session,
            ended: false,
        });
        state.sessions.len() - 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The registration of a client that proves itself with its secret.
    fn client(&self, id: &str, secret: &str, now: SystemTime) -> Result<&Registration, Refusal> {
        let registration = self
            .registrations
            .get(id)
            .filter(|registration| registration.secret == secret);
        match registration {
            Some(registration) if registration.expires > now => Ok(registration),
            Some(_) => Err(Refusal::new(
                401,
                "InvalidClientException",
                "Client registration has expired",
            )),
            None => Err(Refusal::new(
                401,
                "InvalidClientException",
                "Invalid client provided",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const T0: SystemTime = UNIX_EPOCH;

    #[test]
    fn signing_out_ends_the_session_and_not_others() {
        let (login, mint) = (Login::new(&Config::default()), Mint::default());
        let (ours, other) = (login.sign_in(&mint, T0), login.sign_in(&mint, T0));
        assert!(login.sign_out(&ours));
        assert!(!login.is_signed_in(&ours, T0));
        assert!(login.is_signed_in(&other, T0));
        assert!(!login.sign_out("never issued"));
    }

    #[test]
    fn an_access_token_is_good_until_its_end() {
        let (login, mint) = (Login::new(&Config::default()), Mint::default());
        let token = login.sign_in(&mint, T0);
        assert!(login.is_signed_in(&token, T0 + Duration::from_secs(3599)));
        assert!(!login.is_signed_in(&token, T0 + Duration::from_hours(1)));
        login.expire_tokens(T0);
        assert!(!login.is_signed_in(&token, T0));
    }
}
