//! What survives a restart of the daemon: the last complete listing of each
//! session, without anything secret. Written whole or not at all, 0600.

use std::{
    fmt, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason, disk};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};
use tracing::warn;

use super::{Account, Listing, RoleLists, Roles};
use crate::config::SessionSpec;

/// 5,000 accounts with 20 roles each are 3 MB.
const MAX_FILE: u64 = 64 << 20;
const VERSION: u32 = 1;

#[derive(Debug, Clone)]
pub struct Index {
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form<A> {
    version: u32,
    start_url: String,
    region: String,
    /// Seconds since 1970.
    fetched_at: u64,
    accounts: A,
}

/// Thousands of them, one form at a time.
struct Accounts<A>(A);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountForm<S> {
    id: S,
    name: S,
    email: S,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<S>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles_error: Option<S>,
}

impl Index {
    /// `dir` is created, private, when something is kept.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// What was known of this very place; what cannot be read is not known.
    pub fn load(&self, spec: &SessionSpec) -> Option<Listing> {
        let path = self.path(&spec.name);
        if std::fs::metadata(&path).ok()?.len() > MAX_FILE {
            return None;
        }
        let text = std::fs::read(&path).ok()?;
        let form: Form<Accounts<Vec<Account>>> = serde_json::from_slice(&text).ok()?;
        let same = form.version == VERSION
            && form.start_url == spec.start_url
            && form.region == spec.region;
        same.then(|| Listing {
            fetched_at: Some(
                SystemTime::UNIX_EPOCH + Duration::from_secs(form.fetched_at.min(1 << 40)),
            ),
            accounts: form.accounts.0,
            all_accounts: true,
            ..Listing::default()
        })
    }

    pub fn keep(&self, spec: &SessionSpec, listing: &Listing) {
        let kept = self.write(spec, listing);
        if let Err(error) = kept {
            warn!(session = %spec.name, %error, "the accounts are not kept for the next daemon");
        }
    }

    pub fn forget(&self, session: &str) {
        if let Err(error) = std::fs::remove_file(self.path(session))
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(session, %error, "the list of accounts is not removed");
        }
    }

    fn write(&self, spec: &SessionSpec, listing: &Listing) -> io::Result<()> {
        let fetched = listing.fetched_at.unwrap_or(SystemTime::UNIX_EPOCH);
        let since = fetched.duration_since(SystemTime::UNIX_EPOCH);
        let form = Form {
            version: VERSION,
            start_url: spec.start_url.clone(),
            region: spec.region.clone(),
            fetched_at: since.unwrap_or_default().as_secs(),
            accounts: Accounts(listing.accounts.as_slice()),
        };
        awsso_proto::ipc::private_dir(&self.dir)
            .map_err(|failure| io::Error::other(failure.message))?;
        disk::replace(&self.path(&spec.name), &serde_json::to_vec(&form)?)
    }

    fn path(&self, session: &str) -> PathBuf {
        self.dir
            .join(format!("{}.json", crate::hex(session.as_bytes())))
    }
}

impl Serialize for Accounts<&[Account]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(AccountForm::of))
    }
}

impl<'de> Deserialize<'de> for Accounts<Vec<Account>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Accounts<Vec<Account>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("accounts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut forms: A) -> Result<Self::Value, A::Error> {
                let (mut accounts, mut lists) = (Vec::new(), RoleLists::default());
                while let Some(form) = forms.next_element::<AccountForm<String>>()? {
                    accounts.push(form.into_account(&mut lists));
                }
                accounts.shrink_to_fit();
                Ok(Accounts(accounts))
            }
        }

        deserializer.deserialize_seq(Forms)
    }
}

impl<'a> AccountForm<&'a str> {
    fn of(account: &'a Account) -> Self {
        let (roles, roles_error) = match &account.roles {
            Roles::NotAsked => (None, None),
            Roles::Known(roles) => (Some(roles.iter().map(String::as_str).collect()), None),
            Roles::Failed(failure) => (None, Some(failure.message.as_str())),
        };
        Self {
            id: &account.id,
            name: &account.name,
            email: &account.email,
            roles,
            roles_error,
        }
    }
}

impl AccountForm<String> {
    fn into_account(self, lists: &mut RoleLists) -> Account {
        let roles = match (self.roles, self.roles_error) {
            (Some(roles), _) => Roles::Known(lists.shared(roles)),
            (None, Some(why)) => Roles::Failed(Failure::new(Reason::AwsUnavailable, why).into()),
            (None, None) => Roles::NotAsked,
        };
        Account {
            id: self.id,
            name: self.name,
            email: self.email,
            roles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SessionSpec {
        SessionSpec {
            name: "corp".into(),
            start_url: "https://corp.awsapps.com/start".into(),
            region: "eu-west-1".into(),
        }
    }

    fn listing() -> Listing {
        let account = |id: &str, roles| Account {
            id: id.into(),
            name: "é\"".into(),
            email: "a@example.com".into(),
            roles,
        };
        Listing {
            accounts: vec![
                account("111122223333", Roles::Known(["Admin".into()].into())),
                account("444455556666", Roles::Known([].into())),
                account(
                    "777788889999",
                    Roles::Failed(Failure::new(Reason::AwsUnavailable, "it answered 500").into()),
                ),
            ],
            all_accounts: true,
            fetched_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)),
            ..Listing::default()
        }
    }

    #[test]
    fn a_listing_comes_back_with_its_age_and_its_errors() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::new(dir.path().join("index"));
        assert!(index.load(&spec()).is_none());
        index.keep(&spec(), &listing());
        let back = index.load(&spec()).unwrap();
        assert_eq!(back.accounts, listing().accounts);
        assert_eq!(back.fetched_at, listing().fetched_at);
        index.forget("corp");
        index.forget("corp");
        assert!(index.load(&spec()).is_none());
    }

    #[test]
    fn another_place_and_a_damaged_file_know_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::new(dir.path().join("index"));
        index.keep(&spec(), &listing());
        let elsewhere = SessionSpec {
            region: "us-east-1".into(),
            ..spec()
        };
        assert!(index.load(&elsewhere).is_none());
        let path = index.path("corp");
        let whole = std::fs::read(&path).unwrap();
        for bytes in [&b""[..], b"{}", &whole[..whole.len() / 2]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(index.load(&spec()).is_none());
        }
    }
}
