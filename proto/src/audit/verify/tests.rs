//! Every way to change a log, and what a crash leaves.

use super::*;
use crate::{
    audit::{Entry, current, rotated},
    disk,
};

const LINES: usize = 7;

/// A log of two files, as a daemon leaves it.
struct Log {
    dir: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        let log = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let mut chain = Chain::default();
        let mut lines = (0..LINES).map(|number| {
            let verb = format!("Jobs.Number{number}").into();
            chain.link(Entry {
                verb,
                ..Entry::default()
            })
        });
        let (old, new): (String, String) = (lines.by_ref().take(3).collect(), lines.collect());
        std::fs::write(rotated(log.state(), 1), old).unwrap();
        std::fs::write(current(log.state()), new).unwrap();
        log.anchor(&Head::new(1, &chain));
        log
    }

    fn state(&self) -> &Path {
        self.dir.path()
    }

    fn anchor(&self, to: &Head) {
        disk::replace(&head(self.state()), &serde_json::to_vec(to).unwrap()).unwrap();
    }

    fn old(&self) -> PathBuf {
        rotated(self.state(), 1)
    }

    fn new_file(&self) -> PathBuf {
        current(self.state())
    }

    fn change(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        change(&mut lines);
        std::fs::write(path, lines.concat()).unwrap();
    }

    fn report(&self) -> Report {
        verify(self.state()).unwrap()
    }

    /// Where it was changed.
    #[track_caller]
    fn finds(&self) -> (PathBuf, usize, String) {
        let found = self.report().tampered.expect("it was changed");
        (found.file, found.line, found.what)
    }
}

#[test]
fn a_log_as_it_was_written_is_in_order() {
    let report = Log::new().report();
    let expected = Report {
        lines: LINES as u64,
        files: 2,
        ..Report::default()
    };
    assert_eq!(report, expected);
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(verify(nothing.path()).unwrap(), Report::default());
}

#[test]
fn whatever_is_done_to_a_line_is_found_where_it_was_done() {
    type Change = fn(&mut Vec<String>);
    // In the current file, whose first line is the fourth of the log.
    let changes: &[(&str, Change, usize)] = &[
        (
            "edit the first",
            |lines| lines[0] = lines[0].replace("Number", "Numbre"),
            1,
        ),
        (
            "edit one in the middle",
            |lines| lines[1] = lines[1].replace("Number", "Numbre"),
            2,
        ),
        (
            "edit the last",
            |lines| lines[3] = lines[3].replace("Number", "Numbre"),
            4,
        ),
        ("empty one", |lines| lines[1] = "\n".into(), 2),
        ("add a blank", |lines| lines[1].insert(0, ' '), 2),
        ("delete one", |lines| drop(lines.remove(1)), 2),
        ("delete two", |lines| drop(lines.drain(1..3)), 2),
        ("delete the first", |lines| drop(lines.remove(0)), 1),
        ("delete the last", |lines| drop(lines.pop()), 3),
        ("copy one", |lines| lines.insert(2, lines[1].clone()), 3),
        ("insert another", |lines| lines.insert(1, "{}\n".into()), 2),
        ("add one", |lines| lines.push(lines[0].clone()), 5),
        ("swap two", |lines| lines.swap(1, 2), 2),
    ];
    for (what, change, line) in changes {
        let log = Log::new();
        Log::change(&log.new_file(), change);
        let found = log.finds();
        assert_eq!(
            (found.0, found.1),
            (log.new_file(), *line),
            "{what}: {}",
            found.2
        );
    }
}

#[test]
fn a_file_that_is_changed_cut_or_gone_is_found() {
    let log = Log::new();
    Log::change(&log.old(), |lines| {
        lines[2] = lines[2].replace("Number", "Numbre");
    });
    let found = log.finds();
    assert_eq!((found.0, found.1), (log.old(), 3));

    let log = Log::new();
    std::fs::remove_file(log.old()).unwrap();
    let found = log.finds();
    assert_eq!((found.1, &*found.2), (1, "3 line(s) before it are missing"));

    let log = Log::new();
    std::fs::remove_file(log.new_file()).unwrap();
    let found = log.finds();
    assert_eq!((found.1, &*found.2), (3, "4 line(s) after it are missing"));

    let log = Log::new();
    std::fs::write(log.new_file(), "").unwrap();
    assert!(log.report().tampered.is_some());

    let log = Log::new();
    std::fs::remove_file(head(log.state())).unwrap();
    assert!(log.finds().2.starts_with("it is missing, so the end"));
    std::fs::write(head(log.state()), "{}").unwrap();
    assert!(log.finds().2.starts_with("it is not what a daemon writes"));
}

#[test]
fn what_a_killed_daemon_leaves_is_no_tampering() {
    let log = Log::new();
    let end = std::fs::read_to_string(log.new_file()).unwrap();
    let last = end.lines().last().unwrap();
    // At any byte of its last line, with the head of the one before.
    let line: Line = serde_json::from_str(last).unwrap();
    log.anchor(&Head {
        first: 1,
        seq: line.seq - 1,
        hash: line.prev,
    });
    assert_eq!(log.report().notes, [Note::Ahead(1)]);
    let whole = &end[..end.len() - last.len() - 1];
    for bytes in 1..=last.len() {
        std::fs::write(log.new_file(), format!("{whole}{}", &last[..bytes])).unwrap();
        let report = log.report();
        assert_eq!(report.tampered, None);
        assert_eq!(report.notes, [Note::Torn { bytes }]);
    }
}

#[test]
fn old_files_may_go_when_the_head_says_so() {
    let log = Log::new();
    let text = std::fs::read(head(log.state())).unwrap();
    let mut anchor: Head = serde_json::from_slice(&text).unwrap();
    anchor.first = 4;
    log.anchor(&anchor);
    // Killed before the file went.
    assert_eq!(log.report().tampered, None);
    std::fs::remove_file(log.old()).unwrap();
    let report = log.report();
    assert_eq!((report.tampered, report.lines), (None, 4));
    assert_eq!(report.notes, [Note::BeginsAt(4)]);
}
