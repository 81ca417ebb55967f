//! What there is to choose from: accounts and roles as the daemon lists them,
//! in the order in which a person wants them.

use std::{collections::BTreeMap, fmt};

use awsso_proto::v1::{Account, ListAccountsRequest, RecentRole};

use crate::{
    args::TargetArgs, context::Context, exit::Stop, progress::Progress, render::printable,
};

/// Roles of the past above the accounts; more would hide them.
const MOST_RECENT: usize = 5;

/// What the daemon knows.
#[derive(Default)]
pub(super) struct Listed {
    pub accounts: Vec<Account>,
    pub recent: Vec<RecentRole>,
}

impl Listed {
    pub async fn ask(context: &Context, named: &TargetArgs) -> Result<Self, Stop> {
        let client = context.connect().await?;
        let request = ListAccountsRequest {
            session: Some(context.session.clone()),
            account: named.account.clone().unwrap_or_default(),
            ..ListAccountsRequest::default()
        };
        let (mut accounts, mut recent) = (BTreeMap::new(), Vec::new());
        let collect = async {
            let mut pages = client.accounts().list(request).await?.into_inner();
            while let Some(page) = pages.message().await? {
                let is_complete = page.fetched_at.is_some();
                recent = page.recent;
                let mut has_roles = false;
                for account in page.accounts {
                    has_roles |= account.roles_known;
                    accounts.insert(account.account_id.clone(), account);
                }
                // The first roles come when all accounts are in. Those of the one
                // that is chosen are sooner asked for alone.
                if has_roles && !is_complete && named.account.is_none() && named.role.is_none() {
                    break;
                }
            }
            Ok::<_, Stop>(())
        };
        Progress::new("asking AWS for the accounts")
            .over(collect)
            .await?;
        let mut accounts: Vec<_> = accounts.into_values().collect();
        accounts.sort_by_cached_key(|account| account.account_name.to_lowercase());
        Ok(Self { accounts, recent })
    }

    /// Those that have the role, when one is named; else all, and above them
    /// whole targets of the past.
    pub fn account_choices(&self, role: Option<&str>) -> Vec<Choice<'_>> {
        let Some(role) = role else {
            let all = self.accounts.iter().map(Choice::account);
            return self.targets().take(MOST_RECENT).chain(all).collect();
        };
        let mut fitting: Vec<_> = self
            .accounts
            .iter()
            .filter(|account| account.roles.iter().any(|has| has == role))
            .collect();
        fitting.sort_by_cached_key(|account| last_use(&self.recent, account, role));
        fitting.into_iter().map(Choice::account).collect()
    }

    /// What was used lately and, as far as is known, is still there.
    fn targets(&self) -> impl Iterator<Item = Choice<'_>> {
        self.recent.iter().filter_map(|used| {
            let mut accounts = self.accounts.iter();
            let account = accounts.find(|account| account.account_id == used.account_id)?;
            let is_there = !account.roles_known || account.roles.contains(&used.role_name);
            is_there.then(|| Choice::target(account, &used.role_name))
        })
    }
}

/// The roles of an account, those of the past first.
pub(super) fn role_choices(account: &Account, recent: &[RecentRole]) -> Vec<String> {
    let mut roles = account.roles.clone();
    roles.sort_by_cached_key(|role| last_use(recent, account, role));
    roles
}

/// The smaller, the later.
fn last_use(recent: &[RecentRole], account: &Account, role: &str) -> usize {
    recent
        .iter()
        .position(|used| used.account_id == account.account_id && used.role_name == role)
        .unwrap_or(usize::MAX)
}

/// An account, or a role in it, as a person sees it.
pub(super) struct Choice<'a> {
    pub account: &'a Account,
    pub role: Option<&'a str>,
    text: String,
}

impl<'a> Choice<'a> {
    pub fn account(account: &'a Account) -> Self {
        let text = format!("{}  {}", named(account), account.email_address);
        Self {
            account,
            role: None,
            text: printable(text.trim_end()),
        }
    }

    fn target(account: &'a Account, role: &'a str) -> Self {
        Self {
            account,
            role: Some(role),
            text: printable(&format!("{} · {role}", named(account))),
        }
    }
}

impl fmt::Display for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(super) fn named(account: &Account) -> String {
    format!("{} ({})", account.account_name, account.account_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, name: &str, roles: &[&str]) -> Account {
        Account {
            account_id: id.into(),
            account_name: name.into(),
            email_address: format!("{name}@x"),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            roles_known: true,
            ..Account::default()
        }
    }

    fn used(id: &str, role: &str) -> RecentRole {
        RecentRole {
            account_id: id.into(),
            role_name: role.into(),
        }
    }

    fn listed() -> Listed {
        Listed {
            accounts: vec![
                account("1", "dev", &["Admin", "Read"]),
                account("2", "prod", &["Read"]),
            ],
            recent: vec![
                used("2", "Read"),
                used("2", "Gone"),
                used("9", "Gone"),
                used("1", "Admin"),
            ],
        }
    }

    fn texts<T: ToString>(choices: &[T]) -> Vec<String> {
        choices.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_used_lately_and_is_still_there_stands_above_the_accounts() {
        assert_eq!(
            texts(&listed().account_choices(None)),
            [
                "prod (2) · Read",
                "dev (1) · Admin",
                "dev (1)  dev@x",
                "prod (2)  prod@x"
            ]
        );
    }

    #[test]
    fn of_a_role_that_is_named_only_the_accounts_that_have_it_are_offered_once() {
        let listed = listed();
        assert_eq!(
            texts(&listed.account_choices(Some("Read"))),
            ["prod (2)  prod@x", "dev (1)  dev@x"]
        );
        assert!(listed.account_choices(Some("Deploy")).is_empty());
    }

    #[test]
    fn the_roles_of_the_past_are_the_first_in_their_account() {
        let account = account("1", "dev", &["Admin", "Audit", "Read"]);
        let recent = [used("2", "Audit"), used("1", "Read")];
        assert_eq!(role_choices(&account, &recent), ["Read", "Admin", "Audit"]);
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let account = account("1", "\x1b[2Jdev", &[]);
        assert!(!Choice::account(&account).to_string().contains('\x1b'));
    }
}
