//! Tells when the person leaves the machine: the screen is locked, or the machine is
//! about to sleep. Linux has logind for that; elsewhere nobody tells a daemon.

/// How the person left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    ScreenLocked,
    /// The machine waits a moment, until [`Screen::may_sleep`].
    Sleeping,
}

#[cfg(target_os = "linux")]
pub use logind::Screen;

#[cfg(not(target_os = "linux"))]
pub struct Screen(std::convert::Infallible);

#[cfg(not(target_os = "linux"))]
impl Screen {
    pub async fn listen() -> Result<Self, String> {
        Err("on this system awsso is not told when the screen is locked".to_owned())
    }

    pub async fn left(&mut self) -> Result<Left, String> {
        match self.0 {}
    }

    pub fn may_sleep(&mut self) {
        match self.0 {}
    }
}

/// <https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html>
#[cfg(target_os = "linux")]
mod logind {
    use std::{collections::HashMap, pin::Pin, time::Duration};

    use awsso_proto::ipc;
    use futures_util::Stream;
    use tokio::time::timeout;
    use tokio_stream::StreamExt as _;
    use zbus::{
        Connection, MatchRule, Message, MessageStream,
        message::{Header, Type},
        zvariant::{OwnedFd, OwnedObjectPath, OwnedValue},
    };

    use super::Left;

    const LOGIND: &str = "org.freedesktop.login1";
    const SESSION: &str = "org.freedesktop.login1.Session";
    /// It answers in milliseconds.
    const PATIENCE: Duration = Duration::from_secs(2);
    /// Signals that wait to be looked at.
    const QUEUE: usize = 16;

    #[zbus::proxy(
        interface = "org.freedesktop.login1.Manager",
        default_service = "org.freedesktop.login1",
        default_path = "/org/freedesktop/login1",
        gen_blocking = false
    )]
    trait Manager {
        fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;
    }

    #[zbus::proxy(
        interface = "org.freedesktop.login1.Session",
        default_service = "org.freedesktop.login1",
        gen_blocking = false
    )]
    trait Session {
        #[zbus(property(emits_changed_signal = "false"))]
        fn user(&self) -> zbus::Result<(u32, OwnedObjectPath)>;
    }

    /// What logind says of all sessions. A daemon need not be in one itself: a user's
    /// systemd starts it outside of them.
    pub struct Screen {
        bus: Connection,
        signals: Pin<Box<dyn Stream<Item = zbus::Result<Message>> + Send>>,
        /// While we hold it the machine waits with its sleep, for some seconds.
        delay: Option<OwnedFd>,
    }

    impl Screen {
        /// Or why nothing will be told, in one line.
        pub async fn listen() -> Result<Self, String> {
            let screen = timeout(PATIENCE, Self::connect()).await;
            let screen = screen.map_err(|_| "logind does not answer".to_owned())?;
            screen.map_err(|error| {
                let why = error.to_string();
                format!("logind cannot be asked: {}", first_line(&why))
            })
        }

        async fn connect() -> zbus::Result<Self> {
            let bus = Connection::system().await?;
            let rule = || MatchRule::builder().msg_type(Type::Signal).sender(LOGIND);
            // `loginctl lock-session`, and whatever locks every session.
            let locks = rule()?.interface(SESSION)?.member("Lock")?.build();
            // A desktop locks its screen by itself and tells logind.
            let hints = rule()?
                .interface("org.freedesktop.DBus.Properties")?
                .member("PropertiesChanged")?
                .arg(0, SESSION)?
                .build();
            let sleeps = rule()?
                .interface("org.freedesktop.login1.Manager")?
                .member("PrepareForSleep")?
                .build();
            let of = async |rule| MessageStream::for_match_rule(rule, &bus, Some(QUEUE)).await;
            let signals = of(locks).await?.merge(of(hints).await?);
            let signals = Box::pin(signals.merge(of(sleeps).await?));
            let mut screen = Self {
                bus,
                signals,
                delay: None,
            };
            screen.delay_sleep().await?;
            Ok(screen)
        }

        /// Who may not have it is told of the sleep all the same, but not waited for.
        async fn delay_sleep(&mut self) -> zbus::Result<()> {
            let manager = ManagerProxy::new(&self.bus).await?;
            let why = "secrets leave the memory";
            self.delay = match manager.inhibit("sleep", "awsso", why, "delay").await {
                Ok(delay) => Some(delay),
                Err(zbus::Error::MethodError(name, ..)) if !is_missing(&name) => None,
                Err(error) => return Err(error),
            };
            Ok(())
        }

        /// Returns when the person leaves, or when nothing is told any more.
        pub async fn left(&mut self) -> Result<Left, String> {
            while let Some(signal) = self.signals.next().await {
                let Ok(signal) = signal else { break };
                if let Some(left) = self.meaning(&signal).await {
                    return Ok(left);
                }
            }
            Err("the system's D-Bus has gone".to_owned())
        }

        async fn meaning(&mut self, signal: &Message) -> Option<Left> {
            let header = signal.header();
            let body = signal.body();
            match header.member()?.as_str() {
                "Lock" => is_own(&self.bus, &header)
                    .await
                    .then_some(Left::ScreenLocked),
                "PropertiesChanged" => {
                    let (_, changed, _): (String, HashMap<String, OwnedValue>, Vec<String>) =
                        body.deserialize().ok()?;
                    let locked = changed.get("LockedHint")?.downcast_ref().ok()?;
                    (locked && is_own(&self.bus, &header).await).then_some(Left::ScreenLocked)
                }
                "PrepareForSleep" => {
                    let begins: bool = body.deserialize().ok()?;
                    if begins {
                        return Some(Left::Sleeping);
                    }
                    // For the next time; without it nothing is lost but the moment.
                    let _ = timeout(PATIENCE, self.delay_sleep()).await;
                    None
                }
                _ => None,
            }
        }

        /// What had to be done before the machine sleeps is done.
        pub fn may_sleep(&mut self) {
            self.delay = None;
        }
    }

    /// Whether it is about a session of this user. When in doubt it is: to lock once
    /// too often loses nothing.
    async fn is_own(bus: &Connection, signal: &Header<'_>) -> bool {
        let user = async {
            let path = signal.path().ok_or(zbus::Error::MissingField)?;
            let session = SessionProxy::builder(bus).path(path)?.build().await?;
            session.user().await
        };
        match timeout(PATIENCE, user).await {
            Ok(Ok((uid, _))) => uid == ipc::own_uid(),
            Ok(Err(_)) | Err(_) => true,
        }
    }

    fn is_missing(error: &str) -> bool {
        ["ServiceUnknown", "NameHasNoOwner", "NoReply"]
            .iter()
            .any(|name| error.strip_prefix("org.freedesktop.DBus.Error.") == Some(name))
    }

    fn first_line(text: &str) -> &str {
        text.lines().next().unwrap_or_default()
    }
}
