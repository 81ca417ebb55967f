//! `awsso exec-command` with a shell script in the place of the AWS CLI.

use std::process::Output;

use tokio::process::Command;

use crate::{Background, Run, World, bin, finish, known, world::within_limit};

/// A script, first in PATH, run as the administrator of production.
pub struct FakeAws<'a> {
    world: &'a World,
    path: String,
}

impl World {
    pub fn fake_aws(&self, body: &str) -> FakeAws<'_> {
        FakeAws {
            world: self,
            path: self.path_with_aws(body),
        }
    }
}

impl FakeAws<'_> {
    /// `awsso` where `aws` is the script.
    pub fn awsso(&self, args: &[&str]) -> Command {
        let mut awsso = self.world.program(bin("awsso"));
        awsso.args(args).env("PATH", &self.path);
        awsso
    }

    /// `awsso exec-command` for this command.
    pub fn exec(&self, command: &str) -> Command {
        let mut exec = self.awsso(&["exec-command", "--command", command]);
        exec.args(["--account", known::PRODUCTION, "--role", known::ADMIN]);
        exec
    }

    pub async fn run(&self, command: &str) -> Run {
        finish(self.exec(command), command.to_owned()).await
    }

    pub fn start(&self, command: &str) -> Background {
        Background::start(self.exec(command), command)
    }

    /// Both streams, byte for byte.
    pub async fn output(&self, command: &str) -> Output {
        within_limit(command, self.exec(command).output())
            .await
            .expect("awsso runs")
    }
}
