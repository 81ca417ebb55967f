//! The key that the system's keyring holds: asked for on a thread of its own,
//! once, and never waited for longer than a person would notice. A keyring that
//! is locked, absent or stuck closes the vault; the next need asks again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

use crate::os::keyring::{self, Key, Unavailable};

/// Whoever needs the key waits this long for the keyring to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// A keyring that said no is not asked again before.
const RETRY: Duration = Duration::from_secs(10);

type Open = Arc<dyn Fn(&str) -> Result<Key, Unavailable> + Send + Sync>;

#[derive(Clone)]
pub struct Vault {
    /// Tells the keyring items of several state folders apart.
    account: Arc<str>,
    open: Open,
    state: watch::Sender<State>,
}

#[derive(Clone)]
enum State {
    Closed {
        why: Arc<str>,
        tried: Option<Instant>,
    },
    Asking {
        since: Instant,
    },
    Open(Arc<Key>),
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// The system's keyring. Nothing is asked yet.
    pub fn of_the_system(account: &str) -> Self {
        Self::new(account, Arc::new(keyring::data_key))
    }

    pub(super) fn new(account: &str, open: Open) -> Self {
        Self {
            account: account.into(),
            open,
            state: watch::Sender::new(State::Closed {
                why: "not asked yet".into(),
                tried: None,
            }),
        }
    }

    /// The key, or why there is none now.
    pub async fn key(&self) -> Result<Arc<Key>, String> {
        self.ask();
        let mut state = self.state.subscribe();
        let since = match &*state.borrow() {
            State::Asking { since } => *since,
            State::Open(_) | State::Closed { .. } => Instant::now(),
        };
        let answered = state.wait_for(|state| !matches!(state, State::Asking { .. }));
        match tokio::time::timeout_at(since + LIMIT, answered).await {
            Ok(Ok(state)) => match &*state {
                State::Open(key) => Ok(Arc::clone(key)),
                State::Closed { why, .. } => Err(why.to_string()),
                State::Asking { .. } => Err(silent()),
            },
            Ok(Err(_)) | Err(_) => Err(silent()),
        }
    }

    /// Starts asking, unless that is going on, or was in vain a moment ago.
    pub fn ask(&self) {
        let asked = self.state.send_if_modified(|state| {
            let again = match state {
                State::Closed { tried, .. } => tried.is_none_or(|at| at.elapsed() >= RETRY),
                State::Asking { .. } | State::Open(_) => false,
            };
            if again {
                let since = Instant::now();
                *state = State::Asking { since };
            }
            again
        });
        if !asked {
            return;
        }
        let vault = self.clone();
        // Not of the runtime's pool: a stuck keyring must not hold up the daemon's end.
        let spawned = std::thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || {
                // Strange bytes of a keyring must not leave those who wait without an answer.
                let answer = catch_unwind(AssertUnwindSafe(|| (vault.open)(&vault.account)));
                vault.settle(match answer {
                    Ok(answer) => answer.map_err(|why| why.to_string()),
                    Err(_) => Err("the keyring cannot be understood".to_owned()),
                });
            });
        if let Err(error) = spawned {
            self.settle(Err(error.to_string()));
        }
    }

    fn settle(&self, answer: Result<Key, String>) {
        let state = match answer {
            Ok(key) => {
                info!("the keyring is open");
                State::Open(Arc::new(key))
            }
            Err(why) => {
                warn!(why, "the keyring cannot be used");
                State::Closed {
                    why: why.into(),
                    tried: Some(Instant::now()),
                }
            }
        };
        self.state.send_replace(state);
    }

    /// Returns when the vault has been opened; at once when it is.
    pub async fn opened(&self) {
        let mut state = self.state.subscribe();
        let is_open = |state: &State| matches!(state, State::Open(_));
        // We hold the sender: it is not dropped meanwhile.
        let _ = state.wait_for(is_open).await;
    }
}

fn silent() -> String {
    "the keyring does not answer".to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_keyring_is_asked_once_by_all_who_need_it() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let vault = Vault::new(
            "a",
            Arc::new(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(key(7))
            }),
        );
        let keys = futures_util::future::join_all((0..10).map(|_| vault.key())).await;
        assert!(keys.iter().all(|held| held.as_ref().unwrap()[0] == 7));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_stuck_keyring_is_waited_for_once_and_its_late_answer_counts() {
        let (release, stuck) = mpsc::channel::<()>();
        let stuck = Mutex::new(stuck);
        let vault = Vault::new(
            "a",
            Arc::new(move |_| {
                let _ = stuck.lock().unwrap().recv();
                Ok(key(1))
            }),
        );
        let start = Instant::now();
        assert_eq!(vault.key().await.unwrap_err(), silent());
        let first = start.elapsed();
        assert!(first >= LIMIT, "{first:?}");
        assert_eq!(vault.key().await.unwrap_err(), silent());
        assert!(
            start.elapsed() < first + LIMIT / 2,
            "the second one waits no more"
        );
        release.send(()).unwrap();
        vault.opened().await;
        assert_eq!(vault.key().await.unwrap()[0], 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_locked_keyring_is_asked_again_but_not_at_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let vault = Vault::new(
            "a",
            Arc::new(move |_| match count.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Unavailable::Locked),
                _ => Ok(key(2)),
            }),
        );
        for _ in 0..3 {
            assert!(vault.key().await.unwrap_err().contains("locked"));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        vault.state.send_modify(|state| {
            if let State::Closed { tried, .. } = state {
                *tried = Instant::now().checked_sub(RETRY);
            }
        });
        assert_eq!(vault.key().await.unwrap()[0], 2);
    }
}
