//! What survives a restart of the daemon: one sealed file per session.
//!
//! XChaCha20-Poly1305 under a random key. The keyring holds that key; where there
//! is none, it lies in a file beside the sealed ones, all of them 0600: that keeps
//! tokens out of backups of single files, greps and crash reports, and is no
//! protection from a program that runs as the same user.

mod record;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason, disk,
    v1::{self, StoreStatus},
};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::spawn_blocking};
use tracing::warn;
use zeroize::Zeroizing;

use super::{
    event::Loaded,
    token::{DeviceGrant, Flow, Origin, Registration, Registrations, Token, TokenDigest},
    vault::Vault,
};
use crate::{
    config::{SessionSpec, StoreKind},
    os::keyring::Key,
};

use record::Stored;

const NONCE_BYTES: usize = 24;
/// A record is a few kilobytes; anything larger is not ours.
const MAX_RECORD: u64 = 1 << 20;

/// Everything of one session that is worth keeping.
#[derive(Debug, Default)]
pub struct Record {
    pub registrations: Registrations,
    pub token: Option<Token>,
    pub grant: Option<DeviceGrant>,
    pub declined: Option<TokenDigest>,
}

#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    kind: StoreKind,
    vault: Vault,
    /// One writer at a time: the first one makes the key file.
    writer: Arc<Mutex<()>>,
    /// Nothing is read until a person opens it.
    shut: watch::Sender<bool>,
}

/// Why a session has no login while the store is shut.
pub(super) const SHUT: &str = "awsso is locked (to open it: awsso unlock)";

/// Which key seals a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyPlace {
    Keyring,
    File,
}

/// The first line of a file: in the clear, and sealed against change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    version: u32,
    key: KeyPlace,
    name: String,
    start_url: String,
    region: String,
}

const VERSION: u32 = 1;

