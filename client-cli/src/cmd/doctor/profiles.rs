//! Profiles that do something else than they look like: of the settings of one
//! profile the AWS tools use those of the provider that comes first
//! (docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use super::{Check, Finding};
use crate::{
    context,
    profiles::{
        config_file,
        ini::{self, Heading},
    },
};

type Settings = BTreeMap<String, String>;

/// What both files of the AWS tools say, as far as it decides who is asked.
pub struct Files {
    config: BTreeMap<String, Settings>,
    sso_sessions: BTreeMap<String, Settings>,
    credentials: BTreeMap<String, Settings>,
}

const READ: [&str; 11] = [
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
    "credential_process",
    "aws_access_key_id",
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
];

impl Files {
    /// Why they cannot be read, in one line.
    pub fn read(var: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let home = context::home();
        let file = |name: &str| var(name).filter(|named| !named.is_empty());
        let config = config_file(file("AWS_CONFIG_FILE").as_deref(), home.as_deref())
            .map_err(|failure| failure.message)?;
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let credentials = credentials.or_else(|| Some(home?.join(".aws/credentials")));
        let mut files = Self {
            config: BTreeMap::new(),
            sso_sessions: BTreeMap::new(),
            credentials: BTreeMap::new(),
        };
        each_section(&config, |heading, _, settings| {
            match heading {
                Heading::Profile(name) => files.config.insert(name.to_owned(), settings),
                Heading::SsoSession(name) => files.sso_sessions.insert(name.to_owned(), settings),
                Heading::Other => None,
            };
        })?;
        if let Some(path) = credentials {
            each_section(&path, |_, name, settings| {
                files.credentials.insert(name.to_owned(), settings);
            })?;
        }
        Ok(files)
    }

    pub fn profiles(&self) -> BTreeSet<&str> {
        let names = self.config.keys().chain(self.credentials.keys());
        names.map(String::as_str).collect()
    }
}

