//! Whole outputs in CloudWatch Logs: text and not bytes, because an agent takes
//! the stream apart into events. What it did is undone as far as that can be
//! known: line ends of Windows and bytes that are no UTF-8 are lost before.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Cut, Kept, Patience, WAIT, begin, not_stored, refused};
use crate::{
    jobs::{
        output::{Output, Replacement},
        ssm::place::Ssm,
    },
    limiter::{Limiter, Repeat},
};

/// Events are shown a little after they were written: the end of a stream is the
/// end once nothing has followed for so long.
const QUIET: Duration = Duration::from_secs(3);
/// An agent cuts a line that is longer, in bytes.
const LONGEST_PIECE: usize = 200_000;

pub(super) async fn fetch(
    ssm: &Ssm,
    group: &str,
    cut: &mut Cut,
    output: &Arc<Output>,
) -> Result<(), String> {
    let limiter = ssm.limiter_of("logs");
    while let Some(kept) = cut.streams.first() {
        let log = Log {
            ssm,
            limiter: &limiter,
            group,
            stream: stream_name(cut, kept),
        };
        log.download(kept, output).await?;
        cut.streams.remove(0);
    }
    Ok(())
}

/// As an agent names it, with the plugin's name freed of what CloudWatch forbids.
fn stream_name(cut: &Cut, kept: &Kept) -> String {
    format!(
        "{}/{}/{}/{}",
        cut.command_id,
        cut.instance,
        cut.plugin.replace([':', '*'], "-"),
        kept.name()
    )
}

struct Log<'a> {
    ssm: &'a Ssm,
    limiter: &'a Limiter,
    group: &'a str,
    stream: String,
}

/// What a look at the stream gave.
enum Page {
    Events(Vec<String>),
    /// No more, for now.
    End,
    /// No such stream, for now.
    Nothing,
}

impl Log<'_> {
    async fn download(&self, kept: &Kept, output: &Arc<Output>) -> Result<(), String> {
        let mut whole = begin(output, kept)?;
        let mut text = Events::default();
        let mut token = None;
        let mut patience = Patience::new();
        let mut heard = Instant::now();
        loop {
            match self.page(&mut token).await? {
                Page::Events(events) => {
                    if !events.is_empty() {
                        (heard, patience) = (Instant::now(), Patience::new());
                    }
                    for event in events {
                        let pieces = [text.between(&event), &event];
                        if !write(&mut whole, &pieces).await? {
                            return whole.take_place().await.map_err(not_stored);
                        }
                    }
                    continue;
                }
                Page::Nothing if kept.may_be_missing() => return Ok(()),
                Page::End if text.may_be_all_of(&kept.text) && heard.elapsed() >= QUIET => break,
                Page::End | Page::Nothing => {}
            }
            if !patience.wait().await {
                return Err(format!(
                    "the whole output has not come to the log group {} within {} s; may the instance's role write there?",
                    self.group,
                    WAIT.as_secs()
                ));
            }
        }
        write(&mut whole, &[text.at_the_end()]).await?;
        whole.take_place().await.map_err(not_stored)
    }

    /// The next page; AWS says the end of a stream by the token that it was given.
    async fn page(&self, token: &mut Option<String>) -> Result<Page, String> {
        let client = |keys| {
            let aws = &self.ssm.jobs.0.parts.aws;
            aws.cloudwatch_logs(&self.ssm.target.region, keys)
        };
        let asked = token.clone();
        let page = self.ssm.call_by(
            self.limiter,
            client,
            "GetLogEvents",
            Repeat::Freely,
            |client| {
                client
                    .get_log_events()
                    .log_group_name(self.group)
                    .log_stream_name(&self.stream)
                    .start_from_head(true)
                    .set_next_token(asked.clone())
                    .send()
            },
        );
        match page.await {
            Ok(page) => {
                let next = page.next_forward_token;
                let at_the_end = next.is_none() || next == asked;
                *token = next.or(asked);
                let events = page.events.unwrap_or_default();
                if events.is_empty() && at_the_end {
                    return Ok(Page::End);
                }
                let messages = events.into_iter().filter_map(|event| event.message);
                Ok(Page::Events(messages.collect()))
            }
            Err(error) if error.code() == "ResourceNotFoundException" => Ok(Page::Nothing),
            Err(error) => {
                let from = format!("the log group {}", self.group);
                Err(refused(self.ssm, &from, error))
            }
        }
    }
}

