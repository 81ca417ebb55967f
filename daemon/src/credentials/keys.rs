//! The keys of a role, as they are held. Thousands of roles may be in use: what
//! belongs to one is one text in locked memory.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use zeroize::Zeroizing;

use super::{
    Role,
    locker::{Kept, Locker},
    single_flight::Worth,
};
use crate::policy::{Known, Redactor};

/// SDKs refresh with less than this left, and would ask again for each request.
const MARGIN: Duration = Duration::from_mins(15);
/// While AWS cannot be reached, credentials serve until this before their end.
const LAST_MARGIN: Duration = Duration::from_mins(1);

/// Credentials of one account and role. A clone shares them.
#[derive(Clone)]
pub struct RoleCredentials {
    /// Id, secret and token, one after the other.
    text: Kept,
    secret_at: u16,
    token_at: u16,
    expires_at: SystemTime,
    margin: Duration,
    epoch: u64,
    /// An agent that finds them in an output sees a mask.
    _known: Known,
}

/// A copy of the text, for as long as it is used.
pub struct Opened {
    text: Zeroizing<String>,
    secret_at: usize,
    token_at: usize,
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
    /// `None`: something is missing, or longer than any program could take.
    pub(super) fn new(
        keys: Keys,
        epoch: u64,
        now: SystemTime,
        locker: &Locker,
        redactor: &Redactor,
    ) -> Option<Self> {
        let secret = Zeroizing::new(keys.secret_access_key?);
        let token = Zeroizing::new(keys.session_token?);
        let (id, expires_at) = (keys.access_key_id?, keys.expires_at?);
        let life = expires_at.duration_since(now).unwrap_or_default();
        Some(Self {
            secret_at: u16::try_from(id.len()).ok()?,
            token_at: u16::try_from(id.len() + secret.len()).ok()?,
            text: locker.keep(&[&id, &secret, &token])?,
            expires_at,
            margin: MARGIN.min(life / 4),
            epoch,
            _known: redactor.know(&[&secret, &token], Some(expires_at)),
        })
    }

    pub fn open(&self) -> Opened {
        Opened {
            text: self.text.read(),
            secret_at: self.secret_at.into(),
            token_at: self.token_at.into(),
        }
    }

    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The session's, when the keys were fetched: another login may be another person.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The same keys, not merely the same role.
    pub fn is_same(&self, other: &Self) -> bool {
        self.open().access_key_id() == other.open().access_key_id()
    }

    /// As the SDK takes them.
    pub fn for_sdk(&self, role: &Role) -> Credentials {
        let keys = self.open();
        Credentials::builder()
            .access_key_id(keys.access_key_id())
            .secret_access_key(keys.secret_access_key())
            .session_token(keys.session_token())
            .expiry(self.expires_at())
            .account_id(role.account.as_str())
            .provider_name("awsso")
            .build()
    }

    pub(super) fn worth(&self, now: SystemTime) -> Worth {
        let margin = self.margin;
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
        now + LAST_MARGIN.min(self.margin) < self.expires_at()
    }
}

impl Opened {
    pub fn access_key_id(&self) -> &str {
        &self.text[..self.secret_at]
    }

    pub fn secret_access_key(&self) -> &str {
        &self.text[self.secret_at..self.token_at]
    }

    pub fn session_token(&self) -> &str {
        &self.text[self.token_at..]
    }
}

impl fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleCredentials")
            .field("access_key_id", &self.open().access_key_id())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
