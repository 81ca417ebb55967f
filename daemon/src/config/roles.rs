//! Roles that are assumed with another role's credentials: `[role.NAME]` in
//! `config.toml`, and profiles of the AWS config with `role_arn` and
//! `source_profile`.

use std::ops::RangeInclusive;

use awsso_proto::{Failure, Reason};
use serde::{Deserialize, Deserializer, de};

use super::{AwsFile, aws_file::Section};

/// How long STS lets a chained role's session last.
const SECONDS: RangeInclusive<u32> = 900..=3_600;

/// Characters of a session policy.
const MOST_POLICY: usize = 2_048;

/// `[role.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RoleSettings {
    /// `ACCOUNT/ROLE`, or the name of another such role.
    pub source: String,
    pub role_arn: RoleArn,
    /// The session that the source belongs to.
    pub session: Option<String>,
    pub region: Option<String>,
    pub external_id: Option<String>,
    pub role_session_name: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    pub duration_seconds: Option<u32>,
    /// What the credentials may do at most, as JSON.
    #[serde(default, deserialize_with = "optional_policy")]
    pub policy: Option<String>,
    #[serde(default)]
    pub policy_arns: Vec<String>,
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoleArn {
    pub text: String,
    pub account: String,
    pub name: String,
}

impl TryFrom<String> for RoleArn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let parsed = match parts[..] {
            ["arn", partition, "iam", "", account, resource]
                if partition.starts_with("aws") && crate::accounts::is_account_id(account) =>
            {
                let path = resource.strip_prefix("role/");
                path.and_then(|path| path.rsplit('/').next())
                    .filter(|name| !name.is_empty())
                    .map(|name| (account.to_owned(), name.to_owned()))
            }
            _ => None,
        };
        match parsed {
            Some((account, name)) => Ok(Self {
                text,
                account,
                name,
            }),
            None => Err(format!(
                "{text:?} is not the ARN of a role: arn:aws:iam::111122223333:role/NAME"
            )),
        }
    }
}

fn optional_policy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    session_policy(from).map(Some)
}

/// Text, as JSON has to be written in an AWS config; or a table of TOML.
pub fn session_policy<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let json = match toml::Value::deserialize(from)? {
        toml::Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| de::Error::custom(format!("the policy is not JSON: {error}")))?,
        table @ toml::Value::Table(_) => serde_json::to_value(table).map_err(de::Error::custom)?,
        _ => return Err(de::Error::custom("a policy is a text of JSON, or a table")),
    };
    if json.get("Statement").is_none() {
        return Err(de::Error::custom(
            "a policy is an object of JSON with a Statement",
        ));
    }
    let text = json.to_string();
    if text.chars().count() > MOST_POLICY {
        return Err(de::Error::custom(format!(
            "a policy is longer than the {MOST_POLICY} characters that STS takes"
        )));
    }
    Ok(text)
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let seconds = u32::deserialize(from)?;
    check_seconds(seconds).map_err(de::Error::custom)?;
    Ok(Some(seconds))
}

fn check_seconds(seconds: u32) -> Result<(), String> {
    if SECONDS.contains(&seconds) {
        return Ok(());
    }
    Err(format!(
        "duration_seconds is between {} and {}: STS gives a chained role no more",
        SECONDS.start(),
        SECONDS.end()
    ))
}

/// The profile whose login serves a profile, and the role that is assumed with
/// it, or why that cannot be.
pub(super) fn of_profile<'a>(
    aws: &'a AwsFile,
    name: &str,
) -> (Option<&'a Section>, Option<Result<RoleSettings, Failure>>) {
    let profile = aws.profiles.get(name);
    let chain = profile.and_then(|profile| {
        let (arn, source) = (profile.get("role_arn")?, profile.get("source_profile")?);
        Some((profile, arn, source))
    });
    let Some((profile, arn, source)) = chain else {
        return (profile, None);
    };
    let assumed = chained(aws, profile, arn, source).map_err(|what| {
        Failure::new(
            Reason::InvalidArgument,
            format!("profile {name:?} in the AWS config: {what}"),
        )
    });
    (aws.profiles.get(source), Some(assumed))
}

