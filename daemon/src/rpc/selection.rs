//! Many targets at once: accounts, in each the first of some roles that the
//! person has there, and regions. What cannot be done in an account is a task
//! that says so, not an error of the others.

use std::collections::BTreeSet;

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{self, TaskState},
};

use super::{Services, target::missing};
use crate::{
    accounts::{Account, Roles, is_account_id, select},
    config::{self, Files, check_region},
    credentials::Role,
    jobs::{Planned, Target},
    policy::{self, Principal},
    session::Session,
};

impl Services {
    pub(super) async fn selection(
        &self,
        files: &Files,
        principal: Principal,
        selection: v1::Selection,
    ) -> Result<Vec<Planned>, Failure> {
        let reference = selection.session.unwrap_or_default();
        let resolved = config::resolve(&reference, files, &self.sessions.specs())?;
        let session = self.sessions.get(&resolved.spec);
        let mut roles = selection.roles;
        if roles.is_empty() {
            roles.extend(resolved.role);
        }
        if roles.is_empty() {
            return Err(missing("role"));
        }
        let mut regions = selection.regions;
        if regions.is_empty() {
            regions.push(resolved.region);
        }
        for region in &regions {
            check_region(region)?;
        }
        if selection.all_accounts != selection.accounts.is_empty() {
            return Err(missing("account"));
        }
        let wanted: Vec<&str> = selection
            .accounts
            .iter()
            .map(|wanted| files.settings.account(wanted))
            .collect();
        let accounts = self.meant(files, &session, &wanted, roles.len()).await?;
        let mut planned = Vec::new();
        for account in accounts {
            let role = match policy::role_for(principal, files, &account.id, &account.name) {
                Some(forced) => role_in(&account, &[forced]),
                None => role_in(&account, &roles),
            };
            for region in &regions {
                planned.push(plan(&session, &account, role.clone(), region));
            }
        }
        Ok(planned)
    }

    /// The accounts, each once; none wanted: all.
    async fn meant(
        &self,
        files: &Files,
        session: &Session,
        wanted: &[&str],
        roles: usize,
    ) -> Result<Vec<Account>, Failure> {
        // With ids and one role there is nothing to look up: AWS says what is wrong.
        if !wanted.is_empty() && roles == 1 && wanted.iter().all(|id| is_account_id(id)) {
            let ids: BTreeSet<_> = wanted.iter().collect();
            let mut accounts = Vec::new();
            for id in ids {
                let account = self.accounts.find(session, id).await?;
                accounts.push(self.named(files, session, account).await);
            }
            return Ok(accounts);
        }
        let mut listing = self.accounts.list(session, false).await?;
        let listing = listing.wait_for(|listing| listing.is_final()).await;
        let listing = match listing {
            Ok(listing) => listing.clone(),
            Err(_) => {
                return Err(Failure::new(Reason::ShuttingDown, "the daemon is stopping"));
            }
        };
        if let Some(failure) = &listing.failure {
            return Err(failure.clone());
        }
        if wanted.is_empty() {
            return Ok(listing.accounts.clone());
        }
        let mut meant = Vec::new();
        let mut seen = BTreeSet::new();
        for wanted in wanted {
            let found = select(&listing.accounts, wanted)
                .map_err(|failure| failure.with(key::SESSION, session.name()))?;
            for account in found {
                if seen.insert(account.id.clone()) {
                    meant.push(account.clone());
                }
            }
        }
        Ok(meant)
    }
}

/// The role to act as, or why there is none.
fn role_in(account: &Account, roles: &[String]) -> Result<String, (TaskState, String)> {
    match (&account.roles, roles) {
        (Roles::Known(there), _) => {
            let first = roles.iter().find(|role| there.contains(role));
            first.cloned().ok_or_else(|| {
                let what = match roles {
                    [only] => format!("you have no role {only} here"),
                    several => format!("you have none of the roles {} here", several.join(", ")),
                };
                (TaskState::Denied, what)
            })
        }
        // Not known: with one role there is nothing to choose.
        (_, [only]) => Ok(only.clone()),
        (Roles::Failed(failure), _) => Err((
            TaskState::Failed,
            format!("your roles here are not known: {}", failure.message),
        )),
        (Roles::NotAsked, _) => Err((
            TaskState::Failed,
            "your roles here are not known".to_owned(),
        )),
    }
}

fn plan(
    session: &Session,
    account: &Account,
    role: Result<String, (TaskState, String)>,
    region: &str,
) -> Planned {
    let target = role
        .map(|name| Target {
            session: session.clone(),
            role: Role {
                account: account.id.clone(),
                name,
                assumed: None,
            },
            account_name: account.name.clone(),
            region: region.to_owned(),
        })
        .map_err(|(state, detail)| {
            let others = match &account.roles {
                Roles::Known(roles) => roles.to_vec(),
                Roles::NotAsked | Roles::Failed(_) => Vec::new(),
            };
            Box::new(v1::Task {
                account_id: account.id.clone(),
                account_name: account.name.clone(),
                region: region.to_owned(),
                state: state.into(),
                detail,
                other_roles: others,
                ..v1::Task::default()
            })
        });
    Planned {
        target,
        instance: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(roles: Roles) -> Account {
        Account {
            id: "111122223333".into(),
            name: "prod".into(),
            email: String::new(),
            roles,
        }
    }

    fn role(roles: Roles, wanted: &[&str]) -> Result<String, TaskState> {
        let wanted: Vec<_> = wanted.iter().map(|role| (*role).to_owned()).collect();
        role_in(&account(roles), &wanted).map_err(|(state, _)| state)
    }

    #[test]
    fn in_each_account_the_first_role_counts_that_is_there() {
        let known = || Roles::Known(["Admin".into(), "ReadOnly".into()].into());
        assert_eq!(role(known(), &["ReadOnly", "Admin"]), Ok("ReadOnly".into()));
        assert_eq!(role(known(), &["Audit", "Admin"]), Ok("Admin".into()));
        assert_eq!(role(known(), &["Audit"]), Err(TaskState::Denied));
        let failed = || Roles::Failed(Failure::new(Reason::AwsUnavailable, "it answered 500"));
        assert_eq!(role(failed(), &["Audit"]), Ok("Audit".into()));
        assert_eq!(role(failed(), &["Audit", "Admin"]), Err(TaskState::Failed));
    }
}
