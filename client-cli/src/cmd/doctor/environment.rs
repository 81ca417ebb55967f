//! Variables of this shell that win over what its person thinks they use.

use std::path::Path;

use super::{Check, Finding, profiles::Files};
use crate::context;

/// What AWS tools use before any profile; and what `exec` takes away.
const KEYS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

pub fn checks(var: &dyn Fn(&str) -> Option<String>) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(keys(var));
    for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
        checks.extend(var(name).and_then(|profile| no_profile(name, &profile, var)));
    }
    for name in [
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CA_BUNDLE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ] {
        checks.extend(var(name).and_then(|path| no_file(name, &path)));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            Finding::EnvironmentClear,
            "no AWS variable is in the way",
        ));
    }
    checks
}

fn keys(var: &dyn Fn(&str) -> Option<String>) -> Option<Check> {
    let set: Vec<_> = KEYS
        .into_iter()
        .filter(|name| var(name).is_some())
        .collect();
    let (first, _) = set.split_first()?;
    let cure = format!("unset {} AWS_CREDENTIAL_EXPIRATION", KEYS.join(" "));
    if !set.contains(&KEYS[0]) || !set.contains(&KEYS[1]) {
        let summary = format!("{first} is set without its other half: AWS tools fail");
        return Some(Check::fail(Finding::EnvironmentHalfKeys, summary, cure));
    }
    let ends = var("AWS_CREDENTIAL_EXPIRATION");
    let ends = ends.and_then(|ends| humantime::parse_rfc3339_weak(&ends).ok());
    if let Some(ended) = ends.filter(|ends| *ends <= context::now()) {
        let ended = crate::render::time::relative(ended, context::now());
        let summary =
            format!("the keys in {first} ended {ended}, and AWS tools use them all the same");
        return Some(Check::fail(Finding::EnvironmentEndedKeys, summary, cure));
    }
    let summary = format!("AWS tools use the keys in {first} wherever no --profile is given");
    Some(Check::warn(Finding::EnvironmentKeys, summary, cure))
}

fn no_profile(name: &str, profile: &str, var: &dyn Fn(&str) -> Option<String>) -> Option<Check> {
    let files = Files::read(var).ok()?; // that they cannot be read is said elsewhere
    if profile == "default" || files.profiles().contains(profile) {
        return None;
    }
    let summary = format!("{name} names a profile that is not there: {profile}");
    let cure = format!("unset {name}, or write the profile: awsso profiles sync");
    Some(Check::fail(Finding::EnvironmentNoProfile, summary, cure))
}

fn no_file(name: &str, path: &str) -> Option<Check> {
    // The AWS CLI reads it so.
    let expanded = path.strip_prefix("~/");
    let expanded = expanded.and_then(|rest| Some(context::home()?.join(rest)));
    let found = expanded.as_deref().unwrap_or(Path::new(path)).is_file();
    let summary = format!("{name} names a file that is not there: {path}");
    let cure = format!("unset {name}, or correct it");
    (!found).then(|| Check::fail(Finding::EnvironmentNoFile, summary, cure))
}
