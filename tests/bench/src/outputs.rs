//! A child that prints a lot: what the daemon holds of it meanwhile, and whether all of it is there afterwards.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use awsso_e2e::World;
use tokio::process::Command;

use crate::{program::resident, table::Row};

const PRINTED: usize = 100_000_000;
const LINE: usize = 100;
const GROWTH: f64 = 16.0;
const SAMPLED: Duration = Duration::from_millis(5);

pub async fn rows() -> anyhow::Result<Vec<Row>> {
    let world = World::logged_in().await;
    let printed = world.dir().join("printed");
    let bytes = numbered_lines();
    fs::write(&printed, &bytes)?;
    // What a first run leaves behind is not the output's.
    let _ = world.fake_aws("echo").run("aws x").await.ok();
    let daemon = world.daemon_pid().await.context("a daemon runs")?;
    let before = resident(daemon)?;
    let aws = world.fake_aws(&format!("cat {}", printed.display()));
    let growth = |peak: f64| peak - before;

    let mut bare = Command::new("cat");
    let (alone, _) = into_file(bare.arg(&printed), &world.dir().join("bare"), daemon).await?;
    let received = world.dir().join("received");
    let (run, peak) = into_file(&mut aws.exec("aws x"), &received, daemon).await?;
    ensure!(
        fs::read(&received)? == bytes,
        "the client got something else"
    );
    let mut rows = vec![
        memory(
            "100 MB from a child, client reading: the daemon grows at most by",
            growth(peak),
        ),
        time("... run and printed, beside cat", run, alone),
    ];

    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    let id = listed["jobs"][0]["id"]
        .as_str()
        .context("a job")?
        .to_owned();
    let read = |flags: &[&str]| aws.awsso(&[&["jobs", "output", &id], flags].concat());
    let (back, peak) = into_file(&mut read(&[]), &received, daemon).await?;
    ensure!(
        fs::read(&received)? == bytes,
        "what is stored is something else"
    );
    rows.push(memory(
        "... read back, byte for byte: at most by",
        growth(peak),
    ));
    rows.push(time("... and how long that takes, beside cat", back, alone));

    let last = &bytes[bytes.len() - LINE..];
    let pattern = format!("^{}$", std::str::from_utf8(last)?.trim_end());
    for (what, flags) in [
        ("--grep", ["--grep", &pattern]),
        ("--tail 1", ["--tail", "1"]),
    ] {
        let (took, peak) = into_file(&mut read(&flags), &received, daemon).await?;
        ensure!(fs::read(&received)? == last, "{what} found something else");
        rows.push(memory(
            &format!("... {what} for its last line: at most by"),
            growth(peak),
        ));
        rows.push(time(
            &format!("... and how long {what} takes, beside cat"),
            took,
            alone,
        ));
    }
    Ok(rows)
}

fn numbered_lines() -> Vec<u8> {
    let lines = 0..PRINTED / LINE;
    lines
        .flat_map(|number| format!("{number:>width$}\n", width = LINE - 1).into_bytes())
        .collect()
}

/// Runs a program with its stdout in a file: how long it took, and the most that another process held meanwhile.
async fn into_file(
    program: &mut Command,
    file: &Path,
    pid: u32,
) -> anyhow::Result<(Duration, f64)> {
    let started = Instant::now();
    let mut child = program
        .stdin(Stdio::null())
        .stdout(File::create(file)?)
        .spawn()?;
    let mut peak = resident(pid)?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = tokio::time::sleep(SAMPLED) => peak = peak.max(resident(pid)?),
        }
    };
    let took = started.elapsed();
    ensure!(status.success(), "{program:?}: {status}");
    Ok((took, peak.max(resident(pid)?)))
}

fn memory(what: &str, grown: f64) -> Row {
    Row::memory(what, grown.max(0.0), GROWTH)
}

/// Nothing is promised of it.
fn time(what: &str, ours: Duration, beside: Duration) -> Row {
    let millis = |span: Duration| format!("{:.0} ms", span.as_secs_f64() * 1_000.0);
    let ratio = ours.as_secs_f64() / beside.as_secs_f64();
    let cells = [
        millis(ours),
        millis(beside),
        format!("{ratio:.1} x"),
        String::new(),
    ];
    Row::figure(what, cells, true)
}
