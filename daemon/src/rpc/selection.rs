//! Many targets at once: accounts, in each the first of some roles that the
//! person has there (or that `config.toml` says how to assume), and regions. What cannot be done in an account is a task
//! that says so, not an error of the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{self, TaskState},
};

use super::{
    Services,
    target::{LONGEST_CHAIN, held, missing},
};
use crate::{
    accounts::{
        Account,
        Roles::{Failed, Known, NotAsked},
        is_account_id, select,
    },
    config::{self, Files, RoleSettings, check_region},
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
        let roles = Roles {
            wanted: &roles,
            configured: &files.settings.roles,
        };
        let accounts = self.meant(files, &session, &wanted, roles).await?;
        // What agents are held to is a permission set.
        let none = BTreeMap::new();
        let mut planned = Vec::new();
        for account in accounts {
            let forced = policy::role_for(principal, files, &account.id, &account.name);
            let forced = forced.as_slice();
            let roles = match forced {
                [] => roles,
                wanted => Roles {
                    wanted,
                    configured: &none,
                },
            };
            let role = self.role(files, &session, &account, roles).await;
            let role = role.map(|role| held(principal, files, &session, role));
            for region in &regions {
                planned.push(plan(&session, &account, role.clone(), region));
            }
        }
        Ok(planned)
    }

    async fn role(
        &self,
        files: &Files,
        session: &Session,
        account: &Account,
        roles: Roles<'_>,
    ) -> Result<Role, NoRole> {
        match roles.in_account(account)? {
            Choice::PermissionSet(name) => Ok(Role {
                account: account.id.clone(),
                name: name.to_owned(),
                assumed: None,
            }),
            Choice::Assumed(settings) => self
                .assumed(files, session, settings, LONGEST_CHAIN)
                .await
                .map_err(|failure| (TaskState::Failed, failure.message)),
        }
    }

    /// The accounts, each once; none wanted: all.
    async fn meant(
        &self,
        files: &Files,
        session: &Session,
        wanted: &[&str],
        roles: Roles<'_>,
    ) -> Result<Vec<Account>, Failure> {
        // With ids and one role there is nothing to look up: AWS says what is wrong.
        if !wanted.is_empty()
            && roles.wanted.len() == 1
            && wanted.iter().all(|id| is_account_id(id))
        {
            let ids: BTreeSet<_> = wanted.iter().collect();
            let mut accounts = Vec::new();
            for id in ids {
                let account = self.accounts.find(session, id).await?;
                accounts.push(self.named(files, session, account).await);
            }
            return Ok(accounts);
        }
        let mut listing = self.accounts.list(session, false).await?;
        let listing = listing
            .wait_for(|listing| listing.is_final())
            .await
            .map(|listing| Arc::clone(&listing))
            .map_err(|_| Failure::new(Reason::ShuttingDown, "the daemon is stopping"))?;
        if let Some(failure) = &listing.failure {
            return Err(failure.clone());
        }
        if wanted.is_empty() {
            return Ok(listing.accounts.clone());
        }
        let mut meant = Vec::new();
        let mut seen = BTreeSet::new();
        for wanted in wanted {
            // Where only an assumed role leads, the portal knows of no account.
            let listed = listing.accounts.iter().any(|account| account.id == *wanted);
            if !listed && roles.lead_to(wanted) {
                if seen.insert((*wanted).to_owned()) {
                    meant.push(self.accounts.find(session, wanted).await?);
                }
                continue;
            }
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

/// The state of a task without a role, and why.
type NoRole = (TaskState, String);

/// The roles that are asked for, the best first.
#[derive(Clone, Copy)]
struct Roles<'a> {
    wanted: &'a [String],
    /// Those of `config.toml`, by name; each is of one account.
    configured: &'a BTreeMap<String, RoleSettings>,
}

#[derive(Debug, PartialEq)]
enum Choice<'a> {
    PermissionSet(&'a str),
    Assumed(&'a RoleSettings),
}

impl<'a> Roles<'a> {
    fn configured_in(self, role: &str, account: &str) -> Option<&'a RoleSettings> {
        let configured = self.configured.get(role);
        configured.filter(|role| role.role_arn.account == account)
    }

    fn lead_to(self, account: &str) -> bool {
        let mut wanted = self.wanted.iter();
        wanted.any(|role| self.configured_in(role, account).is_some())
    }

    /// The role to act as, or why there is none.
    fn in_account(self, account: &Account) -> Result<Choice<'a>, NoRole> {
        for role in self.wanted {
            if let Some(configured) = self.configured_in(role, &account.id) {
                return Ok(Choice::Assumed(configured));
            }
            let why = match &account.roles {
                Known(there) if there.contains(role) => return Ok(Choice::PermissionSet(role)),
                Known(_) => continue,
                // With one role there is nothing to choose.
                _ if self.wanted.len() == 1 => return Ok(Choice::PermissionSet(role)),
                Failed(failure) => format!("your roles here are not known: {}", failure.message),
                NotAsked => "your roles here are not known".to_owned(),
            };
            return Err((TaskState::Failed, why));
        }
        let what = match self.wanted {
            [only] => format!("you have no role {only} here"),
            several => format!("you have none of the roles {} here", several.join(", ")),
        };
        Err((TaskState::Denied, what))
    }
}

