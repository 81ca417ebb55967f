//! `config.toml`: what a person says about awsso.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use awsso_proto::{Failure, Reason, ipc, v1};
use serde::Deserialize;
use tracing::warn;

use super::{LockSettings, RoleSettings, SsmSettings};
use crate::policy::Rules;

/// The whole file. An unknown key is a warning, except in `[policy]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The session that is meant when none is named.
    pub default_session: Option<String>,
    /// The region of commands when neither a flag nor the environment says one.
    pub region: Option<String>,
    #[serde(rename = "session")]
    pub sessions: BTreeMap<String, SessionSettings>,
    /// How a login goes when nobody says so.
    pub login_flow: LoginFlow,
    /// Whether `~/.aws/sso/cache` is shared with the AWS CLI and the SDKs.
    /// Unsaid: yes, unless logins are kept in memory only.
    pub share_with_aws_cli: Option<bool>,
    /// A desktop notification before a session ends that cannot be renewed.
    pub notify: bool,
    pub network: Network,
    pub store: StoreKind,
    /// When awsso locks by itself.
    pub lock: LockSettings,
    /// Short names for accounts: name = account id or account name.
    pub aliases: BTreeMap<String, String>,
    /// Roles that are assumed with another role's credentials.
    #[serde(rename = "role")]
    pub roles: BTreeMap<String, RoleSettings>,
    pub limits: Limits,
    /// Where runs on instances leave what they print.
    pub ssm: SsmSettings,
    #[serde(skip)]
    pub policy: Policy,
}

/// `[session.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SessionSettings {
    pub start_url: String,
    pub region: String,
    /// Goes before the one for all sessions.
    #[serde(default)]
    pub login_flow: Option<LoginFlow>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginFlow {
    /// In the browser where there is one on this machine, else with a code.
    #[default]
    Auto,
    Browser,
    Device,
}

/// `[network]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Network {
    /// For a daemon whose environment has no `HTTPS_PROXY`.
    pub proxy: Option<String>,
    /// PEM certificates to trust besides the system's.
    pub ca_bundle: Option<PathBuf>,
}

/// `[store] kind`: where tokens are kept between two runs of the daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "StoreForm")]
pub enum StoreKind {
    /// Files sealed with a key that the system's keyring holds; where there is
    /// none, as `File`.
    #[default]
    Keyring,
    /// Files sealed with a key in a file beside them.
    File,
    /// Nowhere.
    Memory,
}

impl From<StoreKind> for v1::StoreKind {
    fn from(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Keyring => Self::Keyring,
            StoreKind::File => Self::File,
            StoreKind::Memory => Self::Memory,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StoreForm {
    Word(StoreWord),
    Table { kind: StoreWord },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoreWord {
    Keyring,
    File,
    Memory,
}

impl From<StoreForm> for StoreKind {
    fn from(form: StoreForm) -> Self {
        let (StoreForm::Word(word) | StoreForm::Table { kind: word }) = form;
        match word {
            StoreWord::Keyring => Self::Keyring,
            StoreWord::File => Self::File,
            StoreWord::Memory => Self::Memory,
        }
    }
}

/// A week: more is a slip of the pen.
const MAX_RUN_SECONDS: u64 = 7 * 24 * 3_600;

/// `[limits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How long a command may run when the caller says nothing, in seconds.
    pub run_seconds: u64,
    /// How much of one output stream is kept, in bytes.
    pub output_bytes: u64,
    /// How much of all outputs is kept, in bytes; the oldest go first.
    pub outputs_total_bytes: u64,
    /// AWS CLI runs at the same time; more wait.
    pub parallel_runs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            run_seconds: 3_600,
            output_bytes: 1 << 30,
            outputs_total_bytes: 10 << 30,
            parallel_runs: 32,
        }
    }
}

impl Limits {
    pub fn run_time(&self) -> Duration {
        Duration::from_secs(self.run_seconds.clamp(1, MAX_RUN_SECONDS))
    }
}

/// `[policy]`, or why it cannot be used: then agents are refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    pub rules: Rules,
    pub error: Option<String>,
}

impl Settings {
    pub(super) fn read(path: &PathBuf) -> Result<Self, Failure> {
        let Some(text) = super::read(path)? else {
            return Ok(Self::default());
        };
        let mut settings = Self::parse(&text).map_err(|what| {
            Failure::new(
                Reason::InvalidArgument,
                format!("{}: {what}", path.display()),
            )
        })?;
        if ipc::others_can_write(path).unwrap_or(true) {
            settings.policy.error = Some(format!(
                "{} can be written by other users; run: {}",
                path.display(),
                ipc::write_protecting_command(path)
            ));
        }
        Ok(settings)
    }

