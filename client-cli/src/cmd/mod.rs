//! One file per noun; each command is: ask the daemon, print, exit code.

mod accounts;
mod approvals;
mod audit;
mod complete;
mod completions;
mod console;
mod credentials;
mod daemon;
mod doctor;
mod ec2_exec_command;
mod exec;
mod exec_command;
mod jobs;
mod lock;
mod login;
mod logout;
mod logs;
mod man;
mod mcp;
mod policy;
mod profiles;
mod service;
mod status;

use crate::{args::Verb, context::Context, exit::Stop};

pub async fn run(context: &Context, verb: Verb) -> Result<u8, Stop> {
    match verb {
        Verb::Login(args) => login::run(context, args).await,
        Verb::Logout(args) => logout::run(context, args).await,
        Verb::Status(args) => status::run(context, args).await,
        Verb::LsAccounts(args) => accounts::list(context, &args).await,
        Verb::ExecCommand(args) => exec_command::run(context, args).await,
        Verb::Ec2ExecCommand(args) => ec2_exec_command::run(context, args).await,
        Verb::Exec(args) => exec::run(context, args).await,
        Verb::CredentialProcess(target) => credentials::process(context, target).await,
        Verb::Env(args) => credentials::env(context, args).await,
        Verb::Console(args) => console::run(context, args).await,
        Verb::Profiles(command) => profiles::run(context, command).await,
        Verb::Jobs(command) => jobs::run(context, command).await,
        Verb::Approvals(command) => approvals::run(context, command).await,
        Verb::Policy(command) => policy::run(context, command).await,
        Verb::Audit(command) => audit::run(context, &command).await,
        Verb::Mcp(command) => mcp::run(context, command).await,
        Verb::Daemon(command) => daemon::run(context, command).await,
        Verb::Doctor(args) => doctor::run(context, args).await,
        Verb::Lock => lock::close(context).await,
        Verb::Unlock => lock::open(context).await,
        Verb::Completions(args) => completions::run(context, &args),
        Verb::Complete(args) => complete::run(context, args).await,
        Verb::Man(args) => man::run(&args),
    }
}
