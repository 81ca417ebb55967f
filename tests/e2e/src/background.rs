//! A program that goes on while the test does something else. What it prints
//! can be waited for.

use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use crate::{Run, World, bin, process, world::within_limit};

/// Dropped: it is killed.
pub struct Background {
    shown: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

struct Stream {
    text: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

impl Background {
    pub fn start(mut command: Command, shown: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        Self {
            shown: shown.to_owned(),
            stdout: Stream::of(child.stdout.take().expect("stdout is piped")),
            stderr: Stream::of(child.stderr.take().expect("stderr is piped")),
            child,
        }
    }

    /// Waits until stdout holds this.
    pub async fn prints(&self, text: &str) {
        self.stdout.holds(text, &self.shown).await;
    }

    /// Waits until stderr holds this.
    pub async fn says(&self, text: &str) {
        self.stderr.holds(text, &self.shown).await;
    }

    /// Waits until stdout holds something that `look` finds.
    pub async fn finds<T>(&self, wanted: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.stdout.finds(wanted, look, &self.shown).await
    }

    /// Waits until a line of stderr is a link.
    pub async fn link(&self) -> String {
        let link = |text: &str| {
            let whole = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let mut lines = whole.map(str::trim);
            lines
                .find(|line| line.starts_with("http"))
                .map(str::to_owned)
        };
        self.stderr.finds("a link", link, &self.shown).await
    }

    /// Waits until a line of stderr holds this; the line.
    pub async fn line(&self, wanted: &str) -> String {
        let line = |text: &str| {
            let mut whole = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            whole.find(|line| line.contains(wanted)).map(str::to_owned)
        };
        self.stderr.finds(wanted, line, &self.shown).await
    }

    /// Waits until a line of stdout is a JSON document that fits.
    pub async fn document(&self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let fitting = |text: &str| {
            let whole = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let mut documents = whole.filter_map(|line| serde_json::from_str(line).ok());
            documents.find(&fits)
        };
        self.stdout.finds(wanted, fitting, &self.shown).await
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.child.id().expect("it has not ended");
        process::signal(pid, "INT");
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Run {
        let status = within_limit(&self.shown, self.child.wait()).await;
        self.ended(status.expect("a child can be waited for")).await
    }

    /// SIGKILL, and nothing else.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    async fn ended(self, status: ExitStatus) -> Run {
        Run {
            code: status.code(),
            stdout: self.stdout.whole(&self.shown).await,
            stderr: self.stderr.whole(&self.shown).await,
            command: self.shown,
        }
    }
}

impl Stream {
    fn of(mut from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (to, text) = watch::channel(String::new());
        let reader = tokio::spawn(async move {
            let (mut all, mut chunk) = (Vec::new(), [0; 8192]);
            while let Ok(length @ 1..) = from.read(&mut chunk).await {
                all.extend_from_slice(&chunk[..length]);
                to.send_replace(String::from_utf8_lossy(&all).into_owned());
            }
        });
        Self { text, reader }
    }

    async fn holds(&self, wanted: &str, shown: &str) {
        let holds = |text: &str| text.contains(wanted).then_some(());
        self.finds(wanted, holds, shown).await;
    }

    async fn finds<T>(&self, wanted: &str, look: impl Fn(&str) -> Option<T>, shown: &str) -> T {
        let mut text = self.text.clone();
        let what = format!("{shown}, until {wanted}");
        let found = within_limit(&what, text.wait_for(|text| look(text).is_some())).await;
        let found = found.ok().and_then(|text| look(&text));
        found.unwrap_or_else(|| panic!("{shown}: no {wanted:?} in {:?}", *self.text.borrow()))
    }

    async fn whole(self, shown: &str) -> String {
        within_limit(shown, self.reader)
            .await
            .expect("the reader ends");
        self.text.borrow().clone()
    }
}

impl World {
    /// Starts `awsso` and leaves it running.
    pub fn awsso_in_background(&self, args: &[&str]) -> Background {
        let mut command = self.program(bin("awsso"));
        command.args(args);
        Background::start(command, &args.join(" "))
    }
}
