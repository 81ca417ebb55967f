//! The daemon's own environment: where the files are, and where AWS is.

use std::{collections::BTreeMap, path::PathBuf};

use awsso_proto::{
    Failure, Reason,
    endpoint::{HOME, config_file},
    environment::{is_listed, listed},
};

/// Read once, at the start.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub config_file: PathBuf,
    pub aws_config_file: PathBuf,
    pub mcp_file: PathBuf,
    /// Where the AWS CLI and the SDKs keep tokens: nothing moves it.
    pub aws_cache_dir: PathBuf,
    vars: BTreeMap<String, String>,
}

/// What the daemon reads, and nothing else: names, and prefixes that end in `*`.
const READ: &[&str] = &[
    HOME,
    "USER",
    "LOGNAME",
    "USERNAME",
    "AWSSO_CONFIG",
    "XDG_CONFIG_HOME",
    "APPDATA",
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL*",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CA_BUNDLE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
];

/// What a child of ours gets from here and cannot be told by a request.
const FOR_CHILDREN: &[&str] = &[
    "AWS_ENDPOINT_URL*",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
];

impl Environment {
    pub fn from_process() -> Result<Self, Failure> {
        Self::new(listed(READ))
    }

    pub fn new(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Failure> {
        let vars: BTreeMap<String, String> = vars
            .into_iter()
            .filter(|(name, value)| !value.is_empty() && is_listed(READ, name))
            .collect();
        for (name, url) in endpoints(&vars) {
            check_endpoint(name, url)?;
        }
        let var = |name: &str| vars.get(name).cloned();
        let home =
            PathBuf::from(var(HOME).ok_or_else(|| {
                Failure::new(Reason::InvalidArgument, format!("{HOME} is not set"))
            })?);
        Ok(Self {
            config_file: config_file(&var)?,
            aws_config_file: var("AWS_CONFIG_FILE")
                .map_or_else(|| home.join(".aws/config"), PathBuf::from),
            mcp_file: home.join(".mcp/configs.json"),
            aws_cache_dir: home.join(".aws/sso/cache"),
            vars,
        })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// AWS's booleans are `true` and `false`, in any case.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Every call to AWS goes to a stand-in on this machine.
    pub fn stays_on_this_machine(&self) -> bool {
        let is_here = |url: &str| {
            let url = url.parse::<http::Uri>().ok();
            url.is_some_and(|url| url.host().is_some_and(is_loopback))
        };
        self.get("AWS_ENDPOINT_URL").is_some()
            && !self.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            && endpoints(&self.vars).all(|(_, url)| is_here(url))
    }

    pub fn for_children(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars
            .iter()
            .filter(|(name, _)| is_listed(FOR_CHILDREN, name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn endpoints(vars: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    vars.iter()
        .filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL"))
}

/// An endpoint that gets tokens is https, or http on this machine.
pub fn check_endpoint(source: &str, url: &str) -> Result<(), Failure> {
    let refused = |why: &str| {
        Err(Failure::new(
            Reason::InvalidArgument,
            format!("{source}: {url} {why}"),
        ))
    };
    let Ok(uri) = url.parse::<http::Uri>() else {
        return refused("is not a URL");
    };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(()),
        (Some("http"), Some(host)) if is_loopback(host) => Ok(()),
        (Some("http"), Some(_)) => refused("must be https: http is for loopback addresses only"),
        _ => refused("is not an http or https URL"),
    }
}

pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Result<Environment, Failure> {
        Environment::new(
            [("HOME", "/h")]
                .iter()
                .chain(vars)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_machine() {
        for good in [
            "https://x.example",
            "http://127.0.0.1:9",
            "http://localhost",
            "http://[::1]:9",
        ] {
            environment(&[("AWS_ENDPOINT_URL_SSO", good)]).unwrap();
        }
        for bad in [
            "http://x.example",
            "ftp://x",
            "x",
            "http://127.0.0.1.evil.example",
        ] {
            let failure = environment(&[("AWS_ENDPOINT_URL_SSO", bad)]).unwrap_err();
            assert!(
                failure.message.starts_with("AWS_ENDPOINT_URL_SSO"),
                "{failure}"
            );
        }
    }

    #[test]
    fn all_calls_stay_here_only_when_every_endpoint_is_here_and_counts() {
        let here = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        for (vars, stays) in [
            (&[here][..], true),
            (&[here, ("AWS_ENDPOINT_URL_SSO", "http://localhost")], true),
            (
                &[here, ("AWS_ENDPOINT_URL_SSO", "https://x.example")],
                false,
            ),
            (
                &[here, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
                false,
            ),
            (&[("AWS_ENDPOINT_URL_SSO", "http://localhost")], false),
            (&[("AWS_ENDPOINT_URL", "https://x.example")], false),
            (&[], false),
        ] {
            let environment = environment(vars).unwrap();
            assert_eq!(environment.stays_on_this_machine(), stays, "{vars:?}");
        }
    }

    #[test]
    fn keys_and_profiles_are_not_even_read() {
        let environment =
            environment(&[("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_PROFILE", "p")]).unwrap();
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), None);
        assert_eq!(environment.get("AWS_PROFILE"), None);
    }
}
