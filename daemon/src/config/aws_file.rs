//! The AWS config file, as the AWS CLI and the SDKs read it
//! (docs.aws.amazon.com/sdkref/latest/guide/file-format.html). Read only.

use std::{collections::BTreeMap, path::PathBuf};

use awsso_proto::Failure;

/// The sections that matter to awsso.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsFile {
    pub profiles: BTreeMap<String, Section>,
    pub sso_sessions: BTreeMap<String, Section>,
    pub services: BTreeMap<String, Section>,
}

/// Keys in lower case. A nested key is `parent.key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section(BTreeMap<String, String>);

impl Section {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl AwsFile {
    pub(super) fn read(path: &PathBuf) -> Result<Self, Failure> {
        Ok(super::read(path)?
            .map(|text| Self::parse(&text))
            .unwrap_or_default())
    }

    /// A line that is not understood is passed over, as the AWS tools do: the
    /// file is not ours, and half of it is of use.
    pub fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let mut section: Option<&mut Section> = None;
        let mut parent: Option<String> = None;
        for line in text.trim_start_matches('\u{feff}').lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if trimmed.starts_with('[') {
                section = file.section(trimmed);
                parent = None;
                continue;
            }
            let Some(section) = section.as_deref_mut() else {
                continue;
            };
            let Some((key, value)) = trimmed.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim().to_lowercase(), without_comment(value.trim()));
            let nested = line.starts_with([' ', '\t']);
            if let (Some(parent), true) = (&parent, nested) {
                section
                    .0
                    .insert(format!("{parent}.{key}"), value.to_owned());
            } else {
                parent = value.is_empty().then(|| key.clone());
                section.0.insert(key, value.to_owned());
            }
        }
        file
    }

    fn section(&mut self, header: &str) -> Option<&mut Section> {
        let inner = header.strip_prefix('[')?.split_once(']')?.0.trim();
        let (kind, name) = match inner.split_once([' ', '\t']) {
            Some((kind, name)) => (kind, unquote(name.trim())),
            None if inner == "default" => ("profile", "default"),
            None => return None,
        };
        let sections = match kind {
            "profile" => &mut self.profiles,
            "sso-session" => &mut self.sso_sessions,
            "services" => &mut self.services,
            _ => return None,
        };
        Some(sections.entry(name.to_owned()).or_default())
    }
}

/// A comment inside a line needs white space before its sign.
fn without_comment(value: &str) -> &str {
    let end = value
        .match_indices(['#', ';'])
        .find(|(at, _)| value[..*at].ends_with([' ', '\t']))
        .map_or(value.len(), |(at, _)| at);
    value[..end].trim_end()
}

fn unquote(name: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = name
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_sessions_and_services_are_read_as_the_aws_tools_read_them() {
        let file = AwsFile::parse(
            "\u{feff}# top\n[default]\nregion = eu-west-1 # home\n\
             [sso-session corp]\r\nsso_start_url = https://a.awsapps.com/start/#/\r\nSSO_REGION=eu-west-1\n\
             [profile 'dev admin']\nsso_session = corp\ns3 =\n  endpoint_url = http://x\n  b = c\nregion = a\n\
             garbage\n[profile]\nregion = none\n[services local]\nsso_oidc =\n  endpoint_url = http://127.0.0.1:1\n",
        );
        assert_eq!(file.profiles["default"].get("region"), Some("eu-west-1"));
        assert_eq!(
            file.sso_sessions["corp"].get("sso_start_url"),
            Some("https://a.awsapps.com/start/#/")
        );
        assert_eq!(
            file.sso_sessions["corp"].get("sso_region"),
            Some("eu-west-1")
        );
        let dev = &file.profiles["dev admin"];
        assert_eq!(dev.get("sso_session"), Some("corp"));
        assert_eq!(dev.get("s3.endpoint_url"), Some("http://x"));
        assert_eq!(dev.get("region"), Some("a"));
        assert_eq!(
            file.services["local"].get("sso_oidc.endpoint_url"),
            Some("http://127.0.0.1:1")
        );
        assert_eq!(file.profiles.len(), 2);
    }
}
