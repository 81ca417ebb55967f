//! Role chaining: the credentials of one role get those of another from STS.
//! The one way to hold less than a permission set gives.

use aws_sdk_sts::types::PolicyDescriptorType;
use awsso_proto::{Failure, error::key};
use futures_util::future::BoxFuture;

use super::{Assumed, Broker, Role, RoleCredentials, keys::Keys};
use crate::{
    limiter::{Fault, Lane, Repeat},
    session::Session,
};

/// Of a role session, when the user's name is not known.
const SESSION_NAME: &str = "awsso";
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const MOST_NAME: usize = 64;

impl Broker {
    pub(super) async fn assume(
        &self,
        session: &Session,
        role: &Role,
        assumed: &Assumed,
    ) -> Result<RoleCredentials, Failure> {
        let mut again = true;
        loop {
            let source = self.of_source(session, &assumed.source).await?;
            match self.assume_role(session, assumed, &source).await {
                Ok(keys) => return self.taken(Some(keys), source.epoch()),
                Err(Fault::Refused { code, .. }) if again && names_bad_keys(&code) => {
                    again = false;
                    self.reject(session, &assumed.source, &source);
                }
                Err(fault) => {
                    let source = &assumed.source;
                    return Err(Failure::from(fault)
                        .with(key::SESSION, session.name())
                        .with(key::ACCOUNT, &role.account)
                        .with(
                            key::HINT,
                            format!(
                                "{} is assumed as role {} of account {}: its trust policy must allow that",
                                assumed.arn, source.name, source.account
                            ),
                        ));
                }
            }
        }
    }

    /// A source may be assumed itself: the future would be a part of its own.
    fn of_source<'a>(
        &'a self,
        session: &'a Session,
        source: &'a Role,
    ) -> BoxFuture<'a, Result<RoleCredentials, Failure>> {
        Box::pin(self.get(session, source))
    }

    async fn assume_role(
        &self,
        session: &Session,
        assumed: &Assumed,
        source: &RoleCredentials,
    ) -> Result<Keys, Fault> {
        let region = &session.spec().region;
        let unusable = |failure: Failure| Fault::Refused {
            code: "InvalidEndpoint".to_owned(),
            message: failure.message,
            status: 400,
        };
        let client = self.aws.sts(region, source.for_sdk(&assumed.source));
        let client = client.map_err(unusable)?;
        let place = format!("sts {} {region}", assumed.source.account);
        let policies = assumed.policy_arns.iter().map(|arn| {
            let descriptor = PolicyDescriptorType::builder();
            descriptor.arn(arn).build()
        });
        let request = client
            .assume_role()
            .role_arn(&assumed.arn)
            .role_session_name(
                assumed
                    .session_name
                    .as_deref()
                    .map_or_else(|| session_name(self.aws.user()), str::to_owned),
            )
            .set_external_id(assumed.external_id.clone())
            .set_duration_seconds(assumed.seconds.and_then(|s| i32::try_from(s).ok()))
            .set_policy(assumed.policy.clone())
            .set_policy_arns(Some(policies.collect()).filter(|arns: &Vec<_>| !arns.is_empty()));
        let output = self
            .limiters
            .of(&place)
            .call("AssumeRole", Lane::Person, Repeat::Freely, || {
                request.clone().send()
            })
            .await?;
        let keys = output.credentials;
        Ok(keys.map_or_else(Keys::default, |keys| Keys {
            access_key_id: Some(keys.access_key_id),
            secret_access_key: Some(keys.secret_access_key),
            session_token: Some(keys.session_token),
            expires_at: keys.expiration.try_into().ok(),
        }))
    }
}

/// The source's keys are no good any more: others may be.
fn names_bad_keys(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "InvalidClientTokenId")
}

/// The user's name as far as STS takes it, so that logs in AWS tell people apart.
fn session_name(user: Option<&str>) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(*c);
    let user: String = user.unwrap_or_default().chars().filter(allowed).collect();
    if user.is_empty() {
        return SESSION_NAME.to_owned();
    }
    let name = format!("{SESSION_NAME}-{user}");
    name.chars().take(MOST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_the_user_with_what_sts_takes() {
        assert_eq!(session_name(Some("jane.doe")), "awsso-jane.doe");
        assert_eq!(session_name(Some("Jörg Müller")), "awsso-JrgMller");
        assert_eq!(session_name(Some("日本")), "awsso");
        assert_eq!(session_name(None), "awsso");
        assert_eq!(session_name(Some(&"x".repeat(100))).len(), MOST_NAME);
    }
}
