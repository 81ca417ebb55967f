//! A run of the AWS CLI: no shell, a clean environment, no stdin, a process
//! group of its own, a time limit. Both streams go to disk as they come.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{AwsCliWork, OutputStream, TaskState},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Child,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Job, Jobs, Target,
    aws_error::{AwsError, SENTENCE},
    output::Writer,
    words,
};
use crate::{config::Environment, credentials::RoleCredentials, os};

/// The one task of the job.
const TASK: usize = 0;
/// Between asking a group to end and ending it.
const GRACE: Duration = Duration::from_secs(3);
/// After the child's end its pipes are read this long: a grandchild may hold them.
const LAST_WORDS: Duration = Duration::from_secs(2);
const CHUNK: usize = 64 << 10;
/// An error sentence is held back up to this, in case the command is repeated.
const MAX_HELD: usize = 16 << 10;

/// What a client may say about a child's environment: names, and prefixes that
/// end in `*`. Nothing that carries credentials, endpoints or a profile.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "USERPROFILE",
    "SystemRoot",
    "TEMP",
    "TMP",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "COLUMNS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_*",
    "REQUESTS_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_OUTPUT",
    "AWS_CLI_*",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_DATA_PATH",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "PYENV_*",
];

/// For a client that has no PATH at all.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command that could be run.
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    words: Vec<String>,
    environment: BTreeMap<OsString, OsString>,
    directory: PathBuf,
}

impl Command {
    pub fn new(work: AwsCliWork, own: &Environment, region: &str) -> Result<Self, Failure> {
        let words = words::split(&work.command)?;
        let invalid = |what: &str| Failure::new(Reason::InvalidArgument, what);
        match words.first().map(String::as_str) {
            Some("aws") => {}
            Some(first) => {
                return Err(
                    invalid(&format!("the command must start with aws, not {first:?}")).with(
                        key::HINT,
                        "other programs run by: awsso exec --account A --role R -- PROGRAM",
                    ),
                );
            }
            None => return Err(invalid("the command is empty")),
        }
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
            .filter(|(name, value)| is_allowed(name) && !value.contains('\0'))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let path = environment.get(&OsString::from("PATH"));
        let program = find_program(path.map(OsString::as_os_str), &directory)?;
        // The AWS CLI and its Python look for themselves there.
        for (name, fallback) in [
            ("HOME", own.get("HOME").unwrap_or("/")),
            ("PATH", DEFAULT_PATH),
        ] {
            environment
                .entry(name.into())
                .or_insert_with(|| fallback.into());
        }
        // A pager would wait for keys that nobody can press.
        environment.insert("AWS_PAGER".into(), OsString::new());
        // AWS CLI v1 knows the second name only.
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            environment.insert(name.into(), region.into());
        }
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

    fn spawn(&self, credentials: &RoleCredentials) -> io::Result<Child> {
        let keys = &credentials.credentials;
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.words[1..])
            .env_clear()
            .envs(&self.environment)
            .env("AWS_ACCESS_KEY_ID", keys.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key())
            .env(
                "AWS_SESSION_TOKEN",
                keys.session_token().unwrap_or_default(),
            )
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        os::own_group(&mut command);
        command.spawn()
    }
}

fn is_allowed(name: &str) -> bool {
    ALLOWED.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *entry,
    })
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

/// How one execution ended.
enum Ended {
    Exited(i32),
    TimedOut,
    Cancelled,
    /// With the daemon.
    Stopped,
}

