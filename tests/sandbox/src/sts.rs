//! The Security Token Service: who am I, and chained roles.
//!
//! Any role of any account can be assumed; which rights it has says its name, as everywhere. Where the organisation
//! asks for an external id, it has to be there.

use std::time::Duration;

use crate::answer::{Answer, Refusal};
use crate::call::{Call, Form};
use crate::cloud::Cloud;
use crate::keys::{Caller, Origin};
use crate::session_policy::SessionPolicy;
use crate::xml::Xml;
use crate::{clock, mint};

const NAMESPACE: &str = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
/// The longest session of a role that was assumed from a role.
const LONGEST_CHAINED: u64 = 3600;
/// Characters of an inline policy and the ARNs of managed ones.
const MOST_POLICY_TEXT: usize = 2048;
const MOST_MANAGED: usize = 10;

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
    matches_pattern("roleSessionName", session_name, "", 64)?;
    let external_id = form.get("ExternalId");
    if let Some(id) = external_id {
        matches_pattern("externalId", id, ":/", 1224)?;
    }
    let lifetime = duration(&form)?;
    let session_policy = session_policy(&form)?;
    let (account, path) = parse_role(arn)
        .ok_or_else(|| Refusal::new(400, "ValidationError", format!("{arn} is invalid")))?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let trusted = cloud.organization.account(account).is_some_and(|account| {
        let asked = account.external_id(name);
        asked.is_none() || asked.as_deref() == external_id
    });
    if !trusted {
        let who = caller.arn();
        let message =
            format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(Refusal::new(403, "AccessDenied", message));
    }
    let packed = session_policy
        .as_ref()
        .map(|(_, packed)| packed.to_string());
    let assumed = Caller {
        account: account.to_owned(),
        role: name.to_owned(),
        role_in_arn: name.to_owned(),
        session_name: session_name.to_owned(),
        origin: Origin::Chained {
            session_policy: session_policy.map(|(policy, _)| policy),
        },
    };
    cloud
        .tally
        .note(format!("sts.AssumeRole as {session_name}"));
    let issued = cloud
        .keys
        .issue(&cloud.mint, assumed.clone(), cloud.clock.now(), lifetime);
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
        if let Some(packed) = &packed {
            xml.leaf("PackedPolicySize", packed);
        }
    }))
}

fn duration(form: &Form) -> Result<Duration, Refusal> {
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
    Ok(Duration::from_secs(seconds))
}

/// The inline policy and the managed ones together, and how much of the room for policies they take, in percent. AWS
/// packs them before it measures; here a character is a character.
fn session_policy(form: &Form) -> Result<Option<(SessionPolicy, usize)>, Refusal> {
    let inline = form.get("Policy");
    if inline.is_some_and(|text| text.chars().count() > MOST_POLICY_TEXT) {
        return Err(validation(&format!(
            "Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to \
             {MOST_POLICY_TEXT}"
        )));
    }
    let arns: Vec<_> = (1..)
        .map_while(|number| form.get(&format!("PolicyArns.member.{number}.arn")))
        .collect();
    if arns.len() > MOST_MANAGED {
        return Err(validation(&format!(
            "Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to \
             {MOST_MANAGED}"
        )));
    }
    let length: usize = inline
        .iter()
        .chain(&arns)
        .map(|text| text.chars().count())
        .sum();
    let percent = (100 * length).div_ceil(MOST_POLICY_TEXT);
    if percent > 100 {
        let message = format!(
            "Packed policy consumes {percent}% of allotted space, please use smaller policy."
        );
        return Err(Refusal::new(400, "PackedPolicyTooLarge", message));
    }
    let mut policies = Vec::new();
    if let Some(text) = inline {
        let policy = SessionPolicy::parse(text)
            .map_err(|why| Refusal::new(400, "MalformedPolicyDocument", why))?;
        policies.push(policy);
    }
    for arn in arns {
        let unknown = || {
            let message = format!("Policy {arn} does not exist or is not attachable.");
            Refusal::new(400, "ValidationError", message)
        };
        policies.push(SessionPolicy::managed(arn).ok_or_else(unknown)?);
    }
    let all = policies.into_iter().reduce(SessionPolicy::and);
    Ok(all.map(|policy| (policy, percent)))
}

/// Two characters at least: letters, digits, what every name may hold, and what this one may besides.
fn matches_pattern(name: &str, value: &str, besides: &str, longest: usize) -> Result<(), Refusal> {
    let failed = |constraint: String| {
        validation(&format!(
            "Value '{value}' at '{name}' failed to satisfy constraint: {constraint}"
        ))
    };
    let fits = |letter: char| {
        letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter) || besides.contains(letter)
    };
    if !value.chars().all(fits) {
        return Err(failed(format!(
            "Member must satisfy regular expression pattern: [\\w+=,.@{besides}-]*"
        )));
    }
    if value.len() < 2 {
        let constraint = "Member must have length greater than or equal to 2";
        return Err(failed(constraint.to_owned()));
    }
    if value.len() > longest {
        return Err(failed(format!(
            "Member must have length less than or equal to {longest}"
        )));
    }
    Ok(())
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
    use super::*;
    use crate::call::for_test;

    fn code_of(body: &str) -> Option<&'static str> {
        let form = for_test("POST", "/", &[], body).form();
        session_policy(&form).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_role_arn_has_an_account_and_a_name() {
        assert_eq!(
            parse_role("arn:aws:iam::111122223333:role/x/Admin"),
            Some(("111122223333", "x/Admin"))
        );
        assert_eq!(parse_role("arn:aws:iam::111122223333:user/bob"), None);
        assert_eq!(parse_role("Admin"), None);
    }

    #[test]
    fn a_session_name_is_made_of_what_an_arn_may_hold() {
        for (name, good) in [
            ("alice@example.com", true),
            ("a_b+c=d,e.f-g", true),
            ("x", false),
            ("with blank", false),
            ("ünal", false),
            ("a/b", false),
        ] {
            let checked = matches_pattern("roleSessionName", name, "", 64);
            assert_eq!(checked.is_ok(), good, "{name}");
        }
        assert!(matches_pattern("roleSessionName", &"n".repeat(65), "", 64).is_err());
        assert!(matches_pattern("externalId", "arn:a/b", ":/", 1224).is_ok());
    }

    #[test]
    fn policies_are_measured_before_they_are_read() {
        let padded = |length: usize| format!("Policy={}", "x".repeat(length));
        let managed = "PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess";
        for (body, code) in [
            (String::new(), None),
            (managed.to_owned(), None),
            (managed.replace("Read", "No"), Some("ValidationError")),
            (padded(2048), Some("MalformedPolicyDocument")),
            (padded(2049), Some("ValidationError")),
            (
                format!("{}&{managed}", padded(2048)),
                Some("PackedPolicyTooLarge"),
            ),
        ] {
            assert_eq!(code_of(&body), code, "{body:.80}");
        }
    }
}
