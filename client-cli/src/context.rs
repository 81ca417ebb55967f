//! What the flags and the environment say: which daemon, which session, which
//! target. An empty variable counts as unset. The one clock is here.

use std::time::SystemTime;

use awsso_proto::{
    Client, Endpoint, Failure,
    client::Identity,
    v1::{ClientKind, SessionRef, Target},
};
use clap::error::ErrorKind;

use crate::{
    args::{self, Format, Globals, ListArgs, TargetArgs},
    exit::Stop,
};

pub struct Context {
    pub endpoint: Endpoint,
    /// The session that flags and environment name.
    pub session: SessionRef,
    pub json: bool,
    region: String,
}

impl Context {
    pub fn from_env(globals: Globals) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_env(globals.socket.clone())?;
        Ok(Self::new(endpoint, globals, &variable))
    }

    fn new(endpoint: Endpoint, globals: Globals, var: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| var(name)).unwrap_or_default();
        Self {
            endpoint,
            session: SessionRef {
                name: globals.session.unwrap_or_else(|| first(&["AWSSO_SESSION"])),
                start_url: first(&["AWS_SSO_START_URL"]),
                sso_region: first(&["AWS_SSO_REGION", "AWS_REGION"]),
                profile: first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
            },
            json: globals.json,
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
        }
    }

    /// Connects, and starts the daemon when there is none.
    pub async fn connect(&self) -> Result<Client, Failure> {
        Client::connect_or_start(&self.endpoint, &identity()).await
    }

    /// The session, when a command names it itself.
    pub fn session_named(&self, name: Option<String>) -> SessionRef {
        let mut session = self.session.clone();
        if let Some(name) = name {
            session.name = name;
        }
        session
    }

    /// The target of `command`, as flags and environment name it. What no flag
    /// names, `AWS_PROFILE` can; a role of `config.toml` names its own account.
    pub fn target(&self, command: &str, target: TargetArgs) -> Result<Target, Stop> {
        if self.session.profile.is_empty() && target.role.is_none() {
            let account = match target.account {
                None => "\n  --account <ACCOUNT>",
                Some(_) => "",
            };
            return Err(args::refuse(
                command,
                ErrorKind::MissingRequiredArgument,
                format_args!(
                    "AWS_PROFILE is not set, so these arguments are required:{account}\n  --role <ROLE>"
                ),
            ));
        }
        Ok(Target {
            session: Some(self.session.clone()),
            account: target.account.unwrap_or_default(),
            role: target.role.unwrap_or_default(),
            region: target.region.unwrap_or_else(|| self.region.clone()),
        })
    }

    pub fn format(&self, list: &ListArgs) -> Format {
        if self.json {
            Format::Json
        } else {
            list.output.unwrap_or(Format::Table)
        }
    }
}

/// Who we say we are.
pub fn identity() -> Identity {
    Identity {
        kind: ClientKind::Cli,
        name: "awsso".to_owned(),
    }
}

/// A variable of this process's environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of this program; what decides by it takes `now`"
)]
pub fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(globals: Globals, vars: &[(&str, &str)]) -> Context {
        let endpoint = Endpoint {
            socket: "/nowhere/awssod.sock".into(),
            explicit: true,
            state: "/nowhere".into(),
        };
        Context::new(endpoint, globals, &|name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_flag_comes_before_the_environment() {
        let flag = Globals {
            session: Some("flag".into()),
            ..Globals::default()
        };
        let vars = [("AWSSO_SESSION", "env"), ("AWS_SSO_START_URL", "https://x")];
        let session = context(flag, &vars).session;
        assert_eq!(session.name, "flag");
        assert_eq!(session.start_url, "https://x");
        assert_eq!(context(Globals::default(), &vars).session.name, "env");
    }

    #[test]
    fn the_regions_of_the_login_and_of_the_work_are_two_things() {
        let vars = [
            ("AWS_SSO_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "us-east-2"),
            ("AWS_PROFILE", "p"),
        ];
        let context = context(Globals::default(), &vars);
        assert_eq!(context.session.sso_region, "eu-west-1");
        let target = context.target("env", TargetArgs::default()).unwrap();
        assert_eq!(target.region, "us-east-2");
        let flag = TargetArgs {
            region: Some("sa-east-1".into()),
            ..TargetArgs::default()
        };
        assert_eq!(context.target("env", flag).unwrap().region, "sa-east-1");
    }

    #[test]
    fn without_a_profile_the_account_and_the_role_are_required() {
        let bare = context(Globals::default(), &[]);
        let Err(Stop::Usage(error)) = bare.target("exec-command", TargetArgs::default()) else {
            panic!("a target out of nothing");
        };
        let text = error.to_string();
        assert!(
            text.contains("--account") && text.contains("--role"),
            "{text}"
        );
        assert!(text.contains("Usage: awsso exec-command"), "{text}");
        assert_eq!(error.exit_code(), 2);

        let profile = context(Globals::default(), &[("AWS_DEFAULT_PROFILE", "dev")]);
        assert!(
            profile
                .target("exec-command", TargetArgs::default())
                .is_ok()
        );
    }

    #[test]
    fn a_role_alone_goes_to_the_daemon_and_an_account_alone_does_not() {
        let bare = context(Globals::default(), &[]);
        let role = TargetArgs {
            role: Some("deploy".into()),
            ..TargetArgs::default()
        };
        assert_eq!(bare.target("env", role).unwrap().role, "deploy");
        let account = TargetArgs {
            account: Some("prod".into()),
            ..TargetArgs::default()
        };
        let Err(Stop::Usage(error)) = bare.target("env", account) else {
            panic!("a target without a role");
        };
        assert!(!error.to_string().contains("--account <ACCOUNT>\n"));
    }
}