async fn write(whole: &mut Replacement, pieces: &[&str]) -> Result<bool, String> {
    let mut more = true;
    for piece in pieces {
        more = more && whole.write(piece.as_bytes()).await.map_err(not_stored)?;
    }
    Ok(more)
}

/// Puts together what an agent has taken apart. An event is some lines. Once the
/// command has ended, the agent leaves out the last line end of each event; of a
/// line that is too long it makes pieces of one size.
#[derive(Debug, Default)]
struct Events {
    /// Of all so far.
    characters: usize,
    last: Last,
    /// The command had ended: line ends are left out from here on.
    left_out: bool,
}

/// The event before.
#[derive(Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    None,
    /// Ends with a line end.
    Lines,
    /// Ends without one.
    Open,
    /// Of a line that goes on in the next event.
    Piece,
}

impl Events {
    /// What stood between the event before and this one.
    fn between(&mut self, event: &str) -> &'static str {
        let before = self.at_the_end();
        self.left_out |= !before.is_empty();
        self.characters += before.len() + event.chars().count();
        self.last = if event.ends_with('\n') {
            Last::Lines
        } else if event.len() < LONGEST_PIECE {
            Last::Open
        } else {
            Last::Piece
        };
        before
    }

    /// What stood after the last event. A text that really ended without a line
    /// end cannot be told from one whose line end was left out, and is rare.
    fn at_the_end(&self) -> &'static str {
        match self.last {
            Last::Open => "\n",
            Last::Lines if self.left_out => "\n",
            Last::Lines | Last::Piece | Last::None => "",
        }
    }

    /// It is not shorter than what SSM keeps of the same stream.
    fn may_be_all_of(&self, kept: &str) -> bool {
        // Line ends may be shorter, and SSM adds a mark of its own.
        let least = kept.lines().map(|line| line.chars().count()).sum::<usize>();
        self.last != Last::None && self.characters >= least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(events: &[&str]) -> String {
        let mut state = Events::default();
        let mut text = String::new();
        for event in events {
            text += state.between(event);
            text += event;
        }
        text + state.at_the_end()
    }

    #[test]
    fn line_ends_that_an_agent_left_out_are_put_back() {
        for (events, text) in [
            (&[][..], ""),
            (&["a\nb"], "a\nb\n"),
            (&["a", "b"], "a\nb\n"),
            // The command had not ended yet when the first was written.
            (&["a\n", "b\n", "c"], "a\nb\nc\n"),
            (&["a\n"], "a\n"),
            // The second ended with an empty line.
            (&["a", "b\n", "c"], "a\nb\n\nc\n"),
        ] {
            assert_eq!(joined(events), text, "{events:?}");
        }
    }

    #[test]
    fn pieces_of_a_line_that_is_too_long_are_one_line() {
        let piece = "x".repeat(LONGEST_PIECE);
        assert_eq!(joined(&["a", &piece, "y"]), format!("a\n{piece}y\n"));
    }

    #[test]
    fn what_is_shorter_than_what_ssm_keeps_is_not_all() {
        let mut state = Events::default();
        assert!(!state.may_be_all_of(""));
        let _ = state.between("ab\ncd");
        assert!(state.may_be_all_of("ab\r\nc"));
        assert!(!state.may_be_all_of("ab\ncd\nefg"));
    }

    #[test]
    fn a_stream_is_named_as_the_agent_names_it() {
        let cut = Cut {
            command_id: "c".into(),
            instance: "i-1".into(),
            plugin: "aws:runShellScript".into(),
            streams: Vec::new(),
        };
        let kept = Kept {
            stream: awsso_proto::v1::OutputStream::Stderr,
            text: String::new(),
            url: String::new(),
        };
        assert_eq!(stream_name(&cut, &kept), "c/i-1/aws-runShellScript/stderr");
    }
}
