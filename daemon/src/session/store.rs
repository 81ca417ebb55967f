//! What survives a restart of the daemon: one sealed file per session.
//!
//! XChaCha20-Poly1305 under a random key that lies beside the files, all of them
//! 0600: this keeps tokens out of backups of single files, greps and crash
//! reports. It is no protection from a program that runs as the same user.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tracing::warn;
use zeroize::Zeroizing;

use super::token::{Grant, Registration, Token};
use crate::{
    config::{SessionSpec, StoreKind},
    disk,
};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// A record is a few kilobytes; anything larger is not ours.
const MAX_RECORD: u64 = 1 << 20;

/// Everything of one session that is worth keeping.
#[derive(Debug, Default)]
pub struct Record {
    pub registration: Option<Registration>,
    pub token: Option<Token>,
    pub grant: Option<Grant>,
}

#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    kind: StoreKind,
    /// One writer at a time: the first one makes the key.
    writer: Arc<Mutex<()>>,
}

impl Store {
    /// `dir` is created, private, when something is stored.
    pub fn new(dir: PathBuf, kind: StoreKind) -> Self {
        Self {
            dir,
            kind,
            writer: Arc::default(),
        }
    }

    /// The sessions that have a record, for those that no file names.
    pub fn sessions(&self) -> Vec<SessionSpec> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| name_of(entry.ok()?.file_name().to_str()?))
            .filter_map(|name| self.read(&name).ok().flatten())
            .map(|sealed| sealed.spec())
            .collect()
    }

    /// What was kept for this very place. A record that cannot be read is as
    /// good as none: the person logs in again.
    pub fn load(&self, spec: &SessionSpec) -> Record {
        match self.read(&spec.name) {
            Ok(Some(stored)) if stored.spec() == *spec => stored.into(),
            Ok(_) => Record::default(),
            Err(error) => {
                warn!(session = %spec.name, %error, "the stored session cannot be read");
                Record::default()
            }
        }
    }

    pub fn save(&self, spec: &SessionSpec, record: Record) -> Result<(), Failure> {
        if self.kind == StoreKind::Memory {
            return Ok(());
        }
        let failed = |error: io::Error| {
            Failure::new(
                Reason::Internal,
                format!(
                    "the session cannot be stored in {}: {error}",
                    self.dir.display()
                ),
            )
        };
        if record.registration.is_none() && record.token.is_none() {
            return match std::fs::remove_file(self.path(&spec.name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        awsso_proto::ipc::private_dir(&self.dir)?;
        let plain = Zeroizing::new(
            serde_json::to_vec(&Stored::new(spec, record)).expect("a record is plain data"),
        );
        let sealed = self.seal(&spec.name, &plain).map_err(failed)?;
        disk::replace(&self.path(&spec.name), &sealed).map_err(failed)
    }

    fn read(&self, name: &str) -> io::Result<Option<Stored>> {
        if self.kind == StoreKind::Memory {
            return Ok(None);
        }
        let path = self.path(name);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(meta) if meta.len() > MAX_RECORD => {
                return Err(io::Error::other("the file is too large"));
            }
            Ok(_) => {}
        }
        let plain = Zeroizing::new(self.unseal(name, &std::fs::read(&path)?)?);
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    fn seal(&self, name: &str, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        let payload = Payload {
            msg: plain,
            aad: name.as_bytes(),
        };
        let sealed = self
            .cipher(true)?
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| io::Error::other("sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn unseal(&self, name: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let damaged = || io::Error::other("the file is damaged or was sealed with another key");
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(damaged)?;
        let payload = Payload {
            msg: sealed,
            aad: name.as_bytes(),
        };
        self.cipher(false)?
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| damaged())
    }

    fn cipher(&self, create: bool) -> io::Result<XChaCha20Poly1305> {
        let path = self.dir.join("key");
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match std::fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) if bytes.len() == KEY_BYTES => key.copy_from_slice(&bytes),
            Ok(_) if !create => return Err(io::Error::other("the key file is damaged")),
            Err(error) if error.kind() != io::ErrorKind::NotFound || !create => return Err(error),
            _ => {
                getrandom::fill(&mut *key).map_err(|error| io::Error::other(error.to_string()))?;
                disk::replace(&path, &*key)?;
            }
        }
        Ok(XChaCha20Poly1305::new(&(*key).into()))
    }

    fn path(&self, name: &str) -> PathBuf {
        let hex = crate::hex(name.as_bytes());
        self.dir.join(Path::new(&hex).with_extension("sealed"))
    }
}

