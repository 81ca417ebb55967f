//! The index of accounts and roles, per session. Young: answered from memory.
//! Old: asked again, for at most two seconds, then what is there with its age.
//! One fetch at a time, joined by all who ask. A role list that failed is an
//! error of that account, never "no roles".

mod fetch;
mod index;
mod recent;
mod select;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason, error::key};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use index::Index;
pub use recent::{Recent, Use};
pub use select::select;
use select::select_one;

use crate::{aws::Aws, clock::Clock, credentials::Role, limiter::Lane, os, session::Session};

/// Younger than this: no question to AWS.
const FRESH: Duration = Duration::from_mins(10);
/// Older: this long a caller waits for a newer one.
const REFRESH_LIMIT: Duration = Duration::from_secs(2);

/// An account as the portal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    pub email: String,
    pub roles: Roles,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roles {
    NotAsked,
    /// Sorted. Thousands of accounts have a handful of such lists between them.
    Known(Arc<[String]>),
    /// Boxed: it is much larger than the others, and rare.
    Failed(Box<Failure>),
}

/// Equal lists of roles are one.
#[derive(Debug, Default)]
struct RoleLists(HashSet<Arc<[String]>>);

impl RoleLists {
    fn shared(&mut self, roles: Vec<String>) -> Arc<[String]> {
        if let Some(known) = self.0.get(roles.as_slice()) {
            return Arc::clone(known);
        }
        let roles: Arc<[String]> = roles.into();
        self.0.insert(Arc::clone(&roles));
        roles
    }
}

/// The accounts of a session, complete or on the way there.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub accounts: Vec<Account>,
    /// Every account is in; roles may still be missing.
    pub all_accounts: bool,
    /// Everything is in, since then.
    pub fetched_at: Option<SystemTime>,
    /// It ended in this instead.
    pub failure: Option<Failure>,
    /// What differs from what was known before.
    pub changes: Option<Changes>,
}

/// Accounts that came and went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    pub since: SystemTime,
    pub added: Vec<Account>,
    pub gone: Vec<Account>,
}

impl Listing {
    pub fn is_final(&self) -> bool {
        self.fetched_at.is_some() || self.failure.is_some()
    }

    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    fn changes_since(&self, before: &Self) -> Option<Changes> {
        let missing = |from: &Self, of: &Self| -> Vec<Account> {
            let there: HashSet<_> = from.accounts.iter().map(|account| &account.id).collect();
            let lacks = |account: &&Account| !there.contains(&account.id);
            of.accounts.iter().filter(lacks).cloned().collect()
        };
        let changes = Changes {
            since: before.fetched_at?,
            added: missing(before, self),
            gone: missing(self, before),
        };
        (!changes.added.is_empty() || !changes.gone.is_empty()).then_some(changes)
    }
}

#[derive(Debug, Default)]
struct Entry {
    epoch: u64,
    complete: Option<Arc<Listing>>,
    /// The last fetch; its sender is gone when it has ended.
    fetch: Option<watch::Receiver<Arc<Listing>>>,
}

