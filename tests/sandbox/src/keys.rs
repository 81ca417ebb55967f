//! The role credentials the sandbox has issued, and what has become of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::mint::{self, Mint};
use crate::session_policy::SessionPolicy;

/// Temporary credentials as they were issued.
#[derive(Clone)]
pub struct IssuedKeys {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    pub expires: SystemTime,
}

impl fmt::Debug for IssuedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKeys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// On whose behalf a request is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    /// Decides the rights.
    pub(crate) role: String,
    /// The role's name in ARNs: that of a permission set is longer.
    pub(crate) role_in_arn: String,
    pub(crate) session_name: String,
    pub(crate) origin: Origin,
}

/// How a caller came by the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Portal,
    /// Assumed from another role, perhaps with less than the role may do.
    Chained {
        session_policy: Option<SessionPolicy>,
    },
}

impl Caller {
    pub(crate) fn arn(&self) -> String {
        format!(
            "arn:aws:sts::{}:assumed-role/{}/{}",
            self.account, self.role_in_arn, self.session_name
        )
    }

    pub(crate) fn user_id(&self) -> String {
        format!("{}:{}", self.role_id(), self.session_name)
    }

    pub(crate) fn role_id(&self) -> String {
        let digest =
            crate::sigv4::sha256(format!("{}/{}", self.account, self.role_in_arn).as_bytes());
        format!("AROA{}", digest[..17].to_ascii_uppercase())
    }
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) session_token: String,
    pub(crate) expires: SystemTime,
    pub(crate) caller: Caller,
}

#[derive(Default)]
pub(crate) struct KeyRing {
    keys: Mutex<HashMap<String, Key>>,
}

impl KeyRing {
    pub(crate) fn issue(
        &self,
        mint: &Mint,
        caller: Caller,
        now: SystemTime,
        lifetime: Duration,
    ) -> IssuedKeys {
        let issued = IssuedKeys {
            access_key_id: mint::access_key_id(),
            secret_access_key: mint.secret_access_key(),
            session_token: mint.session_token(),
            expires: now + lifetime,
        };
        let key = Key {
            secret: issued.secret_access_key.clone(),
            session_token: issued.session_token.clone(),
            expires: issued.expires,
            caller,
        };
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(issued.access_key_id.clone(), key);
        issued
    }

    pub(crate) fn find(&self, id: &str) -> Option<Key> {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// From now on AWS knows none of them.
    pub(crate) fn revoke_all(&self) {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
