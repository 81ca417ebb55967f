//! The secrets that are in use, as fingerprints: of each secret the windows of
//! [`WINDOW`] letters, hashed with a key of this process. Nothing of a secret
//! is kept, so nothing has to be zeroed when it goes.
//!
//! They are looked for in all that a text can be read as ([`letters`]).
//! So a secret is found as it is, in Base64, URL-encoded and JSON-escaped, whole
//! or in part: of a key every part of 19 letters, of a token every part of 31, up
//! to the last 3 or 15 letters of a part. Who turns a secret into hexadecimal,
//! reverses it or spells it out is not followed.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::{
    Marks,
    letters::{self, Row, WINDOW},
    windows::{Window, Windows},
};
use crate::clock::Clock;

/// A secret up to this long is a key: all of it is in few letters.
const KEY_LETTERS: usize = 128;
/// From one window to the next, of a key and of a token. A part that is no
/// longer than a window and a step may go unseen.
const KEY_STEP: usize = 4;
const TOKEN_STEP: usize = WINDOW;
/// What was replaced or forgotten may still be printed, or be read again.
const LINGER: Duration = Duration::from_hours(1);
/// How often fingerprints of secrets that have gone are looked for, when others come.
const TIDY_EVERY: Duration = Duration::from_mins(10);
/// The broker's 10,000 roles, twice. More cannot be told apart in memory that is
/// bounded: then nothing is shown.
const MAX_WINDOWS: usize = 2 << 20;

/// Shared by who has secrets and who masks them.
#[derive(Clone)]
pub(super) struct Index(Arc<Shared>);

struct Shared {
    clock: Clock,
    held: RwLock<Held>,
}

/// Secrets are known for as long as this lives, and a while longer.
pub struct Known {
    index: Index,
    secrets: u64,
}

struct Held {
    key: [u64; 3],
    windows: Windows,
    /// What belongs together, by its digest.
    secrets: HashMap<u64, Life>,
    /// Numbers below `unused` that are nobody's.
    free: Vec<u16>,
    unused: u16,
    tidied_at: SystemTime,
    overflowed: bool,
}

/// By how many the secrets are held; until when they stay after that.
struct Life {
    until: SystemTime,
    holders: AtomicU32,
    /// What their windows are marked with. The last one is shared by all that come
    /// when the others are in use.
    number: u16,
}

impl Index {
    pub(super) fn new(clock: Clock) -> Self {
        let bytes = crate::random_bytes::<24>().expect("the system gives random bytes");
        let word = |at: usize| {
            let word = bytes[at * 8..][..8].try_into().expect("eight bytes");
            u64::from_le_bytes(word)
        };
        let held = Held {
            key: [word(0), word(1), word(2)],
            windows: Windows::default(),
            secrets: HashMap::new(),
            free: Vec::new(),
            unused: 0,
            tidied_at: clock.now(),
            overflowed: false,
        };
        Self(Arc::new(Shared {
            clock,
            held: RwLock::new(held),
        }))
    }

    /// `ends_at`: when the secrets are worth nothing any more.
    pub(super) fn know(&self, secrets: &[&str], ends_at: Option<SystemTime>) -> Known {
        let mut digest = Sha256::new();
        for secret in secrets {
            digest.update(secret);
            digest.update([0]);
        }
        let id = u64::from_le_bytes(digest.finalize()[..8].try_into().expect("eight bytes"));
        let held = &self.0.held;
        let mut held = held.write().unwrap_or_else(PoisonError::into_inner);
        held.hold(id, secrets, ends_at, self.0.clock.now());
        drop(held);
        Known {
            index: self.clone(),
            secrets: id,
        }
    }

    /// Marks every letter of a known secret; returns from where on a secret may
    /// have begun whose rest is still to come.
    pub(super) fn mark(&self, text: &[u8], whole: bool, marks: &mut Marks) -> usize {
        let held = &self.0.held;
        let held = held.read().unwrap_or_else(PoisonError::into_inner);
        if held.overflowed {
            marks.add(0..text.len());
        }
        Row::read(text, whole, |window| held.knows(window), marks)
    }
}

