//! Questions about a stored output: its last lines, the lines that match, the
//! results of a jq filter. An answer is bounded, and cut between lines.
//!
//! A filter may loop for ever or eat all memory, and nothing ends a thread: what
//! reads a whole output runs in a process of its own ([`answer`]) with limits on
//! time and memory, without an environment and without files. The daemon holds
//! the answer, never the output. An agent asks what is left of an output when its
//! secrets are masked: no filter makes them whole again.

mod child;

use std::{fmt::Display, io, process::Stdio, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{OutputStream, QueryOutputResponse, query_output_request::Query},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStdin, Command},
    sync::Semaphore,
    time,
};

use super::Shown;
use crate::os;
pub use child::answer;

const ANSWER_QUERY: &str = "--answer-query";
const TIME_LIMIT: Duration = Duration::from_secs(10);
const MEMORY_LIMIT: u64 = 256 << 20;
/// Processes at the same time; more questions wait.
static SLOTS: Semaphore = Semaphore::const_new(4);
/// The child gets it as an argument, which Linux limits to 128 KiB.
const MAX_QUESTION: usize = 16 << 10;
/// Of what the child says when there is no answer: one line of words.
const MAX_WORDS: usize = 4 << 10;
/// How much is searched at once for where the last lines begin.
const CHUNK: u64 = 64 << 10;

/// What the child is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    what: What,
    /// Of what is on its stdin: the output may be growing.
    length: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum What {
    Grep(String),
    Jq(String),
}

/// Answers with at most `most` bytes.
pub async fn ask(
    shown: &Shown,
    stream: OutputStream,
    query: Query,
    most: usize,
) -> Result<QueryOutputResponse, Failure> {
    let what = match query {
        Query::Tail(lines) => return tail(shown, stream, lines, most).await,
        Query::Grep(pattern) => What::Grep(pattern),
        Query::Jq(filter) => What::Jq(filter),
    };
    let (What::Grep(text) | What::Jq(text)) = &what;
    if text.len() > MAX_QUESTION {
        let most = MAX_QUESTION >> 10;
        return Err(wrong(format_args!("it is longer than {most} KiB")));
    }
    let slot = SLOTS.acquire().await;
    let _slot = slot.expect("the semaphore is never closed");
    let answer = time::timeout(TIME_LIMIT, in_a_child(shown, stream, what, most));
    answer.await.unwrap_or_else(|_| Err(took_too_long()))
}

/// Reads backwards, no further than the answer goes.
async fn tail(
    shown: &Shown,
    stream: OutputStream,
    lines: u32,
    most: usize,
) -> Result<QueryOutputResponse, Failure> {
    let output = &shown.output;
    let end = output.written(stream);
    let least = end.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
    // One byte more: it tells whether a line begins at the least.
    let floor = least.saturating_sub(1);
    let (mut start, mut searched, mut missing) = (end, end, lines);
    while missing > 0 && searched > floor {
        let from = searched.saturating_sub(CHUNK).max(floor);
        let piece = output.read(stream, from, length(searched - from)).await?;
        for (next, byte) in (from + 1..=searched).rev().zip(piece.iter().rev()) {
            // At the very end no line begins.
            if *byte == b'\n' && next < end && missing > 0 {
                start = next;
                missing -= 1;
            }
        }
        searched = from;
    }
    let truncated = missing > 0 && least > 0;
    if missing > 0 && (least == 0 || start == end) {
        start = least;
    }
    let data = shown.read(stream, start, length(end - start)).await?.data;
    Ok(QueryOutputResponse { data, truncated })
}

/// Runs this program once more with the output as its stdin; dropped, it is ended.
async fn in_a_child(
    shown: &Shown,
    stream: OutputStream,
    what: What,
    most: usize,
) -> Result<QueryOutputResponse, Failure> {
    let length = shown.output.written(stream);
    let stdin = match shown.redactor {
        Some(_) => Some(Stdio::piped()),
        None => shown.output.open(stream).map_err(failed)?.map(Stdio::from),
    };
    let question = serde_json::to_string(&Question { what, length });
    let question = question.expect("texts and numbers are JSON");
    let mut command = Command::new(os::own_program().map_err(failed)?);
    os::without_window(&mut command);
    let mut child = command
        .args([ANSWER_QUERY, &question])
        .env_clear()
        .stdin(stdin.unwrap_or_else(Stdio::null))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let stdin = child.stdin.take();
    // One byte more tells that there is more.
    let answer = first(stdout, most.saturating_add(1));
    let (mut data, ()) = tokio::try_join!(answer, feed(shown, stream, stdin))?;
    if data.len() > most {
        keep_whole_lines(&mut data, most);
        let truncated = true;
        return Ok(QueryOutputResponse { data, truncated });
    }
    let words = first(stderr, MAX_WORDS).await?;
    let words = String::from_utf8_lossy(&words);
    match child.wait().await.map_err(failed)? {
        status if status.success() => Ok(QueryOutputResponse {
            data,
            truncated: false,
        }),
        status if status.code() == Some(child::REFUSED) => Err(wrong(words.trim_end())),
        status if os::ran_out_of_time(status) => Err(took_too_long()),
        status if os::was_ended(status) => Err(wrong(format_args!(
            "it needs more than {} MiB of memory",
            MEMORY_LIMIT >> 20
        ))),
        status => Err(failed(io::Error::other(status.to_string()))),
    }
}

