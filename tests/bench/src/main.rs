//! What awsso costs, beside a floor that is measured in the same run and in turns with it: an empty program, a raw socket
//! client, the bare command. Meant for `target/release`; it asserts nothing, because times are the machine's.
//!
//!     cargo build --release --workspace --bins && target/release/awsso-bench [ROUNDS | scale | rush | fanout | fleet | idle | outputs | tokens | lifetimes]
//!
//! `scale` takes two minutes: 2,000 roles from a portal that takes 20 calls a second; `rush` is one row of it. `fanout`: one AWS CLI command in 200
//! accounts, beside xargs. `fleet` takes half a minute: 1,000 instances in one SSM job. `idle` takes two minutes: memory
//! with a large organisation, and a minute in which nothing happens. `outputs`: 100 MB from one command, stored and read back.
//! `tokens`: what ten of AWS's answers cost a model, counted in tokens.
//! `lifetimes` takes four, and does assert: SDKs and the AWS CLI get through three lifetimes of their credentials. It needs
//! the AWS CLI and boto3 as `tests/check` installs them (`PATH`, `AWSSO_TEST_PYTHON`), and npm for the SDK for JavaScript.

mod fanout;
mod figures;
mod fleet;
mod idle;
mod lifetimes;
mod measure;
mod outputs;
mod program;
mod recording;
mod rush;
mod scale;
mod table;
mod tokens;

use std::io::{self, Write as _};

use anyhow::Context as _;
use awsso_e2e::World;

const ROUNDS: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let what = std::env::args().nth(1);
    let mut out = io::stdout();
    if cfg!(debug_assertions) {
        writeln!(out, "A debug build: these figures say little.")?;
    }
    let rounds = match what.as_deref() {
        Some("scale") => {
            let mut rows = scale::listing(ROUNDS / 4).await?;
            rows.push(rush::row().await?);
            rows.extend(scale::limited_portal().await?);
            return Ok(table::print(&mut out, &rows)?);
        }
        Some("rush") => return Ok(table::print(&mut out, &[rush::row().await?])?),
        Some("fanout") => return Ok(table::print(&mut out, &fanout::rows().await?)?),
        Some("fleet") => return Ok(table::print(&mut out, &fleet::rows().await?)?),
        Some("idle") => return Ok(table::print(&mut out, &idle::rows().await?)?),
        Some("outputs") => return Ok(table::print(&mut out, &outputs::rows().await?)?),
        Some("tokens") => return tokens::run(&mut out).await,
        Some("lifetimes") => return lifetimes::run(&mut out).await,
        Some(rounds) => rounds.parse().context(
            "ROUNDS is a number, or one of the words scale, rush, fanout, fleet, idle, outputs, tokens, lifetimes",
        )?,
        None => ROUNDS,
    };
    let mut rows = vec![figures::daemon_start(rounds.div_ceil(4)).await?];
    let mut world = World::logged_in().await;
    rows.push(figures::daemon_memory(&world).await?);
    rows.extend(figures::shim(&mut world, rounds)?);
    rows.extend(figures::shim_beside_a_bare_server(&mut world, rounds)?);
    rows.push(figures::status(&mut world, rounds)?);
    rows.push(figures::exec_command(&mut world, rounds)?);
    table::print(&mut out, &rows)?;
    Ok(())
}
