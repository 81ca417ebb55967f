//! Which session a call means: pure functions of what the client said and what
//! the files say.

use std::{borrow::Cow, collections::BTreeSet};

use awsso_proto::{Failure, Reason, error::key, v1::SessionRef};

use super::{
    AwsFile, Files, RoleSettings, SessionSettings, Settings, aws_file::Section,
    environment::is_loopback, roles,
};

/// Where nobody said a region for an `AWS_SSO_START_URL`.
pub(super) const DEFAULT_SSO_REGION: &str = "us-east-1";

const MAX_NAME: usize = 128;

/// A place to log in to, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionSpec {
    pub name: String,
    pub start_url: String,
    pub region: String,
}

/// What a reference comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub spec: SessionSpec,
    /// The account and role of `AWS_PROFILE`, where it belongs to the session.
    pub account: Option<String>,
    pub role: Option<String>,
    /// The role that it assumes from there.
    pub assumed: Option<Result<RoleSettings, Failure>>,
    /// Of `AWS_PROFILE`, then of `config.toml`, then the session's.
    pub region: String,
}

/// Every session that the files name, in order of precedence.
pub(super) fn known(
    settings: &Settings,
    aws: &AwsFile,
    mcp: Option<&SessionSettings>,
) -> Vec<SessionSpec> {
    let mut specs: Vec<SessionSpec> = Vec::new();
    let mut add = |name: &str, start_url: &str, region: &str| {
        let taken = specs.iter().any(|spec| spec.name == name);
        if !taken && check_place(start_url, region).is_ok() {
            specs.push(SessionSpec {
                name: name.to_owned(),
                start_url: start_url.to_owned(),
                region: region.to_owned(),
            });
        }
    };
    for (name, session) in &settings.sessions {
        add(name, &session.start_url, &session.region);
    }
    for (name, section) in &aws.sso_sessions {
        if let (Some(url), Some(region)) = (section.get("sso_start_url"), section.get("sso_region"))
        {
            add(name, url, region);
        }
    }
    // Thousands of profiles name a handful of places.
    let mut seen = BTreeSet::new();
    let legacy = aws.profiles.values().filter_map(legacy_place);
    for (url, region) in legacy.filter(|place| seen.insert(*place)) {
        add_place(&mut specs, url, region);
    }
    if let Some(session) = mcp {
        add_place(&mut specs, &session.start_url, &session.region);
    }
    specs
}

/// A place that has no name of its own joins a session that is the same place.
fn add_place(specs: &mut Vec<SessionSpec>, start_url: &str, region: &str) {
    let there = specs
        .iter()
        .any(|spec| same_place(&spec.start_url, start_url) && spec.region == region);
    if !there && let Ok(spec) = unnamed(start_url, region, specs) {
        specs.push(spec);
    }
}

pub(super) fn legacy_place(profile: &Section) -> Option<(&str, &str)> {
    if profile.get("sso_session").is_some() {
        return None;
    }
    Some((profile.get("sso_start_url")?, profile.get("sso_region")?))
}

/// The session that a call means, and what `AWS_PROFILE` adds to it. `used` are
/// the sessions that the daemon holds although no file names them.
pub fn resolve(
    reference: &SessionRef,
    files: &Files,
    used: &[SessionSpec],
) -> Result<Resolved, Failure> {
    let known = &files.known;
    let profile = files.aws.profiles.get(&reference.profile);
    let (source, assumed) = roles::of_profile(&files.aws, &reference.profile);
    let of_profile = source.and_then(|source| profile_session(source, known));
    let spec = pick(reference, files, known, used, of_profile.as_ref())?;
    let same = of_profile.as_ref() == Some(&spec);
    let from = |section: Option<&Section>, key: &str| {
        section
            .and_then(|section| section.get(key))
            .map(str::to_owned)
    };
    Ok(Resolved {
        account: from(source, "sso_account_id").filter(|_| same),
        role: from(source, "sso_role_name").filter(|_| same),
        assumed: assumed.filter(|_| same),
        region: from(profile, "region")
            .or_else(|| files.settings.region.clone())
            .unwrap_or_else(|| spec.region.clone()),
        spec,
    })
}