impl Header {
    fn new(spec: &SessionSpec, key: KeyPlace) -> Self {
        Self {
            version: VERSION,
            key,
            name: spec.name.clone(),
            start_url: spec.start_url.clone(),
            region: spec.region.clone(),
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

impl Store {
    /// `dir` is created, private, when something is stored.
    pub fn new(dir: PathBuf, kind: StoreKind, vault: Vault) -> Self {
        if kind == StoreKind::Keyring {
            vault.ask();
        }
        Self {
            dir,
            kind,
            vault,
            writer: Arc::default(),
            shut: watch::Sender::new(false),
        }
    }

    /// From here on nothing is read; `false` when that was so.
    pub fn shut(&self) -> bool {
        self.shut
            .send_if_modified(|shut| !std::mem::replace(shut, true))
    }

    /// `false` when it was open.
    pub fn open(&self) -> bool {
        self.shut
            .send_if_modified(|shut| std::mem::replace(shut, false))
    }

    pub fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Returns when it is shut, or when it is open.
    pub async fn until_shut(&self, wanted: bool) {
        let mut shut = self.shut.subscribe();
        // We hold the sender: it is not dropped meanwhile.
        let _ = shut.wait_for(|shut| *shut == wanted).await;
    }

    /// The key goes from memory. Who is shut out asks for no other.
    pub fn forget_key(&self) {
        self.vault.forget();
    }

    /// Logins do not outlive the daemon's memory.
    pub fn keeps_nothing(&self) -> bool {
        self.kind == StoreKind::Memory
    }

    /// The sessions that have a record, for those that no file names.
    pub fn sessions(&self) -> Vec<SessionSpec> {
        let records = self.records();
        records.map(|header| header.spec()).collect()
    }

    /// Those whose record opens with the key beside it: nobody else is asked.
    pub fn sessions_at_hand(&self) -> Vec<SessionSpec> {
        let at_hand = self.records().filter(|it| it.key == KeyPlace::File);
        at_hand.map(|header| header.spec()).collect()
    }

    fn records(&self) -> impl Iterator<Item = Header> {
        let keeps_some = self.kind != StoreKind::Memory;
        let entries = keeps_some.then(|| std::fs::read_dir(&self.dir).ok());
        let entries = entries.flatten().into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "sealed"))
            .filter_map(|path| Some(split(&read(&path).ok()??)?.0))
    }

    /// Where logins are kept now, and why not where they should be.
    pub async fn status(&self) -> StoreStatus {
        let (kind, why) = match self.kind {
            // Its key is not asked for now.
            kind if self.is_shut() => (kind, String::new()),
            StoreKind::Keyring => match self.vault.why_closed().await {
                None => (StoreKind::Keyring, String::new()),
                Some(why) => (StoreKind::File, why),
            },
            other => (other, String::new()),
        };
        StoreStatus {
            kind: v1::StoreKind::from(kind).into(),
            wanted: v1::StoreKind::from(self.kind).into(),
            why,
        }
    }

    /// A locked keyring may have been opened since.
    pub async fn keyring_opens(&self) -> bool {
        !self.is_shut() && self.vault.key().await.is_ok()
    }

    /// Returns when the keyring can be used, which may be never.
    pub async fn keyring_opened(&self) {
        match self.kind {
            StoreKind::Keyring => self.vault.opened().await,
            StoreKind::File | StoreKind::Memory => std::future::pending().await,
        }
    }

    /// What was kept for this very place. A record that cannot be read is as
    /// good as none: the person logs in again.
    pub async fn load(&self, spec: &SessionSpec) -> Loaded {
        if self.is_shut() {
            return Loaded {
                locked: Some(SHUT.to_owned()),
                ..Loaded::default()
            };
        }
        match self.try_load(spec).await {
            Ok(loaded) => loaded,
            Err(error) => {
                warn!(session = %spec.name, %error, "the stored session cannot be read");
                Loaded::default()
            }
        }
    }

    async fn try_load(&self, spec: &SessionSpec) -> io::Result<Loaded> {
        if self.kind == StoreKind::Memory {
            return Ok(Loaded::default());
        }
        let path = self.path(&spec.name);
        let Some(bytes) = blocking(move || read(&path)).await? else {
            return Ok(Loaded::default());
        };
        let (header, _) = split(&bytes).ok_or_else(damaged)?;
        if header.spec() != *spec {
            return Ok(Loaded::default());
        }
        let key = match header.key {
            KeyPlace::File => {
                let store = self.clone();
                blocking(move || store.key_file(false)).await?
            }
            KeyPlace::Keyring => match self.vault.key().await {
                Ok(key) => key,
                Err(why) => {
                    let locked = Some(format!("the stored login cannot be opened: {why}"));
                    return Ok(Loaded {
                        locked,
                        ..Loaded::default()
                    });
                }
            },
        };
        let plain = unseal(&key, &bytes)?;
        Ok(serde_json::from_slice::<Stored>(&plain)?.into())
    }

    /// `false` when the keyring could not be used and the key file was.
    pub async fn save(&self, spec: &SessionSpec, record: Record) -> Result<bool, Failure> {
        let keyring = match self.kind {
            StoreKind::Keyring => self.vault.key().await.ok(),
            StoreKind::File | StoreKind::Memory => None,
        };
        let in_its_place = keyring.is_some() || self.kind != StoreKind::Keyring;
        let (store, name) = (self.clone(), spec.clone());
        let saved = blocking(move || store.write(&name, record, keyring)).await;
        saved.map(|()| in_its_place).map_err(|error| {
            Failure::new(
                Reason::Internal,
                format!(
                    "the session cannot be stored in {}: {error}",
                    self.dir.display()
                ),
            )
        })
    }

    fn write(
        &self,
        spec: &SessionSpec,
        record: Record,
        keyring: Option<Arc<Key>>,
    ) -> io::Result<()> {
        let nothing =
            record.registrations.is_empty() && record.token.is_none() && record.declined.is_none();
        if nothing || self.kind == StoreKind::Memory {
            return match std::fs::remove_file(self.path(&spec.name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        awsso_proto::ipc::private_dir(&self.dir)
            .map_err(|failure| io::Error::other(failure.message))?;
        let (place, key) = match keyring {
            Some(key) => (KeyPlace::Keyring, key),
            None => (KeyPlace::File, self.key_file(true)?),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&Stored::from(record))?);
        let sealed = seal(&key, &Header::new(spec, place), &plain)?;
        disk::replace(&self.path(&spec.name), &sealed)
    }

    /// The key that lies beside the files.
    fn key_file(&self, create: bool) -> io::Result<Arc<Key>> {
        let path = self.dir.join("key");
        let mut key = Key::default();
        match std::fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) if bytes.len() == key.len() => key.copy_from_slice(&bytes),
            Ok(_) if !create => return Err(io::Error::other("the key file is damaged")),
            Err(error) if error.kind() != io::ErrorKind::NotFound || !create => return Err(error),
            _ => {
                key = crate::random_bytes()?;
                disk::replace(&path, &*key)?;
            }
        }
        Ok(Arc::new(key))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir
            .join(format!("{}.sealed", crate::hex(name.as_bytes())))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn read(path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(meta) if meta.len() > MAX_RECORD => Err(io::Error::other("the file is too large")),
        Ok(_) => std::fs::read(path).map(Some),
    }
}

/// The header, and what follows it.
fn split(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let header: Header = serde_json::from_slice(&bytes[..end]).ok()?;
    (header.version == VERSION).then_some((header, &bytes[end..]))
}

fn seal(key: &Key, header: &Header, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut file = serde_json::to_vec(header)?;
    file.push(b'\n');
    let nonce = *crate::random_bytes::<NONCE_BYTES>()?;
    let payload = Payload {
        msg: plain,
        aad: &file,
    };
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| io::Error::other("sealing failed"))?;
    Ok([&file, &nonce[..], &sealed].concat())
}

fn unseal(key: &Key, bytes: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let (_, sealed) = split(bytes).ok_or_else(damaged)?;
    let header = &bytes[..bytes.len() - sealed.len()];
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(damaged)?;
    let payload = Payload {
        msg: sealed,
        aad: header,
    };
    XChaCha20Poly1305::new((&**key).into())
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| damaged())
}

fn damaged() -> io::Error {
    io::Error::other("the file is damaged or was sealed with another key")
}

#[cfg(test)]
mod tests;
