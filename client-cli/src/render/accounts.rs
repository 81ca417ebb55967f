//! The accounts of a session: all of them, those that fit on a screen while
//! they come in, and what has changed since the last time.

use std::time::SystemTime;

use awsso_proto::v1::{Account, AccountChanges, instant};
use console::truncate_str;
use serde::Serialize;

use super::{Rows, printable, time};

/// Names that a line on changes lists at most.
const NAMED: usize = 10;

/// What `ls-accounts` found, by name and then by id.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountsView<'a> {
    session: &'a str,
    fetched_at: Option<String>,
    accounts: Vec<AccountView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountView<'a> {
    account_id: &'a str,
    account_name: &'a str,
    email_address: &'a str,
    roles: Vec<&'a str>,
    roles_error: Option<&'a str>,
    #[serde(skip)]
    roles_known: bool,
}

impl<'a> AccountsView<'a> {
    pub fn new(
        session: &'a str,
        fetched_at: Option<String>,
        accounts: impl IntoIterator<Item = &'a Account>,
    ) -> Self {
        let mut accounts: Vec<_> = accounts.into_iter().map(AccountView::from).collect();
        accounts.sort_by_key(|account| (account.account_name, account.account_id));
        Self {
            session,
            fetched_at,
            accounts,
        }
    }

    pub fn table(&self) -> Rows {
        table(&self.accounts)
    }

    /// The beginning of the table, as much as there is room for, and in the last
    /// line how far it has come.
    pub fn glimpse(&self, (rows, columns): (usize, usize)) -> String {
        // The header and the last line are always there.
        let fit = self.accounts.len().min(rows.saturating_sub(2));
        let (shown, hidden) = self.accounts.split_at(fit);
        let last = match hidden.len() {
            0 => self.progress(),
            more => format!("… and {more} more: {}", self.progress()),
        };
        let table = table(shown).into_table();
        let lines = table.lines().chain([last.as_str()]);
        let cut: Vec<_> = lines.map(|line| truncate_str(line, columns, "…")).collect();
        cut.join("\n")
    }

    /// How far the list has come.
    pub fn progress(&self) -> String {
        let known = |account: &&AccountView| account.roles_known || account.roles_error.is_some();
        let known = self.accounts.iter().filter(known).count();
        format!("{} accounts, roles of {known}", self.accounts.len())
    }

    /// One row per account and role; an account without roles has one too.
    pub fn csv(&self) -> Rows {
        let mut rows = Rows::new(&[
            "accountId",
            "accountName",
            "emailAddress",
            "role",
            "rolesError",
        ]);
        for account in &self.accounts {
            let roles = if account.roles.is_empty() {
                &[""]
            } else {
                account.roles.as_slice()
            };
            for role in roles {
                rows.push([
                    account.account_id.to_owned(),
                    account.account_name.to_owned(),
                    account.email_address.to_owned(),
                    (*role).to_owned(),
                    account.roles_error.unwrap_or_default().to_owned(),
                ]);
            }
        }
        rows
    }
}

impl<'a> From<&'a Account> for AccountView<'a> {
    fn from(account: &'a Account) -> Self {
        let mut roles: Vec<_> = account.roles.iter().map(String::as_str).collect();
        roles.sort_unstable();
        Self {
            account_id: &account.account_id,
            account_name: &account.account_name,
            email_address: &account.email_address,
            roles,
            roles_error: Some(account.roles_error.as_str()).filter(|error| !error.is_empty()),
            roles_known: account.roles_known,
        }
    }
}

fn table(accounts: &[AccountView]) -> Rows {
    let mut rows = Rows::new(&["ACCOUNT ID", "NAME", "E-MAIL", "ROLES"]);
    for account in accounts {
        rows.push([
            account.account_id.to_owned(),
            account.account_name.to_owned(),
            account.email_address.to_owned(),
            match account.roles_error {
                Some(error) => format!("(not known: {error})"),
                None if account.roles_known => account.roles.join(", "),
                None => "…".to_owned(),
            },
        ]);
    }
    rows
}

/// A line on the accounts that are new, and one on those that are gone.
pub fn changes(changes: &AccountChanges, now: SystemTime) -> Vec<String> {
    let since = changes.since.as_ref().and_then(instant);
    let since = since.map_or_else(String::new, |at| {
        format!(" since {}", time::relative(at, now))
    });
    [("new", &changes.added), ("gone", &changes.gone)]
        .into_iter()
        .filter(|(_, accounts)| !accounts.is_empty())
        .map(|(what, accounts)| format!("{what}{since}: {}", named(accounts)))
        .collect()
}

