//! What a person means by an account: an id, a name, an e-mail address or a glob
//! of names. The closest way to read it counts: `prod` is never also `PROD-2`.

use awsso_proto::{Failure, Reason, error::key};
use glob::{MatchOptions, Pattern};

use super::Account;

/// Names that a message lists at most.
const SUGGESTIONS: usize = 10;

/// Names are not paths.
const LOOSELY: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// Every account that is meant; none is an error that says what is similar.
pub fn select<'a>(accounts: &'a [Account], wanted: &str) -> Result<Vec<&'a Account>, Failure> {
    let pattern = is_glob(wanted)
        .then(|| Pattern::new(wanted))
        .transpose()
        .map_err(|error| {
            let message = format!("{wanted:?} is not a pattern: {}", error.msg);
            Failure::new(Reason::InvalidArgument, message)
        })?;
    let readings: [&dyn Fn(&Account) -> bool; 4] = [
        &|account| account.id == wanted,
        &|account| account.name == wanted,
        &|account| {
            account.name.eq_ignore_ascii_case(wanted) || account.email.eq_ignore_ascii_case(wanted)
        },
        &|account| {
            pattern
                .as_ref()
                .is_some_and(|pattern| pattern.matches_with(&account.name, LOOSELY))
        },
    ];
    readings
        .iter()
        .map(|reading| -> Vec<_> { accounts.iter().filter(|it| reading(it)).collect() })
        .find(|meant| !meant.is_empty())
        .ok_or_else(|| nothing(accounts, wanted, pattern.is_some()))
}

/// The one account that is meant.
pub fn select_one<'a>(accounts: &'a [Account], wanted: &str) -> Result<&'a Account, Failure> {
    let meant = select(accounts, wanted)?;
    if let [only] = meant[..] {
        return Ok(only);
    }
    let what = if is_glob(wanted) {
        format!("{wanted:?} matches {} accounts", meant.len())
    } else {
        format!("several accounts are named {wanted:?}")
    };
    let hint = format!("use the id: {}", shown(&meant));
    Err(Failure::new(Reason::InvalidArgument, what).with(key::HINT, hint))
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn nothing(accounts: &[Account], wanted: &str, is_glob: bool) -> Failure {
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
    let what = if is_glob {
        format!("no account's name matches {wanted:?}")
    } else {
        format!("there is no account named {wanted:?}")
    };
    Failure::new(Reason::NotFound, what).with(key::HINT, hint)
}

fn shown(accounts: &[&Account]) -> String {
    let names: Vec<_> = accounts
        .iter()
        .take(SUGGESTIONS)
        .map(|account| format!("{} ({})", account.name, account.id))
        .collect();
    let more = accounts.len().saturating_sub(SUGGESTIONS);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Roles;

    fn account(id: &str, name: &str) -> Account {
        Account {
            id: id.into(),
            name: name.into(),
            email: format!("{name}@example.com"),
            roles: Roles::NotAsked,
        }
    }

    fn organisation() -> Vec<Account> {
        vec![
            account("111111111111", "prod"),
            account("222222222222", "Prod"),
            account("333333333333", "Staging"),
            account("444444444444", "PROD"),
            account("555555555555", "prod-eu"),
            account("666666666666", "prod [old]"),
        ]
    }

    fn ids(wanted: &str) -> Vec<String> {
        let accounts = organisation();
        let meant = select(&accounts, wanted).unwrap();
        meant.iter().map(|account| account.id.clone()).collect()
    }

    #[test]
    fn the_closest_reading_counts() {
        for (wanted, expected) in [
            ("333333333333", &["333333333333"][..]),
            ("prod", &["111111111111"]),
            ("staging", &["333333333333"]),
            ("staging@example.com", &["333333333333"]),
            ("pROD", &["111111111111", "222222222222", "444444444444"]),
            ("prod-*", &["555555555555"]),
            ("STAG*", &["333333333333"]),
            ("?rod", &["111111111111", "222222222222", "444444444444"]),
            // A name that looks like a glob is a name first.
            ("prod [old]", &["666666666666"]),
        ] {
            assert_eq!(ids(wanted), expected, "{wanted}");
        }
        assert_eq!(ids("*").len(), 6);
    }

    #[test]
    fn one_account_is_meant_or_the_candidates_are_listed() {
        let accounts = organisation();
        assert_eq!(select_one(&accounts, "prod").unwrap().id, "111111111111");
        for ambiguous in ["pROD", "*ROD"] {
            let many = select_one(&accounts, ambiguous).unwrap_err();
            assert_eq!(many.reason, Reason::InvalidArgument);
            assert!(many.hint().unwrap().contains("222222222222"), "{many}");
        }
    }

    #[test]
    fn what_nobody_is_named_is_answered_with_what_is_similar() {
        let accounts = organisation();
        let none = select_one(&accounts, "tag").unwrap_err();
        assert_eq!(none.reason, Reason::NotFound);
        assert!(none.hint().unwrap().contains("Staging"));
        assert_eq!(
            select(&accounts, "dev-*").unwrap_err().reason,
            Reason::NotFound
        );
        let broken = select(&accounts, "prod[").unwrap_err();
        assert_eq!(broken.reason, Reason::InvalidArgument);
    }
}