fn pick(
    reference: &SessionRef,
    files: &Files,
    known: &[SessionSpec],
    used: &[SessionSpec],
    of_profile: Option<&SessionSpec>,
) -> Result<SessionSpec, Failure> {
    let by_name = |name: &str| {
        known
            .iter()
            .chain(used)
            .find(|spec| spec.name == name)
            .cloned()
    };
    if !reference.name.is_empty() {
        let of_url = || {
            by_start_url(reference, known, of_profile)
                .ok()
                .filter(|spec| spec.name == reference.name)
        };
        return by_name(&reference.name).or_else(of_url).ok_or_else(|| {
            let names = names(known.iter().chain(used));
            let failure = Failure::new(
                Reason::NotFound,
                format!("there is no session named {:?}", reference.name),
            );
            failure.with(
                key::HINT,
                if names.is_empty() {
                    CONFIGURE.to_owned()
                } else {
                    format!("known sessions: {names}")
                },
            )
        });
    }
    if !reference.start_url.is_empty() {
        return by_start_url(reference, known, of_profile);
    }
    if let Some(spec) = of_profile {
        return Ok(spec.clone());
    }
    if let Some(name) = &files.settings.default_session {
        return by_name(name).ok_or_else(|| {
            Failure::new(
                Reason::NotFound,
                format!("default_session in config.toml names {name:?}, which is not configured"),
            )
        });
    }
    let default_profile = files
        .aws
        .profiles
        .get("default")
        .and_then(|profile| profile_session(profile, known));
    let in_settings: Vec<_> = known
        .iter()
        .filter(|spec| files.settings.sessions.contains_key(&spec.name))
        .collect();
    match (in_settings.as_slice(), default_profile, known, used) {
        ([only], ..) => Ok((*only).clone()),
        ([], Some(spec), ..) => Ok(spec),
        ([], None, [only], _) | ([], None, [], [only]) => Ok(only.clone()),
        ([], None, [], []) => {
            Err(Failure::new(Reason::NotFound, "no session is configured")
                .with(key::HINT, CONFIGURE))
        }
        _ => Err(Failure::new(
            Reason::InvalidArgument,
            "several sessions are configured and none is named",
        )
        .with(
            key::HINT,
            format!(
                "add --session with one of: {}",
                names(known.iter().chain(used))
            ),
        )),
    }
}

const CONFIGURE: &str = "set AWS_SSO_START_URL and AWS_SSO_REGION, or write [session.NAME] with start_url and region into config.toml";

fn names<'a>(specs: impl Iterator<Item = &'a SessionSpec>) -> String {
    let mut names: Vec<_> = specs.map(|spec| spec.name.as_str()).collect();
    names.dedup();
    names.join(", ")
}

fn by_start_url(
    reference: &SessionRef,
    known: &[SessionSpec],
    of_profile: Option<&SessionSpec>,
) -> Result<SessionSpec, Failure> {
    let url = reference.start_url.as_str();
    let region = reference.sso_region.as_str();
    let same = |spec: &&SessionSpec| {
        same_place(&spec.start_url, url) && (region.is_empty() || spec.region == region)
    };
    // Two users may share a start URL: the profile says which one is meant.
    if let Some(spec) = of_profile.filter(same).or_else(|| known.iter().find(same)) {
        return Ok(spec.clone());
    }
    let region = if region.is_empty() {
        DEFAULT_SSO_REGION
    } else {
        region
    };
    unnamed(url, region, known)
}

