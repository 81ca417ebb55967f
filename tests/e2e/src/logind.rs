//! The part of logind that tells of locked screens and of sleep, on a system bus of
//! the test's own. Dropped: both are gone.

#![expect(
    clippy::used_underscore_binding,
    reason = "what zbus makes of the arguments that nobody looks at"
)]

use std::{io::Read as _, os::unix::net::UnixStream};

use awsso_proto::ipc;
use tokio::sync::watch;
use zbus::{
    Connection,
    object_server::SignalEmitter,
    zvariant::{OwnedFd, OwnedObjectPath},
};

use crate::{World, bus::Bus, world::within_limit};

const MANAGER: &str = "/org/freedesktop/login1";
/// A desktop of the person who runs the test, and one of somebody else.
const OWN: &str = "/org/freedesktop/login1/session/_31";
const FOREIGN: &str = "/org/freedesktop/login1/session/_32";

pub struct Logind {
    _bus: Bus,
    connection: Connection,
    /// The other ends of what delays the sleep, the newest last.
    delays: watch::Receiver<Vec<UnixStream>>,
}

impl Logind {
    /// From here on it is in the environment of the world's programs.
    pub async fn start(world: &World) -> Self {
        let bus = Bus::start(world, "system-bus").await;
        let (inhibited, delays) = watch::channel(Vec::new());
        let session = |uid| Session {
            uid,
            is_locked: false,
        };
        let connection = async {
            zbus::connection::Builder::address(bus.address.as_str())?
                .serve_at(MANAGER, Manager(inhibited))?
                .serve_at(OWN, session(ipc::own_uid()))?
                .serve_at(FOREIGN, session(ipc::own_uid() + 1))?
                .name("org.freedesktop.login1")?
                .build()
                .await
        };
        let connection = connection.await.expect("the bus takes the service");
        let set = world.system_bus.set(bus.address.clone());
        assert!(set.is_ok(), "a world has one logind");
        Self {
            _bus: bus,
            connection,
            delays,
        }
    }

    /// Waits until somebody has asked so often to be waited for before a sleep.
    pub async fn is_heard(&self, times: usize) {
        let mut delays = self.delays.clone();
        let heard = delays.wait_for(|delays| delays.len() >= times);
        let heard = within_limit("somebody who listens to logind", heard).await;
        heard.expect("logind goes on");
    }

    /// `loginctl lock-session`
    pub async fn lock(&self, is_own: bool) {
        let emitter = self.emitter(path(is_own));
        Session::lock(&emitter).await.expect("the bus takes it");
    }

    /// A desktop locks its screen by itself, and says so.
    pub async fn screen_is_locked(&self, is_own: bool, is_locked: bool) {
        let server = self.connection.object_server();
        let session = server.interface::<_, Session>(path(is_own)).await;
        let session = session.expect("it is served");
        session.get_mut().await.is_locked = is_locked;
        let changed = session.get().await;
        let told = changed.locked_hint_changed(session.signal_emitter()).await;
        told.expect("the bus takes it");
    }

    /// The machine is about to sleep, or has woken.
    pub async fn prepare_for_sleep(&self, begins: bool) {
        let emitter = self.emitter(MANAGER);
        let told = Manager::prepare_for_sleep(&emitter, begins).await;
        told.expect("the bus takes it");
    }

    /// Waits until nobody delays the sleep any more.
    pub async fn may_sleep(&self) {
        let newest = self.delays.borrow().last().map(UnixStream::try_clone);
        let mut newest = newest.expect("somebody delayed it").expect("a descriptor");
        let closed = tokio::task::spawn_blocking(move || newest.read(&mut [0]));
        let closed = within_limit("the end of the delay", closed).await;
        assert_eq!(closed.expect("a thread").expect("a pipe's end"), 0);
    }

    fn emitter(&self, path: &'static str) -> SignalEmitter<'_> {
        SignalEmitter::new(&self.connection, path).expect("a path")
    }
}

fn path(is_own: bool) -> &'static str {
    if is_own { OWN } else { FOREIGN }
}

struct Manager(watch::Sender<Vec<UnixStream>>);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, _why: &str, mode: &str) -> OwnedFd {
        assert_eq!((what, who, mode), ("sleep", "awsso", "delay"));
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        self.0.send_modify(|delays| delays.push(ours));
        std::os::fd::OwnedFd::from(theirs).into()
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

struct Session {
    uid: u32,
    is_locked: bool,
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn user(&self) -> (u32, OwnedObjectPath) {
        let path = format!("/org/freedesktop/login1/user/_{}", self.uid);
        (self.uid, path.try_into().expect("a path"))
    }

    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.is_locked
    }

    #[zbus(signal)]
    async fn lock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}
