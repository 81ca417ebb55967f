//! `awsso`: the person's end of the socket. It owns nothing that must last: it
//! reads arguments, asks the daemon, prints the answer and ends.

mod args;
mod cmd;
mod context;
mod exit;
mod live;
mod mcp;
mod os;
mod pick;
mod profiles;
mod progress;
mod render;
mod run;
mod service;
mod settings_file;
mod terminal;
mod version;

use std::process::ExitCode;

use tokio::runtime::{Builder, LocalOptions};

use crate::{args::Args, context::Context, exit::Stop};

fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    let args = match Args::of_line(&line) {
        Ok(args) => args,
        Err(error) => return exit::report(Stop::Usage(error), exit::Family::Plain).into(),
    };
    let family = args.verb.family();
    match run(args) {
        Ok(code) => code.into(),
        Err(stop) => exit::report(stop, family).into(),
    }
}

fn run(args: Args) -> Result<u8, Stop> {
    let context = Context::from_env(args.globals)?;
    // Without the scheduler for many threads, and without libm, which that needs.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let outcome = runtime.block_on(cmd::run(&context, args.verb));
    // A thread that still waits for a lock must not hold up the end.
    runtime.shutdown_background();
    outcome
}
