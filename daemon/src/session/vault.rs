//! The key that the system's keyring holds: asked for in a process of its own,
//! once, and never waited for longer than a person would notice. A keyring that
//! is locked, absent or stuck closes the vault; the next need asks again.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{process::Command, sync::watch, time::Instant};
use tracing::info;
use zeroize::Zeroizing;

use crate::os::{
    self,
    keyring::{self, Key},
};

/// Whoever needs the key waits this long for the keyring to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// An answer may come late, and counts; after this the question is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
/// A keyring that said no is not asked again before.
const RETRY: Duration = Duration::from_secs(10);

/// What `awssod` is started with to ask the keyring; the name of our item follows.
const ASK_KEYRING: &str = "--ask-keyring";

type Open = Arc<dyn Fn() -> BoxFuture<'static, Result<Key, String>> + Send + Sync>;

#[derive(Clone)]
pub struct Vault {
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
        /// What the last answer was, if it was none.
        before: Option<Arc<str>>,
    },
    Open(Arc<Key>),
}

impl State {
    fn unasked() -> Self {
        Self::Closed {
            why: "not asked yet".into(),
            tried: None,
        }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// The system's keyring, where the key for the files of `state` lies. Nothing
    /// is asked yet.
    pub fn of_the_system(state: &Path) -> Self {
        let account: Arc<str> = state.display().to_string().into();
        Self::new(Arc::new(move || Box::pin(in_a_child(Arc::clone(&account)))))
    }

    /// For a daemon that is to ask no keyring.
    pub fn without(why: &'static str) -> Self {
        Self::new(Arc::new(move || {
            Box::pin(std::future::ready(Err(why.to_owned())))
        }))
    }

    pub(super) fn new(open: Open) -> Self {
        Self {
            open,
            state: watch::Sender::new(State::unasked()),
        }
    }

    /// The key, or why there is none now.
    pub async fn key(&self) -> Result<Arc<Key>, String> {
        self.ask();
        let mut state = self.state.subscribe();
        let since = match &*state.borrow() {
            State::Asking { since, .. } => *since,
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

    /// Why the key cannot be had, as far as is known; the first answer is waited for.
    pub async fn why_closed(&self) -> Option<String> {
        let before = match &*self.state.borrow() {
            State::Asking {
                before: Some(why), ..
            } => Some(why.to_string()),
            _ => None,
        };
        match before {
            Some(why) => Some(why),
            None => self.key().await.err(),
        }
    }

    /// Starts asking, unless that is going on, or was in vain a moment ago.
    pub fn ask(&self) {
        let since = Instant::now();
        let asked = self.state.send_if_modified(|state| {
            let again = match state {
                State::Closed { tried, .. } => tried.is_none_or(|at| at.elapsed() >= RETRY),
                State::Asking { .. } | State::Open(_) => false,
            };
            if again {
                let before = match &*state {
                    State::Closed { why, tried } => tried.map(|_| Arc::clone(why)),
                    State::Asking { .. } | State::Open(_) => None,
                };
                *state = State::Asking { since, before };
            }
            again
        });
        if !asked {
            return;
        }
        let (vault, answer) = (self.clone(), (self.open)());
        tokio::spawn(async move {
            let answer = tokio::time::timeout(GIVE_UP, answer).await;
            vault.settle(since, answer.unwrap_or_else(|_| Err(silent())));
        });
    }

    /// Drops the key, and whatever answer is under way; the next need asks again.
    pub fn forget(&self) {
        self.state.send_replace(State::unasked());
    }

    /// The answer to the question of `asked`, unless it was forgotten meanwhile.
    fn settle(&self, asked: Instant, answer: Result<Key, String>) {
        let settled = match answer {
            Ok(key) => {
                info!("the keyring is open");
                let key = Arc::new(key);
                if let Err(error) = os::keep_in_memory(&key[..]) {
                    info!(%error, "the key of the store may be swapped out");
                }
                State::Open(key)
            }
            Err(why) => {
                info!(why, "the keyring cannot be used");
                State::Closed {
                    why: why.into(),
                    tried: Some(Instant::now()),
                }
            }
        };
        self.state.send_if_modified(|state| {
            let is_awaited = matches!(state, State::Asking { since, .. } if *since == asked);
            if is_awaited {
                *state = settled;
            }
            is_awaited
        });
    }

    /// Returns when the vault has been opened; at once when it is.
    pub async fn opened(&self) {
        let mut state = self.state.subscribe();
        let is_open = |state: &State| matches!(state, State::Open(_));
        // We hold the sender: it is not dropped meanwhile.
        let _ = state.wait_for(is_open).await;
    }
}

/// Runs this program once more, only to ask the keyring; dropped, it is ended.
async fn in_a_child(account: Arc<str>) -> Result<Key, String> {
    let program = os::own_program().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    os::without_window(&mut command);
    let output = command
        .args([ASK_KEYRING, &account])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let mut output = output.map_err(|error| format!("the keyring cannot be asked: {error}"))?;
    let answer = keyring::read_answer(&output);
    drop(Zeroizing::new(std::mem::take(&mut output.stdout)));
    answer
}

fn silent() -> String {
    "the keyring does not answer".to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const LOCKED: &str = "the keyring is locked";

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    /// A keyring that answers the calls in this way, and how often it was asked.
    fn keyring<F>(answer: impl Fn(usize) -> F + Send + Sync + 'static) -> (Vault, Arc<AtomicUsize>)
    where
        F: Future<Output = Result<Key, String>> + Send + 'static,
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let open = move || -> BoxFuture<'static, _> {
            Box::pin(answer(count.fetch_add(1, Ordering::SeqCst)))
        };
        (Vault::new(Arc::new(open)), asked)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_keyring_is_asked_once_by_all_who_need_it() {
        let (vault, asked) = keyring(|_| async { Ok(key(7)) });
        let keys = futures_util::future::join_all((0..10).map(|_| vault.key())).await;
        assert!(keys.iter().all(|held| held.as_ref().unwrap()[0] == 7));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(vault.why_closed().await, None);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_stuck_keyring_is_waited_for_once_and_its_late_answer_counts() {
        let late = Arc::new(Notify::new());
        let released = Arc::clone(&late);
        let (vault, _) = keyring(move |_| {
            let released = Arc::clone(&released);
            async move {
                released.notified().await;
                Ok(key(1))
            }
        });
        let start = Instant::now();
        assert_eq!(vault.key().await.unwrap_err(), silent());
        assert_eq!(start.elapsed(), LIMIT);
        assert_eq!(vault.key().await.unwrap_err(), silent());
        assert_eq!(start.elapsed(), LIMIT, "the second one waits no more");
        late.notify_one();
        vault.opened().await;
        assert_eq!(vault.key().await.unwrap()[0], 1);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_keyring_that_never_answers_is_given_up_and_asked_again() {
        let (vault, asked) = keyring(|_| std::future::pending());
        assert_eq!(vault.key().await.unwrap_err(), silent());
        tokio::time::sleep(GIVE_UP + RETRY).await;
        vault.ask();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        // Meanwhile the last answer stands.
        let start = Instant::now();
        assert_eq!(vault.why_closed().await, Some(silent()));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_key_that_was_forgotten_is_asked_for_anew_and_an_answer_under_way_is_void() {
        let gate = Arc::new(Notify::new());
        let pass = Arc::clone(&gate);
        let (vault, asked) = keyring(move |time| {
            let pass = Arc::clone(&pass);
            async move {
                if time == 1 {
                    pass.notified().await;
                }
                Ok(key(u8::try_from(time).unwrap()))
            }
        });
        let first = vault.key().await.unwrap();
        vault.forget();
        assert_eq!(Arc::strong_count(&first), 1, "nobody else holds it");
        vault.ask();
        vault.forget();
        gate.notify_one();
        tokio::time::sleep(LIMIT).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert_eq!(vault.key().await.unwrap()[0], 2);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_locked_keyring_is_asked_again_but_not_at_once() {
        let (vault, asked) = keyring(|time| async move {
            if time == 0 {
                Err(LOCKED.to_owned())
            } else {
                Ok(key(2))
            }
        });
        for _ in 0..3 {
            assert_eq!(vault.key().await.unwrap_err(), LOCKED);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(RETRY).await;
        assert_eq!(vault.key().await.unwrap()[0], 2);
    }
}
