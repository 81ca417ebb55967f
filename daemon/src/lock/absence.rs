//! Locks when its person has gone away, where the configuration wants that: nobody
//! has asked for anything for a while, the screen is locked, the machine is about to
//! sleep. Without such a wish nothing here ever wakes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Lock;
use crate::{
    clock::Clock,
    config::{Config, LockSettings},
    os::{Left, Screen},
};

pub struct Absence {
    pub lock: Lock,
    pub config: Arc<Config>,
    pub clock: Clock,
}

impl Absence {
    pub async fn watch(self, stop: CancellationToken) {
        let both = async { tokio::join!(self.idle(), self.screen()) };
        stop.run_until_cancelled(both).await;
    }

    /// One timer, and only while there is something to lock.
    async fn idle(&self) {
        let mut last_asked = self.lock.last_asked.subscribe();
        let mut settings = LockSettings::default();
        loop {
            let last = *last_asked.borrow_and_update();
            self.read(&mut settings);
            let limit = settings.on_idle.filter(|_| !self.lock.is_closed());
            let at = limit.and_then(|limit| last.checked_add(limit));
            tokio::select! {
                () = self.clock.wait_until(at) => {
                    info!(?limit, "no person has asked for anything");
                    self.lock.close().await;
                }
                () = self.lock.closed(), if at.is_some() => {}
                asked = last_asked.changed() => if asked.is_err() { return },
            }
        }
    }

    /// What cannot be heard is tried again when a person asks for something.
    async fn screen(&self) {
        let mut last_asked = self.lock.last_asked.subscribe();
        let mut settings = LockSettings::default();
        loop {
            last_asked.mark_unchanged();
            self.read(&mut settings);
            if settings.on_screen_lock
                && let Err(why) = self.obey_screen(&mut settings).await
            {
                warn!(why, "a locked screen locks nothing");
                self.lock.screen.send_replace(Some(Err(why)));
            }
            if last_asked.changed().await.is_err() {
                return;
            }
        }
    }

    /// Until nobody wants it any more, or the system tells nothing more.
    async fn obey_screen(&self, settings: &mut LockSettings) -> Result<(), String> {
        let mut screen = Screen::listen().await?;
        self.lock.screen.send_replace(Some(Ok(())));
        loop {
            let left = screen.left().await?;
            self.read(settings);
            if !settings.on_screen_lock {
                self.lock.screen.send_replace(None);
                return Ok(());
            }
            match left {
                Left::ScreenLocked => info!("the screen is locked"),
                Left::Sleeping => info!("the machine is about to sleep"),
            }
            self.lock.close().await;
            screen.may_sleep();
        }
    }

    /// A file that cannot be read changes nothing: least of all does it switch off a lock.
    fn read(&self, settings: &mut LockSettings) {
        if let Ok(files) = self.config.files() {
            *settings = files.settings.lock;
        }
    }
}

/// Whether the system tells of a locked screen; `None` while nobody knows.
pub(super) type Hearing = watch::Sender<Option<Result<(), String>>>;