/// Calls with what a section is in the config file, and with what it is called.
fn each_section(
    path: &PathBuf,
    mut with: impl FnMut(Heading<'_>, &str, Settings),
) -> Result<(), String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let sections = ini::sections(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    for section in sections {
        let heading = text[section.range.clone()].lines().next();
        let name = heading.unwrap_or_default().trim().trim_start_matches('[');
        let name = name.split(']').next().unwrap_or_default().trim();
        let settings = READ.iter().filter_map(|key| {
            let value = section.get(key).filter(|value| !value.is_empty())?;
            Some(((*key).to_owned(), value.to_owned()))
        });
        with(section.heading, name, settings.collect());
    }
    Ok(())
}

pub fn checks(var: &dyn Fn(&str) -> Option<String>) -> Vec<Check> {
    let files = match Files::read(var) {
        Ok(files) => files,
        Err(why) => {
            let summary = format!("{why}; AWS tools cannot read it either");
            let cure = "correct the file";
            return vec![Check::fail(Finding::ProfilesUnreadable, summary, cure)];
        }
    };
    let of_one = |name: &String| {
        let role = role(&files, name).into_iter();
        let order = order(&files, name).into_iter();
        order.chain(role).chain(session(&files, name))
    };
    let found: Vec<_> = files.config.keys().flat_map(of_one).collect();
    if found.is_empty() {
        let summary = format!("{} profile(s), none ambiguous", files.profiles().len());
        return vec![Check::ok(Finding::ProfilesClear, summary)];
    }
    found
}

/// Settings of one provider that are not used because another comes first.
fn order(files: &Files, name: &str) -> Vec<Check> {
    let has = |key: &str| files.config[name].contains_key(key);
    let is_sso = has("sso_account_id") || has("sso_role_name");
    let keys = files.credentials.get(name);
    let keys = keys.is_some_and(|keys| keys.contains_key("aws_access_key_id"));
    let mut found = Vec::new();
    if has("role_arn") && is_sso {
        found.push(Check::warn(
            Finding::ProfileRoleBeforeSso,
            format!("profile {name}: role_arn comes first, its sso_* settings are not used"),
            "put them into a profile of their own, and name that as source_profile",
        ));
    }
    if is_sso && has("credential_process") {
        found.push(Check::warn(
            Finding::ProfileSsoBeforeProcess,
            format!(
                "profile {name}: the sso_* settings come first, its credential_process is never asked"
            ),
            "keep one of the two",
        ));
    }
    let remove = "remove the keys from the credentials file";
    if keys && has("credential_process") && !is_sso {
        found.push(Check::warn(
            Finding::ProfileKeysBeforeProcess,
            format!(
                "profile {name}: its keys in the credentials file come first, its credential_process is never asked"
            ),
            remove,
        ));
    }
    if keys && is_sso {
        found.push(Check::warn(
            Finding::ProfileKeysAndSso,
            format!(
                "profile {name} has sso_* settings and keys in the credentials file: which are used differs between AWS tools"
            ),
            remove,
        ));
    }
    found
}

/// Whose credentials assume the role of a profile: AWS tools want to be told once.
fn role(files: &Files, name: &str) -> Option<Check> {
    let profile = &files.config[name];
    if !profile.contains_key("role_arn") || profile.contains_key("web_identity_token_file") {
        return None;
    }
    let both = "source_profile or credential_source";
    match (
        profile.get("source_profile"),
        profile.contains_key("credential_source"),
    ) {
        (None, false) => Some(Check::warn(
            Finding::ProfileRoleWithoutSource,
            format!("profile {name} has role_arn without {both}, and AWS tools refuse it"),
            format!("add {both}"),
        )),
        (Some(_), true) => Some(Check::warn(
            Finding::ProfileRoleWithTwoSources,
            format!(
                "profile {name} has source_profile and credential_source, and AWS tools refuse it"
            ),
            "keep one of the two",
        )),
        (Some(source), false) if !files.profiles().contains(source.as_str()) => Some(Check::warn(
            Finding::ProfileNoSource,
            format!("profile {name} names a source_profile that is not there: {source}"),
            "correct the name, or write the profile: awsso profiles sync",
        )),
        (Some(_), false) | (None, true) => None,
    }
}

/// Whether the `sso-session` of a profile is there, and says the same.
fn session(files: &Files, name: &str) -> Vec<Check> {
    let profile = &files.config[name];
    let Some(session) = profile.get("sso_session") else {
        return Vec::new();
    };
    let Some(session) = files.sso_sessions.get(session) else {
        return vec![Check::warn(
            Finding::ProfileNoSsoSession,
            format!("profile {name} names an sso-session that is not there: {session}"),
            "add it (aws configure sso-session), or correct the name",
        )];
    };
    let contradicts = |key: &&str| {
        let (own, theirs) = (profile.get(*key), session.get(*key));
        own.zip(theirs).is_some_and(|(own, theirs)| own != theirs)
    };
    let keys = ["sso_start_url", "sso_region"].into_iter();
    let of_key = |key| {
        Check::warn(
            Finding::ProfileContradictsSsoSession,
            format!(
                "profile {name}: its {key} is not that of its sso-session, and AWS tools refuse it"
            ),
            "remove it from the profile",
        )
    };
    keys.filter(contradicts).map(of_key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The traps of these two files.
    fn of(config: &str, credentials: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::write(path("config"), config).unwrap();
        fs::write(path("credentials"), credentials).unwrap();
        let var = |name: &str| match name {
            "AWS_CONFIG_FILE" => Some(path("config")),
            "AWS_SHARED_CREDENTIALS_FILE" => Some(path("credentials")),
            _ => None,
        };
        let checks = checks(&var).into_iter();
        checks.map(|check| check.summary).collect()
    }

    #[test]
    fn each_trap_is_told_and_ordinary_profiles_are_none() {
        const SSO: &str = "sso_session = s\nsso_account_id = 1\nsso_role_name = r\n";
        const SESSION: &str = "[sso-session s]\nsso_start_url = https://a/start\nsso_region = x\n";
        const KEYS: &str = "[p]\naws_access_key_id = a\n";
        let profile = |more: &str| format!("{SESSION}[profile p]\n{more}");
        for (config, credentials, words) in [
            (profile(SSO), "", "1 profile(s), none ambiguous"),
            (
                profile("region = x\n"),
                KEYS,
                "1 profile(s), none ambiguous",
            ),
            (
                profile("role_arn = r\nsource_profile = p\n"),
                "",
                "none ambiguous",
            ),
            (
                profile(&format!(
                    "{SSO}role_arn = r\ncredential_source = Environment\n"
                )),
                "",
                "role_arn comes first",
            ),
            (
                profile("role_arn = r\n"),
                "",
                "role_arn without source_profile or credential_source",
            ),
            (
                profile("role_arn = r\nweb_identity_token_file = f\n"),
                "",
                "none ambiguous",
            ),
            (
                profile("role_arn = r\nsource_profile = p\ncredential_source = Environment\n"),
                "",
                "has source_profile and credential_source",
            ),
            (
                profile("role_arn = r\nsource_profile = q\n"),
                "",
                "a source_profile that is not there: q",
            ),
            (
                profile("role_arn = r\nsource_profile = q\n"),
                "[q]\naws_access_key_id = a\n",
                "none ambiguous",
            ),
            (
                profile(&format!("{SSO}credential_process = c\n")),
                "",
                "the sso_* settings come first",
            ),
            (
                profile("credential_process = c\n"),
                KEYS,
                "keys in the credentials file come first",
            ),
            (profile(SSO), KEYS, "differs between AWS tools"),
            (
                profile("sso_session = gone\n"),
                "",
                "an sso-session that is not there: gone",
            ),
            (
                profile(&format!("{SSO}sso_region = y\n")),
                "",
                "its sso_region is not that of its sso-session",
            ),
            ("garbage\n".to_owned(), "", "line 1"),
        ] {
            let found = of(&config, credentials);
            assert_eq!(found.len(), 1, "{config}: {found:?}");
            assert!(found[0].contains(words), "{config}: {found:?}");
        }
    }
}
