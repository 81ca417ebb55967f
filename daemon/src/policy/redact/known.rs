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
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::{
    Marks,
    letters::{self, Row, WINDOW},
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
/// Bits of the sieve per window: a text without secrets gets through it only here.
const SIEVE: usize = 16;

/// Shared by who has secrets and who masks them.
#[derive(Clone)]
pub(super) struct Index {
    clock: Clock,
    held: Arc<RwLock<Held>>,
}

/// A secret is known for as long as this lives, and a while longer.
pub struct Known {
    index: Index,
    secret: u64,
    ends_at: Option<SystemTime>,
}

struct Held {
    key: [u64; 3],
    /// Which secret a window is of.
    windows: HashMap<u64, u64, BuildHasherDefault<AsItIs>>,
    secrets: HashMap<u64, Life>,
    sieve: Vec<u64>,
    tidied_at: SystemTime,
    overflowed: bool,
}

/// By how many a secret is held; until when it stays after that.
struct Life {
    holders: usize,
    until: SystemTime,
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
            windows: HashMap::default(),
            secrets: HashMap::new(),
            sieve: vec![0; 1 << 10],
            tidied_at: clock.now(),
            overflowed: false,
        };
        Self {
            clock,
            held: Arc::new(RwLock::new(held)),
        }
    }

    /// `ends_at`: when the secret is worth nothing any more.
    pub(super) fn know(&self, secret: &str, ends_at: Option<SystemTime>) -> Known {
        let digest = Sha256::digest(secret);
        let id = u64::from_le_bytes(digest[..8].try_into().expect("eight bytes"));
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.hold(id, secret, self.clock.now());
        drop(held);
        Known {
            index: self.clone(),
            secret: id,
            ends_at,
        }
    }

    /// Marks every letter of a known secret; returns from where on a secret may
    /// have begun whose rest is still to come.
    pub(super) fn mark(&self, text: &[u8], whole: bool, marks: &mut Marks) -> usize {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.overflowed {
            marks.add(0..text.len());
        }
        Row::read(text, whole, |window| held.knows(window), marks)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let until = self.index.clock.now() + LINGER;
        let held = &self.index.held;
        let mut held = held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(life) = held.secrets.get_mut(&self.secret) {
            life.holders -= 1;
            life.until = life.until.max(self.ends_at.unwrap_or(until).max(until));
        }
    }
}

// A fingerprint is nobody's business either.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known(..)")
    }
}

impl Held {
    fn hold(&mut self, id: u64, secret: &str, now: SystemTime) {
        if now >= self.tidied_at + TIDY_EVERY || self.overflowed {
            self.tidy(now);
        }
        if let Some(life) = self.secrets.get_mut(&id) {
            life.holders += 1;
            return;
        }
        let (holders, until) = (1, now);
        self.secrets.insert(id, Life { holders, until });
        let letters = letters::of(secret.as_bytes());
        let step = match letters.len() {
            ..=KEY_LETTERS => KEY_STEP,
            _ => TOKEN_STEP,
        };
        let steps = letters.windows(WINDOW).step_by(step);
        for window in steps.chain(letters.last_chunk::<WINDOW>().map(|last| &last[..])) {
            let hash = self.hash(window);
            self.windows.insert(hash, id);
            self.sift(hash);
        }
        if self.windows.len() * SIEVE > self.sieve.len() * 64 {
            self.renew_sieve();
        }
        if self.windows.len() > MAX_WINDOWS && !self.overflowed {
            warn!("too many secrets are in use: agents see no output");
            self.overflowed = true;
        }
    }

    fn tidy(&mut self, now: SystemTime) {
        self.tidied_at = now;
        self.secrets
            .retain(|_, life| life.holders > 0 || now < life.until);
        let secrets = &self.secrets;
        self.windows.retain(|_, id| secrets.contains_key(id));
        self.windows.shrink_to(self.windows.len() * 2);
        self.renew_sieve();
        self.overflowed = self.windows.len() > MAX_WINDOWS;
    }

    fn renew_sieve(&mut self) {
        let bits = (self.windows.len() * SIEVE * 2).next_power_of_two();
        self.sieve = vec![0; (bits / 64).max(1 << 10)];
        let hashes: Vec<u64> = self.windows.keys().copied().collect();
        for hash in hashes {
            self.sift(hash);
        }
    }

    fn sift(&mut self, hash: u64) {
        let (word, bit) = self.place(hash);
        self.sieve[word] |= bit;
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let bits = self.sieve.len() * 64; // a power of two
        let at = usize::try_from(hash & (bits as u64 - 1)).unwrap_or_default();
        (at / 64, 1 << (at % 64))
    }

    fn knows(&self, window: &[u8]) -> bool {
        let hash = self.hash(window);
        let (word, bit) = self.place(hash);
        self.sieve[word] & bit != 0 && self.windows.contains_key(&hash)
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

/// A hash is its own.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
