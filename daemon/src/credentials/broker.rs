//! The broker: N callers, one `GetRoleCredentials`. Hands out credentials with a
//! good part of their life left whenever it can, and renews what is in use before
//! anybody has to wait for it; forgets them on logout.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason, error::key};
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::{
    Role,
    keys::{Keys, RoleCredentials},
    locker::Locker,
    single_flight::{SingleFlight, Worth},
};
use crate::{
    accounts::Accounts,
    aws::Aws,
    clock::Clock,
    limiter::{Fault, Lane, Limiters},
    os,
    policy::Redactor,
    portal::{self, PortalError},
    session::{Session, locked_failure},
};

/// So many loads leave something to give back.
const RUSH: usize = 100;
/// Listing the roles that would work must not hold up the error for long.
const EXPLAIN_LIMIT: Duration = Duration::from_secs(5);

/// Whose credentials, in a form that is no block of its own: thousands are held. Hashes,
/// keyed for this process; 128 bits of the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RoleKey {
    session: u64,
    role: [u64; 2],
}

#[derive(Debug, Clone, Default)]
struct RoleKeys([RandomState; 2]);

impl RoleKeys {
    fn of(&self, session: &Session, role: &Role) -> RoleKey {
        RoleKey {
            session: self.of_session(session.name()),
            role: [self.0[0].hash_one(role), self.0[1].hash_one(role)],
        }
    }

    fn of_session(&self, name: &str) -> u64 {
        self.0[0].hash_one(name)
    }
}

/// The handle.
#[derive(Debug, Clone)]
pub struct Broker {
    pub(super) aws: Aws,
    pub(super) clock: Clock,
    accounts: Accounts,
    pub(super) limiters: Limiters,
    redactor: Redactor,
    locker: Locker,
    keys: RoleKeys,
    flight: SingleFlight<RoleKey, RoleCredentials>,
    rush: Arc<Rush>,
}

/// Loads that come together: what thousands of calls needed is given back at the end.
#[derive(Debug, Default)]
struct Rush {
    loading: AtomicUsize,
    loaded: AtomicUsize,
}

impl Rush {
    fn begins(&self) {
        self.loading.fetch_add(1, Ordering::Relaxed);
    }

    fn ends(&self) {
        let loaded = self.loaded.fetch_add(1, Ordering::Relaxed) + 1;
        if self.loading.fetch_sub(1, Ordering::Relaxed) == 1 && loaded >= RUSH {
            self.loaded.store(0, Ordering::Relaxed);
            os::give_back();
        }
    }
}

impl Broker {
    pub fn new(
        aws: Aws,
        clock: Clock,
        accounts: Accounts,
        limiters: Limiters,
        redactor: Redactor,
        tracker: TaskTracker,
    ) -> Self {
        Self {
            aws,
            clock,
            accounts,
            limiters,
            redactor,
            locker: Locker::default(),
            keys: RoleKeys::default(),
            flight: SingleFlight::new(tracker),
            rush: Arc::default(),
        }
    }

    /// Credentials that work now, from memory or from AWS.
    pub async fn get(&self, session: &Session, role: &Role) -> Result<RoleCredentials, Failure> {
        let key = self.keys.of(session, role);
        let epoch = session.epoch();
        let worth = |held: &RoleCredentials| {
            if held.epoch() == epoch {
                held.worth(self.clock.now())
            } else {
                Worth::Nothing
            }
        };
        let got = self
            .flight
            .get(&key, worth, |held| {
                let (broker, session, role) = (self.clone(), session.clone(), role.clone());
                let held = held.filter(|held| held.epoch() == epoch);
                async move {
                    broker.rush.begins();
                    let loaded = broker.load(&session, &role, held).await;
                    broker.rush.ends();
                    loaded
                }
            })
            .await;
        match got {
            // Whoever waited while it was locked is not told of a logout.
            Err(failure) if failure.reason == Reason::LoginRequired && session.is_locked() => {
                Err(locked_failure().with(key::SESSION, session.name()))
            }
            got => got,
        }
    }

    /// AWS refused these very keys: the next caller gets others.
    pub fn reject(&self, session: &Session, role: &Role, bad: &RoleCredentials) {
        let key = self.keys.of(session, role);
        self.flight.forget_value(&key, |held| held.is_same(bad));
    }

