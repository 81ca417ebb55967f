//! The lock: every secret leaves the memory at once. Tokens, role credentials, the
//! key of the store; whatever serves them ends by itself when it hears of it. What
//! is sealed on disk stays, and only a person's next command has it read again.

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    credentials::Broker,
    os::{self, LockSignal},
    session::Sessions,
};

/// The handle.
#[derive(Debug, Clone)]
pub struct Lock {
    sessions: Sessions,
    broker: Broker,
}

impl Lock {
    pub fn new(sessions: Sessions, broker: Broker) -> Self {
        Self { sessions, broker }
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

    /// `false` when it was open.
    pub fn open(&self) -> bool {
        let changed = self.sessions.open();
        if changed {
            info!("unlocked by a person");
        }
        changed
    }

    pub fn is_closed(&self) -> bool {
        self.sessions.is_locked()
    }

    /// Returns when it is closed.
    pub async fn closed(&self) {
        self.sessions.locked().await;
    }

    /// Closes it whenever the signal comes.
    pub async fn obey(self, mut signal: LockSignal, stop: CancellationToken) {
        let obeyed = async {
            loop {
                signal.next().await;
                self.close().await;
            }
        };
        stop.run_until_cancelled(obeyed).await;
    }
}
