//! The broker: N callers, one `GetRoleCredentials`. Hands out credentials with a
//! good part of their life left whenever it can; forgets them on logout.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use awsso_proto::{Failure, Reason, error::key};
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::single_flight::SingleFlight;
use crate::{
    accounts::Accounts,
    aws::Aws,
    clock::Clock,
    limiter::{Fault, Lane},
    portal::{self, PortalError},
    session::Session,
};

/// SDKs refresh with less than this left, and would ask again for each request.
const MARGIN: Duration = Duration::from_mins(15);
/// While AWS cannot be reached, credentials serve until this before their end.
const LAST_MARGIN: Duration = Duration::from_mins(1);
/// Listing the roles that would work must not hold up the error for long.
const EXPLAIN_LIMIT: Duration = Duration::from_secs(5);

/// Credentials of one account and role.
#[derive(Debug, Clone)]
pub struct RoleCredentials {
    /// Redacts itself, and is zeroed when the last clone goes.
    pub credentials: Credentials,
    pub expires_at: SystemTime,
    margin: Duration,
    /// The session's, when the keys were fetched: another login may be another person.
    epoch: u64,
}

impl RoleCredentials {
    fn is_good(&self, now: SystemTime) -> bool {
        now + self.margin < self.expires_at
    }

    fn is_alive(&self, now: SystemTime) -> bool {
        now + LAST_MARGIN.min(self.margin) < self.expires_at
    }

    /// The same keys, not merely the same role.
    pub fn is_same(&self, other: &Self) -> bool {
        self.credentials.access_key_id() == other.credentials.access_key_id()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RoleKey {
    session: String,
    account: String,
    role: String,
}

/// The handle.
#[derive(Debug, Clone)]
pub struct Broker {
    aws: Aws,
    clock: Clock,
    accounts: Accounts,
    flight: SingleFlight<RoleKey, RoleCredentials>,
}

impl Broker {
    pub fn new(aws: Aws, clock: Clock, accounts: Accounts, tracker: TaskTracker) -> Self {
        Self {
            aws,
            clock,
            accounts,
            flight: SingleFlight::new(tracker),
        }
    }

    /// Credentials that work now, from memory or from the portal.
    pub async fn get(
        &self,
        session: &Session,
        account: &str,
        role: &str,
    ) -> Result<RoleCredentials, Failure> {
        let key = RoleKey {
            session: session.name().to_owned(),
            account: account.to_owned(),
            role: role.to_owned(),
        };
        let epoch = session.epoch();
        let held = self.flight.peek(&key).filter(|held| held.epoch == epoch);
        let good = |held: &RoleCredentials| held.epoch == epoch && held.is_good(self.clock.now());
        self.flight
            .get(&key, good, || {
                let (broker, session, key) = (self.clone(), session.clone(), key.clone());
                async move { broker.load(&session, &key, held).await }
            })
            .await
    }

    /// AWS refused these very keys: the next caller gets others.
    pub fn reject(&self, session: &Session, account: &str, role: &str, bad: &RoleCredentials) {
        let key = RoleKey {
            session: session.name().to_owned(),
            account: account.to_owned(),
            role: role.to_owned(),
        };
        self.flight.forget_value(&key, |held| held.is_same(bad));
    }

    /// How many credentials of a session are in memory and alive.
    pub fn held(&self, session: &str) -> u32 {
        let now = self.clock.now();
        let held = self
            .flight
            .count(|key, held| key.session == session && now < held.expires_at);
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// Drops everything of a session.
    pub fn forget(&self, session: &str) {
        self.flight.forget(|key| key.session == session);
    }

    async fn load(
        &self,
        session: &Session,
        key: &RoleKey,
        held: Option<RoleCredentials>,
    ) -> Result<RoleCredentials, Failure> {
        let loaded = portal::call(
            &self.aws,
            session,
            "GetRoleCredentials",
            Lane::Person,
            |client, access| {
                client
                    .get_role_credentials()
                    .access_token(access)
                    .account_id(&key.account)
                    .role_name(&key.role)
                    .send()
            },
        )
        .await;
        match loaded {
            Ok((output, epoch)) => {
                let credentials = self.taken(output, key, epoch)?;
                if session.epoch() != epoch {
                    return Err(Failure::new(
                        Reason::LoginRequired,
                        format!(
                            "the login to {} was ended or replaced meanwhile",
                            session.name()
                        ),
                    ));
                }
                debug!(account = %key.account, role = %key.role, "new role credentials");
                Ok(credentials)
            }
            Err(PortalError::Aws(Fault::Refused {
                status: 400 | 403 | 404,
                code,
                message,
            })) => Err(self.explain(session, key, &code, &message).await),
            Err(error) => {
                // Keys outlive the login and a short outage.
                let alive = held.filter(|held| held.is_alive(self.clock.now()));
                alive.ok_or_else(|| error.into()).inspect(|_| {
                    info!(account = %key.account, role = %key.role, "AWS gives no new credentials; the old ones serve to their end");
                })
            }
        }
    }

    fn taken(
        &self,
        output: aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsOutput,
        key: &RoleKey,
        epoch: u64,
    ) -> Result<RoleCredentials, Failure> {
        let keys = output.role_credentials;
        let parts = keys.and_then(|keys| {
            let expiration = u64::try_from(keys.expiration).ok().filter(|at| *at > 0)?;
            Some((
                keys.access_key_id?,
                keys.secret_access_key?,
                keys.session_token?,
                SystemTime::UNIX_EPOCH + Duration::from_millis(expiration),
            ))
        });
        let Some((id, secret, token, expires_at)) = parts else {
            return Err(Failure::new(
                Reason::AwsUnavailable,
                "AWS sent incomplete role credentials",
            ));
        };
        let life = expires_at
            .duration_since(self.clock.now())
            .unwrap_or_default();
        let credentials = Credentials::builder()
            .access_key_id(id)
            .secret_access_key(secret)
            .session_token(token)
            .expiry(expires_at)
            .account_id(key.account.as_str())
            .provider_name("awsso")
            .build();
        Ok(RoleCredentials {
            credentials,
            expires_at,
            margin: MARGIN.min(life / 4),
            epoch,
        })
    }

    /// The portal says only "no": whether it is the account or the role is worth
    /// one more question.
    async fn explain(
        &self,
        session: &Session,
        key: &RoleKey,
        code: &str,
        message: &str,
    ) -> Failure {
        let RoleKey { account, role, .. } = key;
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
