//! The key that seals the session files, in the system's keyring: the Secret
//! Service, the Keychain, the Credential Manager.
//!
//! Only the key is kept there, because the Credential Manager holds 2560 bytes.
//! What lies under our name and is not a key stays as it is. On Linux nobody is
//! ever asked to unlock or to create a keyring: a daemon that starts by itself
//! must not open windows.
//!
//! All of it runs in a process of its own ([`answer`]): a keyring that hangs is
//! ended with it, and the daemon keeps neither its threads nor its memory.

use std::{
    io::Write as _,
    process::{ExitCode, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use keyring_core::{Entry, Error, api::CredentialStoreApi as _};
use zeroize::Zeroizing;

/// The name of all that is ours.
const SERVICE: &str = "awsso";
const KEY_BYTES: usize = 32;

pub type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Why there is no key, as `awsso status` says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unavailable {
    #[cfg(all(unix, not(target_os = "macos")))]
    #[error("there is no keyring on this machine: {0}")]
    Absent(String),
    #[cfg(all(unix, not(target_os = "macos")))]
    #[error("the keyring is locked")]
    Locked,
    #[error("the keyring cannot be used: {0}")]
    Failed(String),
}

/// The child's part: writes the key, or why there is none, for whoever started
/// us and for nobody else. `account` tells the state folders of one person apart.
pub fn answer(account: &str) -> ExitCode {
    let (line, code) = match data_key(account) {
        Ok(key) => (written(&key), ExitCode::SUCCESS),
        Err(why) => (why.to_string().into_bytes().into(), ExitCode::FAILURE),
    };
    let _ = std::io::stdout().write_all(&line); // nobody listens
    code
}

/// The daemon's part: what the child wrote.
pub fn read_answer(output: &Output) -> Result<Key, String> {
    if output.status.success() {
        return parsed(&output.stdout).map_err(|why| why.to_string());
    }
    let why = String::from_utf8_lossy(&output.stdout);
    Err(match why.lines().next() {
        Some(why) if !why.is_empty() => why.to_owned(),
        _ => "the keyring cannot be used: the process that asked it has ended".to_owned(),
    })
}

/// Reads the key, or makes one. Blocks, on Linux for ever when the keyring stops
/// answering between the look at it and its use: `keyring_core` knows no limit.
fn data_key(account: &str) -> Result<Key, Unavailable> {
    #[cfg(all(unix, not(target_os = "macos")))]
    secret_service::look(account)?;
    let entry = entry(account).map_err(unavailable)?;
    if let Some(key) = read(&entry)? {
        return Ok(key);
    }
    let made: Key = crate::random_bytes().map_err(failed)?;
    entry.set_secret(&written(&made)).map_err(unavailable)?;
    match read(&entry)? {
        Some(kept) if kept == made => Ok(made),
        _ => Err(failed("it loses what it is given")),
    }
}

fn read(entry: &Entry) -> Result<Option<Key>, Unavailable> {
    match entry.get_secret().map(Zeroizing::new) {
        Ok(secret) => parsed(&secret).map(Some),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(unavailable(error)),
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

fn unavailable(error: Error) -> Unavailable {
    match error {
        // The text of these is ours, or lists the items.
        Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => failed(cause),
        Error::Ambiguous(_) => failed("it holds several items under awsso's name"),
        error => failed(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn failed(why: impl ToString) -> Unavailable {
    let why = why.to_string();
    Unavailable::Failed(why.lines().next().unwrap_or_default().to_owned())
}

#[cfg(target_os = "macos")]
fn entry(account: &str) -> keyring_core::Result<Entry> {
    apple_native_keyring_store::keychain::Store::new()?.build(SERVICE, account, None)
}

#[cfg(windows)]
fn entry(account: &str) -> keyring_core::Result<Entry> {
    windows_native_keyring_store::Store::new()?.build(SERVICE, account, None)
}

#[cfg(all(unix, not(target_os = "macos")))]
fn entry(account: &str) -> keyring_core::Result<Entry> {
    let label = [("label", "awsso session key")].into();
    zbus_secret_service_keyring_store::Store::new()?.build(SERVICE, account, Some(&label))
}

/// A look at the Secret Service before it is used: the store unlocks whatever
/// it meets, which asks the person.
#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service {
    use std::{collections::HashMap, time::Duration};

    use tokio::{runtime, time};
    use zbus::{Connection, fdo::DBusProxy, names::BusName, zvariant::OwnedObjectPath};

    use super::{SERVICE, Unavailable, failed};

    /// Starting a keyring takes a tenth of a second; a stopped one never answers.
    const PATIENCE: Duration = Duration::from_millis(1500);

    #[zbus::proxy(
        interface = "org.freedesktop.Secret.Service",
        default_service = "org.freedesktop.secrets",
        default_path = "/org/freedesktop/secrets",
        gen_blocking = false
    )]
    trait Service {
        fn read_alias(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
        /// The unlocked ones and the locked ones.
        fn search_items(
            &self,
            attributes: HashMap<&str, &str>,
        ) -> zbus::Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>)>;
    }

    #[zbus::proxy(
        interface = "org.freedesktop.Secret.Collection",
        default_service = "org.freedesktop.secrets",
        gen_blocking = false
    )]
    trait Collection {
        #[zbus(property(emits_changed_signal = "false"))]
        fn locked(&self) -> zbus::Result<bool>;
    }

    /// Ok when our item can be read and written without asking anybody.
    pub fn look(account: &str) -> Result<(), Unavailable> {
        // With a runtime of its own the connection ends, whatever is in flight.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(runtime::LocalOptions::default())
            .map_err(failed)?;
        let looked = runtime.block_on(async { time::timeout(PATIENCE, ask(account)).await });
        runtime.shutdown_background();
        looked.unwrap_or_else(|_| Err(failed("it does not answer")))
    }

    async fn ask(account: &str) -> Result<(), Unavailable> {
        let Ok(bus) = Connection::session().await else {
            return Err(absent("no D-Bus session can be reached"));
        };
        if !is_offered(&bus).await.map_err(failed)? {
            return Err(absent("no program offers one"));
        }
        let service = ServiceProxy::new(&bus).await.map_err(failed)?;
        let collection = service.read_alias("default").await.map_err(failed)?;
        if collection.as_str() == "/" {
            return Err(absent(
                "no default keyring exists, and making one would ask for a password",
            ));
        }
        if is_locked(&bus, collection).await.map_err(failed)? {
            return Err(Unavailable::Locked);
        }
        // An item may be locked by itself, or lie in another collection.
        let ours = HashMap::from([("service", SERVICE), ("username", account)]);
        let (_, locked) = service.search_items(ours).await.map_err(failed)?;
        if locked.is_empty() {
            Ok(())
        } else {
            Err(Unavailable::Locked)
        }
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

    async fn is_locked(bus: &Connection, collection: OwnedObjectPath) -> zbus::Result<bool> {
        CollectionProxy::new(bus, collection).await?.locked().await
    }

    fn absent(why: &str) -> Unavailable {
        Unavailable::Absent(why.to_owned())
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
