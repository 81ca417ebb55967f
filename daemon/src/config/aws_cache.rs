//! Under which names the AWS CLI and the SDKs look for a session's token in
//! `~/.aws/sso/cache` (botocore's `_token_cache_key`).

use sha1::{Digest as _, Sha1};

use super::{
    Files, SessionSpec, same_place,
    sessions::{legacy_place, profile_session},
};

/// One file of the shared cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// Without a folder: the SHA-1 of a name or of a URL.
    pub file: String,
    /// As the AWS config writes it: other tools compare letter by letter.
    pub start_url: String,
}

impl CacheEntry {
    fn new(hashed: &str, start_url: &str) -> Self {
        Self {
            file: format!("{}.json", crate::hex(&Sha1::digest(hashed))),
            start_url: start_url.to_owned(),
        }
    }
}

/// Where others look for the token of this session: under the name of the
/// `sso-session`, and under each start URL that a legacy profile of the same
/// place writes; under our own start URL when the AWS config has neither. Of
/// several users of a place that is the first one's: the others share nothing.
pub fn cache_entries(files: &Files, spec: &SessionSpec) -> Vec<CacheEntry> {
    let named = files
        .aws
        .sso_sessions
        .get(&spec.name)
        .and_then(|section| Some((section.get("sso_start_url")?, section.get("sso_region")?)))
        // config.toml may give the name to another place.
        .filter(|(url, region)| same_place(url, &spec.start_url) && *region == spec.region)
        .map(|(url, _)| CacheEntry::new(&spec.name, url));
    let known = &files.known;
    let legacy = files
        .aws
        .profiles
        .values()
        .filter(|profile| profile_session(profile, known).as_ref() == Some(spec))
        .filter_map(legacy_place)
        .map(|(url, _)| CacheEntry::new(url, url));
    let mut entries: Vec<CacheEntry> = Vec::new();
    for entry in named.into_iter().chain(legacy) {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let first = known
        .iter()
        .find(|known| same_place(&known.start_url, &spec.start_url) && known.region == spec.region);
    if entries.is_empty() && first.is_none_or(|first| first == spec) {
        entries.push(CacheEntry::new(&spec.start_url, &spec.start_url));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AwsFile, Settings};

    const URL: &str = "https://example.awsapps.com/start";

    fn entries(settings: &str, aws: &str, name: &str) -> Vec<CacheEntry> {
        let files = Files::new(
            Settings::parse(settings).unwrap(),
            AwsFile::parse(aws),
            None,
        );
        let spec = SessionSpec {
            name: name.to_owned(),
            start_url: URL.to_owned(),
            region: "eu-west-1".to_owned(),
        };
        cache_entries(&files, &spec)
    }

    // The file names are what botocore 1.43's own function makes of these texts.
    const OF_CORP: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    const OF_URL: &str = "e8be5486177c5b5392bd9aa76563515b29358e6e.json";

    #[test]
    fn a_session_of_the_aws_config_is_found_by_its_name() {
        let aws = format!("[sso-session corp]\nsso_start_url={URL}/#/\nsso_region=eu-west-1\n");
        let found = entries("", &aws, "corp");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, OF_CORP);
        assert_eq!(found[0].start_url, format!("{URL}/#/"));
    }

    #[test]
    fn a_place_that_the_aws_config_does_not_name_is_found_by_its_url() {
        for aws in [
            "",
            "[sso-session corp]\nsso_start_url=https://other.awsapps.com/start\nsso_region=eu-west-1\n",
        ] {
            let settings = format!("[session.corp]\nstart_url='{URL}'\nregion='eu-west-1'\n");
            let found = entries(&settings, aws, "corp");
            assert_eq!(found.len(), 1, "{aws}");
            assert_eq!(found[0].file, OF_URL);
        }
    }

    #[test]
    fn each_spelling_of_a_legacy_profile_has_a_file_of_its_own() {
        let aws = format!(
            "[sso-session corp]\nsso_start_url={URL}\nsso_region=eu-west-1\n\
             [profile a]\nsso_start_url={URL}\nsso_region=eu-west-1\n\
             [profile b]\nsso_start_url={URL}/\nsso_region=eu-west-1\n\
             [profile c]\nsso_start_url={URL}\nsso_region=us-east-1\n\
             [profile d]\nsso_session=corp\n"
        );
        let found = entries("", &aws, "corp");
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0].file, OF_CORP);
        assert_eq!(found[1].file, OF_URL);
        assert_eq!(found[2].start_url, format!("{URL}/"));
    }

    #[test]
    fn a_profile_of_the_first_of_two_users_is_not_the_second_ones() {
        let aws = format!(
            "[sso-session a]\nsso_start_url={URL}\nsso_region=eu-west-1\n\
             [sso-session b]\nsso_start_url={URL}\nsso_region=eu-west-1\n\
             [profile p]\nsso_start_url={URL}\nsso_region=eu-west-1\n"
        );
        assert_eq!(entries("", &aws, "a").len(), 2);
        assert_eq!(entries("", &aws, "b").len(), 1);
    }
}
