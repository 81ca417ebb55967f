//! The part of a lock that is the sessions': their memory is emptied, and the store
//! stays shut until it is opened.

use awsso_proto::{Failure, Reason, error::key};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{Command, Session, Sessions, stopping};

impl Sessions {
    /// Empties the memory of every session; what is sealed on disk stays, and is
    /// not read again before [`open`](Self::open). The sessions whose login is lost
    /// by that; `None` when nothing was to be done.
    pub async fn lock(&self) -> Option<Vec<String>> {
        if !self.parts.store.shut() {
            return None;
        }
        let sessions = self.all();
        let locked = sessions.iter().map(|session| async {
            let held = session.lock().await.unwrap_or(false); // it ends: so does its memory
            held.then(|| session.name().to_owned())
        });
        let held = join_all(locked).await.into_iter().flatten();
        let lost = held.filter(|_| self.parts.store.keeps_nothing());
        let mut lost: Vec<_> = lost.collect();
        lost.sort();
        // Last: a renewal that was under way has been stored.
        self.parts.store.forget_key();
        Some(lost)
    }

    /// The store may be read again, and is. `false` when it was open.
    pub fn open(&self) -> bool {
        self.parts.store.open()
    }

    pub fn is_locked(&self) -> bool {
        self.parts.store.is_shut()
    }

    /// Returns when somebody locks; at once when it is locked.
    pub async fn locked(&self) {
        self.parts.store.until_shut(true).await;
    }
}

impl Session {
    pub fn is_locked(&self) -> bool {
        self.store.is_shut()
    }

    /// Whether it held a secret.
    async fn lock(&self) -> Result<bool, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Lock { reply }).await?;
        answer.await.map_err(|_| stopping())
    }
}

/// What is answered until a person opens what was locked.
pub fn locked_failure() -> Failure {
    Failure::new(Reason::LoginRequired, "awsso is locked")
        .with(key::HINT, "a person opens it: awsso unlock")
}
