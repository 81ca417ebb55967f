//! `awsso daemon logs`: the end of the daemon's log, and what is added to it.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    time::Duration,
};

use serde::Serialize;

use crate::{
    context::Context,
    exit::{self, Stop},
    terminal,
};

/// Quick to the eye, nothing to the machine.
const GLANCE: Duration = Duration::from_millis(250);

#[derive(Serialize)]
struct LogView<'a> {
    lines: Vec<&'a str>,
}

#[derive(Serialize)]
struct LineView<'a> {
    line: &'a str,
}

pub async fn print(context: &Context, lines: usize, follow: bool) -> Result<(), Stop> {
    let path = context.endpoint.logs().join("awssod.log");
    let log = read_from(&path, 0)?;
    let last = last_lines(&log, lines);
    if !follow {
        return if context.json {
            let text = String::from_utf8_lossy(last);
            let lines = text.lines().collect();
            terminal::json(&LogView { lines })
        } else {
            terminal::data(last)
        };
    }
    let mut rest = Vec::new();
    let mut show = |added: &[u8]| {
        if context.json {
            json_lines(&mut rest, added)
        } else {
            terminal::data(added)
        }
    };
    show(last)?;
    let mut at = length(&log);
    loop {
        tokio::time::sleep(GLANCE).await;
        // Between two files of a rotation there is none.
        let Ok(meta) = std::fs::metadata(&path) else {
            continue;
        };
        if meta.len() < at {
            at = 0;
        }
        if meta.len() > at {
            let added = read_from(&path, at)?;
            show(&added)?;
            at += length(&added);
        }
    }
}

/// Each whole line as one document; the rest waits for its end.
fn json_lines(rest: &mut Vec<u8>, added: &[u8]) -> Result<(), Stop> {
    rest.extend(added);
    let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
        return Ok(());
    };
    let whole: Vec<_> = rest.drain(..=end).collect();
    let text = String::from_utf8_lossy(&whole);
    let mut lines = text.lines();
    lines.try_for_each(|line| terminal::json_line(&LineView { line }))
}

/// The daemon bounds its log, so it fits into memory.
fn read_from(path: &Path, at: u64) -> Result<Vec<u8>, Stop> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut log = Vec::new();
        file.read_to_end(&mut log)?;
        Ok(log)
    };
    read().map_err(|error| exit::file_failure(&path.display(), &error).into())
}

fn length(log: &[u8]) -> u64 {
    u64::try_from(log.len()).expect("memory is smaller than u64")
}

fn last_lines(log: &[u8], lines: usize) -> &[u8] {
    let Some(newlines_before) = lines.checked_sub(1) else {
        return &[];
    };
    let body = log.strip_suffix(b"\n").unwrap_or(log);
    let mut newlines = (0..body.len()).rev().filter(|index| body[*index] == b'\n');
    match newlines.nth(newlines_before) {
        Some(index) => &log[index + 1..],
        None => log,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_lines() {
        let log = b"a\nb\nc\n";
        assert_eq!(last_lines(log, 0), b"");
        assert_eq!(last_lines(log, 1), b"c\n");
        assert_eq!(last_lines(log, 2), b"b\nc\n");
        assert_eq!(last_lines(log, 9), log);
        assert_eq!(last_lines(b"a\nb", 1), b"b");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
