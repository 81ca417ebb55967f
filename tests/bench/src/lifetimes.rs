//! SDKs and the AWS CLI beside awsso for longer than their credentials live. Each client has a daemon and a sandbox of
//! its own, so that what AWS was asked is told of each; all run side by side. One call that fails fails the run.

use std::{io::Write, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use awsso_e2e::{
    World, bin,
    known::{ADMIN, PRODUCTION},
    sandbox::Config,
};
use futures_util::future::try_join_all;
use tempfile::TempDir;
use tokio::process::Command;

use crate::table::{self, Row};

const LIFETIME: Duration = Duration::from_mins(1);
const LIFETIMES: u32 = 3;
const ASKED: &str = "sso.GetRoleCredentials";

const BOTO3: &str = include_str!("lifetimes/boto3.py");
const AWS_CLI: &str = include_str!("lifetimes/aws_cli.sh");
const JAVASCRIPT: &str = include_str!("lifetimes/javascript.mjs");
/// What `javascript.mjs` imports.
const PACKAGES: [&str; 3] = [
    "@aws-sdk/client-ec2@3.1169.0",
    "@aws-sdk/client-sts@3.1169.0",
    "@aws-sdk/credential-providers@3.1169.0",
];

/// How a client comes by its credentials.
#[derive(Clone, Copy)]
enum Source {
    /// A profile of the AWS config with `credential_process`.
    Profile,
    /// The endpoint of `exec --serve`.
    Endpoint,
    /// The variables of `awsso env`, set anew for each command.
    Variables,
}

#[derive(Clone, Copy)]
enum Sdk<'a> {
    Boto3,
    AwsCli,
    /// Its packages are installed there.
    JavaScript(&'a Path),
}

/// A client's calls, as it tells them: a line each.
struct Told {
    what: String,
    calls: usize,
    errors: Vec<String>,
    keys: u64,
}

pub async fn run(out: &mut dyn Write) -> anyhow::Result<()> {
    let packages = installed().await;
    let mut clients = vec![
        (Sdk::Boto3, Source::Profile),
        (Sdk::Boto3, Source::Endpoint),
        (Sdk::AwsCli, Source::Profile),
        (Sdk::AwsCli, Source::Endpoint),
        (Sdk::AwsCli, Source::Variables),
    ];
    match &packages {
        Ok(folder) => {
            let javascript = Sdk::JavaScript(folder.path());
            clients.extend([
                (javascript, Source::Profile),
                (javascript, Source::Endpoint),
            ]);
        }
        Err(why) => writeln!(out, "The SDK for JavaScript is left out: {why:#}")?,
    }
    let span = LIFETIME * LIFETIMES;
    writeln!(
        out,
        "{} clients for {} s, with credentials that live {} s",
        clients.len(),
        span.as_secs(),
        LIFETIME.as_secs()
    )?;
    let told = clients
        .into_iter()
        .map(|(sdk, source)| client(sdk, source, span));
    let told = try_join_all(told).await?;
    let rows: Vec<_> = told.iter().map(Told::row).collect();
    table::print(out, &rows)?;
    for client in told.iter().filter(|client| !client.is_good()) {
        for error in client.errors.iter().take(3) {
            writeln!(out, "{}: {error}", client.what)?;
        }
    }
    ensure!(
        told.iter().all(Told::is_good),
        "a client did not get through"
    );
    Ok(())
}

async fn installed() -> anyhow::Result<TempDir> {
    let folder = TempDir::new()?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--silent",
    ])
    .args(PACKAGES)
    .current_dir(folder.path())
    .stdin(Stdio::null());
    let output = npm.output().await.context("npm does not run")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "npm does not install it: {stderr}");
    // Beside its packages, where Node.js looks for them.
    std::fs::write(folder.path().join("javascript.mjs"), JAVASCRIPT)?;
    Ok(folder)
}

async fn client(sdk: Sdk<'_>, source: Source, span: Duration) -> anyhow::Result<Told> {
    let world = World::logged_in_to(Config {
        credential_lifetime: LIFETIME,
        ..Config::default()
    })
    .await;
    let what = format!("{}, {}", sdk.name(), source.name());
    let output = command(&world, sdk, source, span).output().await?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut errors: Vec<_> = stdout
        .lines()
        .filter(|line| *line != "ok")
        .map(str::to_owned)
        .collect();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        errors.push(format!("{}: {}", output.status, stderr.trim_end()));
    }
    Ok(Told {
        what,
        calls: stdout.lines().count(),
        errors,
        keys: world.sandbox.count(ASKED),
    })
}

/// The client's program, which is told for how many seconds to go on and, where it has to, how to come by its
/// credentials.
fn command(world: &World, sdk: Sdk<'_>, source: Source, span: Duration) -> Command {
    let awsso = bin("awsso");
    let target = format!("--account {PRODUCTION} --role {ADMIN}");
    let seconds = span.as_secs().to_string();
    let mut line = match sdk {
        Sdk::Boto3 => {
            let python =
                std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
            vec![python, "-c".to_owned(), BOTO3.to_owned(), seconds]
        }
        Sdk::AwsCli => {
            let shell = ["sh", "-c", AWS_CLI, "aws_cli.sh"].map(str::to_owned);
            [&shell[..], &[seconds]].concat()
        }
        Sdk::JavaScript(folder) => {
            let program = folder.join("javascript.mjs").display().to_string();
            vec!["node".to_owned(), program, seconds]
        }
    };
    match source {
        Source::Profile => {
            let (awsso, region) = (awsso.display(), world.sandbox.region());
            world.aws_config(&format!(
                "[profile bench]\nregion = {region}\n\
                 credential_process = \"{awsso}\" credential-process {target}\n"
            ));
            let mut command = world.program(&line[0]);
            command.args(&line[1..]).env("AWS_PROFILE", "bench");
            command
        }
        Source::Endpoint => {
            let mut command = world.program(awsso);
            command.args(["exec", "--serve"]);
            command.args(target.split(' ')).arg("--").args(line);
            command
        }
        Source::Variables => {
            let awsso = awsso.display();
            line.push(format!("eval \"$('{awsso}' env {target} --shell bash)\""));
            let mut command = world.program(&line[0]);
            command.args(&line[1..]);
            command
        }
    }
}

impl Sdk<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Boto3 => "boto3",
            Self::AwsCli => "AWS CLI",
            Self::JavaScript(_) => "SDK for JavaScript",
        }
    }
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Profile => "credential_process",
            Self::Endpoint => "exec --serve",
            Self::Variables => "eval of awsso env",
        }
    }
}

impl Told {
    /// It called, it got through, and its credentials were replaced as often as they ended.
    fn is_good(&self) -> bool {
        self.calls > 0 && self.errors.is_empty() && self.keys >= u64::from(LIFETIMES)
    }

    fn row(&self) -> Row {
        let cells = [
            format!("{} calls", self.calls),
            format!("{} GetRoleCredentials", self.keys),
            format!("{} errors", self.errors.len()),
            "0 errors".to_owned(),
        ];
        Row::figure(&self.what, cells, self.is_good())
    }
}