impl Clone for Known {
    fn clone(&self) -> Self {
        let held = &self.index.0.held;
        let held = held.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(life) = held.secrets.get(&self.secrets) {
            life.holders.fetch_add(1, Ordering::Relaxed);
        }
        drop(held);
        Self {
            index: self.index.clone(),
            ..*self
        }
    }
}

impl Drop for Known {
    /// Keys are handed out all the time, while texts are looked at: only the last to go
    /// keeps others out.
    fn drop(&mut self) {
        let shared = &self.index.0;
        let held = &shared.held;
        let others = {
            let held = held.read().unwrap_or_else(PoisonError::into_inner);
            let life = held.secrets.get(&self.secrets);
            life.is_some_and(Life::one_of_many_goes)
        };
        if others {
            return;
        }
        let until = shared.clock.now() + LINGER;
        let mut held = held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(life) = held.secrets.get_mut(&self.secrets) {
            *life.holders.get_mut() -= 1;
            life.until = life.until.max(until);
        }
    }
}

impl Life {
    /// `false`: it is the last one, and stays.
    fn one_of_many_goes(&self) -> bool {
        let less = |holders: u32| (holders > 1).then(|| holders - 1);
        let went = self
            .holders
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        went.is_ok()
    }
}

// A fingerprint is nobody's business either.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known(..)")
    }
}

impl Held {
    fn hold(&mut self, id: u64, secrets: &[&str], ends_at: Option<SystemTime>, now: SystemTime) {
        let until = ends_at.unwrap_or(now);
        if now >= self.tidied_at + TIDY_EVERY || self.overflowed {
            self.tidy(now);
        }
        if let Some(life) = self.secrets.get_mut(&id) {
            *life.holders.get_mut() += 1;
            life.until = life.until.max(until);
            return;
        }
        let number = self.number();
        let life = Life {
            until,
            holders: AtomicU32::new(1),
            number,
        };
        self.secrets.insert(id, life);
        for secret in secrets {
            self.remember(secret, number);
        }
        if self.windows.len() > MAX_WINDOWS && !self.overflowed {
            warn!("too many secrets are in use: agents see no output");
            self.overflowed = true;
        }
    }

    fn remember(&mut self, secret: &str, number: u16) {
        let letters = letters::of(secret.as_bytes());
        let step = match letters.len() {
            ..=KEY_LETTERS => KEY_STEP,
            _ => TOKEN_STEP,
        };
        let steps = letters.windows(WINDOW).step_by(step);
        for window in steps.chain(letters.last_chunk::<WINDOW>().map(|last| &last[..])) {
            let hash = self.hash(window);
            self.windows.insert(Window::new(hash, number));
        }
    }

    fn number(&mut self) -> u16 {
        self.free.pop().unwrap_or_else(|| {
            let fresh = self.unused;
            self.unused = fresh.saturating_add(1);
            fresh
        })
    }

    fn tidy(&mut self, now: SystemTime) {
        self.tidied_at = now;
        self.secrets
            .retain(|_, life| *life.holders.get_mut() > 0 || now < life.until);
        let numbers = self.secrets.values().map(|life| life.number);
        let used: HashSet<u16> = numbers.collect();
        self.windows
            .retain(|window| used.contains(&window.number()));
        let free = (0..self.unused).filter(|number| !used.contains(number));
        self.free = free.collect();
        self.overflowed = self.windows.len() > MAX_WINDOWS;
    }

    fn knows(&self, window: &[u8]) -> bool {
        self.windows.contains(self.hash(window))
    }

    /// Two multiplications of 64 by 64 bits, folded.
    fn hash(&self, window: &[u8]) -> u64 {
        let word = |at: usize| {
            let word = window[at..at + 8].try_into().expect("a whole window");
            u64::from_le_bytes(word)
        };
        let first = fold(word(0) ^ self.key[0], word(8) ^ self.key[1]);
        fold(first ^ self.key[2], self.key[1])
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}
