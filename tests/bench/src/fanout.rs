//! One command in many accounts beside what people write themselves: `xargs -P` over the bare AWS CLI, with credentials
//! that are there already.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use awsso_e2e::{World, bin, known::READ_ONLY, process::script, sandbox::Config};
use awsso_proto::v1::{ClientKind, Secret};

use crate::{scale::asking, table::Row};

const ACCOUNTS: usize = 200;
const PARALLEL: &str = "8";
const COMMAND: [&str; 3] = ["aws", "sts", "get-caller-identity"];
const BAR: f64 = 1.15;

pub async fn rows() -> anyhow::Result<Vec<Row>> {
    let world = World::logged_in_to(Config {
        accounts: ACCOUNTS,
        ..Config::default()
    })
    .await;
    let list = ready(&world).await?;
    // In turns: a machine's mood is both sides'.
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        bare.push(xargs(&world, &list)?);
        ours.push(fan_out(&world)?);
    }
    let (ours, bare) = (least(&ours), least(&bare));
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    let cells = [
        format!("{:.1} s", ours.as_secs_f64()),
        format!("{:.1} s", bare.as_secs_f64()),
        format!("{ratio:.2} x"),
        format!("<= {BAR} x"),
    ];
    let what = "200 accounts, sts get-caller-identity, 8 in parallel, beside xargs";
    Ok(vec![Row::figure(what, cells, ratio <= BAR)])
}

fn least(times: &[Duration]) -> Duration {
    times.iter().copied().min().unwrap_or_default()
}

/// A program for each account that runs the command with its credentials, and the list of them.
async fn ready(world: &World) -> anyhow::Result<std::path::PathBuf> {
    let client = world.connect(ClientKind::Cli).await;
    let mut list = String::new();
    for account in world.sandbox.organization().accounts() {
        let asked = asking(world, &account.id, READ_ONLY);
        let keys = client.credentials().get(asked).await?.into_inner();
        let secret = |secret: Option<&Secret>| secret.map_or("", Secret::expose).to_owned();
        let path = world.dir().join(&account.id);
        script(
            &path,
            &format!(
                "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} AWS_SESSION_TOKEN={} AWS_REGION={region} \
                 AWS_DEFAULT_REGION={region}\nexec {}",
                keys.access_key_id,
                secret(keys.secret_access_key.as_ref()),
                secret(keys.session_token.as_ref()),
                COMMAND.join(" "),
                region = world.sandbox.region(),
            ),
        );
        list.push_str(path.to_str().context("a path in UTF-8")?);
        list.push('\n');
    }
    let file = world.dir().join("accounts");
    std::fs::write(&file, list)?;
    Ok(file)
}

fn xargs(world: &World, list: &Path) -> anyhow::Result<Duration> {
    let mut xargs = world.program("xargs").into_std();
    xargs
        .args(["-P", PARALLEL, "-n", "1", "env"])
        .stdin(std::fs::File::open(list)?);
    timed(xargs)
}

fn fan_out(world: &World) -> anyhow::Result<Duration> {
    let mut exec = world.program(bin("awsso")).into_std();
    exec.args(["exec-command", "--all-accounts", "--role", READ_ONLY])
        .args(["--parallel", PARALLEL, "--command", &COMMAND.join(" ")])
        .stdin(Stdio::null());
    timed(exec)
}

fn timed(mut command: Command) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let output = command.stderr(Stdio::inherit()).output()?;
    let took = started.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    let answers = String::from_utf8_lossy(&output.stdout);
    let answers = answers.matches("\"Account\"").count();
    ensure!(
        answers == ACCOUNTS,
        "{answers} of {ACCOUNTS} accounts answered"
    );
    Ok(took)
}
