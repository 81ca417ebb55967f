//! What the shim's own environment says: which session a call is about, which
//! region, and what an AWS CLI child may inherit. Pure; never reads a file.

use std::{collections::HashMap, path::PathBuf};

use awsso_proto::{
    environment::{FOR_AWS_CLI, is_listed},
    v1::SessionRef,
};

#[derive(Debug)]
pub(crate) struct Context {
    session: SessionRef,
    region: String,
    /// A child's environment.
    pub environment: HashMap<String, String>,
    /// A child's working directory; absolute.
    pub working_directory: String,
}

impl Context {
    pub(crate) fn from_env() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let here = std::env::current_dir()
            .ok()
            .and_then(|dir| dir.into_os_string().into_string().ok());
        Self::new(&vars, here.unwrap_or_else(|| "/".to_owned()))
    }

    fn new(vars: &HashMap<String, String>, working_directory: String) -> Self {
        let first = |names: &[&str]| {
            names
                .iter()
                .filter_map(|name| vars.get(*name))
                .find(|value| !value.is_empty())
                .cloned()
                .unwrap_or_default()
        };
        let path = longer_path(vars.get("PATH").map_or("", String::as_str));
        let mut environment: HashMap<String, String> = vars
            .iter()
            .filter(|(name, _)| is_listed(FOR_AWS_CLI, name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        environment.insert("PATH".to_owned(), path);
        Self {
            session: SessionRef {
                name: first(&["AWSSO_SESSION"]),
                start_url: first(&["AWS_SSO_START_URL"]),
                sso_region: first(&["AWS_SSO_REGION", "AWS_REGION"]),
                profile: first(&["AWS_PROFILE"]),
            },
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            environment,
            working_directory,
        }
    }

    /// The session that an argument, then the environment, names.
    pub(crate) fn session(&self, argument: Option<String>) -> SessionRef {
        SessionRef {
            name: argument.unwrap_or_else(|| self.session.name.clone()),
            ..self.session.clone()
        }
    }

    /// The region that an argument, then the environment, names; else empty.
    pub(crate) fn region(&self, argument: Option<String>) -> String {
        argument.unwrap_or_else(|| self.region.clone())
    }
}

/// Where the AWS CLI also is: a desktop program's own PATH is short.
const USUAL_PLACES: [&str; 4] = [
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/usr/bin",
    "/snap/bin",
];

/// The client's PATH, then the usual places that it lacks.
fn longer_path(path: &str) -> String {
    let mut dirs: Vec<PathBuf> = std::env::split_paths(path)
        .filter(|dir| !dir.as_os_str().is_empty())
        .collect();
    let usual = USUAL_PLACES.iter().map(PathBuf::from);
    dirs.extend(usual.filter(|dir| !dirs.contains(dir)).collect::<Vec<_>>());
    std::env::join_paths(dirs)
        .ok()
        .and_then(|path| path.into_string().ok())
        .unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(vars: &[(&str, &str)]) -> Context {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Context::new(&vars, "/work".to_owned())
    }

    #[test]
    fn an_argument_comes_before_the_environment() {
        let context = context(&[
            ("AWSSO_SESSION", "corp"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ]);
        assert_eq!(context.session(None).name, "corp");
        assert_eq!(context.session(Some("lab".into())).name, "lab");
        assert_eq!(context.region(None), "eu-west-1");
        assert_eq!(context.region(Some("sa-east-1".into())), "sa-east-1");
    }

    #[test]
    fn the_sso_region_comes_before_the_region_and_empty_means_unset() {
        let both = context(&[("AWS_SSO_REGION", "us-east-2"), ("AWS_REGION", "eu-west-1")]);
        assert_eq!(both.session(None).sso_region, "us-east-2");
        let one = context(&[("AWS_SSO_REGION", ""), ("AWS_REGION", "eu-west-1")]);
        assert_eq!(one.session(None).sso_region, "eu-west-1");
    }

    #[test]
    fn the_usual_places_of_the_aws_cli_come_after_a_short_path() {
        let path = |path| context(&[("PATH", path)]).environment["PATH"].clone();
        assert_eq!(
            path("/bin:/usr/local/bin"),
            "/bin:/usr/local/bin:/opt/homebrew/bin:/usr/bin:/snap/bin"
        );
        assert!(path("").starts_with("/usr/local/bin:"));
    }

    #[test]
    fn a_child_inherits_no_keys() {
        let context = context(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("AWS_SECRET_ACCESS_KEY", "wJalr"),
            ("AWS_ENDPOINT_URL", "https://evil"),
            ("ANTHROPIC_API_KEY", "sk"),
        ]);
        let mut names: Vec<_> = context.environment.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }
}
