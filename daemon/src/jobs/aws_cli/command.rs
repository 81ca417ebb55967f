//! What is run: the words, the program, the environment. All that can be wrong
//! with a request is said here, before anything has happened.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use awsso_proto::{
    Failure, Reason,
    endpoint::HOME,
    environment::{FOR_AWS_CLI, is_listed},
    error::key,
    v1::AwsCliWork,
};
use tokio::process::Child;

use crate::{
    config::Environment,
    credentials::RoleCredentials,
    jobs::words,
    os::{self, Group},
};

/// For a client that has no PATH at all.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command that could be run.
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    pub(super) words: Vec<String>,
    environment: BTreeMap<OsString, OsString>,
    directory: PathBuf,
}

impl Command {
    pub fn new(work: AwsCliWork, own: &Environment) -> Result<Self, Failure> {
        let words = words(&work.command)?;
        let invalid = |what: &str| Failure::new(Reason::InvalidArgument, what);
        let directory = PathBuf::from(work.working_directory);
        if !directory.is_absolute() {
            return Err(invalid("the working directory is not absolute"));
        }
        if !directory.is_dir() {
            return Err(invalid(&format!(
                "the working directory {} is not there",
                directory.display()
            )));
        }
        let mut environment: BTreeMap<OsString, OsString> = work
            .environment
            .into_iter()
            .filter(|(name, value)| is_listed(FOR_AWS_CLI, name) && !value.contains('\0'))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let path = environment.get(&OsString::from("PATH"));
        let program = find_program(path.map(OsString::as_os_str), &directory)?;
        // The AWS CLI and its Python look for themselves there.
        for (name, fallback) in [(HOME, own.get(HOME).unwrap_or("/")), ("PATH", DEFAULT_PATH)] {
            environment
                .entry(name.into())
                .or_insert_with(|| fallback.into());
        }
        // A pager would wait for keys that nobody can press.
        environment.insert("AWS_PAGER".into(), OsString::new());
        for (name, value) in own.for_children() {
            environment.insert(name.into(), value.into());
        }
        Ok(Self {
            program,
            words,
            environment,
            directory,
        })
    }

    pub(super) fn spawn(
        &self,
        region: &str,
        credentials: &RoleCredentials,
    ) -> Result<(Child, Group), Failure> {
        let keys = credentials.open();
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.words[1..])
            .env_clear()
            .envs(&self.environment)
            // AWS CLI v1 knows the second name only.
            .envs(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name, region)))
            .env("AWS_ACCESS_KEY_ID", keys.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key())
            .env("AWS_SESSION_TOKEN", keys.session_token())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Group::spawn(&mut command).map_err(|error| spawn_failure(self, &error))
    }
}

/// The words of a command line, the first of which is `aws`.
pub fn words(command: &str) -> Result<Vec<String>, Failure> {
    let invalid = |what: &str| Failure::new(Reason::InvalidArgument, what);
    let words = words::split(command)?;
    match words.first().map(String::as_str) {
        Some("aws") => Ok(words),
        Some(first) => Err(
            invalid(&format!("the command must start with aws, not {first:?}")).with(
                key::HINT,
                "other programs run by: awsso exec --account A --role R -- PROGRAM",
            ),
        ),
        None => Err(invalid("the command is empty")),
    }
}

/// `aws` in the client's PATH. A relative entry counts from the client's
/// folder, as it would for the client.
fn find_program(path: Option<&std::ffi::OsStr>, directory: &Path) -> Result<PathBuf, Failure> {
    let name = format!("aws{}", std::env::consts::EXE_SUFFIX);
    let dirs = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let candidates: Vec<PathBuf> = dirs
        .unwrap_or_default()
        .into_iter()
        .filter(|dir| !dir.as_os_str().is_empty())
        .map(|dir| directory.join(dir))
        .map(|dir| dir.join(&name))
        .filter(|program| program.is_file())
        .collect();
    if let Some(program) = candidates.iter().find(|program| os::is_executable(program)) {
        return Ok(program.clone());
    }
    Err(match candidates.first() {
        Some(program) => Failure::new(
            Reason::ProgramNotExecutable,
            format!("{} cannot be executed", program.display()),
        ),
        None => Failure::new(
            Reason::ProgramNotFound,
            "the AWS CLI (aws) is not in PATH",
        )
        .with(
            key::HINT,
            "install AWS CLI v2: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
        ),
    })
}

fn spawn_failure(command: &Command, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => Reason::ProgramNotFound,
        io::ErrorKind::PermissionDenied => Reason::ProgramNotExecutable,
        _ => Reason::Internal,
    };
    Failure::new(
        reason,
        format!("{} cannot be run: {error}", command.program.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        let vars = [("HOME", "/h")].iter().chain(vars);
        Environment::new(vars.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).unwrap()
    }

    fn work(command: &str, path: &str) -> AwsCliWork {
        AwsCliWork {
            command: command.into(),
            working_directory: "/".into(),
            environment: [
                ("PATH", path),
                ("LC_ALL", "C.UTF-8"),
                ("AWS_PROFILE", "mine"),
                ("AWS_ENDPOINT_URL", "http://evil.example"),
                ("LD_PRELOAD", "/tmp/x.so"),
            ]
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        }
    }

    #[test]
    fn a_child_gets_the_allowed_names_and_the_daemons_endpoints_only() {
        let dir = tempfile::tempdir().unwrap();
        let aws = dir.path().join("aws");
        std::fs::copy("/bin/sh", &aws).unwrap();
        let own = environment(&[("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")]);
        let command = Command::new(work("aws s3 ls", dir.path().to_str().unwrap()), &own).unwrap();
        assert_eq!(command.program, aws);
        let names: Vec<_> = command
            .environment
            .keys()
            .filter_map(|name| name.to_str())
            .collect();
        assert_eq!(
            names,
            [
                "AWS_ENDPOINT_URL_SSM",
                "AWS_PAGER",
                "HOME",
                "LC_ALL",
                "PATH"
            ]
        );
    }

    #[test]
    fn only_the_aws_cli_is_run() {
        let own = environment(&[]);
        for (command, reason) in [
            ("ls /", Reason::InvalidArgument),
            ("", Reason::InvalidArgument),
            ("/usr/bin/aws s3 ls", Reason::InvalidArgument),
            ("FOO=1 aws s3 ls", Reason::InvalidArgument),
            ("aws s3 ls | cat", Reason::InvalidArgument),
        ] {
            let failure = Command::new(work(command, "/nowhere"), &own).unwrap_err();
            assert_eq!(failure.reason, reason, "{command}");
        }
        let mut elsewhere = work("aws s3 ls", "/nowhere");
        elsewhere.working_directory = "relative".into();
        assert!(Command::new(elsewhere, &own).is_err());
    }
}
