//! The Security Token Service: who am I, and chained roles.

use std::time::Duration;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::keys::Caller;
use crate::xml::Xml;
use crate::{clock, mint};

const NAMESPACE: &str = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
/// The longest session of a role that was assumed from a role.
const LONGEST_CHAINED: u64 = 3600;

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Caller,
    operation: &str,
    call: &Call,
) -> Result<Answer, Refusal> {
    match operation {
        "GetCallerIdentity" => Ok(response(operation, |xml| {
            xml.leaf("Arn", &caller.arn());
            xml.leaf("UserId", &caller.user_id());
            xml.leaf("Account", &caller.account);
        })),
        "AssumeRole" => assume_role(cloud, caller, call),
        other => Err(Refusal::new(
            400,
            "InvalidAction",
            format!("Could not find operation {other} for version 2011-06-15"),
        )),
    }
}

fn assume_role(cloud: &Cloud, caller: &Caller, call: &Call) -> Result<Answer, Refusal> {
    let form = call.form();
    let need = |name: &str| {
        form.get(name).ok_or_else(|| {
            validation(&format!(
                "Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        })
    };
    let arn = need("RoleArn")?;
    let session_name = need("RoleSessionName")?;
    let seconds: u64 = form
        .get("DurationSeconds")
        .map_or(Ok(LONGEST_CHAINED), str::parse)
        .map_err(|_| {
            validation(
                "Value at 'durationSeconds' failed to satisfy constraint: Member must be a number",
            )
        })?;
    if seconds < 900 {
        return Err(validation(&format!(
            "Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value greater \
             than or equal to 900"
        )));
    }
    if seconds > LONGEST_CHAINED {
        let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(Refusal::new(400, "ValidationError", message));
    }
    let (account, path) = parse_role(arn)
        .ok_or_else(|| Refusal::new(400, "ValidationError", format!("{arn} is invalid")))?;
    if cloud.organization.account(account).is_none() {
        let who = caller.arn();
        let message =
            format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(Refusal::new(403, "AccessDenied", message));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let assumed = Caller {
        account: account.to_owned(),
        role: name.to_owned(),
        role_in_arn: name.to_owned(),
        session_name: session_name.to_owned(),
    };
    let issued = cloud.keys.issue(
        &cloud.mint,
        assumed.clone(),
        cloud.clock.now(),
        Duration::from_secs(seconds),
    );
    Ok(response("AssumeRole", |xml| {
        xml.element("AssumedRoleUser", |xml| {
            xml.leaf("AssumedRoleId", &assumed.user_id());
            xml.leaf("Arn", &assumed.arn());
        });
        xml.element("Credentials", |xml| {
            xml.leaf("AccessKeyId", &issued.access_key_id);
            xml.leaf("SecretAccessKey", &issued.secret_access_key);
            xml.leaf("SessionToken", &issued.session_token);
            xml.leaf("Expiration", &clock::rfc3339(issued.expires));
        });
    }))
}

/// Account and path of `arn:aws:iam::<account>:role/<path>`.
fn parse_role(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let scheme = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (account, role) = (parts.next()?, parts.next()?.strip_prefix("role/")?);
    (scheme.0 == "arn" && scheme.2 == "iam" && scheme.3.is_empty() && !role.is_empty())
        .then_some((account, role))
}

fn response(operation: &str, result: impl FnOnce(&mut Xml)) -> Answer {
    Answer::xml(Xml::document(
        &format!("{operation}Response {NAMESPACE}"),
        |xml| {
            xml.element(&format!("{operation}Result"), result);
            xml.element("ResponseMetadata", |xml| {
                xml.leaf("RequestId", &mint::uuid());
            });
        },
    ))
}

fn validation(what: &str) -> Refusal {
    Refusal::new(
        400,
        "ValidationError",
        format!("1 validation error detected: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::parse_role;

    #[test]
    fn a_role_arn_has_an_account_and_a_name() {
        assert_eq!(
            parse_role("arn:aws:iam::111122223333:role/x/Admin"),
            Some(("111122223333", "x/Admin"))
        );
        assert_eq!(parse_role("arn:aws:iam::111122223333:user/bob"), None);
        assert_eq!(parse_role("Admin"), None);
    }
}