fn named(accounts: &[Account]) -> String {
    let first: Vec<_> = accounts
        .iter()
        .take(NAMED)
        .map(|account| {
            let name = printable(&account.account_name);
            format!("{name} ({})", printable(&account.account_id))
        })
        .collect();
    let first = first.join(", ");
    match accounts.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use awsso_proto::v1::timestamp;
    use serde_json::json;

    use super::*;

    fn account(id: &str, name: &str, roles: &[&str], error: &str) -> Account {
        Account {
            account_id: id.into(),
            account_name: name.into(),
            email_address: format!("{name}@x"),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            roles_error: error.into(),
            roles_known: error.is_empty(),
        }
    }

    fn accounts() -> [Account; 3] {
        [
            account("222222222222", "prod", &[], "denied"),
            account("333333333333", "dev", &["B", "A"], ""),
            account("111111111111", "dev", &[], ""),
        ]
    }

    fn view(accounts: &[Account]) -> AccountsView<'_> {
        AccountsView::new("corp", Some("1970-01-01T00:00:00Z".into()), accounts)
    }

    #[test]
    fn accounts_have_the_documented_fields_by_name_and_then_by_id() {
        assert_eq!(
            serde_json::to_value(view(&accounts())).unwrap(),
            json!({"session": "corp", "fetchedAt": "1970-01-01T00:00:00Z", "accounts": [
                {"accountId": "111111111111", "accountName": "dev", "emailAddress": "dev@x",
                    "roles": [], "rolesError": null},
                {"accountId": "333333333333", "accountName": "dev", "emailAddress": "dev@x",
                    "roles": ["A", "B"], "rolesError": null},
                {"accountId": "222222222222", "accountName": "prod", "emailAddress": "prod@x",
                    "roles": [], "rolesError": "denied"},
            ]})
        );
    }

    #[test]
    fn csv_has_a_row_for_each_role_and_for_an_account_without_any() {
        let csv = String::from_utf8(view(&accounts()).csv().into_csv().unwrap()).unwrap();
        let rows: Vec<_> = csv.lines().skip(1).collect();
        assert_eq!(
            rows,
            [
                "111111111111,dev,dev@x,,",
                "333333333333,dev,dev@x,A,",
                "333333333333,dev,dev@x,B,",
                "222222222222,prod,prod@x,,denied",
            ]
        );
    }

    #[test]
    fn while_accounts_come_in_the_first_of_them_are_shown_as_far_as_there_is_room() {
        let unasked = Account {
            roles_known: false,
            ..account("444444444444", "sandbox", &[], "")
        };
        let accounts = [&accounts()[..], &[unasked]].concat();
        let view = view(&accounts);
        assert_eq!(
            view.glimpse((24, 80)),
            "ACCOUNT ID    NAME     E-MAIL     ROLES\n\
             111111111111  dev      dev@x\n\
             333333333333  dev      dev@x      A, B\n\
             222222222222  prod     prod@x     (not known: denied)\n\
             444444444444  sandbox  sandbox@x  …\n\
             4 accounts, roles of 3"
        );
        assert_eq!(
            view.glimpse((4, 30)),
            "ACCOUNT ID    NAME  E-MAIL  R…\n\
             111111111111  dev   dev@x\n\
             333333333333  dev   dev@x   A…\n\
             … and 2 more: 4 accounts, rol…"
        );
        for rows in 2..8 {
            let shown = view.glimpse((rows, 80)).lines().count();
            assert_eq!(shown, rows.min(6), "{rows} rows");
        }
    }

    #[test]
    fn changes_are_a_line_for_what_is_new_and_one_for_what_is_gone() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let now = since + Duration::from_hours(73);
        let none = AccountChanges {
            since: Some(timestamp(since)),
            ..AccountChanges::default()
        };
        assert_eq!(changes(&none, now), Vec::<String>::new());

        let accounts: Vec<_> = (0..12)
            .map(|n| account(&format!("{n:012}"), "x\n", &[], ""))
            .collect();
        let many = AccountChanges {
            added: accounts.clone(),
            gone: accounts[..2].to_vec(),
            ..none
        };
        let told = changes(&many, now);
        assert!(
            told[0].starts_with("new since 3 d 1 h ago: x  (000000000000), x  (000000000001), "),
            "{told:?}"
        );
        assert!(
            told[0].ends_with(", x  (000000000009) and 2 more"),
            "{told:?}"
        );
        assert_eq!(
            told[1],
            "gone since 3 d 1 h ago: x  (000000000000), x  (000000000001)"
        );
        assert_eq!(told.len(), 2);
    }
}
