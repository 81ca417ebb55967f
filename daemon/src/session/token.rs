//! What a login is made of: the registered client, what a person is asked to
//! do, the token.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use awsso_proto::v1::LoginFlow;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::callback::Callback;

/// A token with less than this left is not handed out.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);
/// A registration with less than this left is not used for a new login.
const REGISTRATION_MARGIN: Duration = Duration::from_mins(15);
/// From here on a token is renewed ahead of its end.
pub(super) const RENEW_AHEAD: Duration = Duration::from_mins(15);

/// How a person proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Authorization code with PKCE (RFC 6749 section 4.1, RFC 7636).
    Browser,
    /// Device authorization grant (RFC 8628).
    Device,
}

impl From<Flow> for LoginFlow {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Browser => Self::Browser,
            Flow::Device => Self::Device,
        }
    }
}

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

/// One for each flow: AWS ties a registration to its grant types.
#[derive(Debug, Clone, Default)]
pub struct Registrations {
    pub browser: Option<Registration>,
    pub device: Option<Registration>,
}

impl Registrations {
    pub fn of(&self, flow: Flow) -> Option<&Registration> {
        match flow {
            Flow::Browser => self.browser.as_ref(),
            Flow::Device => self.device.as_ref(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.browser.is_none() && self.device.is_none()
    }
}

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A login of ours, by the client that is registered for this flow.
    Login(Flow),
    /// Another tool left it in `~/.aws/sso/cache`.
    TakenOver,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub issued_at: SystemTime,
    pub expires_at: SystemTime,
    pub origin: Origin,
}

impl Token {
    pub fn is_usable(&self, now: SystemTime) -> bool {
        now < self.unusable_at()
    }

    pub fn is_taken_over(&self) -> bool {
        self.origin == Origin::TakenOver
    }

    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.access.expose_secret())
    }

    pub(super) fn unusable_at(&self) -> SystemTime {
        self.expires_at - TOKEN_MARGIN.min(self.life() / 4)
    }

    fn life(&self) -> Duration {
        self.expires_at
            .duration_since(self.issued_at)
            .unwrap_or_default()
    }

    /// From here on something is done about the end.
    pub(super) fn renew_at(&self, jitter: f64) -> SystemTime {
        let ahead = RENEW_AHEAD.min(self.life() / 4);
        self.expires_at - ahead + (ahead / 10).mul_f64(jitter)
    }
}

/// Tells tokens apart without holding them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    pub fn of(access_token: &str) -> Self {
        Self(Sha256::digest(access_token).into())
    }
}

/// What a person is asked to do, and what proves that it was asked by us.
#[derive(Debug, Clone)]
pub enum Grant {
    Browser(BrowserGrant),
    Device(DeviceGrant),
}

impl Grant {
    pub fn flow(&self) -> Flow {
        match self {
            Self::Browser(_) => Flow::Browser,
            Self::Device(_) => Flow::Device,
        }
    }

    pub fn expires_at(&self) -> SystemTime {
        match self {
            Self::Browser(grant) => grant.expires_at,
            Self::Device(grant) => grant.expires_at,
        }
    }

    /// A browser is not asked, it comes.
    pub(super) fn next_poll(&self, now: SystemTime) -> SystemTime {
        match self {
            Self::Browser(grant) => grant.expires_at,
            Self::Device(grant) => now + grant.interval,
        }
    }
}

/// A browser that comes back to a listener of ours.
#[derive(Debug, Clone)]
pub struct BrowserGrant {
    /// Made for this login: a browser would show a client that AWS has forgotten
    /// as an error that we never see.
    pub registration: Registration,
    pub authorization_uri: String,
    pub expires_at: SystemTime,
    pub callback: Arc<Callback>,
}

/// What AWS answered to `StartDeviceAuthorization`.
#[derive(Debug, Clone)]
pub struct DeviceGrant {
    pub device_code: SecretString,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    pub expires_at: SystemTime,
    pub interval: Duration,
}
