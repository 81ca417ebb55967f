//! A person's desktop, as far as secrets and notifications go: a D-Bus of its
//! own and a real gnome-keyring on it. Dropped: all of it is killed.

use std::{collections::BTreeMap, process::Stdio};

use futures_util::StreamExt as _;
use tokio::{io::AsyncWriteExt as _, process::Child};
use zbus::{
    Connection,
    fdo::DBusProxy,
    zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value},
};

use crate::{World, bus::Bus, finish, process::signal, world::within_limit};

const PASSWORD: &str = "the person's own";
const ON_THE_BUS: &str = "org.freedesktop.secrets";
/// The keyring that programs write to.
const DEFAULT_KEYRING: ObjectPath<'static> =
    ObjectPath::from_static_str_unchecked("/org/freedesktop/secrets/aliases/default");

pub struct Desktop<'w> {
    world: &'w World,
    _bus: Bus,
    connection: Connection,
    keyring: Option<Child>,
}

/// What `secret-tool` says about a secret, by its own words: `label`, `secret`
/// (not of a locked keyring), `attribute.NAME`, …
pub type Item = BTreeMap<String, String>;

impl<'w> Desktop<'w> {
    /// A desktop without a keyring. From here on it is in the environment of
    /// the world's programs.
    pub async fn start(world: &'w World) -> Self {
        let bus = Bus::start(world, "bus").await;
        let address = bus.address.clone();
        let connection = async {
            zbus::connection::Builder::address(address.as_str())?
                .build()
                .await
        };
        let connection = connection.await.expect("the bus lets us in");
        let set = world.session_bus.set(address);
        assert!(set.is_ok(), "a world has one desktop");
        Self {
            world,
            _bus: bus,
            connection,
            keyring: None,
        }
    }

    pub(crate) fn bus(&self) -> &str {
        self.world.session_bus.get().expect("the desktop started")
    }

    /// The person gives the password; to a keyring that is started where there
    /// is none, as it is at the start of a desktop.
    pub async fn unlock(&mut self) {
        if self.keyring.is_none() {
            self.start_keyring(Some(PASSWORD)).await;
        } else {
            let given = within_limit("unlocking the keyring", self.give_password()).await;
            given.expect("the keyring takes the password");
        }
        assert!(!self.is_locked().await, "the password is right");
    }

    /// Starts the keyring anew, and nobody has given the password since. It
    /// exists: it is made first where there is none.
    pub async fn start_locked(&mut self) {
        if self.keyring.is_none() {
            self.start_keyring(Some(PASSWORD)).await;
        }
        self.kill().await;
        self.start_keyring(None).await;
        assert!(self.is_locked().await, "nobody gave the password");
    }

    /// The person locks the keyring.
    pub async fn lock(&self) {
        let locked = async {
            let service = SecretsProxy::new(&self.connection).await?;
            service.lock(&[DEFAULT_KEYRING]).await
        };
        let locked = within_limit("locking the keyring", locked).await;
        let (locked, _) = locked.expect("a keyring runs");
        assert_eq!(locked.len(), 1, "{locked:?}");
    }

    pub async fn is_locked(&self) -> bool {
        let locked = async { KeyringProxy::new(&self.connection).await?.locked().await };
        let locked = within_limit("asking the keyring", locked).await;
        locked.expect("a keyring runs")
    }

    /// The keyring crashes.
    pub async fn kill(&mut self) {
        let mut keyring = self.keyring.take().expect("a keyring runs");
        keyring.kill().await.expect("a child can be killed");
        self.keyring_is_on_the_bus(false).await;
    }

    /// The keyring hangs: it is there and answers nothing.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// It answers again.
    pub fn cont(&self) {
        self.signal("CONT");
    }

