//! One execution: a process group, two pumps to disk, and an end.

use std::{io, time::Duration};

use awsso_proto::{Failure, v1::OutputStream};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Child,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Command, internal};
use crate::{
    credentials::RoleCredentials,
    jobs::{Job, aws_error::SENTENCE, output::Writer},
    os::{self, Group},
};

/// Between asking a group to end and ending it.
const GRACE: Duration = Duration::from_secs(3);
/// After the child's end its pipes are read this long: a grandchild may hold them.
const LAST_WORDS: Duration = Duration::from_secs(2);
const CHUNK: usize = 64 << 10;
/// An error sentence is held back up to this, in case the command is repeated.
const MAX_HELD: usize = 16 << 10;

/// How one execution ended.
pub(super) enum Ended {
    Exited(i32),
    TimedOut,
    Cancelled,
    /// With the daemon.
    Stopped,
}

/// One execution: two pumps and a wait.
pub(super) struct Run<'a> {
    job: &'a Job,
    stdout: Writer,
    stderr: Writer,
    /// The end of stderr from an AWS error sentence on: not shown until it is
    /// clear that the command is not repeated.
    pub(super) held: Vec<u8>,
}

impl<'a> Run<'a> {
    pub(super) fn new(job: &'a Job, task: usize) -> Self {
        let output = &job.outputs[task];
        Self {
            job,
            stdout: output.writer(OutputStream::Stdout),
            stderr: output.writer(OutputStream::Stderr),
            held: Vec::new(),
        }
    }

    pub(super) async fn execute(
        &mut self,
        command: &Command,
        region: &str,
        credentials: &RoleCredentials,
        deadline: Instant,
        stop_all: &CancellationToken,
    ) -> Result<Ended, Failure> {
        let (mut child, group) = command.spawn(region, credentials)?;
        debug!(job = %self.job.id, pid = child.id(), "AWS CLI started");
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
            stop(&mut child, &group).await;
        }
        if pumped.is_none() {
            pumped = tokio::time::timeout(LAST_WORDS, &mut pumps).await.ok();
        }
        match pumped {
            Some(result) => {
                result.map_err(|error| internal("the output cannot be stored", &error))?;
            }
            // A grandchild still holds the pipe: what it prints belongs to nobody.
            None => group.end(),
        }
        Ok(ended)
    }

    /// Shows what was held back.
    pub(super) async fn release(&mut self) -> Result<(), Failure> {
        let held = std::mem::take(&mut self.held);
        self.stderr
            .write(&held)
            .await
            .map_err(|error| internal("the output cannot be stored", &error))?;
        self.job.printed();
        Ok(())
    }
}

async fn stop(child: &mut Child, group: &Group) {
    if group.ask_to_end() && tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        warn!(pid = child.id(), "the AWS CLI did not end when asked");
    }
    // The rest of the group, too.
    group.end();
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
