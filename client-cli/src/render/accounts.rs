//! The accounts of a session.

use awsso_proto::v1::Account;
use serde::Serialize;

use super::Rows;

/// What `ls-accounts` found, by name and then by id.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountsView {
    session: String,
    fetched_at: Option<String>,
    accounts: Vec<AccountView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountView {
    account_id: String,
    account_name: String,
    email_address: String,
    roles: Vec<String>,
    roles_error: Option<String>,
}

impl AccountsView {
    pub fn new(
        session: String,
        fetched_at: Option<String>,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Self {
        let mut accounts: Vec<_> = accounts.into_iter().map(AccountView::from).collect();
        accounts.sort_by(|a, b| {
            (&a.account_name, &a.account_id).cmp(&(&b.account_name, &b.account_id))
        });
        Self {
            session,
            fetched_at,
            accounts,
        }
    }

    pub fn table(&self) -> Rows {
        let mut rows = Rows::new(&["ACCOUNT ID", "NAME", "E-MAIL", "ROLES"]);
        for account in &self.accounts {
            rows.push([
                account.account_id.clone(),
                account.account_name.clone(),
                account.email_address.clone(),
                account.roles_error.as_ref().map_or_else(
                    || account.roles.join(", "),
                    |error| format!("(not known: {error})"),
                ),
            ]);
        }
        rows
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
            let none = [String::new()];
            let roles = if account.roles.is_empty() {
                none.as_slice()
            } else {
                account.roles.as_slice()
            };
            for role in roles {
                rows.push([
                    account.account_id.clone(),
                    account.account_name.clone(),
                    account.email_address.clone(),
                    role.clone(),
                    account.roles_error.clone().unwrap_or_default(),
                ]);
            }
        }
        rows
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let mut roles = account.roles;
        roles.sort();
        Self {
            account_id: account.account_id,
            account_name: account.account_name,
            email_address: account.email_address,
            roles,
            roles_error: Some(account.roles_error).filter(|error| !error.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
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

    fn view() -> AccountsView {
        AccountsView::new(
            "corp".into(),
            Some("1970-01-01T00:00:00Z".into()),
            [
                account("222222222222", "prod", &[], "denied"),
                account("333333333333", "dev", &["B", "A"], ""),
                account("111111111111", "dev", &[], ""),
            ],
        )
    }

    #[test]
    fn accounts_have_the_documented_fields_by_name_and_then_by_id() {
        assert_eq!(
            serde_json::to_value(view()).unwrap(),
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
        let csv = String::from_utf8(view().csv().into_csv().unwrap()).unwrap();
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
}
