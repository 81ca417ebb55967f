//! The AWS CLI and boto3 beside us: their configuration, their cache of
//! tokens, and themselves.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{Background, Run, World, finish};

const PROGRAM: &str = include_str!("botocore.py");

impl World {
    /// Writes `~/.aws/config`.
    pub fn aws_config(&self, text: &str) {
        self.write(".aws/config", text);
    }

    /// An `[sso-session]` of the sandbox, for `~/.aws/config`, and a profile of
    /// the same name that may read production.
    pub fn sso_session(&self, name: &str) -> String {
        let (url, region) = (self.sandbox.start_url(), self.sandbox.region());
        format!(
            "[sso-session {name}]\nsso_start_url = {url}\nsso_region = {region}\n\
             [profile {name}]\nsso_session = {name}\n{}",
            self.target()
        )
    }

    /// A profile that names the start URL itself.
    pub fn legacy_profile(&self, name: &str, url: &str) -> String {
        let region = self.sandbox.region();
        format!(
            "[profile {name}]\nsso_start_url = {url}\nsso_region = {region}\n{}",
            self.target()
        )
    }

    pub fn aws_cache(&self) -> PathBuf {
        self.home().join(".aws/sso/cache")
    }

    /// Where others look for the token of a session name or a start URL.
    pub async fn cache_file(&self, key: &str) -> PathBuf {
        let files = self.botocore("names", &json!([key])).await;
        self.aws_cache().join(files[0].as_str().expect("a name"))
    }

    /// Whose keys the real AWS CLI gets for a profile.
    pub async fn aws_cli_identity(&self, profile: &str) -> Run {
        let mut aws = self.program("aws");
        aws.args(["--profile", profile, "sts", "get-caller-identity"]);
        finish(aws, format!("aws --profile {profile}")).await
    }

    /// What a verb of `botocore.py` answers.
    pub async fn botocore(&self, verb: &str, arguments: &Value) -> Value {
        let run = finish(self.python(verb, arguments), verb.to_owned()).await;
        run.code(0).json()
    }

    /// Starts a verb of `botocore.py` and leaves it running.
    pub fn botocore_in_background(&self, verb: &str, arguments: &Value) -> Background {
        Background::start(self.python(verb, arguments), verb)
    }

    /// `aws sso login` for an `[sso-session]`.
    pub async fn log_in_elsewhere(&self, session: &str) {
        let (url, region) = (self.sandbox.start_url(), self.sandbox.region());
        self.botocore("login", &json!([session, url, region])).await;
    }

    fn python(&self, verb: &str, arguments: &Value) -> Command {
        let python = std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let arguments = arguments.as_array().expect("arguments are a list");
        let mut command = self.program(python);
        command
            .args(["-c", PROGRAM, verb])
            .args(arguments.iter().map(Value::to_string));
        command
    }

    fn target(&self) -> String {
        format!(
            "sso_account_id = {}\nsso_role_name = {}\nregion = {}\n",
            crate::known::PRODUCTION,
            crate::known::READ_ONLY,
            self.sandbox.region()
        )
    }
}
