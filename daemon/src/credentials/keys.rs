//! The keys of a role, as they are held. Thousands of roles may be in use: what
//! belongs to one is one block of text, zeroed when the last who uses it lets go.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use zeroize::Zeroizing;

use super::{Role, single_flight::Worth};
use crate::policy::{Known, Redactor};

/// SDKs refresh with less than this left, and would ask again for each request.
const MARGIN: Duration = Duration::from_mins(15);
/// While AWS cannot be reached, credentials serve until this before their end.
const LAST_MARGIN: Duration = Duration::from_mins(1);

/// Credentials of one account and role.
#[derive(Clone)]
pub struct RoleCredentials(Arc<Held>);

struct Held {
    /// Id, secret and token, one after the other.
    text: Zeroizing<Box<str>>,
    secret_at: usize,
    token_at: usize,
    expires_at: SystemTime,
    margin: Duration,
    epoch: u64,
    /// An agent that finds them in an output sees a mask.
    _known: Known,
}

/// What AWS answers, whichever service gave it.
#[derive(Default)]
pub(super) struct Keys {
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
    pub session_token: Option<String>,
    pub expires_at: Option<SystemTime>,
}

impl RoleCredentials {
    /// `None`: something is missing.
    pub(super) fn new(
        keys: Keys,
        epoch: u64,
        now: SystemTime,
        redactor: &Redactor,
    ) -> Option<Self> {
        let secret = Zeroizing::new(keys.secret_access_key?);
        let token = Zeroizing::new(keys.session_token?);
        let (id, expires_at) = (keys.access_key_id?, keys.expires_at?);
        let life = expires_at.duration_since(now).unwrap_or_default();
        Some(Self(Arc::new(Held {
            secret_at: id.len(),
            token_at: id.len() + secret.len(),
            text: Zeroizing::new([&id, &**secret, &**token].concat().into()),
            expires_at,
            margin: MARGIN.min(life / 4),
            epoch,
            _known: redactor.know(&[&secret, &token], Some(expires_at)),
        })))
    }

    pub fn access_key_id(&self) -> &str {
        &self.0.text[..self.0.secret_at]
    }

    pub fn secret_access_key(&self) -> &str {
        &self.0.text[self.0.secret_at..self.0.token_at]
    }

    pub fn session_token(&self) -> &str {
        &self.0.text[self.0.token_at..]
    }

    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    /// The session's, when the keys were fetched: another login may be another person.
    pub(super) fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The same keys, not merely the same role.
    pub fn is_same(&self, other: &Self) -> bool {
        self.access_key_id() == other.access_key_id()
    }

    /// As the SDK takes them.
    pub fn for_sdk(&self, role: &Role) -> Credentials {
        Credentials::builder()
            .access_key_id(self.access_key_id())
            .secret_access_key(self.secret_access_key())
            .session_token(self.session_token())
            .expiry(self.expires_at())
            .account_id(role.account.as_str())
            .provider_name("awsso")
            .build()
    }

    pub(super) fn worth(&self, now: SystemTime) -> Worth {
        let margin = self.0.margin;
        let left = self.expires_at().duration_since(now).unwrap_or_default();
        if left <= margin {
            Worth::Nothing
        } else if left <= margin + margin / 3 {
            Worth::Aging
        } else {
            Worth::Good
        }
    }

    pub(super) fn is_alive(&self, now: SystemTime) -> bool {
        now + LAST_MARGIN.min(self.0.margin) < self.expires_at()
    }
}

impl fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleCredentials")
            .field("access_key_id", &self.access_key_id())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