pub(super) fn profile_session(profile: &Section, known: &[SessionSpec]) -> Option<SessionSpec> {
    if let Some(name) = profile.get("sso_session") {
        return known.iter().find(|spec| spec.name == name).cloned();
    }
    let (url, region) = legacy_place(profile)?;
    known
        .iter()
        .find(|spec| same_place(&spec.start_url, url) && spec.region == region)
        .cloned()
}

/// A session that only comes as start URL and region gets the name that people
/// know the place by: `corp` for `https://corp.awsapps.com/start`.
fn unnamed(url: &str, region: &str, taken: &[SessionSpec]) -> Result<SessionSpec, Failure> {
    let short = short_name(&place(url)?);
    check_region(region)?;
    let free = |name: &String| !taken.iter().any(|spec| spec.name == *name);
    let name = if free(&short) {
        short
    } else {
        let longer = Some(format!("{short}-{region}"));
        longer.filter(free).unwrap_or_else(|| url.to_owned())
    };
    Ok(SessionSpec {
        name,
        start_url: url.to_owned(),
        region: region.to_owned(),
    })
}

fn short_name(uri: &http::Uri) -> String {
    let host = uri.host().unwrap_or("session");
    let authority = uri.authority().map_or(host, http::uri::Authority::as_str);
    let name = match host.split_once(".awsapps.") {
        Some((label, _)) => label,
        // https://identitycenter.amazonaws.com/ssoins-1234567890abcdef
        None => uri
            .path()
            .split('/')
            .find(|part| part.starts_with("ssoins-"))
            .unwrap_or(authority),
    };
    name.chars().take(MAX_NAME).collect()
}

/// Start URLs that differ by case of the host, `/` or `/#/` are the same place.
pub fn same_place(a: &str, b: &str) -> bool {
    canonical(a) == canonical(b)
}

/// The one form of all the ways to write a place: asked for by every call, and most
/// often there already.
pub fn canonical(url: &str) -> Cow<'_, str> {
    let trimmed = url.trim().trim_end_matches(['/', '#']);
    let Some((scheme, rest)) = trimmed.split_once("://") else {
        return trimmed.into();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if scheme.bytes().chain(host.bytes()).all(is_lower) {
        return trimmed.into();
    }
    format!("{}://{}{path}", scheme.to_lowercase(), host.to_lowercase()).into()
}

fn check_place(url: &str, region: &str) -> Result<(), Failure> {
    place(url)?;
    check_region(region)
}

fn place(url: &str) -> Result<http::Uri, Failure> {
    let uri: Option<http::Uri> = canonical(url).parse().ok();
    let is_safe = |uri: &http::Uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_loopback(host),
        _ => false,
    };
    uri.filter(is_safe).ok_or_else(|| {
        Failure::new(
            Reason::InvalidArgument,
            format!("the start URL {url:?} is not an https URL like https://your-company.awsapps.com/start"),
        )
    })
}

