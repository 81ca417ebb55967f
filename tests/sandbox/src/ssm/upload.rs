//! What instances leave of their output elsewhere: objects in S3, events in CloudWatch Logs. Pure.
//!
//! As the agent does it: a bucket gets each stream that is not empty once the command has ended, a log group gets
//! its lines. Nothing is stored; a reader is shown what is there at its moment.

use std::time::{Duration, SystemTime};

use super::commands::{Command, Invocation};
use super::schedule::Phase;

/// What fits into an event; the agent cuts a line that is longer.
const MOST_EVENT: usize = 200_000;
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Whether the role of the instances may write elsewhere, and how late it is read there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uploads {
    pub(crate) allowed: bool,
    pub(crate) delay: Duration,
}

impl Command {
    /// Keys and texts of what is in its bucket by now.
    pub(crate) fn objects(&self, now: SystemTime) -> Vec<(String, String)> {
        if self.output_bucket.is_empty() {
            return Vec::new();
        }
        let left = self.invocations.iter().flat_map(|it| self.left(it, now));
        left.map(|(invocation, stream, text)| (self.key(invocation, stream), text))
            .collect()
    }

    /// The events of one stream of its log group by now; none when there is no such stream.
    pub(crate) fn events(&self, stream: &str, now: SystemTime) -> Option<Vec<String>> {
        let mut left = self.invocations.iter().flat_map(|it| self.left(it, now));
        let (_, _, text) = left.find(|(invocation, name, _)| {
            let plugin = invocation.plugin.replace([':', '*'], "-");
            let parts = [&self.id, &invocation.instance_id, &plugin, *name];
            parts.join("/") == stream
        })?;
        Some(events(&text))
    }

    /// `<prefix>/<command-id>/<instance-id>/awsrunShellScript/0.awsrunShellScript/stdout`
    pub(crate) fn key(&self, invocation: &Invocation, stream: &str) -> String {
        let plugin = invocation.plugin.replace(':', "");
        let parts = [
            self.output_prefix.trim_matches('/'),
            &self.id,
            &invocation.instance_id,
            &plugin,
            &format!("0.{plugin}"),
            stream,
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("/")
    }

    fn left<'a>(
        &self,
        invocation: &'a Invocation,
        now: SystemTime,
    ) -> Vec<(&'a Invocation, &'static str, String)> {
        let there = invocation.timeline.starts.is_some()
            && matches!(invocation.phase(now), Phase::Done(_))
            && invocation.ended() + self.uploads.delay <= now;
        if !there || !self.uploads.allowed {
            return Vec::new();
        }
        let (_, stdout, stderr) = invocation.result(now);
        let streams = STREAMS.into_iter().zip([stdout, stderr]);
        streams
            .filter(|(_, text)| !text.is_empty())
            .map(|(stream, text)| (invocation, stream, text))
            .collect()
    }
}

/// Lines together as far as they fit, without the line end of each event's last one: the command has ended.
fn events(text: &str) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        for piece in pieces(line) {
            match events.last_mut() {
                Some(event) if event.len() + piece.len() <= MOST_EVENT => event.push_str(piece),
                _ => events.push(piece.to_owned()),
            }
        }
    }
    for event in &mut events {
        *event = event.replace("\r\n", "\n");
        if event.ends_with('\n') {
            event.pop();
        }
    }
    events
}

fn pieces(line: &str) -> Vec<&str> {
    let (mut rest, mut pieces) = (line, Vec::new());
    while rest.len() > MOST_EVENT {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(MOST_EVENT));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_many_lines_as_fit_and_loses_its_last_line_end() {
        assert_eq!(events("a\r\nb\n"), ["a\nb"]);
        let line = format!("{}\n", "x".repeat(MOST_EVENT - 10));
        assert_eq!(events(&line.repeat(2)), [line.trim_end(), line.trim_end()]);
    }

    #[test]
    fn a_line_that_does_not_fit_is_cut() {
        let lengths: Vec<_> = events(&"x".repeat(MOST_EVENT + 5))
            .iter()
            .map(String::len)
            .collect();
        assert_eq!(lengths, [MOST_EVENT, 5]);
    }
}