/// Gives the child what it may see; a child that has seen enough takes no more.
async fn feed(
    shown: &Shown,
    stream: OutputStream,
    stdin: Option<ChildStdin>,
) -> Result<(), Failure> {
    let Some(mut stdin) = stdin else {
        return Ok(());
    };
    let mut offset = 0;
    loop {
        let data = shown.read(stream, offset, length(CHUNK)).await?.data;
        if data.is_empty() || stdin.write_all(&data).await.is_err() {
            return Ok(());
        }
        offset += data.len() as u64;
    }
}

async fn first(from: impl AsyncRead + Unpin, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut from = from.take(u64::try_from(most).unwrap_or(u64::MAX));
    from.read_to_end(&mut bytes).await.map_err(failed)?;
    Ok(bytes)
}

/// A line that is longer is cut.
fn keep_whole_lines(data: &mut Vec<u8>, most: usize) {
    data.truncate(most);
    if let Some(last) = data.iter().rposition(|byte| *byte == b'\n') {
        data.truncate(last + 1);
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn took_too_long() -> Failure {
    let seconds = TIME_LIMIT.as_secs();
    wrong(format_args!("it took longer than {seconds} s"))
}

fn wrong(why: impl Display) -> Failure {
    let what = format!("the question has no answer: {why}");
    Failure::new(Reason::InvalidArgument, what)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn failed(error: io::Error) -> Failure {
    let what = format!("the stored output cannot be searched: {error}");
    Failure::new(Reason::Internal, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::output::Output;

    async fn output(dir: &tempfile::TempDir, text: &[u8]) -> Shown {
        let output = Output::new(dir.path(), "out_1".into(), u64::MAX);
        let mut writer = output.writer(OutputStream::Stdout);
        writer.write(text).await.unwrap();
        Shown {
            output,
            redactor: None,
            complete: true,
        }
    }

    async fn last(text: &[u8], lines: u32, most: usize) -> (Vec<u8>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let output = output(&dir, text).await;
        let answer = tail(&output, OutputStream::Stdout, lines, most).await;
        let answer = answer.unwrap();
        (answer.data, answer.truncated)
    }

    #[tokio::test]
    async fn the_last_lines_are_whole_and_bounded_and_say_when_there_is_more() {
        for (text, lines, most, answer, truncated) in [
            ("a\nb\nc\n", 2, 100, "b\nc\n", false),
            ("a\nb\nc", 2, 100, "b\nc", false),
            ("a\n\n\n", 2, 100, "\n\n", false),
            ("a\nb\n", 2, 100, "a\nb\n", false),
            ("a\nb\n", 9, 100, "a\nb\n", false),
            ("a\nb\n", 0, 100, "", false),
            ("", 3, 100, "", false),
            ("aa\nbb\ncc\n", 2, 6, "bb\ncc\n", false),
            ("aa\nbb\ncc\n", 2, 5, "cc\n", true),
            ("aa\nbb\ncc\n", 9, 9, "aa\nbb\ncc\n", false),
            ("aa\nbbbbbb", 1, 4, "bbbb", true),
        ] {
            let expected = (answer.as_bytes().to_vec(), truncated);
            assert_eq!(
                last(text.as_bytes(), lines, most).await,
                expected,
                "{text:?}"
            );
        }
    }

    #[tokio::test]
    async fn lines_that_begin_far_before_the_end_are_found() {
        let long = vec![b'x'; 3 * length(CHUNK)];
        let text = [b"first\n", &long[..], b"\n", &long, b"\n"].concat();
        let (answer, truncated) = last(&text, 2, text.len()).await;
        assert!(answer == text[6..] && !truncated);
    }

    #[test]
    fn an_answer_that_is_too_long_ends_with_a_line() {
        for (text, kept) in [("aa\nbb\ncc", "aa\nbb\n"), ("aaaaaaaaa", "aaaaaaa")] {
            let mut data = text.as_bytes().to_vec();
            keep_whole_lines(&mut data, 7);
            assert_eq!(data, kept.as_bytes());
        }
    }
}
