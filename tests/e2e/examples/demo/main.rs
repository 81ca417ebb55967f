//! `cargo demo`: awsso as a person at a terminal and as an AI client see it, with a sandbox where AWS is. It builds what
//! it needs, asks nothing, shows real output, checks a few facts of it, and leaves neither a process nor a file behind.

mod agent;
mod aws_cli;
mod binaries;
mod mcp;
mod person;
mod stage;

use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use crate::stage::{Stage, line};

/// As a shell says it of a program that was interrupted.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            // With nobody to read it, the exit code still tells.
            let _ = line(format_args!("\nThe demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    binaries::build()?;
    let path = aws_cli::find_or_fetch()?;
    let stage = Stage::new(path).await;
    let folder = stage.world.dir().to_owned();
    let played = tokio::select! {
        played = play(&stage) => Some(played),
        ended = interrupted() => {
            ended.context("waiting for Ctrl-C")?;
            None
        }
    };
    drop(stage);
    let Some(played) = played else {
        line("\nInterrupted; the daemon and the folder of the demo are gone")?;
        return Ok(INTERRUPTED.into());
    };
    played?;
    ensure!(!folder.exists(), "{} is left behind", folder.display());
    line("\nEvery step gave what it should; the demo's daemon and folder are gone.")?;
    Ok(ExitCode::SUCCESS)
}

async fn play(stage: &Stage) -> anyhow::Result<()> {
    stage.introduce()?;
    person::play(stage).await?;
    agent::play(stage).await?;
    person::leave(stage).await
}

/// Returns when the demo is told to end, in whichever way.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = hang_up.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
