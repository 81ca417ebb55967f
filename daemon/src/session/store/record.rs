//! The form of a record inside the seal.

use super::{
    DeviceGrant, Duration, Flow, Loaded, Origin, Record, Registration, Registrations, SystemTime,
    Token, TokenDigest,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    browser: Option<StoredRegistration>,
    device: Option<StoredRegistration>,
    token: Option<StoredToken>,
    grant: Option<StoredGrant>,
    declined: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct StoredRegistration {
    client_id: String,
    client_secret: Zeroizing<String>,
    expires_at: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredToken {
    access: Zeroizing<String>,
    refresh: Option<Zeroizing<String>>,
    issued_at: u64,
    expires_at: u64,
    flow: StoredFlow,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredFlow {
    Browser,
    Device,
}

#[derive(Serialize, Deserialize)]
struct StoredGrant {
    device_code: Zeroizing<String>,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_at: u64,
    interval: u64,
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        Self {
            browser: record.registrations.browser.map(Into::into),
            device: record.registrations.device.map(Into::into),
            token: record.token.as_ref().and_then(StoredToken::new),
            grant: record.grant.map(|g| StoredGrant {
                device_code: exposed(&g.device_code),
                user_code: g.user_code,
                verification_uri: g.verification_uri,
                verification_uri_complete: g.verification_uri_complete,
                expires_at: seconds(g.expires_at),
                interval: g.interval.as_secs(),
            }),
            declined: record.declined.map(|digest| digest.0),
        }
    }
}

impl From<Stored> for Loaded {
    fn from(stored: Stored) -> Self {
        Self {
            registrations: Registrations {
                browser: stored.browser.map(Into::into),
                device: stored.device.map(Into::into),
            },
            token: stored.token.map(Into::into),
            grant: stored.grant.map(|g| DeviceGrant {
                device_code: secret(&g.device_code),
                user_code: g.user_code,
                verification_uri: g.verification_uri,
                verification_uri_complete: g.verification_uri_complete,
                expires_at: instant(g.expires_at),
                interval: Duration::from_secs(g.interval),
            }),
            declined: stored.declined.map(TokenDigest),
            locked: None,
        }
    }
}

impl From<Registration> for StoredRegistration {
    fn from(registration: Registration) -> Self {
        Self {
            client_secret: exposed(&registration.client_secret),
            client_id: registration.client_id,
            expires_at: seconds(registration.expires_at),
        }
    }
}

impl From<StoredRegistration> for Registration {
    fn from(stored: StoredRegistration) -> Self {
        Self {
            client_id: stored.client_id,
            client_secret: secret(&stored.client_secret),
            expires_at: instant(stored.expires_at),
        }
    }
}

impl StoredToken {
    /// Another tool's token stays where that tool keeps it.
    fn new(token: &Token) -> Option<Self> {
        let flow = match token.origin {
            Origin::Login(Flow::Browser) => StoredFlow::Browser,
            Origin::Login(Flow::Device) => StoredFlow::Device,
            Origin::TakenOver => return None,
        };
        Some(Self {
            access: exposed(&token.access),
            refresh: token.refresh.as_ref().map(exposed),
            issued_at: seconds(token.issued_at),
            expires_at: seconds(token.expires_at),
            flow,
        })
    }
}

impl From<StoredToken> for Token {
    fn from(stored: StoredToken) -> Self {
        Self {
            access: secret(&stored.access),
            refresh: stored.refresh.as_deref().map(|refresh| secret(refresh)),
            issued_at: instant(stored.issued_at),
            expires_at: instant(stored.expires_at),
            origin: Origin::Login(match stored.flow {
                StoredFlow::Browser => Flow::Browser,
                StoredFlow::Device => Flow::Device,
            }),
        }
    }
}

fn exposed(secret: &SecretString) -> Zeroizing<String> {
    Zeroizing::new(secret.expose_secret().to_owned())
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

fn seconds(instant: SystemTime) -> u64 {
    instant
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn instant(seconds: u64) -> SystemTime {
    // A damaged number must not overflow the clock's arithmetic.
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40))
}
