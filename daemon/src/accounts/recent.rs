//! The roles that a person used lately, newest first, per session: what a picker
//! offers first. Kept for the next daemon; nothing secret.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use awsso_proto::disk;
use serde::{Deserialize, Serialize};

/// Of one session; more would not be looked through.
const MOST: usize = 20;

/// An account's id and a role in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub account: String,
    pub role: String,
}

/// The handle.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<BTreeMap<String, Vec<Use>>>>);

impl Recent {
    /// As a file remembers it; a bad file remembers nothing.
    pub fn remembered(file: &Path) -> Self {
        let uses = std::fs::read(file).ok();
        let uses = uses.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self(Arc::new(Mutex::new(uses.unwrap_or_default())))
    }

    /// For the next daemon.
    pub fn remember(&self, file: &Path) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(&*self.lock())?;
        disk::replace(file, &bytes)
    }

    pub fn used(&self, session: &str, account: &str, role: &str) {
        let mut uses = self.lock();
        if !uses.contains_key(session) {
            uses.insert(session.to_owned(), Vec::new());
        }
        let Some(of_session) = uses.get_mut(session) else {
            return;
        };
        let is = |used: &Use| used.account == account && used.role == role;
        if let Some(at) = of_session.iter().position(is) {
            of_session[..=at].rotate_right(1);
        } else {
            of_session.truncate(MOST - 1);
            let latest = Use {
                account: account.to_owned(),
                role: role.to_owned(),
            };
            of_session.insert(0, latest);
        }
    }

    pub fn of(&self, session: &str) -> Vec<Use> {
        self.lock().get(session).cloned().unwrap_or_default()
    }

    /// Another login may be another person.
    pub fn forget(&self, session: &str) {
        self.lock().remove(session);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Use>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(recent: &Recent) -> Vec<String> {
        let uses = recent.of("corp").into_iter();
        uses.map(|used| used.role).collect()
    }

    #[test]
    fn what_was_used_last_comes_first_and_once() {
        let recent = Recent::default();
        for role in ["A", "B", "C", "A", "A"] {
            recent.used("corp", "111122223333", role);
        }
        assert_eq!(roles(&recent), ["A", "C", "B"]);
        recent.used("other", "111122223333", "D");
        assert_eq!(roles(&recent), ["A", "C", "B"]);
        for number in 0..100 {
            recent.used("corp", "111122223333", &number.to_string());
        }
        assert_eq!(roles(&recent).len(), MOST);
        assert_eq!(roles(&recent)[0], "99");
        recent.forget("corp");
        assert!(roles(&recent).is_empty());
    }

    #[test]
    fn the_next_daemon_knows_it_and_a_damaged_file_is_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("recent.json");
        let recent = Recent::remembered(&file);
        recent.used("corp", "111122223333", "A");
        recent.remember(&file).unwrap();
        assert_eq!(roles(&Recent::remembered(&file)), ["A"]);
        std::fs::write(&file, "{").unwrap();
        assert!(roles(&Recent::remembered(&file)).is_empty());
    }
}
