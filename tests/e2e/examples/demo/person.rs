//! The person at a terminal.

use anyhow::ensure;
use awsso_e2e::known::{ADMIN, LINUX, NO_S3, PRODUCTION, READ_ONLY, WINDOWS};

use crate::stage::{Stage, heading};

pub async fn play(stage: &Stage) -> anyhow::Result<()> {
    heading("A person at a terminal")?;
    let login = ["login", "--no-launch-browser"];
    let prompt = ["open this link", "/device?user_code=", "Logged in to"];
    stage.awsso(&login).await?.ended(0, &prompt)?;
    stage.awsso(&["status"]).await?.ended(0, &["active"])?;
    let accounts = [PRODUCTION, "staging", NO_S3];
    stage.awsso(&["ls-accounts"]).await?.ended(0, &accounts)?;

    let who = aws(READ_ONLY, "aws sts get-caller-identity");
    stage.awsso(&who).await?.ended(0, &["/AWSReservedSSO_"])?;
    let buckets = aws(READ_ONLY, "aws s3 ls");
    let data = ["111122223333-data"];
    stage.awsso(&buckets).await?.ended(0, &data)?;

    let linux = ec2(LINUX, "uname -a && hostname");
    stage.awsso(&linux).await?.ended(0, &["web-1"])?;
    let windows = ec2(WINDOWS, "hostname");
    stage.awsso(&windows).await?.ended(0, &["win-1"])?;

    // The AWS CLI's own exit code for an error of the service comes through.
    let denied = aws(NO_S3, "aws s3 ls");
    let why = ["AccessDenied", "other roles in this account", READ_ONLY];
    stage.awsso(&denied).await?.ended(255, &why)?;
    let logout = stage.awsso(&["logout"]).await?;
    logout.ended(0, &["Logged out of"])
}

/// The login that the AI client began is the person's, too; then all ends.
pub async fn leave(stage: &Stage) -> anyhow::Result<()> {
    heading("The same login at the terminal, and the end")?;
    stage.awsso(&["status"]).await?.ended(0, &["active"])?;
    let stop = stage.awsso(&["daemon", "stop"]).await?;
    stop.ended(0, &["awssod has stopped"])?;
    let left = stage.world.daemon_pid().await;
    ensure!(left.is_none(), "a daemon still runs: {left:?}");
    Ok(())
}

fn aws<'a>(role: &'a str, command: &'a str) -> [&'a str; 7] {
    let account = ["exec-command", "--account-id", PRODUCTION];
    let [verb, flag, id] = account;
    [verb, flag, id, "--role-name", role, "--command", command]
}

fn ec2<'a>(instance: &'a str, command: &'a str) -> [&'a str; 9] {
    [
        "ec2-exec-command",
        "--account-id",
        PRODUCTION,
        "--role-name",
        ADMIN,
        "--instance-id",
        instance,
        "--command",
        command,
    ]
}
