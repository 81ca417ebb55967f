//! `awsso`: the person's end of the socket. It owns nothing that must last: it
//! reads arguments, asks the daemon, prints the answer and ends.

#![cfg_attr(all(own_start, not(test)), no_main)]

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
#[cfg(all(own_start, not(test)))]
mod start;
mod terminal;
mod version;

use tokio::runtime::{Builder, LocalOptions};

use crate::{args::Args, context::Context, exit::Stop};

#[cfg(any(not(own_start), test))]
fn main() -> std::process::ExitCode {
    program().into()
}

/// The whole program, and its exit code.
fn program() -> u8 {
    let line: Vec<_> = std::env::args_os().collect();
    let args = match Args::of_line(&line) {
        Ok(args) => args,
        Err(error) => return exit::report(Stop::Usage(error), exit::Family::Plain),
    };
    let family = args.verb.family();
    match run(args) {
        Ok(code) => code,
        Err(stop) => exit::report(stop, family),
    }
}

fn run(args: Args) -> Result<u8, Stop> {
    let context = Context::from_env(args.globals)?;
    // Without the scheduler for many threads, and without libm, which that needs.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let outcome = runtime.block_on(cmd::run(&context, args.verb));
    // The end of the process is the end of all that: a thread that still waits for a lock must not hold it up.
    std::mem::forget(runtime);
    outcome
}
