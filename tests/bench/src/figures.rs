//! The figures themselves: each one starts real programs, and gives rows of the table.

use std::{
    os::unix::fs::symlink, os::unix::net::UnixListener, path::Path, process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use awsso_e2e::{
    World, bin,
    known::{PRODUCTION, READ_ONLY},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    measure::in_turns,
    program::{Talker, resident, whole},
    recording,
    table::Row,
};

pub const EMPTY: &str = "awsso-bench-empty";
const RAW: &str = "awsso-bench-raw";
const BARE: &str = "awsso-bench-mcp";

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const STATUS: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"aws_sso_status","arguments":{}}}"#;

/// A program in the person's environment.
pub fn program(world: &World, name: &str) -> Command {
    let mut command = Command::new(bin(name));
    let like = world.program(bin(name));
    let vars = like.as_std().get_envs();
    command
        .env_clear()
        .envs(vars.filter_map(|(name, value)| Some((name, value?))))
        .current_dir(world.home());
    command
}

/// How long the daemon takes until it can be talked to, in a home without one.
pub async fn daemon_start(rounds: usize) -> anyhow::Result<Row> {
    let mut world = World::new().await;
    let pairs = in_turns(
        rounds,
        &mut world,
        |world| {
            let mut daemon = Talker::start(&mut program(world, "awssod"))?;
            let line = daemon.read()?;
            let took = daemon.started.elapsed();
            let pid = Pid::from_child(&daemon.child);
            kill_process(pid, Signal::TERM)?;
            daemon.end()?;
            ensure!(line.starts_with("ready "), "awssod said {line:?}");
            Ok(took)
        },
        |world| whole(&mut program(world, EMPTY)),
    )?;
    let what = "awssod, start to ready line, less an empty program";
    Ok(Row::difference(what, &pairs, 15.0))
}

/// What the daemon holds after a login and one listing.
pub async fn daemon_memory(world: &World) -> anyhow::Result<Row> {
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    let pid = world.daemon_pid().await.context("a daemon runs")?;
    let what = "awssod, resident after a login and a listing";
    Ok(Row::memory(what, resident(pid)?, 14.0))
}

/// How long an AI client waits for the shim, and what the shim holds.
pub fn shim(world: &mut World, rounds: usize) -> anyhow::Result<[Row; 2]> {
    let pairs = in_turns(
        rounds,
        world,
        |world| first_answer(world, "awsso-mcp"),
        |world| whole(&mut program(world, EMPTY)),
    )?;
    let held = after_one_call(world, "awsso-mcp")?;
    Ok([
        Row::ratio(
            "awsso-mcp, start to initialize, to an empty program",
            &pairs,
            4.0,
        ),
        Row::memory("awsso-mcp, resident after one call", held, 8.0),
    ])
}

/// The shim beside the least that an MCP server can be.
pub fn shim_beside_a_bare_server(world: &mut World, rounds: usize) -> anyhow::Result<[Row; 2]> {
    let pairs = in_turns(
        rounds,
        world,
        |world| first_answer(world, "awsso-mcp"),
        |world| first_answer(world, BARE),
    )?;
    let ours = after_one_call(world, "awsso-mcp")?;
    let bare = after_one_call(world, BARE)?;
    let bar = 2.0;
    Ok([
        Row::ratio(
            "awsso-mcp, start to the first answer, to a bare server",
            &pairs,
            bar,
        ),
        Row::figure(
            "awsso-mcp, resident after one call, to a bare server",
            [
                format!("{ours:.1} MiB"),
                format!("{bare:.1} MiB"),
                format!("{:.2} x", ours / bare),
                format!("<= {bar} x"),
            ],
            ours / bare <= bar,
        ),
    ])
}

/// From the start of a server to its answer to the handshake.
fn first_answer(world: &World, name: &str) -> anyhow::Result<Duration> {
    let mut server = Talker::start(&mut program(world, name))?;
    server.tell(INITIALIZE)?;
    let line = server.read()?;
    let took = server.started.elapsed();
    server.end()?;
    ensure!(line.contains("serverInfo"), "{name} said {line:?}");
    Ok(took)
}

/// What a server holds then, in MiB.
fn after_one_call(world: &World, name: &str) -> anyhow::Result<f64> {
    let server = one_call(world, name)?;
    let held = resident(server.child.id());
    server.end()?;
    held
}

/// A server that has been shaken hands with and has answered one call.
fn one_call(world: &World, name: &str) -> anyhow::Result<Talker> {
    let mut server = Talker::start(&mut program(world, name))?;
    server.tell(INITIALIZE)?;
    server.read()?;
    server.tell(INITIALIZED)?;
    server.tell(STATUS)?;
    let answer = server.read()?;
    ensure!(answer.contains("active"), "{name} said {answer:?}");
    Ok(server)
}

/// How long a person waits for `awsso status`, beside a client that only moves the same bytes.
pub fn status(world: &mut World, rounds: usize) -> anyhow::Result<Row> {
    let what = "awsso status --json, to the same bytes on a raw socket";
    raw_ratio(world, rounds, what, &["status", "--json"])
}

/// A command of `awsso` beside a client that only moves the same bytes.
pub fn raw_ratio(
    world: &mut World,
    rounds: usize,
    what: &str,
    args: &[&str],
) -> anyhow::Result<Row> {
    let recording = world.dir().join("conversation.recording");
    let socket = world.dir().join("between.sock");
    record(world, args, &socket, &recording)?;
    let pairs = in_turns(
        rounds,
        world,
        |world| whole(program(world, "awsso").args(args)),
        |world| {
            let mut raw = program(world, RAW);
            whole(raw.arg(world.socket()).arg(&recording))
        },
    )?;
    Ok(Row::ratio(what, &pairs, 2.5))
}

fn record(world: &World, args: &[&str], socket: &Path, recording: &Path) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let mut client = program(world, "awsso");
    client.args(args).arg("--socket").arg(socket);
    let conversation = std::thread::scope(|scope| {
        let client = scope.spawn(|| whole(&mut client));
        let conversation = recording::record(&listener, &world.socket());
        client.join().expect("nobody panics here")?;
        anyhow::Ok(conversation?)
    })?;
    Ok(std::fs::write(recording, conversation)?)
}

/// What `exec-command` adds to the command that it runs.
pub fn exec_command(world: &mut World, rounds: usize) -> anyhow::Result<Row> {
    let folder = world.dir().join("path");
    std::fs::create_dir(&folder)?;
    let aws = folder.join("aws");
    symlink(bin(EMPTY), &aws)?;
    let pairs = in_turns(
        rounds,
        world,
        |world| {
            let mut awsso = program(world, "awsso");
            awsso.env("PATH", &folder).args([
                "exec-command",
                "--account-id",
                PRODUCTION,
                "--role-name",
                READ_ONLY,
                "--command",
                "aws sts get-caller-identity",
            ]);
            whole(&mut awsso)
        },
        |world| {
            let mut bare = Command::new(&aws);
            whole(bare.env_clear().current_dir(world.home()))
        },
    )?;
    let what = "awsso exec-command, to the bare command";
    Ok(Row::difference(what, &pairs, 5.0))
}
