//! What survives a restart of the daemon: the last complete listing of each
//! session, without anything secret. Written whole or not at all, 0600.

use std::{
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason, disk};
use serde::{Deserialize, Serialize};
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
struct Form {
    version: u32,
    start_url: String,
    region: String,
    /// Seconds since 1970.
    fetched_at: u64,
    accounts: Vec<AccountForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountForm {
    id: String,
    name: String,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles_error: Option<String>,
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
        let form: Form = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        let same = form.version == VERSION
            && form.start_url == spec.start_url
            && form.region == spec.region;
        let mut lists = RoleLists::default();
        let accounts = form.accounts.into_iter();
        let accounts = accounts.map(|account| account.into_account(&mut lists));
        let mut accounts: Vec<_> = accounts.collect();
        // They came to lie where the larger forms were.
        accounts.shrink_to_fit();
        same.then(|| Listing {
            fetched_at: Some(
                SystemTime::UNIX_EPOCH + Duration::from_secs(form.fetched_at.min(1 << 40)),
            ),
            accounts,
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
            accounts: listing.accounts.iter().map(AccountForm::from).collect(),
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

impl From<&Account> for AccountForm {
    fn from(account: &Account) -> Self {
        let (roles, roles_error) = match &account.roles {
            Roles::NotAsked => (None, None),
            Roles::Known(roles) => (Some(roles.to_vec()), None),
            Roles::Failed(failure) => (None, Some(failure.message.clone())),
        };
        Self {
            id: account.id.clone(),
            name: account.name.clone(),
            email: account.email.clone(),
            roles,
            roles_error,
        }
    }
}

impl AccountForm {
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
