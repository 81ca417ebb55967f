//! What a login is made of: the registered client, the device code, the token.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

/// A token with less than this left is not handed out.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);
/// A registration with less than this left is not used for a new login.
const REGISTRATION_MARGIN: Duration = Duration::from_mins(15);
/// From here on a token is renewed ahead of its end.
pub(super) const RENEW_AHEAD: Duration = Duration::from_mins(15);

/// A client that AWS knows (`RegisterClient`).
#[derive(Debug, Clone)]
pub struct Registration {
    pub client_id: String,
    pub client_secret: SecretString,
    pub expires_at: SystemTime,
}

impl Registration {
    pub fn is_usable(&self, now: SystemTime) -> bool {
        now + REGISTRATION_MARGIN < self.expires_at
    }
}

#[derive(Debug, Clone)]
pub struct Token {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub issued_at: SystemTime,
    pub expires_at: SystemTime,
}

impl Token {
    pub fn is_usable(&self, now: SystemTime) -> bool {
        now < self.unusable_at()
    }

    pub(super) fn unusable_at(&self) -> SystemTime {
        self.expires_at - TOKEN_MARGIN.min(self.life() / 4)
    }

    fn life(&self) -> Duration {
        self.expires_at
            .duration_since(self.issued_at)
            .unwrap_or_default()
    }

    pub(super) fn renew_at(&self, jitter: f64) -> SystemTime {
        let ahead = RENEW_AHEAD.min(self.life() / 4);
        self.expires_at - ahead + (ahead / 10).mul_f64(jitter)
    }
}

/// What AWS answered to `StartDeviceAuthorization`.
#[derive(Debug, Clone)]
pub struct Grant {
    pub device_code: SecretString,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    pub expires_at: SystemTime,
    pub interval: Duration,
}
