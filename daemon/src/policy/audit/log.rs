//! The files: lines are appended and on disk before the head knows them; a full
//! file is renamed, and the oldest goes.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use awsso_proto::{
    audit::{self, Chain, Entry, Head, Line, Who},
    ipc,
};
use tracing::warn;

/// A file of this size is full.
const FULL: u64 = 8 << 20;
/// Full files that are kept, besides the one that is written.
const KEEP: usize = 8;
/// Where the last line is looked for: no line is as long.
const TAIL: u64 = 1 << 20;
/// The head is replaced in its place, in one piece of one length within one sector:
/// a daemon that is killed leaves the old one or the new one.
const HEAD_LENGTH: usize = 200;

/// The log of a state folder. Opened again after an error.
#[derive(Debug)]
pub(super) struct Log {
    state: PathBuf,
    full: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    head: File,
    size: u64,
    chain: Chain,
    /// The number of the file's first line.
    begins: u64,
    /// The oldest line that was not removed.
    first: u64,
}

impl Log {
    pub(super) fn new(state: PathBuf) -> Self {
        Self::of_size(state, FULL)
    }

    pub(super) fn of_size(state: PathBuf, full: u64) -> Self {
        Self {
            state,
            full,
            open: None,
        }
    }

    /// Goes on where the last daemon ended.
    pub(super) fn open(&mut self, now: &str) -> io::Result<()> {
        self.open = Some(Open::new(&self.state, now)?);
        Ok(())
    }