    /// What the keyring holds for us.
    pub async fn items(&self) -> Vec<Item> {
        // Labels come on stdout, attributes on stderr.
        let mut search = self.world.program("sh");
        search.args(["-c", "secret-tool search --all service awsso 2>&1"]);
        let found = finish(search, "secret-tool search".to_owned()).await.ok();
        let mut items = Vec::<Item>::new();
        for line in found.lines() {
            if line.starts_with('[') {
                items.push(Item::new());
            } else if let Some((name, value)) = line.split_once(" = ") {
                let item = items.last_mut().expect("its path comes first");
                item.insert(name.to_owned(), value.to_owned());
            }
        }
        items
    }

    fn signal(&self, name: &str) {
        let keyring = self.keyring.as_ref().expect("a keyring runs");
        signal(keyring.id().expect("it runs"), name);
    }

    /// Starts the keyring; with the password it is unlocked, and made if it is the first time.
    async fn start_keyring(&mut self, password: Option<&str>) {
        let mut command = self.world.program("gnome-keyring-daemon");
        command
            .args(["--foreground", "--components=secrets"])
            .args(password.map(|_| "--unlock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut keyring = command
            .spawn()
            .expect("gnome-keyring-daemon runs: tests/check installs it");
        let mut stdin = keyring.stdin.take().expect("stdin is piped");
        let given = stdin
            .write_all(password.unwrap_or_default().as_bytes())
            .await;
        given.expect("it reads the password");
        drop(stdin);
        self.keyring = Some(keyring);
        self.keyring_is_on_the_bus(true).await;
    }

    /// What the desktop's password dialog does when the person has typed.
    async fn give_password(&self) -> zbus::Result<()> {
        let service = SecretsProxy::new(&self.connection).await?;
        let (_, session) = service.open_session("plain", &"".into()).await?;
        let secret = (&*session, &[][..], PASSWORD.as_bytes(), "text/plain");
        DialogProxy::new(&self.connection)
            .await?
            .unlock_with_master_password(&DEFAULT_KEYRING, secret)
            .await
    }

    /// Waits until the keyring has come, or has gone.
    async fn keyring_is_on_the_bus(&self, wanted: bool) {
        let change = async {
            let bus = DBusProxy::new(&self.connection).await?;
            let mut changes = bus
                .receive_name_owner_changed_with_args(&[(0, ON_THE_BUS)])
                .await?;
            let mut there = bus.name_has_owner(ON_THE_BUS.try_into()?).await?;
            while there != wanted {
                let change = changes.next().await.expect("the bus goes on");
                there = change.args()?.new_owner().is_some();
            }
            Ok::<_, zbus::Error>(())
        };
        let changed = within_limit("the keyring on the bus", change).await;
        changed.expect("the bus answers");
    }
}

/// <https://specifications.freedesktop.org/secret-service-spec/latest/>
#[zbus::proxy(
    interface = "org.freedesktop.Secret.Service",
    default_service = "org.freedesktop.secrets",
    default_path = "/org/freedesktop/secrets"
)]
trait Secrets {
    fn lock(
        &self,
        keyrings: &[ObjectPath<'_>],
    ) -> zbus::Result<(Vec<OwnedObjectPath>, OwnedObjectPath)>;

    fn open_session(
        &self,
        algorithm: &str,
        input: &Value<'_>,
    ) -> zbus::Result<(OwnedValue, OwnedObjectPath)>;
}

#[zbus::proxy(
    interface = "org.freedesktop.Secret.Collection",
    default_service = "org.freedesktop.secrets",
    default_path = "/org/freedesktop/secrets/aliases/default"
)]
trait Keyring {
    #[zbus(property(emits_changed_signal = "false"))]
    fn locked(&self) -> zbus::Result<bool>;
}

/// gnome-keyring's own.
#[zbus::proxy(
    interface = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
    default_service = "org.freedesktop.secrets",
    default_path = "/org/freedesktop/secrets"
)]
trait Dialog {
    fn unlock_with_master_password(
        &self,
        keyring: &ObjectPath<'_>,
        password: (&ObjectPath<'_>, &[u8], &[u8], &str),
    ) -> zbus::Result<()>;
}