fn name_of(file: &str) -> Option<String> {
    let hex = file.strip_suffix(".sealed")?;
    let bytes: Option<Vec<u8>> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

/// The form inside the seal.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    start_url: String,
    region: String,
    registration: Option<StoredRegistration>,
    token: Option<StoredToken>,
    grant: Option<StoredGrant>,
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

impl Stored {
    fn new(spec: &SessionSpec, record: Record) -> Self {
        Self {
            name: spec.name.clone(),
            start_url: spec.start_url.clone(),
            region: spec.region.clone(),
            registration: record.registration.map(|r| StoredRegistration {
                client_id: r.client_id,
                client_secret: exposed(&r.client_secret),
                expires_at: seconds(r.expires_at),
            }),
            token: record.token.map(|t| StoredToken {
                access: exposed(&t.access),
                refresh: t.refresh.as_ref().map(exposed),
                issued_at: seconds(t.issued_at),
                expires_at: seconds(t.expires_at),
            }),
            grant: record.grant.map(|g| StoredGrant {
                device_code: exposed(&g.device_code),
                user_code: g.user_code,
                verification_uri: g.verification_uri,
                verification_uri_complete: g.verification_uri_complete,
                expires_at: seconds(g.expires_at),
                interval: g.interval.as_secs(),
            }),
        }
    }

    fn spec(&self) -> SessionSpec {
        SessionSpec {
            name: self.name.clone(),
            start_url: self.start_url.clone(),
            region: self.region.clone(),
        }
    }
}

impl From<Stored> for Record {
    fn from(stored: Stored) -> Self {
        Self {
            registration: stored.registration.map(|r| Registration {
                client_id: r.client_id,
                client_secret: secret(&r.client_secret),
                expires_at: instant(r.expires_at),
            }),
            token: stored.token.map(|t| Token {
                access: secret(&t.access),
                refresh: t.refresh.as_deref().map(|refresh| secret(refresh)),
                issued_at: instant(t.issued_at),
                expires_at: instant(t.expires_at),
            }),
            grant: stored.grant.map(|g| Grant {
                device_code: secret(&g.device_code),
                user_code: g.user_code,
                verification_uri: g.verification_uri,
                verification_uri_complete: g.verification_uri_complete,
                expires_at: instant(g.expires_at),
                interval: Duration::from_secs(g.interval),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SessionSpec {
        SessionSpec {
            name: "corp/é".into(),
            start_url: "https://corp.awsapps.com/start".into(),
            region: "eu-west-1".into(),
        }
    }

    fn record() -> Record {
        Record {
            token: Some(Token {
                access: secret("canary-access"),
                refresh: Some(secret("canary-refresh")),
                issued_at: instant(1_000),
                expires_at: instant(4_600),
            }),
            ..Record::default()
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("sessions"), StoreKind::File);
        (dir, store)
    }

    #[test]
    fn a_session_comes_back_and_its_file_shows_nothing() {
        let (_dir, store) = store();
        store.save(&spec(), record()).unwrap();
        let token = store.load(&spec()).token.unwrap();
        assert_eq!(token.access.expose_secret(), "canary-access");
        assert_eq!(token.expires_at, instant(4_600));
        assert_eq!(store.sessions(), [spec()]);
        for entry in std::fs::read_dir(&store.dir).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
        }
    }

    #[test]
    fn another_place_under_the_same_name_gets_nothing() {
        let (_dir, store) = store();
        store.save(&spec(), record()).unwrap();
        let elsewhere = SessionSpec {
            region: "us-east-1".into(),
            ..spec()
        };
        assert!(store.load(&elsewhere).token.is_none());
    }

    #[test]
    fn a_damaged_file_is_no_session_and_no_error() {
        let (_dir, store) = store();
        store.save(&spec(), record()).unwrap();
        let path = store.path(&spec().name);
        let mut bytes = std::fs::read(&path).unwrap();
        for damage in [bytes.len() - 1, 30, 3] {
            bytes[damage] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(store.load(&spec()).token.is_none());
        }
        std::fs::write(&path, b"x").unwrap();
        assert!(store.load(&spec()).token.is_none());
    }

    #[test]
    fn an_empty_record_leaves_no_file() {
        let (_dir, store) = store();
        store.save(&spec(), record()).unwrap();
        store.save(&spec(), Record::default()).unwrap();
        store.save(&spec(), Record::default()).unwrap();
        assert!(store.sessions().is_empty());
    }

    #[test]
    fn a_memory_store_writes_nothing() {
        let (_dir, file) = store();
        let store = Store {
            kind: StoreKind::Memory,
            ..file
        };
        store.save(&spec(), record()).unwrap();
        assert!(!store.dir.exists());
    }
}
