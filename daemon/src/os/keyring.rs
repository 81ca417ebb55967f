//! The key that seals the session files, in the system's keyring: the Secret
//! Service, the Keychain, the Credential Manager.
//!
//! Only the key is kept there, because the Credential Manager holds 2560 bytes.
//! What lies under our name and is not a key stays as it is. On Linux nobody is
//! ever asked to unlock or to make a keyring, and every wait ends.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

/// The name of all that is ours.
const SERVICE: &str = "awsso";
const KEY_BYTES: usize = 32;

pub type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Why there is no key, as `awsso status` says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("there is no keyring on this machine: {0}")]
    Absent(String),
    #[error("the keyring is locked")]
    Locked,
    #[error("the keyring cannot be used: {0}")]
    Failed(String),
}

/// Reads the key, or makes one. `account` tells the state folders of one person
/// apart. Blocks: on Linux for seconds at most, elsewhere as long as the system.
pub fn data_key(account: &str) -> Result<Key, Unavailable> {
    if let Some(secret) = system::read(account)? {
        return parsed(&secret);
    }
    let mut made = Key::default();
    getrandom::fill(&mut *made).map_err(failed)?;
    system::write(account, &written(&made))?;
    match system::read(account)? {
        Some(kept) if parsed(&kept)? == made => Ok(made),
        _ => Err(failed("it loses what it is given")),
    }
}

/// Text, because some keyrings show and export their items as text.
fn written(key: &Key) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(BASE64.encode(**key).into_bytes())
}

fn parsed(secret: &[u8]) -> Result<Key, Unavailable> {
    let mut key = Key::default();
    match BASE64.decode_slice(secret, &mut *key) {
        Ok(KEY_BYTES) => Ok(key),
        _ => Err(failed("it holds something else under awsso's name")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn failed(why: impl ToString) -> Unavailable {
    let why = why.to_string();
    Unavailable::Failed(why.lines().next().unwrap_or_default().to_owned())
}

/// The Secret Service. Through its own crate and not through `keyring_core`'s
/// store, which unlocks what it meets, waits without an end, and leaves a
/// runtime with a thread per core behind.
#[cfg(all(unix, not(target_os = "macos")))]
mod system {
    use std::{collections::HashMap, time::Duration};

    use secret_service::{Collection, EncryptionType, Error, SecretService};
    use tokio::{runtime, time};
    use zbus::{Connection, fdo::DBusProxy, names::BusName};
    use zeroize::Zeroizing;

    use super::{SERVICE, Unavailable, failed};

    /// Starting a keyring takes a tenth of a second; a stopped one never answers.
    const PATIENCE: Duration = Duration::from_millis(1500);

    pub fn read(account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unavailable> {
        visit(async {
            let service = connect().await?;
            unlocked_default(&service).await?;
            let found = service
                .search_items(attributes(account))
                .await
                .map_err(unavailable)?;
            // An item may be locked by itself, or lie in another collection.
            if !found.locked.is_empty() {
                return Err(Unavailable::Locked);
            }
            match &found.unlocked[..] {
                [] => Ok(None),
                [item] => Ok(Some(Zeroizing::new(
                    item.get_secret().await.map_err(unavailable)?,
                ))),
                _ => Err(failed("it holds several items under awsso's name")),
            }
        })
    }

    pub fn write(account: &str, secret: &[u8]) -> Result<(), Unavailable> {
        visit(async {
            let service = connect().await?;
            let collection = unlocked_default(&service).await?;
            let ours = attributes(account);
            collection
                .create_item("awsso session key", ours, secret, false, "text/plain")
                .await
                .map_err(unavailable)?;
            Ok(())
        })
    }

    /// On a runtime of its own: with it the connection ends, whatever is in flight.
    fn visit<T>(work: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let outcome = runtime.block_on(async { time::timeout(PATIENCE, work).await });
        runtime.shutdown_background();
        outcome.unwrap_or_else(|_| Err(failed("it does not answer")))
    }

    async fn connect() -> Result<SecretService<'static>, Unavailable> {
        let Ok(bus) = Connection::session().await else {
            return Err(absent("no D-Bus session can be reached"));
        };
        if !is_offered(&bus).await.map_err(failed)? {
            return Err(absent("no program offers one"));
        }
        SecretService::connect_with_existing(EncryptionType::Dh, bus)
            .await
            .map_err(unavailable)
    }

    async fn is_offered(bus: &Connection) -> zbus::Result<bool> {
        let bus = DBusProxy::new(bus).await?;
        let name = BusName::try_from("org.freedesktop.secrets")?;
        Ok(bus.name_has_owner(name.clone()).await?
            || bus
                .list_activatable_names()
                .await?
                .iter()
                .any(|other| **other == name))
    }

    async fn unlocked_default<'a>(
        service: &'a SecretService<'_>,
    ) -> Result<Collection<'a>, Unavailable> {
        let collection = match service.get_default_collection().await {
            Err(Error::NoResult) => {
                return Err(absent(
                    "no default keyring exists, and making one would ask for a password",
                ));
            }
            collection => collection.map_err(unavailable)?,
        };
        if collection.is_locked().await.map_err(unavailable)? {
            return Err(Unavailable::Locked);
        }
        Ok(collection)
    }

    fn attributes(account: &str) -> HashMap<&str, &str> {
        HashMap::from([("service", SERVICE), ("username", account)])
    }

    fn absent(why: &str) -> Unavailable {
        Unavailable::Absent(why.to_owned())
    }

    fn unavailable(error: Error) -> Unavailable {
        match error {
            Error::Locked | Error::Prompt => Unavailable::Locked,
            error => failed(error),
        }
    }
}

#[cfg(any(target_os = "macos", windows))]
mod system {
    use keyring_core::{Entry, Error, api::CredentialStoreApi as _};
    use zeroize::Zeroizing;

    use super::{SERVICE, Unavailable, failed};

    pub fn read(account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unavailable> {
        match entry(account).and_then(|entry| entry.get_secret()) {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub fn write(account: &str, secret: &[u8]) -> Result<(), Unavailable> {
        entry(account)
            .and_then(|entry| entry.set_secret(secret))
            .map_err(unavailable)
    }

    fn unavailable(error: Error) -> Unavailable {
        match error {
            // The cause says what the system said, without a preface.
            Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => failed(cause),
            error => failed(error),
        }
    }

    #[cfg(target_os = "macos")]
    fn entry(account: &str) -> keyring_core::Result<Entry> {
        apple_native_keyring_store::keychain::Store::new()?.build(SERVICE, account, None)
    }

    #[cfg(windows)]
    fn entry(account: &str) -> keyring_core::Result<Entry> {
        windows_native_keyring_store::Store::new()?.build(SERVICE, account, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text() {
        let key = Key::new([7; KEY_BYTES]);
        assert_eq!(parsed(&written(&key)), Ok(key));
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_not_repeated() {
        let long = BASE64.encode([0; KEY_BYTES + 1]);
        let short = BASE64.encode([0; KEY_BYTES - 1]);
        let others: [&[u8]; 5] = [
            b"",
            b"hunter2",
            &[0xff; KEY_BYTES],
            long.as_bytes(),
            short.as_bytes(),
        ];
        for other in others {
            assert_eq!(
                parsed(other),
                Err(Unavailable::Failed(
                    "it holds something else under awsso's name".to_owned()
                ))
            );
        }
    }
}