/// Runs the command to its end, and once more when AWS certainly did nothing
/// because it did not accept the keys.
pub async fn run(
    jobs: Jobs,
    job: Arc<Job>,
    target: Target,
    command: Command,
    credentials: RoleCredentials,
    limit: Duration,
) {
    let slot = tokio::select! {
        slot = jobs.0.slots.acquire() => slot,
        () = jobs.0.parts.stop.cancelled() => return job.end(TASK, TaskState::Cancelled, "the daemon stopped"),
        () = job.cancel.cancelled() => return job.end(TASK, TaskState::Cancelled, "cancelled before it ran"),
    };
    let _slot = slot.expect("the semaphore is never closed");
    job.update(TASK, |task| task.state = TaskState::Running.into());
    let deadline = Instant::now() + limit;
    let mut credentials = credentials;
    let mut repeated = false;
    loop {
        let mut run = Run::new(&job);
        let ended = match run
            .execute(&command, &credentials, deadline, &jobs.0.parts.stop)
            .await
        {
            Ok(ended) => ended,
            Err(failure) => return job.fail(TaskState::Failed, &failure),
        };
        let said = String::from_utf8_lossy(&run.held).into_owned();
        let error = AwsError::find(&said);
        if let (Ended::Exited(code), Some(error)) = (&ended, &error)
            && *code != 0
            && !repeated
            && error.is_bad_credentials()
            && error.is_whole_command(&command.words)
            && job.outputs[TASK].written(OutputStream::Stdout) == 0
            && let Some(fresh) = fresh_credentials(&jobs, &target, &credentials).await
        {
            info!(job = %job.id, code = error.code, "AWS refused the keys; once more with new ones");
            credentials = fresh;
            repeated = true;
            continue;
        }
        if let Err(failure) = run.release().await {
            return job.fail(TaskState::Failed, &failure);
        }
        return finish(
            &jobs,
            &job,
            &target,
            ended,
            error.is_some_and(|error| error.is_denied()),
            limit,
        )
        .await;
    }
}

async fn fresh_credentials(
    jobs: &Jobs,
    target: &Target,
    bad: &RoleCredentials,
) -> Option<RoleCredentials> {
    let Target {
        session,
        account,
        role,
        ..
    } = target;
    jobs.0.parts.broker.reject(session, account, role, bad);
    let fresh = jobs.credentials(target).await.ok()?;
    (!fresh.is_same(bad)).then_some(fresh)
}

async fn finish(
    jobs: &Jobs,
    job: &Job,
    target: &Target,
    ended: Ended,
    denied: bool,
    limit: Duration,
) {
    match ended {
        Ended::Exited(code) => {
            let other_roles = if denied && code != 0 {
                jobs.other_roles(target).await
            } else {
                Vec::new()
            };
            job.update(TASK, |task| {
                task.exit_code = Some(code);
                task.other_roles = other_roles;
                task.state = if code == 0 {
                    TaskState::Succeeded.into()
                } else {
                    TaskState::Failed.into()
                };
            });
        }
        Ended::TimedOut => job.end(
            TASK,
            TaskState::TimedOut,
            format!("stopped after its time limit of {} s", limit.as_secs()),
        ),
        Ended::Cancelled => job.end(TASK, TaskState::Cancelled, "cancelled"),
        Ended::Stopped => job.end(TASK, TaskState::Cancelled, "the daemon stopped"),
    }
}

/// One execution: two pumps and a wait.
struct Run<'a> {
    job: &'a Job,
    stdout: Writer,
    stderr: Writer,
    /// The end of stderr from an AWS error sentence on: not shown until it is
    /// clear that the command is not repeated.
    held: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(job: &'a Job) -> Self {
        let output = &job.outputs[TASK];
        Self {
            job,
            stdout: output.writer(OutputStream::Stdout),
            stderr: output.writer(OutputStream::Stderr),
            held: Vec::new(),
        }
    }

    async fn execute(
        &mut self,
        command: &Command,
        credentials: &RoleCredentials,
        deadline: Instant,
        stop_all: &CancellationToken,
    ) -> Result<Ended, Failure> {
        let mut child = command
            .spawn(credentials)
            .map_err(|error| spawn_failure(command, &error))?;
        let leader = child.id();
        debug!(job = %self.job.id, pid = leader, "AWS CLI started");
        let out = child.stdout.take().expect("stdout is piped");
        let err = child.stderr.take().expect("stderr is piped");
        let job = self.job;
        let pumps = async {
            tokio::try_join!(
                pump(out, &mut self.stdout, job),
                pump_holding(err, &mut self.stderr, &mut self.held, job),
            )
        };
        tokio::pin!(pumps);
        let mut pumped = None;
        let mut ended = None;
        // Pipes and process may end in either order.
        while ended.is_none() {
            tokio::select! {
                result = &mut pumps, if pumped.is_none() => pumped = Some(result),
                status = child.wait() => ended = Some(match status {
                    Ok(status) => Ended::Exited(os::exit_code(status)),
                    Err(error) => return Err(internal("the AWS CLI was lost", &error)),
                }),
                () = tokio::time::sleep_until(deadline) => ended = Some(Ended::TimedOut),
                () = job.cancel.cancelled() => ended = Some(Ended::Cancelled),
                () = stop_all.cancelled() => ended = Some(Ended::Stopped),
            }
        }
        let ended = ended.expect("the loop ends with it");
        if !matches!(ended, Ended::Exited(_)) {
            stop(&mut child, leader).await;
        }
        if pumped.is_none() {
            pumped = tokio::time::timeout(LAST_WORDS, &mut pumps).await.ok();
        }
        match pumped {
            Some(result) => {
                result.map_err(|error| internal("the output cannot be stored", &error))?;
            }
            // A grandchild still holds the pipe: what it prints belongs to nobody.
            None => {
                if let Some(leader) = leader {
                    os::signal_group(leader, true);
                }
            }
        }
        Ok(ended)
    }

    /// Shows what was held back.
    async fn release(&mut self) -> Result<(), Failure> {
        let held = std::mem::take(&mut self.held);
        self.stderr
            .write(&held)
            .await
            .map_err(|error| internal("the output cannot be stored", &error))?;
        self.job.printed();
        Ok(())
    }
}

