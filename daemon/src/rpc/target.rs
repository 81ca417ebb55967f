//! A target as a person writes it → the target that is meant.

use awsso_proto::{Failure, Reason, error::key, v1};

use super::Services;
use crate::{
    config::{self, Files, check_region},
    jobs::Target,
};

impl Services {
    pub(super) async fn target(
        &self,
        files: &Files,
        target: v1::Target,
    ) -> Result<Target, Failure> {
        let reference = target.session.unwrap_or_default();
        let resolved = config::resolve(&reference, files, &self.sessions.specs())?;
        let region = non_empty(target.region).unwrap_or(resolved.region);
        check_region(&region)?;
        let missing = |what: &str| {
            Failure::new(Reason::InvalidArgument, format!("no {what} is named")).with(
                key::HINT,
                format!("add --{what}, or set AWS_PROFILE to a profile that names it"),
            )
        };
        let account = non_empty(target.account).or(resolved.account);
        let account = account.ok_or_else(|| missing("account"))?;
        let role = non_empty(target.role).or(resolved.role);
        let session = self.sessions.get(&resolved.spec);
        let account = self
            .accounts
            .find(&session, &files.settings.aliases, &account)
            .await?;
        Ok(Target {
            account: account.id,
            account_name: account.name,
            role: role.ok_or_else(|| missing("role"))?,
            region,
            session,
        })
    }
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
