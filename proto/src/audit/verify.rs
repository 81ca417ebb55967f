//! Whether a log is as it was written.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{Chain, HEADLESS, Head, Line, digest, files, head};

/// A daemon may write meanwhile, or begin a new file: then it is read once more.
const TRIES: usize = 5;

/// What a log was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub lines: u64,
    pub files: usize,
    /// What is odd and has an honest explanation.
    pub notes: Vec<Note>,
    /// The first thing that has none: what comes after it cannot be told.
    pub tampered: Option<Finding>,
}

/// Something that a killed daemon leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Older lines were removed when the log was full.
    BeginsAt(u64),
    /// Half a line at the end.
    Torn { bytes: usize },
    /// Lines that the head does not know yet.
    Ahead(u64),
}

/// Where the log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub file: PathBuf,
    /// Counted in its file, from 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeginsAt(first) => {
                write!(
                    f,
                    "the log begins at number {first}; older lines were removed when it was full"
                )
            }
            Self::Torn { bytes } => write!(
                f,
                "the last line is torn ({bytes} bytes): the daemon was killed while it wrote"
            ),
            Self::Ahead(lines) => write!(
                f,
                "{lines} line(s) at the end are newer than audit.head: the daemon writes, or was killed before it could"
            ),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Reads and checks all lines of the log in this folder.
pub fn verify(state: &Path) -> io::Result<Report> {
    let mut last = None;
    for _ in 1..TRIES {
        let before = files(state)?;
        let report = check(state, &before)?;
        // What is wrong stays wrong; what was just being written does not.
        let again = report.tampered.is_some() && last.as_ref() != Some(&report);
        if files(state)? == before && !again {
            return Ok(report);
        }
        last = Some(report);
    }
    check(state, &files(state)?)
}

fn check(state: &Path, files: &[(Option<u64>, PathBuf)]) -> io::Result<Report> {
    // First: lines that are added meanwhile are newer than it.
    let head = read_head(state)?;
    let mut check = Check {
        report: Report {
            files: files.len(),
            ..Report::default()
        },
        head,
        end: Chain::default(),
        last: None,
    };
    for (at, (_, path)) in files.iter().enumerate() {
        check.file(path, at + 1 == files.len())?;
        if check.report.tampered.is_some() {
            return Ok(check.report);
        }
    }
    check.end(state);
    Ok(check.report)
}

fn read_head(state: &Path) -> io::Result<Result<Head, &'static str>> {
    match std::fs::read(head(state)) {
        Ok(bytes) => {
            Ok(serde_json::from_slice(&bytes).map_err(|_| "it is not what a daemon writes"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err("it is missing")),
        Err(error) => Err(error),
    }
}

struct Check {
    report: Report,
    head: Result<Head, &'static str>,
    end: Chain,
    /// Where the last line stands.
    last: Option<(PathBuf, usize)>,
}

impl Check {
    fn file(&mut self, path: &Path, last: bool) -> io::Result<()> {
        let bytes = std::fs::read(path)?;
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let number = at + 1;
            let Some(line) = line.strip_suffix(b"\n") else {
                if last {
                    let bytes = line.len();
                    self.report.notes.push(Note::Torn { bytes });
                } else {
                    self.finds(path, number, "it has no end");
                }
                return Ok(());
            };
            self.line(path, number, line);
            if self.report.tampered.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn line(&mut self, path: &Path, number: usize, text: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(text) else {
            return self.finds(
                path,
                number,
                "it was changed: it is not what a daemon writes",
            );
        };
        if self.report.lines == 0 {
            self.begins(path, &line);
        } else if line.seq != self.end.seq + 1 {
            let what = match line.seq.checked_sub(self.end.seq + 1) {
                Some(missing) => format!("{missing} line(s) before it are missing"),
                None => "it does not belong here: it was moved or inserted".to_owned(),
            };
            return self.finds(path, number, &what);
        } else if line.prev != self.end.hash {
            // Whoever changes a line leaves the next one as it was.
            let (path, number) = self.last.clone().unwrap_or((path.to_owned(), number));
            return self.finds(&path, number, "it was changed, or the next one was");
        }
        if line.entry.verb == HEADLESS {
            return self.finds(
                path,
                number,
                "audit.head was gone before it: the end of the log may have been cut off",
            );
        }
        self.report.lines += 1;
        self.end = Chain {
            seq: line.seq,
            hash: digest(text),
        };
        self.last = Some((path.to_owned(), number));
        if let Ok(head) = &self.head
            && head.seq == self.end.seq
            && head.hash != self.end.hash
        {
            self.finds(path, number, "it was changed: audit.head knows another one");
        }
    }

    /// The first line that there is.
    fn begins(&mut self, path: &Path, line: &Line) {
        let first = self.head.as_ref().map_or(1, |head| head.first);
        if line.seq > first.max(1) {
            let missing = line.seq - first.max(1);
            self.finds(path, 1, &format!("{missing} line(s) before it are missing"));
        } else if line.seq == 1 && line.prev != Chain::default().hash {
            self.finds(path, 1, "it was changed: nothing is before the first line");
        } else if line.seq > 1 {
            self.report.notes.push(Note::BeginsAt(line.seq));
        }
    }

    fn end(&mut self, state: &Path) {
        if self.report.tampered.is_some() {
            return;
        }
        let (path, number) = self.last.clone().unwrap_or((super::current(state), 0));
        match &self.head {
            Ok(head) if head.seq > self.end.seq => {
                let missing = head.seq - self.end.seq;
                self.finds(
                    &path,
                    number,
                    &format!("{missing} line(s) after it are missing"),
                );
            }
            Ok(head) if head.seq < self.end.seq => {
                let ahead = self.end.seq - head.seq;
                self.report.notes.push(Note::Ahead(ahead));
            }
            Ok(_) => {}
            // Neither a line nor a head: nothing has been written.
            Err(_) if self.report.lines == 0 => {}
            Err(why) => {
                let why = format!("{why}, so the end of the log may have been cut off");
                self.finds(&head(state), 0, &why);
            }
        }
    }

    fn finds(&mut self, file: &Path, line: usize, what: &str) {
        self.report.tampered.get_or_insert_with(|| Finding {
            file: file.to_owned(),
            line,
            what: what.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