fn plan(session: &Session, account: &Account, role: Result<Role, NoRole>, region: &str) -> Planned {
    let target = role
        .map(|role| Target {
            session: session.clone(),
            role,
            account_name: account.name.clone(),
            region: region.to_owned(),
        })
        .map_err(|(state, detail)| {
            let others = match &account.roles {
                Known(roles) => roles.to_vec(),
                NotAsked | Failed(_) => Vec::new(),
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
    use crate::{accounts, config::Settings};

    fn account(roles: accounts::Roles) -> Account {
        Account {
            id: "111122223333".into(),
            name: "prod".into(),
            email: String::new(),
            roles,
        }
    }

    fn role(roles: accounts::Roles, wanted: &[&str]) -> Result<String, TaskState> {
        let text = |account| {
            format!("[role.deploy]\nsource = 'a/b'\nrole_arn = 'arn:aws:iam::{account}:role/D'\n")
        };
        let here = Settings::parse(&text("111122223333")).unwrap().roles;
        let elsewhere = Settings::parse(&text("444455556666")).unwrap().roles;
        let wanted: Vec<_> = wanted.iter().map(|role| (*role).to_owned()).collect();
        let account = account(roles);
        let choose = |configured| {
            let wanted = &wanted;
            let choice = Roles { wanted, configured }.in_account(&account);
            choice
                .map_err(|(state, _)| state)
                .map(|choice| match choice {
                    Choice::PermissionSet(name) => name.to_owned(),
                    Choice::Assumed(role) => role.role_arn.text.clone(),
                })
        };
        // One of another account's changes nothing.
        if !wanted.iter().any(|role| role == "deploy") {
            assert_eq!(choose(&here), choose(&elsewhere));
        }
        choose(&here)
    }

    #[test]
    fn in_each_account_the_first_role_counts_that_is_there() {
        let known = || Known(["Admin".into(), "ReadOnly".into()].into());
        assert_eq!(role(known(), &["ReadOnly", "Admin"]), Ok("ReadOnly".into()));
        assert_eq!(role(known(), &["Audit", "Admin"]), Ok("Admin".into()));
        assert_eq!(role(known(), &["Audit"]), Err(TaskState::Denied));
        let failed = || Failed(Failure::new(Reason::AwsUnavailable, "it answered 500").into());
        assert_eq!(role(failed(), &["Audit"]), Ok("Audit".into()));
        assert_eq!(role(failed(), &["Audit", "Admin"]), Err(TaskState::Failed));
    }

    #[test]
    fn a_role_of_the_configuration_is_there_where_its_arn_says() {
        let assumed = || Ok("arn:aws:iam::111122223333:role/D".to_owned());
        let known = || Known(["Admin".into()].into());
        assert_eq!(role(known(), &["Audit", "deploy"]), assumed());
        assert_eq!(role(known(), &["Admin", "deploy"]), Ok("Admin".into()));
        assert_eq!(role(NotAsked, &["deploy", "Admin"]), assumed());
        // Whether the first is there is not known.
        assert_eq!(role(NotAsked, &["Admin", "deploy"]), Err(TaskState::Failed));
    }
}
