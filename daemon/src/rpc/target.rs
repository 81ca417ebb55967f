//! A target as a person writes it → the target that is meant.

use std::sync::Arc;

use awsso_proto::{Failure, Reason, error::key, v1};

use super::Services;
use crate::{
    accounts::{Account, is_account_id},
    config::{self, Files, RoleSettings, check_region},
    credentials::{Assumed, Role},
    jobs::Target,
    policy::{self, Principal},
    session::Session,
};

/// Roles that are assumed one from the other; more is a circle.
pub(super) const LONGEST_CHAIN: usize = 4;

impl Services {
    pub(super) async fn target(
        &self,
        files: &Files,
        principal: Principal,
        target: Option<v1::Target>,
    ) -> Result<Target, Failure> {
        let target = target.unwrap_or_default();
        let mut reference = target.session.unwrap_or_default();
        let configured = self.configured(files, &reference, &target.account, &target.role);
        let configured = configured.await;
        if let Some(session) = configured.and_then(|role| role.session.as_ref())
            && reference.name.is_empty()
        {
            reference.name.clone_from(session);
        }
        let resolved = config::resolve(&reference, files, &self.sessions.specs())?;
        let session = self.sessions.get(&resolved.spec);
        let of_profile = resolved
            .assumed
            .filter(|_| target.account.is_empty() && target.role.is_empty())
            .transpose()?;
        let assumed = configured.or(of_profile.as_ref());
        let region = non_empty(target.region)
            .or_else(|| assumed.and_then(|role| role.region.clone()))
            .unwrap_or(resolved.region);
        check_region(&region)?;
        let (mut role, account_name) = if let Some(assumed) = assumed {
            let role = self
                .assumed(files, &session, assumed, LONGEST_CHAIN)
                .await?;
            let account = self.account(files, &session, &role.account).await?;
            (role, account.name)
        } else {
            let account = non_empty(target.account).or(resolved.account);
            let account = account.ok_or_else(|| missing("account"))?;
            let account = self.account(files, &session, &account).await?;
            let forced = policy::role_for(principal, files, &account.id, &account.name);
            let name = forced.or(non_empty(target.role)).or(resolved.role);
            let role = Role {
                account: account.id,
                name: name.ok_or_else(|| missing("role"))?,
                assumed: None,
            };
            (role, account.name)
        };
        if let Some(name) = policy::role_for(principal, files, &role.account, &account_name) {
            role.assumed = None;
            role.name = name;
        }
        Ok(Target {
            role: held(principal, files, &session, role),
            session,
            account_name,
            region,
        })
    }

    /// The `[role]` of `config.toml` that is meant: a permission set of another account may have its name.
    async fn configured<'a>(
        &self,
        files: &'a Files,
        reference: &v1::SessionRef,
        account: &str,
        role: &str,
    ) -> Option<&'a RoleSettings> {
        let configured = files.settings.roles.get(role)?;
        let own = &configured.role_arn.account;
        let account = files.settings.account(account);
        let is_own = if account.is_empty() || account == own {
            true
        } else if is_account_id(account) {
            false
        } else {
            let mut reference = reference.clone();
            if let (Some(session), true) = (&configured.session, reference.name.is_empty()) {
                reference.name.clone_from(session);
            }
            let resolved = config::resolve(&reference, files, &self.sessions.specs()).ok()?;
            let session = self.sessions.get(&resolved.spec);
            // What is wrong with the name is said by who asks for it next.
            let named = self.accounts.find(&session, account).await;
            named.is_ok_and(|named| named.id == *own)
        };
        is_own.then_some(configured)
    }

    pub(super) async fn assumed(
        &self,
        files: &Files,
        session: &Session,
        role: &RoleSettings,
        links: usize,
    ) -> Result<Role, Failure> {
        let arn = &role.role_arn;
        let problem = |what: String| {
            let message = format!("the role {} cannot be assumed: {what}", arn.text);
            Failure::new(Reason::InvalidArgument, message)
        };
        let source = if let Some((account, name)) = role.source.rsplit_once('/') {
            let account = self.account(files, session, account).await?;
            Role {
                account: account.id,
                name: name.to_owned(),
                assumed: None,
            }
        } else {
            let source = files.settings.roles.get(&role.source).ok_or_else(|| {
                problem(format!(
                    "its source {:?} is neither ACCOUNT/ROLE nor another [role] of config.toml",
                    role.source
                ))
            })?;
            if links == 0 {
                return Err(problem(format!(
                    "its sources are more than {LONGEST_CHAIN}"
                )));
            }
            Box::pin(self.assumed(files, session, source, links - 1)).await?
        };
        Ok(Role {
            account: arn.account.clone(),
            name: arn.name.clone(),
            assumed: Some(Arc::new(Assumed {
                source,
                arn: arn.text.clone(),
                session_name: role.role_session_name.clone(),
                external_id: role.external_id.clone(),
                seconds: role.duration_seconds,
                policy: role.policy.clone(),
                policy_arns: role.policy_arns.clone(),
            })),
        })
    }

    async fn account(
        &self,
        files: &Files,
        session: &Session,
        wanted: &str,
    ) -> Result<Account, Failure> {
        let wanted = files.settings.account(wanted);
        let account = self.accounts.find(session, wanted).await?;
        Ok(self.named(files, session, account).await)
    }

    /// With its name, where rules ask about names. A name that is not found out
    /// makes them stricter, never looser.
    pub(super) async fn named(
        &self,
        files: &Files,
        session: &Session,
        account: Account,
    ) -> Account {
        if files.settings.policy.rules.ask_about_names() {
            self.with_its_name(session, account).await
        } else {
            account
        }
    }

    /// With its name, if that can be found out.
    pub(super) async fn with_its_name(&self, session: &Session, account: Account) -> Account {
        if !account.name.is_empty() {
            return account;
        }
        let Ok(mut listing) = self.accounts.list(session, false).await else {
            return account;
        };
        // An ended fetch has said its last word: it is in `borrow`.
        let _ = listing.wait_for(|l| l.all_accounts || l.is_final()).await;
        let listing = Arc::clone(&listing.borrow());
        listing.account(&account.id).cloned().unwrap_or(account)
    }
}

/// The role that work is done as: from the one that it has, an agent goes on to
/// the one that it is held to.
pub(super) fn held(principal: Principal, files: &Files, session: &Session, role: Role) -> Role {
    let Some(held) = policy::session_of(principal, files) else {
        return role;
    };
    Role {
        account: role.account.clone(),
        name: held.role_name().to_owned(),
        assumed: Some(Arc::new(Assumed {
            arn: held.role_arn(&role.account, &session.spec().region),
            source: role,
            session_name: None,
            external_id: None,
            seconds: None,
            policy: held.policy.clone(),
            policy_arns: held.policy_arns.clone(),
        })),
    }
}

pub(super) fn missing(what: &str) -> Failure {
    Failure::new(Reason::InvalidArgument, format!("no {what} is named"))
        .with(
            key::HINT,
            format!("add --{what}, or set AWS_PROFILE to a profile that names it"),
        )
        .with(key::MISSING, what)
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
