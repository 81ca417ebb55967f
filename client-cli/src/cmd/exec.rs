//! `awsso exec`: becomes a program that has credentials in its environment, or
//! stays beside it to keep them fresh.

use std::{
    ffi::{OsStr, OsString},
    io,
    process::Command,
};

use awsso_proto::{Failure, Reason, environment::is_listed};
use clap::error::ErrorKind;

use super::credentials;
use crate::{
    args::{self, ExecArgs},
    context::Context,
    exit::Stop,
    os, pick,
};

mod serve;

/// Whatever else could give the child credentials: names, and prefixes that
/// end in `*`. Left in place, some SDK would prefer it.
const REMOVED: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_*",
    // Not a credential, but it would name the wrong account beside these.
    "AWS_ACCOUNT_ID",
];

pub async fn run(context: &Context, exec: ExecArgs) -> Result<u8, Stop> {
    if context.json {
        return Err(args::refuse(
            "exec",
            ErrorKind::ArgumentConflict,
            "the argument '--json' cannot be used here: what is printed is the program's",
        ));
    }
    let picked = pick::target(context, "exec", exec.target).await?;
    if exec.serve {
        let held = picked
            .then(async |target| serve::open(context, target).await)
            .await?;
        return serve::run(context, held, &exec.command).await;
    }
    let credentials = picked
        .then(async |target| credentials::get(context, target).await)
        .await?;
    let (mut command, program) = command(&exec.command);
    command.envs(credentials::variables(&credentials));
    let error = os::become_program(&mut command);
    Err(not_run(program, &error).into())
}

/// The program of a command line, with nobody else's credentials.
fn command(line: &[OsString]) -> (Command, &OsStr) {
    let (program, arguments) = line.split_first().expect("the parser requires a program");
    let mut command = Command::new(program);
    command.args(arguments);
    for name in of_other_credentials() {
        command.env_remove(name);
    }
    (command, program)
}

/// The variables of our environment that could give other credentials.
pub(super) fn of_other_credentials() -> impl Iterator<Item = OsString> {
    removed(std::env::vars_os().map(|(name, _)| name))
}

fn removed(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    names.filter(|name| {
        let name = name.to_string_lossy();
        is_listed(REMOVED, &name)
    })
}

fn not_run(program: &OsStr, error: &io::Error) -> Failure {
    let program = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Reason::ProgramNotFound, format!("{program}: not found"))
        }
        _ => Failure::new(
            Reason::ProgramNotExecutable,
            format!("{program} cannot be executed: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_credentials_are_left_for_the_child() {
        let names = [
            "PATH",
            "AWS_PROFILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_ROLE_ARN",
            "AWS_PAGER",
        ];
        let removed: Vec<_> = removed(names.iter().map(OsString::from)).collect();
        assert_eq!(
            removed,
            [
                "AWS_PROFILE",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_ROLE_ARN"
            ]
        );
    }

    #[test]
    fn what_is_not_there_differs_from_what_cannot_be_executed() {
        let reason = |program: &str| {
            let error = os::become_program(&mut Command::new(program));
            not_run(OsStr::new(program), &error).reason
        };
        assert_eq!(reason("/nowhere/program"), Reason::ProgramNotFound);
        assert_eq!(reason("/etc"), Reason::ProgramNotExecutable);
    }
}
