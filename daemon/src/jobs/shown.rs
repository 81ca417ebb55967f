//! A stored output as somebody is shown it: a person as it was printed, an agent
//! with its secrets masked. Offsets are the same for both; an agent may see a
//! little less of an output that still grows, until it is clear what that is.
//! The file on disk is as it was printed: an agent that reads files on this
//! machine by other means than awsso is the business of what runs that agent.

use std::sync::Arc;

use awsso_proto::{Failure, v1::OutputStream};

use super::output::Output;
use crate::policy::{
    Redactor,
    redact::{self, REACH},
};

/// More is masked by a thread of its own: clients of the daemon wait meanwhile.
const AT_ONCE: usize = 128 << 10;

/// A view of an output.
#[derive(Debug, Clone)]
pub struct Shown {
    pub output: Arc<Output>,
    /// None: it is shown as it is.
    pub redactor: Option<Redactor>,
    /// No more will be printed.
    pub complete: bool,
}

/// Some of a stream.
#[derive(Debug, Default)]
pub struct Part {
    pub data: Vec<u8>,
    /// How long the stream is, as far as it can be shown.
    pub total: u64,
}

impl Shown {
    /// Up to `max` bytes from `offset`; empty at the end of what can be shown.
    pub async fn read(
        &self,
        stream: OutputStream,
        offset: u64,
        max: usize,
    ) -> Result<Part, Failure> {
        let Some(redactor) = &self.redactor else {
            let data = self.output.read(stream, offset, max).await?;
            let total = self.output.written(stream);
            return Ok(Part { data, total });
        };
        let from = offset.saturating_sub(REACH as u64);
        let before = length(offset - from);
        let around = before.saturating_add(max).saturating_add(REACH);
        let text = self.output.read(stream, from, around).await?;
        let total = self.output.written(stream);
        let at_end = from + text.len() as u64 >= total;
        let (mut text, settled) = mask(redactor, text, self.complete && at_end).await;
        text.truncate(settled.min(before.saturating_add(max)));
        let total = if at_end { from + settled as u64 } else { total };
        let data = text.split_off(before.min(text.len()));
        Ok(Part { data, total })
    }
}

async fn mask(redactor: &Redactor, mut text: Vec<u8>, whole: bool) -> (Vec<u8>, usize) {
    let length = text.len();
    if length <= AT_ONCE {
        let settled = redactor.mask(&mut text, whole);
        return (text, settled);
    }
    let redactor = redactor.clone();
    let masked = tokio::task::spawn_blocking(move || {
        let settled = redactor.mask(&mut text, whole);
        (text, settled)
    });
    // Nobody has looked at it.
    masked.await.unwrap_or_else(|_| {
        let mut text = vec![0; length];
        redact::hide(&mut text);
        (text, length)
    })
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzK3xAMPLE9";

    #[tokio::test]
    async fn an_agent_reads_on_at_any_offset_and_sees_no_part_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::new(dir.path(), "out_1".into(), u64::MAX);
        let redactor = Redactor::new(Clock::system());
        let _known = redactor.know(&[KEY], None);
        let text = format!("{}\nkey {KEY} and", "x ".repeat(AT_ONCE));
        let mut writer = output.writer(OutputStream::Stdout);
        writer.write(text.as_bytes()).await.unwrap();
        let shown = |redactor: Option<&Redactor>, complete| Shown {
            output: Arc::clone(&output),
            redactor: redactor.cloned(),
            complete,
        };
        let masked = text.replace(KEY, &"*".repeat(KEY.len()));
        for step in [7, 4_000, text.len()] {
            let mut seen = Vec::new();
            let from = text.len().saturating_sub(step * 30);
            let mut offset = from as u64;
            let agent = shown(Some(&redactor), true);
            loop {
                let part = agent.read(OutputStream::Stdout, offset, step).await;
                let part = part.unwrap();
                assert_eq!(part.total, text.len() as u64);
                if part.data.is_empty() {
                    break;
                }
                offset += part.data.len() as u64;
                seen.extend(part.data);
            }
            assert_eq!(String::from_utf8(seen).unwrap(), masked[from..]);
        }
        let person = shown(None, false);
        let whole = person.read(OutputStream::Stdout, 0, usize::MAX).await;
        assert!(whole.unwrap().data == text.as_bytes());
        // The last word may be the beginning of a secret.
        let growing = shown(Some(&redactor), false);
        let part = growing.read(OutputStream::Stdout, 0, usize::MAX).await;
        let part = part.unwrap();
        assert!(part.data == masked.as_bytes()[..text.len() - 3]);
        assert_eq!(part.total, text.len() as u64 - 3);
    }
}
