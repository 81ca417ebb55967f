//! The index of accounts and roles, per session. Young: answered from memory.
//! Old: asked again, for at most two seconds, then what is there with its age.
//! One fetch at a time, joined by all who ask. A role list that failed is an
//! error of that account, never "no roles".

mod fetch;
mod index;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason, error::key};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use index::Index;

use crate::{aws::Aws, clock::Clock, limiter::Lane, session::Session};

/// Younger than this: no question to AWS.
const FRESH: Duration = Duration::from_mins(10);
/// Older: this long a caller waits for a newer one.
const REFRESH_LIMIT: Duration = Duration::from_secs(2);
/// Names that a message lists at most.
const SUGGESTIONS: usize = 10;

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
    Known(Vec<String>),
    Failed(Failure),
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
}

impl Listing {
    pub fn is_final(&self) -> bool {
        self.fetched_at.is_some() || self.failure.is_some()
    }

    fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
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
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Accounts {
    pub fn new(aws: Aws, clock: Clock, tracker: TaskTracker, index: Index) -> Self {
        Self {
            aws,
            clock,
            tracker,
            index,
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

    /// The account that a person means: an id, an alias, a name.
    pub async fn find(
        &self,
        session: &Session,
        aliases: &std::collections::BTreeMap<String, String>,
        wanted: &str,
    ) -> Result<Account, Failure> {
        let wanted = aliases.get(wanted).map_or(wanted, String::as_str);
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
        by_name(&listing.accounts, wanted)
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
            Roles::Known(roles) => Some(roles.clone()),
            Roles::NotAsked | Roles::Failed(_) => None,
        });
        match known {
            Some(roles) => Ok(roles),
            None => fetch::roles(&self.aws, session, account_id, Lane::Person).await,
        }
    }

    /// What was listed under a login that has ended is not answered any more.
    pub fn forget(&self, session: &str) {
        self.lock().remove(session);
        self.index.forget(session);
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
            let listing =
                fetch::everything(&accounts.aws, &accounts.clock, &session, &sender).await;
            if listing.failure.is_none() && accounts.take(&session, epoch, &listing) {
                let (index, spec) = (accounts.index.clone(), session.spec().clone());
                let kept = Arc::clone(&listing);
                let _ = tokio::task::spawn_blocking(move || index.keep(&spec, &kept)).await; // it logs
            }
            sender.send_replace(listing);
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

fn by_name(accounts: &[Account], wanted: &str) -> Result<Account, Failure> {
    let exact: Vec<_> = accounts
        .iter()
        .filter(|account| account.name == wanted)
        .collect();
    let loose: Vec<_> = accounts
        .iter()
        .filter(|account| {
            account.name.eq_ignore_ascii_case(wanted) || account.email.eq_ignore_ascii_case(wanted)
        })
        .collect();
    let shown = |accounts: &[&Account]| {
        let names: Vec<_> = accounts
            .iter()
            .take(SUGGESTIONS)
            .map(|account| format!("{} ({})", account.name, account.id))
            .collect();
        names.join(", ")
    };
    match (exact.as_slice(), loose.as_slice()) {
        ([only], _) | ([], [only]) => Ok((*only).clone()),
        ([], []) => {
            let lower = wanted.to_lowercase();
            let similar: Vec<_> = accounts
                .iter()
                .filter(|account| account.name.to_lowercase().contains(&lower))
                .collect();
            let hint = if similar.is_empty() {
                "run: awsso ls-accounts".to_owned()
            } else {
                format!("similar: {}", shown(&similar))
            };
            Err(Failure::new(
                Reason::NotFound,
                format!("there is no account named {wanted:?}"),
            )
            .with(key::HINT, hint))
        }
        ([], several) | (several, _) => Err(Failure::new(
            Reason::InvalidArgument,
            format!("several accounts are named {wanted:?}"),
        )
        .with(key::HINT, format!("use the id: {}", shown(several)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, name: &str) -> Account {
        Account {
            id: id.into(),
            name: name.into(),
            email: format!("{name}@example.com"),
            roles: Roles::NotAsked,
        }
    }

    #[test]
    fn a_name_is_found_exactly_then_loosely_and_an_ambiguous_one_lists_its_candidates() {
        let accounts = [
            account("111111111111", "prod"),
            account("222222222222", "Prod"),
            account("333333333333", "Staging"),
            account("444444444444", "PROD"),
        ];
        assert_eq!(by_name(&accounts, "prod").unwrap().id, "111111111111");
        assert_eq!(by_name(&accounts, "staging").unwrap().id, "333333333333");
        assert_eq!(
            by_name(&accounts, "staging@example.com").unwrap().id,
            "333333333333"
        );
        let many = by_name(&accounts, "pROD").unwrap_err();
        assert_eq!(many.reason, Reason::InvalidArgument);
        assert!(many.hint().unwrap().contains("222222222222"));
        let none = by_name(&accounts, "tag").unwrap_err();
        assert_eq!(none.reason, Reason::NotFound);
        assert!(none.hint().unwrap().contains("Staging"));
    }

    #[test]
    fn an_account_id_has_twelve_digits() {
        assert!(is_account_id("012345678901"));
        for bad in ["12345678901", "1234567890123", "12345678901a", ""] {
            assert!(!is_account_id(bad));
        }
    }
}