async fn stop(child: &mut Child, leader: Option<u32>) {
    let Some(leader) = leader else { return };
    os::signal_group(leader, false);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        warn!(pid = leader, "the AWS CLI did not end when asked");
    }
    // The rest of the group, too.
    os::signal_group(leader, true);
    let _ = child.wait().await; // it is gone, or was reaped before
}

async fn pump(mut from: impl AsyncRead + Unpin, to: &mut Writer, job: &Job) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        to.write(&chunk[..length]).await?;
        job.printed();
    }
}

async fn pump_holding(
    mut from: impl AsyncRead + Unpin,
    to: &mut Writer,
    held: &mut Vec<u8>,
    job: &Job,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut line_is_new = true;
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        held.extend_from_slice(&chunk[..length]);
        let shown = match held_from(held, line_is_new) {
            at if held.len() - at > MAX_HELD => held.len(),
            at => at,
        };
        if shown > 0 {
            line_is_new = held[shown - 1] == b'\n';
            to.write(&held[..shown]).await?;
            held.drain(..shown);
            job.printed();
        }
    }
}

/// Where to begin to hold a text back: at the line of an error sentence, else at
/// its end; and with the blank lines before that, which belong to the sentence.
fn held_from(text: &[u8], line_is_new: bool) -> usize {
    let sentence = text
        .windows(SENTENCE.len())
        .position(|window| window == SENTENCE.as_bytes());
    let mut from = sentence.map_or(text.len(), |at| {
        let before = text[..at].iter().rposition(|byte| *byte == b'\n');
        before.map_or(0, |at| at + 1)
    });
    let is_blank = |end: usize| match end {
        0 => false,
        1 => line_is_new && text[0] == b'\n',
        end => text[end - 2..end] == *b"\n\n",
    };
    while is_blank(from) {
        from -= 1;
    }
    from
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

fn internal(what: &str, error: &io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("{what}: {error}"))
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
        let command = Command::new(
            work("aws s3 ls", dir.path().to_str().unwrap()),
            &own,
            "eu-west-1",
        )
        .unwrap();
        assert_eq!(command.program, aws);
        let names: Vec<_> = command
            .environment
            .keys()
            .filter_map(|name| name.to_str())
            .collect();
        assert_eq!(
            names,
            [
                "AWS_DEFAULT_REGION",
                "AWS_ENDPOINT_URL_SSM",
                "AWS_PAGER",
                "AWS_REGION",
                "HOME",
                "LC_ALL",
                "PATH"
            ]
        );
    }

    #[test]
    fn an_error_sentence_is_held_back_with_its_line_and_the_blank_ones_before() {
        for (text, line_is_new, shown) in [
            ("plain\n", true, "plain\n"),
            ("plain\n\n\n", true, "plain\n"),
            ("\n", true, ""),
            ("\n", false, "\n"),
            ("\nAn error occurred (X)", true, ""),
            ("a\n\naws: An error occurred (X)\nmore\n\n", true, "a\n"),
            ("\nAn error occurred (X)", false, "\n"),
            ("", true, ""),
        ] {
            assert_eq!(
                held_from(text.as_bytes(), line_is_new),
                shown.len(),
                "{text:?}"
            );
        }
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
            let failure = Command::new(work(command, "/nowhere"), &own, "x").unwrap_err();
            assert_eq!(failure.reason, reason, "{command}");
        }
        let mut elsewhere = work("aws s3 ls", "/nowhere");
        elsewhere.working_directory = "relative".into();
        assert!(Command::new(elsewhere, &own, "x").is_err());
    }
}
