//! Profiles that do something else than they look like: of the settings of one
//! profile the AWS tools use those of the provider that comes first
//! (docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use super::Check;
use crate::profiles::{
    config_file,
    ini::{self, Heading},
};

const ID: &str = "profiles";

type Settings = BTreeMap<String, String>;

/// What both files of the AWS tools say, as far as it decides who is asked.
pub struct Files {
    config: BTreeMap<String, Settings>,
    sso_sessions: BTreeMap<String, Settings>,
    credentials: BTreeMap<String, Settings>,
}

const READ: [&str; 10] = [
    "sso_session",
    "sso_start_url",
    "sso_region",
    "sso_account_id",
    "sso_role_name",
    "credential_process",
    "aws_access_key_id",
    "role_arn",
    "source_profile",
    "web_identity_token_file",
];

impl Files {
    /// Why they cannot be read, in one line.
    pub fn read(var: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let home = std::env::home_dir();
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
            return vec![Check::fail(ID, summary, "correct the file")];
        }
    };
    let found: Vec<_> = traps(&files)
        .into_iter()
        .map(|(summary, cure)| Check::warn(ID, summary, cure))
        .collect();
    if found.is_empty() {
        let many = files.profiles().len();
        return vec![Check::ok(ID, format!("{many} profile(s), none ambiguous"))];
    }
    found
}

/// What is there to be misread, and what helps.
fn traps(files: &Files) -> Vec<(String, String)> {
    let mut traps = Vec::new();
    for (name, profile) in &files.config {
        let has = |key: &str| profile.contains_key(key);
        let is_sso = has("sso_account_id") || has("sso_role_name");
        let mut trap = |what: String, cure: &str| traps.push((what, cure.to_owned()));
        if has("role_arn") && is_sso {
            trap(
                format!("profile {name}: role_arn comes first, its sso_* settings are not used"),
                "put them into a profile of their own, and name that as source_profile",
            );
        }
        if is_sso && has("credential_process") {
            trap(
                format!(
                    "profile {name}: the sso_* settings come first, its credential_process is never asked"
                ),
                "keep one of the two",
            );
        }
        let keys = files
            .credentials
            .get(name)
            .is_some_and(|keys| keys.contains_key("aws_access_key_id"));
        if keys && has("credential_process") && !is_sso {
            trap(
                format!(
                    "profile {name}: its keys in the credentials file come first, its credential_process is never asked"
                ),
                "remove the keys from the credentials file",
            );
        }
        if keys && is_sso {
            trap(
                format!(
                    "profile {name} has sso_* settings and keys in the credentials file: which are used differs between AWS tools"
                ),
                "remove the keys from the credentials file",
            );
        }
        let Some(session) = profile.get("sso_session") else {
            continue;
        };
        let Some(session) = files.sso_sessions.get(session) else {
            trap(
                format!("profile {name} names an sso-session that is not there: {session}"),
                "add it (aws configure sso-session), or correct the name",
            );
            continue;
        };
        for key in ["sso_start_url", "sso_region"] {
            if let (Some(own), Some(theirs)) = (profile.get(key), session.get(key))
                && own != theirs
            {
                trap(
                    format!(
                        "profile {name}: its {key} is not that of its sso-session, and AWS tools refuse it"
                    ),
                    "remove it from the profile",
                );
            }
        }
    }
    traps
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
                profile(&format!("{SSO}role_arn = r\n")),
                "",
                "role_arn comes first",
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