/// The handle.
#[derive(Debug, Clone)]
pub struct Accounts {
    aws: Aws,
    clock: Clock,
    tracker: TaskTracker,
    index: Index,
    pub recent: Recent,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Accounts {
    pub fn new(aws: Aws, clock: Clock, tracker: TaskTracker, index: Index, recent: Recent) -> Self {
        Self {
            aws,
            clock,
            tracker,
            index,
            recent,
            entries: Arc::default(),
        }
    }

    /// The listing as it comes, ending with a final one.
    pub async fn list(
        &self,
        session: &Session,
        refresh: bool,
    ) -> Result<watch::Receiver<Arc<Listing>>, Failure> {
        self.recall(session).await;
        let known = self.complete(session).filter(|_| !refresh);
        if let Some(known) = &known
            && self.is_fresh(known)
        {
            return Ok(watch::channel(Arc::clone(known)).1);
        }
        // Who is not logged in is told so before anything is listed.
        if known.is_none() {
            session.token().await?;
        }
        let mut fetch = self.fetch(session);
        let Some(known) = known else {
            return Ok(fetch);
        };
        let newer = tokio::time::timeout(REFRESH_LIMIT, last_word(&mut fetch)).await;
        match newer {
            Ok(listing) if listing.failure.is_none() => Ok(watch::channel(listing).1),
            _ => Ok(watch::channel(known).1),
        }
    }

    /// What is known, however old; asks nobody.
    pub async fn known(&self, session: &Session) -> Option<Arc<Listing>> {
        self.recall(session).await;
        self.complete(session)
    }

    /// The account that a person means.
    pub async fn find(&self, session: &Session, wanted: &str) -> Result<Account, Failure> {
        if is_account_id(wanted) {
            let known = self
                .complete(session)
                .and_then(|listing| listing.account(wanted).cloned());
            return Ok(known.unwrap_or_else(|| Account {
                id: wanted.to_owned(),
                name: String::new(),
                email: String::new(),
                roles: Roles::NotAsked,
            }));
        }
        if wanted.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Failure::new(
                Reason::InvalidArgument,
                format!("{wanted:?} is not an account id: it has 12 digits"),
            ));
        }
        let mut listing = self.list(session, false).await?;
        // An ended fetch has said its last word: it is in `borrow`.
        let _ = listing.wait_for(|l| l.all_accounts || l.is_final()).await;
        let listing = Arc::clone(&listing.borrow());
        if let Some(failure) = &listing.failure {
            return Err(failure.clone());
        }
        select_one(&listing.accounts, wanted)
            .cloned()
            .map_err(|failure| failure.with(key::SESSION, session.name()))
    }

    /// The account's name, if it is known without asking.
    pub fn name_of(&self, session: &Session, account_id: &str) -> Option<String> {
        let listing = self.complete(session)?;
        Some(listing.account(account_id)?.name.clone())
    }

    /// The roles of one account, from the index or from AWS.
    pub async fn roles(&self, session: &Session, account_id: &str) -> Result<Vec<String>, Failure> {
        let known = self
            .complete(session)
            .filter(|listing| self.is_fresh(listing));
        let known = known.and_then(|listing| match &listing.account(account_id)?.roles {
            Roles::Known(roles) => Some(roles.to_vec()),
            Roles::NotAsked | Roles::Failed(_) => None,
        });
        match known {
            Some(roles) => Ok(roles),
            None => fetch::roles(&self.aws, session, account_id, Lane::Person).await,
        }
    }

    /// A person used a role. One that the configuration chains is not picked.
    pub fn used(&self, session: &Session, role: &Role) {
        if role.assumed.is_none() {
            self.recent.used(session.name(), &role.account, &role.name);
        }
    }

    /// What was listed under a login that has ended is not answered any more.
    pub fn forget(&self, session: &str) {
        self.lock().remove(session);
        self.index.forget(session);
        self.recent.forget(session);
    }

    /// What an earlier daemon knew, unless this one knows better.
    async fn recall(&self, session: &Session) {
        if self.lock().contains_key(session.name()) {
            return;
        }
        let (index, spec) = (self.index.clone(), session.spec().clone());
        let epoch = session.epoch();
        let known = tokio::task::spawn_blocking(move || index.load(&spec)).await;
        let complete = known.ok().flatten().map(Arc::new);
        self.lock()
            .entry(session.name().to_owned())
            .or_insert_with(|| Entry {
                epoch,
                complete,
                fetch: None,
            });
    }

    fn complete(&self, session: &Session) -> Option<Arc<Listing>> {
        self.lock()
            .get(session.name())
            .filter(|entry| entry.epoch == session.epoch())
            .and_then(|entry| entry.complete.clone())
    }

    fn is_fresh(&self, listing: &Listing) -> bool {
        let age = listing
            .fetched_at
            .and_then(|at| self.clock.now().duration_since(at).ok());
        // A clock that stepped back makes it old, not eternal.
        age.is_some_and(|age| age < FRESH)
    }

    /// Starts a fetch, or joins the one in flight.
    fn fetch(&self, session: &Session) -> watch::Receiver<Arc<Listing>> {
        let mut entries = self.lock();
        let entry = entries.entry(session.name().to_owned()).or_default();
        if entry.epoch != session.epoch() {
            *entry = Entry {
                epoch: session.epoch(),
                ..Entry::default()
            };
        }
        if let Some(fetch) = &entry.fetch
            && fetch.has_changed().is_ok()
        {
            return fetch.clone();
        }
        let (sender, receiver) = watch::channel(Arc::new(Listing::default()));
        entry.fetch = Some(receiver.clone());
        let (accounts, session, epoch) = (self.clone(), session.clone(), entry.epoch);
        self.tracker.spawn(async move {
            let mut listing =
                fetch::everything(&accounts.aws, &accounts.clock, &session, &sender).await;
            if let Some(before) = accounts.complete(&session) {
                listing.changes = listing.changes_since(&before);
            }
            let listing = Arc::new(listing);
            if listing.failure.is_none() && accounts.take(&session, epoch, &listing) {
                let (index, spec) = (accounts.index.clone(), session.spec().clone());
                let kept = Arc::clone(&listing);
                let _ = tokio::task::spawn_blocking(move || index.keep(&spec, &kept)).await; // it logs
            }
            sender.send_replace(listing);
            os::give_back();
        });
        receiver
    }

    /// `false` when the login that it was listed under has ended meanwhile.
    fn take(&self, session: &Session, epoch: u64, listing: &Arc<Listing>) -> bool {
        let mut entries = self.lock();
        let entry = entries
            .get_mut(session.name())
            .filter(|entry| entry.epoch == epoch && session.epoch() == epoch);
        entry
            .map(|entry| entry.complete = Some(Arc::clone(listing)))
            .is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The final listing of a fetch.
async fn last_word(fetch: &mut watch::Receiver<Arc<Listing>>) -> Arc<Listing> {
    match fetch.wait_for(|listing| listing.is_final()).await {
        Ok(listing) => Arc::clone(&listing),
        Err(_) => Arc::new(Listing {
            failure: Some(Failure::new(Reason::ShuttingDown, "the daemon is stopping")),
            ..Listing::default()
        }),
    }
}

pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_what_went_is_told_only_when_something_did() {
        let listing = |ids: &[&str]| Listing {
            accounts: ids
                .iter()
                .map(|id| Account {
                    id: (*id).to_owned(),
                    name: String::new(),
                    email: String::new(),
                    roles: Roles::NotAsked,
                })
                .collect(),
            fetched_at: Some(SystemTime::UNIX_EPOCH),
            ..Listing::default()
        };
        let before = listing(&["1", "2"]);
        assert_eq!(listing(&["2", "1"]).changes_since(&before), None);
        let changes = listing(&["2", "3"]).changes_since(&before).unwrap();
        assert_eq!(changes.added, listing(&["3"]).accounts);
        assert_eq!(changes.gone, listing(&["1"]).accounts);
    }

    #[test]
    fn an_account_id_has_twelve_digits() {
        assert!(is_account_id("012345678901"));
        for bad in ["12345678901", "1234567890123", "12345678901a", ""] {
            assert!(!is_account_id(bad));
        }
    }
}
