//! Where things are printed: data on stdout, byte for byte; words for people
//! on stderr, with colour only when a person sees it.

use std::{
    fmt::Display,
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::exit::Stop;

const ALARM: Style = AnsiColor::Red.on_default().bold();

/// A program's stderr ended in the middle of a line: a word of ours begins the next.
static MIDDLE_OF_LINE: AtomicBool = AtomicBool::new(false);

/// Data, exactly as it is, at once.
pub fn data(bytes: &[u8]) -> Result<(), Stop> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// One line of data.
pub fn line(text: impl Display) -> Result<(), Stop> {
    data(format!("{text}\n").as_bytes())
}

/// One JSON document, readable.
pub fn json(value: &impl Serialize) -> Result<(), Stop> {
    let mut text = serde_json::to_vec_pretty(value).map_err(std::io::Error::from)?;
    text.push(b'\n');
    data(&text)
}

/// One JSON document in one line: of many, each is one.
pub fn json_line(value: &impl Serialize) -> Result<(), Stop> {
    let mut text = serde_json::to_vec(value).map_err(std::io::Error::from)?;
    text.push(b'\n');
    data(&text)
}

/// A program's stderr, exactly as it is, at once.
pub fn foreign_stderr(bytes: &[u8]) {
    let mut stderr = std::io::stderr().lock();
    // Nobody is left to be told.
    let _ = stderr.write_all(bytes).and_then(|()| stderr.flush());
    if let Some(last) = bytes.last() {
        MIDDLE_OF_LINE.store(*last != b'\n', Ordering::Relaxed);
    }
}

/// One line for a person.
pub fn say(text: impl Display) {
    let first = if MIDDLE_OF_LINE.swap(false, Ordering::Relaxed) {
        "\n"
    } else {
        ""
    };
    // Nobody is left to be told.
    let _ = writeln!(anstream::stderr().lock(), "{first}{text}");
}

/// One line on what went wrong.
pub fn complain(text: impl Display) {
    say(format_args!("{ALARM}awsso:{ALARM:#} {text}"));
}