fn chained(
    aws: &AwsFile,
    profile: &Section,
    arn: &str,
    source: &str,
) -> Result<RoleSettings, String> {
    let place = aws.profiles.get(source).and_then(|source| {
        let account = source.get("sso_account_id")?;
        Some(format!("{account}/{}", source.get("sso_role_name")?))
    });
    if profile.get("mfa_serial").is_some() {
        return Err("mfa_serial is not supported".to_owned());
    }
    let text = |key: &str| profile.get(key).map(str::to_owned);
    let duration_seconds = match profile.get("duration_seconds").map(str::parse) {
        Some(Ok(seconds)) => check_seconds(seconds).map(|()| Some(seconds))?,
        Some(Err(_)) => return Err("duration_seconds is not a number".to_owned()),
        None => None,
    };
    Ok(RoleSettings {
        source: place.ok_or_else(|| {
            format!("its source_profile {source:?} has no sso_account_id and sso_role_name")
        })?,
        role_arn: RoleArn::try_from(arn.to_owned())?,
        session: None,
        region: None,
        external_id: text("external_id"),
        role_session_name: text("role_session_name"),
        duration_seconds,
        policy: None,
        policy_arns: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn role(lines: &str) -> Result<RoleSettings, String> {
        let text = format!(
            "[role.x]\nsource = 'prod/Admin'\nrole_arn = 'arn:aws:iam::111122223333:role/team/Deploy'\n{lines}"
        );
        Settings::parse(&text).map(|mut settings| settings.roles.remove("x").unwrap())
    }

    #[test]
    fn a_role_is_named_by_its_arn() {
        let arn = role("").unwrap().role_arn;
        assert_eq!((&*arn.account, &*arn.name), ("111122223333", "Deploy"));
        for bad in [
            "Admin",
            "arn:aws:iam::111122223333:user/bob",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::111122223333:role/",
            "arn:gcp:iam::111122223333:role/x",
        ] {
            let error = RoleArn::try_from(bad.to_owned()).unwrap_err();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_policy_is_json_or_a_table() {
        let json = r#"{"Statement":[{"Action":"ec2:Describe*","Effect":"Allow"}]}"#;
        let text = role(&format!("policy = '{json}'")).unwrap();
        assert_eq!(text.policy.as_deref(), Some(json));
        let table = "[[role.x.policy.Statement]]\nAction = 'ec2:Describe*'\nEffect = 'Allow'\n";
        assert_eq!(role(table).unwrap().policy.as_deref(), Some(json));
        for bad in ["policy = '{'", "policy = '[]'", "policy = 3"] {
            assert!(role(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_chained_session_lasts_an_hour_at_most() {
        assert_eq!(
            role("duration_seconds = 900").unwrap().duration_seconds,
            Some(900)
        );
        let error = role("duration_seconds = 7200").unwrap_err();
        assert!(error.contains("between 900 and 3600"), "{error}");
    }

    #[test]
    fn a_profile_with_a_source_profile_is_a_chained_role() {
        let aws = AwsFile::parse(
            "[profile base]\nsso_session=corp\nsso_account_id=444455556666\nsso_role_name=Dev\n\
             [profile deploy]\nsource_profile=base\nrole_arn=arn:aws:iam::111122223333:role/Deploy\nexternal_id=e\n\
             [profile lost]\nsource_profile=gone\nrole_arn=arn:aws:iam::111122223333:role/Deploy\n",
        );
        let (source, role) = of_profile(&aws, "deploy");
        assert_eq!(source.unwrap().get("sso_session"), Some("corp"));
        let role = role.unwrap().unwrap();
        assert_eq!(role.source, "444455556666/Dev");
        assert_eq!(role.external_id.as_deref(), Some("e"));
        assert_eq!(of_profile(&aws, "base").1, None);
        let lost = of_profile(&aws, "lost").1.unwrap().unwrap_err();
        assert!(lost.message.contains("gone"), "{lost}");
    }
}