/// A region is part of a host name: letters, digits, hyphens.
pub fn check_region(region: &str) -> Result<(), Failure> {
    let good = !region.is_empty()
        && region.len() <= 40
        && region
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        return Ok(());
    }
    Err(Failure::new(
        Reason::InvalidArgument,
        format!("{region:?} is not a region like eu-west-1"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORP: &str = "https://corp.awsapps.com/start";

    fn files(settings: &str, aws: &str) -> Files {
        Files::new(
            Settings::parse(settings).unwrap(),
            AwsFile::parse(aws),
            None,
        )
    }

    fn reference() -> SessionRef {
        SessionRef::default()
    }

    fn name(reference: &SessionRef, files: &Files) -> Result<String, Failure> {
        resolve(reference, files, &[]).map(|resolved| resolved.spec.name)
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_files() {
        let files = files(
            "[session.a]\nstart_url='https://a.awsapps.com/start'\nregion='eu-west-1'\n",
            "[sso-session b]\nsso_start_url=https://b.awsapps.com/start\nsso_region=eu-west-1\n[profile p]\nsso_session=b\n",
        );
        let with = |name: &str, url: &str, profile: &str| SessionRef {
            name: name.into(),
            start_url: url.into(),
            profile: profile.into(),
            sso_region: "eu-west-1".into(),
        };
        assert_eq!(name(&with("b", CORP, ""), &files).unwrap(), "b");
        assert_eq!(name(&with("", CORP, "p"), &files).unwrap(), "corp");
        assert_eq!(name(&with("", "", "p"), &files).unwrap(), "b");
        assert_eq!(name(&with("", "", ""), &files).unwrap(), "a");
    }

    #[test]
    fn a_start_url_that_is_configured_is_that_session() {
        let files = files(
            "",
            "[sso-session work]\nsso_start_url=https://Corp.awsapps.com/start/#/\nsso_region=eu-west-1\n",
        );
        let mut reference = reference();
        reference.start_url = CORP.into();
        assert_eq!(name(&reference, &files).unwrap(), "work");
        reference.sso_region = "us-east-1".into();
        assert_eq!(name(&reference, &files).unwrap(), "corp");
    }

    #[test]
    fn nothing_configured_and_too_much_configured_say_what_to_do() {
        let none = name(&reference(), &files("", "")).unwrap_err();
        assert_eq!(none.reason, Reason::NotFound);
        assert!(none.hint().unwrap().contains("AWS_SSO_START_URL"));
        let aws = "[sso-session a]\nsso_start_url=https://a.awsapps.com/start\nsso_region=eu-west-1\n\
                   [sso-session b]\nsso_start_url=https://b.awsapps.com/start\nsso_region=eu-west-1\n";
        let many = name(&reference(), &files("", aws)).unwrap_err();
        assert_eq!(many.reason, Reason::InvalidArgument);
        assert!(many.hint().unwrap().ends_with("a, b"));
    }

    #[test]
    fn a_profile_gives_account_role_and_region_but_only_of_its_own_session() {
        let files = files(
            "region = 'ap-south-1'",
            "[profile old]\nsso_start_url=https://corp.awsapps.com/start/\nsso_region=eu-west-1\n\
             sso_account_id=111122223333\nsso_role_name=Admin\nregion=eu-north-1\n\
             [sso-session b]\nsso_start_url=https://b.awsapps.com/start\nsso_region=eu-west-1\n",
        );
        let mut reference = reference();
        reference.profile = "old".into();
        let resolved = resolve(&reference, &files, &[]).unwrap();
        assert_eq!(resolved.spec.name, "corp");
        assert_eq!(resolved.account.as_deref(), Some("111122223333"));
        assert_eq!(resolved.region, "eu-north-1");
        reference.name = "b".into();
        let resolved = resolve(&reference, &files, &[]).unwrap();
        assert_eq!(resolved.account, None);
    }

    #[test]
    fn a_start_url_or_region_that_cannot_be_one_is_refused() {
        for (url, region) in [
            ("http://corp.awsapps.com/start", "eu-west-1"),
            ("corp", "eu-west-1"),
            (CORP, "evil.example/"),
            (CORP, "EU"),
        ] {
            let reference = SessionRef {
                start_url: url.into(),
                sso_region: region.into(),
                ..SessionRef::default()
            };
            let failure = resolve(&reference, &files("", ""), &[]).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidArgument, "{failure}");
        }
    }

    #[test]
    fn every_kind_of_start_url_gets_a_short_name() {
        assert_eq!(
            short_name(&place("https://d-1234567890.awsapps.com/start#/").unwrap()),
            "d-1234567890"
        );
        assert_eq!(
            short_name(&place("https://start.us-gov-home.awsapps.com/directory/x").unwrap()),
            "start.us-gov-home"
        );
        assert_eq!(
            short_name(&place("https://identitycenter.amazonaws.com/ssoins-7223").unwrap()),
            "ssoins-7223"
        );
        assert_eq!(
            short_name(&place("http://127.0.0.1:8080/start").unwrap()),
            "127.0.0.1:8080"
        );
    }
}
