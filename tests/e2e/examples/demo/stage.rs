//! Where the demo plays: the sandbox, an empty home, and what the audience sees of it.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use awsso_e2e::{World, bin, sandbox::Config};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Command,
};

/// How long the person of the demo takes to allow a login: long enough to see the prompt.
const THINKING: Duration = Duration::from_secs(1);

/// No step takes longer, unless it hangs.
pub const LIMIT: Duration = Duration::from_mins(1);

pub struct Stage {
    pub world: World,
    path: OsString,
}

impl Stage {
    pub async fn new(path: OsString) -> Self {
        let config = Config {
            auto_approve: Some(THINKING),
            interval: Duration::from_secs(1),
            ..Config::default()
        };
        Self {
            world: World::with(config).await,
            path,
        }
    }

    pub fn introduce(&self) -> io::Result<()> {
        line(format_args!(
            "\nAWS is a sandbox on {} here, with 3 accounts; HOME is an empty folder.\n\
             A person allows each login after {} s.",
            self.world.sandbox.base_url(),
            THINKING.as_secs()
        ))
    }

    /// A built program in the person's environment.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.world.program(bin(name));
        command.env("PATH", &self.path);
        command
    }

    /// Shows a command line and what it prints, as it prints it.
    pub async fn awsso(&self, args: &[&str]) -> anyhow::Result<Shown> {
        let shown: Vec<_> = args.iter().map(|arg| quoted(arg)).collect();
        let command = format!("awsso {}", shown.join(" "));
        line("")?;
        line(bold(format_args!("$ {command}")))?;
        let work = watch(self.program("awsso"), args);
        let (code, text) = tokio::time::timeout(LIMIT, work)
            .await
            .with_context(|| format!("{command}: not finished after {LIMIT:?}"))?
            .with_context(|| command.clone())?;
        Ok(Shown {
            command,
            code,
            text,
        })
    }
}

/// Runs a program and shows both of its streams; its exit code and all that it printed.
async fn watch(mut command: Command, args: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut child = command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let (data, words, status) = tokio::join!(echo(stdout), echo(stderr), child.wait());
    Ok((status?.code(), data? + &words?))
}

async fn echo(stream: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut stream = BufReader::new(stream);
    let mut all = Vec::new();
    loop {
        let seen = all.len();
        if stream.read_until(b'\n', &mut all).await? == 0 {
            return Ok(String::from_utf8_lossy(&all).into_owned());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&all[seen..])?;
        stdout.flush()?;
    }
}

/// A command that was shown, to be held against what it should have done.
#[must_use = "check it: .ended(code, texts)"]
pub struct Shown {
    command: String,
    code: Option<i32>,
    text: String,
}

impl Shown {
    /// It ended with this code, and printed each of these.
    pub fn ended(self, code: i32, texts: &[&str]) -> anyhow::Result<()> {
        let Self {
            command,
            code: seen,
            text: all,
        } = self;
        ensure!(
            seen == Some(code),
            "{command}: exit code {seen:?} and not {code}"
        );
        for text in texts {
            ensure!(all.contains(text), "{command}: did not print {text:?}");
        }
        Ok(())
    }
}

/// An argument as one types it.
fn quoted(arg: &str) -> String {
    if arg.contains(char::is_whitespace) {
        format!("\"{arg}\"")
    } else {
        arg.to_owned()
    }
}

pub fn heading(text: &str) -> io::Result<()> {
    line(format_args!("\n{}", bold(format_args!("== {text} =="))))
}

/// Prints a line at once, whatever stdout is.
pub fn line(text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Stands out on a terminal.
pub fn bold(text: impl Display) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !plain {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_string()
    }
}
