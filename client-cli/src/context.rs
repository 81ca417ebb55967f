//! What the flags and the environment say: which daemon, which session, which
//! target. An empty variable counts as unset. The one clock is here.

use std::{path::PathBuf, time::SystemTime};

use awsso_proto::{
    Client, Endpoint, Failure,
    client::Identity,
    endpoint::HOME,
    v1::{
        ClientKind, GetCredentialsRequest, GetCredentialsResponse, Selection, SessionRef, Target,
    },
};
use clap::error::ErrorKind;

use crate::{
    args::{self, Format, Globals, ListArgs, PlacesArgs, TargetArgs},
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

    /// What a daemon that runs hands out, if it does so without a handshake.
    pub async fn credentials_at_once(
        &self,
        request: GetCredentialsRequest,
    ) -> Option<Result<GetCredentialsResponse, Failure>> {
        Client::credentials_at_once(&self.endpoint, &identity(), request).await
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
            return Err(missing(command, target.account.is_none(), true));
        }
        Ok(Target {
            session: Some(self.session.clone()),
            account: target.account.unwrap_or_default(),
            role: target.role.unwrap_or_default(),
            region: target.region.unwrap_or_else(|| self.region.clone()),
        })
    }

    /// Many targets of `command`. Which accounts they are in only flags can say.
    pub fn selection(&self, command: &str, places: PlacesArgs) -> Result<Selection, Stop> {
        let nowhere = places.accounts.is_empty() && !places.all_accounts;
        let no_role = self.session.profile.is_empty() && places.roles.is_empty();
        if nowhere || no_role {
            return Err(missing(command, nowhere, no_role));
        }
        let mut regions = places.regions;
        if regions.is_empty() && !self.region.is_empty() {
            regions.push(self.region.clone());
        }
        Ok(Selection {
            session: Some(self.session.clone()),
            accounts: places.accounts,
            all_accounts: places.all_accounts,
            roles: places.roles,
            regions,
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

fn missing(command: &str, account: bool, role: bool) -> Stop {
    let why = if role {
        "AWS_PROFILE is not set, so these arguments are required:"
    } else {
        "these arguments are required:"
    };
    let account = if account {
        "\n  --account <ACCOUNT>"
    } else {
        ""
    };
    let role = if role { "\n  --role <ROLE>" } else { "" };
    args::refuse(
        command,
        ErrorKind::MissingRequiredArgument,
        format_args!("{why}{account}{role}"),
    )
}

/// Who we say we are.
pub fn identity() -> Identity {
    Identity {
        kind: ClientKind::Cli,
        name: "awsso".to_owned(),
        form_elicitation: false,
    }
}

/// A variable of this process's environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the person's files are.
pub fn home() -> Option<PathBuf> {
    let home = std::env::var_os(HOME).map(PathBuf::from);
    home.filter(|home| home.is_absolute())
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

    #[test]
    fn many_targets_are_in_accounts_that_flags_name() {
        let vars = [("AWS_PROFILE", "dev"), ("AWS_REGION", "us-east-2")];
        let context = context(Globals::default(), &vars);
        let several = || PlacesArgs {
            roles: vec!["Audit".into(), "Admin".into()],
            ..PlacesArgs::default()
        };
        let Err(Stop::Usage(error)) = context.selection("exec-command", several()) else {
            panic!("accounts out of nothing");
        };
        assert!(error.to_string().contains("--account"), "{error}");
        let all = PlacesArgs {
            all_accounts: true,
            ..several()
        };
        let selection = context.selection("exec-command", all).unwrap();
        assert_eq!(selection.roles, ["Audit", "Admin"]);
        assert_eq!(selection.regions, ["us-east-2"]);
    }
}