    /// How many credentials of a session are in memory and alive.
    pub fn held(&self, session: &str) -> u32 {
        let now = self.clock.now();
        let session = self.keys.of_session(session);
        let held = self
            .flight
            .count(|key, held| key.session == session && now < held.expires_at());
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// Drops everything of a session.
    pub fn forget(&self, session: &str) {
        let session = self.keys.of_session(session);
        self.flight.forget(|key| key.session == session);
    }

    /// Drops everything; what is being loaded reaches nobody.
    pub fn forget_all(&self) {
        self.flight.forget(|_| true);
    }

    async fn load(
        &self,
        session: &Session,
        role: &Role,
        held: Option<RoleCredentials>,
    ) -> Result<RoleCredentials, Failure> {
        let loaded = match &role.assumed {
            Some(assumed) => self.assume(session, role, assumed).await,
            None => self.ask_portal(session, role).await,
        };
        match loaded {
            Ok(credentials) if session.epoch() != credentials.epoch() => Err(Failure::new(
                Reason::LoginRequired,
                format!(
                    "the login to {} was ended or replaced meanwhile",
                    session.name()
                ),
            )),
            Ok(credentials) => {
                debug!(account = %role.account, role = %role.name, "new role credentials");
                Ok(credentials)
            }
            // Keys outlive the login and a short outage, not a refusal.
            Err(failure) if failure.reason == Reason::AccessDenied => Err(failure),
            Err(failure) => {
                let alive = held.filter(|held| held.is_alive(self.clock.now()));
                alive.ok_or(failure).inspect(|_| {
                    info!(account = %role.account, role = %role.name, "AWS gives no new credentials; the old ones serve to their end");
                })
            }
        }
    }

    async fn ask_portal(&self, session: &Session, role: &Role) -> Result<RoleCredentials, Failure> {
        let loaded = portal::call(
            &self.aws,
            session,
            "GetRoleCredentials",
            Lane::Person,
            |client, access| {
                client
                    .get_role_credentials()
                    .access_token(access)
                    .account_id(&role.account)
                    .role_name(&role.name)
                    .send()
            },
        )
        .await;
        match loaded {
            Ok((output, epoch)) => {
                let keys = output.role_credentials.map(|keys| {
                    let expiration = u64::try_from(keys.expiration).ok().filter(|at| *at > 0);
                    Keys {
                        access_key_id: keys.access_key_id,
                        secret_access_key: keys.secret_access_key,
                        session_token: keys.session_token,
                        expires_at: expiration
                            .map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at)),
                    }
                });
                self.taken(keys, epoch)
            }
            Err(PortalError::Aws(Fault::Refused {
                status: 400 | 403 | 404,
                code,
                message,
            })) => Err(self.explain(session, role, &code, &message).await),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn taken(&self, keys: Option<Keys>, epoch: u64) -> Result<RoleCredentials, Failure> {
        let now = self.clock.now();
        let held = keys
            .and_then(|keys| RoleCredentials::new(keys, epoch, now, &self.locker, &self.redactor));
        held.ok_or_else(|| {
            let message = "AWS sent incomplete role credentials";
            Failure::new(Reason::AwsUnavailable, message)
        })
    }

    /// The portal says only "no": whether it is the account or the role is worth
    /// one more question.
    async fn explain(&self, session: &Session, role: &Role, code: &str, message: &str) -> Failure {
        let Role {
            account,
            name: role,
            ..
        } = role;
        let roles = self.accounts.roles(session, account);
        let roles = match tokio::time::timeout(EXPLAIN_LIMIT, roles).await {
            Ok(Ok(roles)) => roles,
            _ => Vec::new(),
        };
        let name = self.accounts.name_of(session, account);
        let place = match &name {
            Some(name) => format!("account {account} ({name})"),
            None => format!("account {account}"),
        };
        let failure = if roles.is_empty() {
            Failure::new(
                Reason::AccessDenied,
                format!(
                    "{place} is not among your accounts in {}, or you have no role in it",
                    session.name()
                ),
            )
            .with(key::HINT, "run: awsso ls-accounts")
        } else if roles.contains(role) {
            Failure::new(
                Reason::AccessDenied,
                format!("AWS refuses role {role} in {place} ({code}: {message})"),
            )
        } else {
            Failure::new(
                Reason::AccessDenied,
                format!("you have no role {role} in {place}"),
            )
        };
        let others: Vec<_> = roles
            .iter()
            .filter(|other| *other != role)
            .map(String::as_str)
            .collect();
        failure
            .with(key::SESSION, session.name())
            .with(key::ACCOUNT, account)
            .with(key::ACCOUNT_NAME, name.unwrap_or_default())
            .with(key::ROLES, others.join(","))
    }
}