    /// The account that an alias stands for; everything else stands for itself.
    pub fn account<'a>(&'a self, wanted: &'a str) -> &'a str {
        self.aliases.get(wanted).map_or(wanted, String::as_str)
    }

    pub fn login_flow(&self, session: &str) -> LoginFlow {
        self.sessions
            .get(session)
            .and_then(|session| session.login_flow)
            .unwrap_or(self.login_flow)
    }

    pub fn shares_with_aws_cli(&self) -> bool {
        self.share_with_aws_cli
            .unwrap_or(self.store != StoreKind::Memory)
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let one_line = |error: toml::de::Error| {
            let at = error
                .span()
                .map(|span| format!("line {}: ", text[..span.start].matches('\n').count() + 1))
                .unwrap_or_default();
            format!("{at}{}", error.message())
        };
        let document = toml::Deserializer::parse(text).map_err(one_line)?;
        let mut settings: Self = serde_ignored::deserialize(document, |key| {
            let key = key.to_string();
            if key != "policy" {
                warn!(key, "unknown key in config.toml");
            }
        })
        .map_err(one_line)?;
        settings.policy = match Rules::parse(text, &settings.aliases) {
            Ok(rules) => Policy { rules, error: None },
            Err(error) => Policy {
                rules: Rules::default(),
                error: Some(format!("[policy] in config.toml: {error}")),
            },
        };
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Preset;

    #[test]
    fn a_full_file_is_understood() {
        let settings = Settings::parse(
            "default_session = 'corp'\nunknown = 1\n[session.corp]\nstart_url = 'https://a.awsapps.com/start'\n\
             region = 'eu-west-1'\n[store]\nkind = 'memory'\n[aliases]\nprod = '111122223333'\n\
             [limits]\nrun_seconds = 5\n[ssm]\noutput_bucket = 'runs'\noutput_prefix = 'a/b'\nunknown = 1\n[policy]\npreset = 'read-only'\n",
        )
        .unwrap();
        assert_eq!(settings.sessions["corp"].region, "eu-west-1");
        assert_eq!(settings.store, StoreKind::Memory);
        assert_eq!(settings.limits.run_time(), Duration::from_secs(5));
        assert_eq!(settings.policy.rules.preset, Preset::ReadOnly);
        assert_eq!(settings.ssm.output_bucket, "runs");
        assert_eq!(settings.ssm.output_log_group, "");
        assert_eq!(
            Settings::parse("store = 'file'").unwrap().store,
            StoreKind::File
        );
    }

    #[test]
    fn a_session_may_have_a_flow_of_its_own() {
        let settings = Settings::parse(
            "login_flow = 'device'\n[session.a]\nstart_url = 'x'\nregion = 'y'\nlogin_flow = 'browser'\n",
        )
        .unwrap();
        assert_eq!(settings.login_flow("a"), LoginFlow::Browser);
        assert_eq!(settings.login_flow("b"), LoginFlow::Device);
        assert_eq!(Settings::default().login_flow("a"), LoginFlow::Auto);
        assert!(Settings::parse("login_flow = 'telepathy'").is_err());
    }

    #[test]
    fn a_login_that_is_kept_in_memory_is_shared_only_when_a_person_says_so() {
        let shares = |text| Settings::parse(text).unwrap().shares_with_aws_cli();
        assert!(shares(""));
        assert!(!shares("store = 'memory'"));
        assert!(shares("share_with_aws_cli = true\nstore = 'memory'"));
        assert!(!shares("share_with_aws_cli = false"));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = Settings::parse("a = 1\nb = \n").unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
        for (text, line) in [
            ("x = 1\n\n[session.a]\nregion = 'x'\n", "line 3: "),
            ("[limits]\nrun_seconds = 'long'\n", "line 2: "),
        ] {
            let error = Settings::parse(text).unwrap_err();
            assert!(error.starts_with(line), "{error}");
        }
    }

    #[test]
    fn a_mistake_in_the_policy_refuses_agents_and_nobody_else() {
        let settings = Settings::parse("[policy]\npresett = 'open'\n").unwrap();
        assert!(settings.policy.error.unwrap().contains("presett"));
    }
}
