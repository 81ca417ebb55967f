//! The lock: every secret leaves the memory at once. Tokens, role credentials, the
//! key of the store; whatever serves them ends by itself when it hears of it. What
//! is sealed on disk stays, and only a person's next command has it read again.

mod absence;

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use absence::{Absence, Hearing};

use crate::{
    clock::Clock,
    config::Config,
    credentials::Broker,
    os::{self, LockSignal},
    session::Sessions,
};

/// The handle.
#[derive(Debug, Clone)]
pub struct Lock {
    sessions: Sessions,
    broker: Broker,
    clock: Clock,
    /// When a person last asked for what a login gives.
    last_asked: Arc<watch::Sender<SystemTime>>,
    screen: Arc<Hearing>,
}

impl Lock {
    pub fn new(sessions: Sessions, broker: Broker, clock: Clock) -> Self {
        Self {
            sessions,
            broker,
            last_asked: Arc::new(watch::Sender::new(clock.now())),
            clock,
            screen: Arc::default(),
        }
    }

    /// The sessions whose login is lost by that, because nothing is kept on disk;
    /// `None` when it was locked.
    pub async fn close(&self) -> Option<Vec<String>> {
        self.broker.forget_all();
        let lost = self.sessions.lock().await?;
        // What was loaded while the sessions were being locked.
        self.broker.forget_all();
        os::give_back();
        info!("locked: no secret is in memory");
        Some(lost)
    }

    /// A person is here. `false` when it was open.
    pub fn open(&self) -> bool {
        let changed = self.sessions.open();
        self.person_is_here();
        if changed {
            info!("unlocked by a person");
        }
        changed
    }

    /// Puts off the lock of an idle daemon, and opens nothing.
    pub fn person_is_here(&self) {
        self.last_asked.send_replace(self.clock.now());
    }

    pub fn is_closed(&self) -> bool {
        self.sessions.is_locked()
    }

    /// Returns when it is closed.
    pub async fn closed(&self) {
        self.sessions.locked().await;
    }

    /// Why a locked screen locks nothing although it is wanted, in one line; empty when
    /// it does. Tried anew where it did not work before.
    pub async fn screen_trouble(&self, limit: Duration) -> String {
        let mut screen = self.screen.subscribe();
        if !matches!(&*screen.borrow(), Some(Ok(()))) {
            self.screen.send_replace(None);
            self.last_asked.send_modify(|_| ()); // nobody asked: it is looked at
        }
        let known = timeout(limit, screen.wait_for(Option::is_some)).await;
        let known = known.ok().and_then(Result::ok);
        match known.as_deref() {
            Some(Some(Ok(()))) => String::new(),
            Some(Some(Err(why))) => why.clone(),
            Some(None) | None => "the system does not answer".to_owned(),
        }
    }

    /// Closes it whenever the signal comes, or its person has gone away.
    pub fn watch(
        self,
        config: Arc<Config>,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let signal = os::LockSignal::new()?;
        let absence = Absence {
            clock: self.clock.clone(),
            lock: self.clone(),
            config,
        };
        tracker.spawn(absence.watch(stop.clone()));
        tracker.spawn(self.obey(signal, stop.clone()));
        Ok(())
    }

    async fn obey(self, mut signal: LockSignal, stop: CancellationToken) {
        let obeyed = async {
            loop {
                signal.next().await;
                self.close().await;
            }
        };
        stop.run_until_cancelled(obeyed).await;
    }
}