    /// On return they are on disk.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        // After an error nobody knows where the file ends.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.state, entries.first().map_or("", |entry| &entry.at))?,
        };
        let mut text = String::new();
        for entry in entries {
            text.push_str(&open.chain.link(entry.clone()));
        }
        open.file.write_all(text.as_bytes())?;
        open.file.sync_data()?;
        open.size += text.len() as u64;
        open.anchor()?;
        if open.size >= self.full {
            open = open.rotate(&self.state)?;
        }
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    /// What was found is told in lines of the log itself.
    fn new(state: &Path, now: &str) -> io::Result<Self> {
        ipc::private_dir(state).map_err(|failure| io::Error::other(failure.message))?;
        let mut open = Self::at_the_end(state)?;
        let says = |what: &'static str, message: String| Entry {
            at: now.to_owned(),
            who: Who {
                kind: "daemon".into(),
                ..Who::default()
            },
            verb: what.into(),
            message,
            ..Entry::default()
        };
        let torn = open.cut_torn_line()?;
        let mut told = Vec::new();
        if torn > 0 {
            told.push(says(
                "Log.torn",
                format!("{torn} bytes of a torn line were removed"),
            ));
        }
        let found = open.last_line()?;
        match read_head(state)? {
            None => {
                if found.is_some() {
                    warn!("the audit log has no head");
                    told.push(says(audit::HEADLESS, "audit.head was not there".to_owned()));
                    open.chain = found.unwrap_or_default();
                    let oldest = audit::files(state)?.first().and_then(|(first, _)| *first);
                    open.first = oldest.unwrap_or(open.begins);
                }
            }
            Some(head) => {
                open.first = head.first;
                let found = found.unwrap_or_default();
                // An end that was cut off stays missing: its numbers are not used again.
                if head.seq > found.seq || (head.seq == found.seq && head.hash != found.hash) {
                    warn!(
                        head = head.seq,
                        found = found.seq,
                        "the end of the audit log was changed"
                    );
                    told.push(says(
                        "Log.changed",
                        format!(
                            "audit.head ends at number {}, the log at {}",
                            head.seq, found.seq
                        ),
                    ));
                    open.chain = head.end();
                } else {
                    open.chain = found;
                }
            }
        }
        if open.size == 0 {
            open.begins = open.chain.seq + 1;
        }
        for entry in told {
            let line = open.chain.link(entry);
            open.file.write_all(line.as_bytes())?;
            open.size += line.len() as u64;
        }
        open.file.sync_data()?;
        open.anchor()?;
        Ok(open)
    }

    fn at_the_end(state: &Path) -> io::Result<Self> {
        let mut file = ipc::private_file()
            .create(true)
            .read(true)
            .append(true)
            .open(audit::current(state))?;
        let mut open = Self {
            size: file.metadata()?.len(),
            chain: Chain::default(),
            begins: 1,
            first: 1,
            file: file.try_clone()?,
            head: ipc::private_file()
                .create(true)
                .truncate(false)
                .write(true)
                .open(audit::head(state))?,
        };
        if open.size > 0 {
            let mut start = vec![0; usize::try_from(open.size.min(TAIL)).unwrap_or_default()];
            file.seek(SeekFrom::Start(0))?;
            file.read_exact(&mut start)?;
            let line = start.split(|byte| *byte == b'\n').next();
            let line = line.and_then(|line| serde_json::from_slice::<Line>(line).ok());
            open.begins = line.map_or(1, |line| line.seq);
        } else if let Some((_, older)) = audit::files(state)?.into_iter().rev().nth(1) {
            // Killed between two files.
            let text = std::fs::read(older)?;
            open.chain = last_of(&text).unwrap_or_default();
        }
        Ok(open)
    }

    /// What a daemon was killed over. Returns its length.
    fn cut_torn_line(&mut self) -> io::Result<u64> {
        let (from, tail) = self.tail()?;
        if tail.is_empty() || tail.ends_with(b"\n") {
            return Ok(0);
        }
        let last = tail.iter().rposition(|byte| *byte == b'\n');
        let end = from + last.map_or(0, |at| at as u64 + 1);
        let torn = self.size - end;
        self.file.set_len(end)?;
        self.size = end;
        Ok(torn)
    }

    /// Where the chain ends, by the file.
    fn last_line(&mut self) -> io::Result<Option<Chain>> {
        let (_, tail) = self.tail()?;
        let older = Some(self.chain.clone()).filter(|chain| chain.seq > 0);
        Ok(last_of(&tail).or(older))
    }

    fn tail(&mut self) -> io::Result<(u64, Vec<u8>)> {
        let from = self.size.saturating_sub(TAIL);
        self.file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        self.file.read_to_end(&mut tail)?;
        Ok((from, tail))
    }

    fn anchor(&mut self) -> io::Result<()> {
        let head = Head::new(self.first, &self.chain);
        let mut text = serde_json::to_vec(&head).expect("texts and numbers are JSON");
        text.resize(HEAD_LENGTH, b' ');
        self.head.seek(SeekFrom::Start(0))?;
        self.head.write_all(&text)?;
        self.head.sync_data()
    }

    /// A new file; the oldest go, after the head says so.
    fn rotate(mut self, state: &Path) -> io::Result<Self> {
        std::fs::rename(audit::current(state), audit::rotated(state, self.begins))?;
        let files = audit::files(state)?;
        let old: Vec<_> = files
            .iter()
            .filter_map(|(first, path)| Some(((*first)?, path)))
            .collect();
        if let Some(gone) = old.len().checked_sub(KEEP).filter(|gone| *gone > 0) {
            self.first = old[gone].0;
            self.anchor()?;
            for (_, path) in &old[..gone] {
                std::fs::remove_file(path)?;
            }
        }
        let fresh = Self::at_the_end(state)?;
        Ok(Self {
            begins: self.chain.seq + 1,
            chain: self.chain,
            first: self.first,
            ..fresh
        })
    }
}

/// The chain behind the last line of a text.
fn last_of(text: &[u8]) -> Option<Chain> {
    let text = text.strip_suffix(b"\n")?;
    let line = text.rsplit(|byte| *byte == b'\n').next()?;
    let seq = serde_json::from_slice::<Line>(line).ok()?.seq;
    let hash = audit::digest(line);
    Some(Chain { seq, hash })
}

fn read_head(state: &Path) -> io::Result<Option<Head>> {
    match std::fs::read(audit::head(state)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
