//! What becomes a line and when, and that a log survives what happens to it.

use std::{path::PathBuf, sync::atomic::AtomicU64};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use awsso_proto::audit::{self, Line, Note as Oddity, verify};

use super::*;

/// A clock that is set, in seconds.
#[derive(Debug, Clone, Default)]
struct Seconds(Arc<AtomicU64>);

impl TimeSource for Seconds {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

struct World {
    dir: tempfile::TempDir,
    seconds: Seconds,
    audit: Audit,
    writer: Writer,
}

impl World {
    fn new() -> Self {
        Self::of(Self::private())
    }

    fn of(dir: tempfile::TempDir) -> Self {
        let seconds = Seconds::default();
        let clock = Clock::of(
            SharedTimeSource::new(seconds.clone()),
            Duration::from_millis(1),
        );
        let (audit, writer) = Audit::open(dir.path(), clock.clone(), Redactor::new(clock));
        Self {
            dir,
            seconds,
            audit,
            writer,
        }
    }

    fn note(&self, how: How, verb: &str) -> Note {
        let who = Who {
            client: "test".into(),
            ..Who::default()
        };
        Note::begin(&self.audit, how, verb.to_owned(), who)
    }

    /// Everything, once it is written.
    async fn lines(self) -> Vec<Line> {
        self.writer.finish().await;
        let report = verify(self.dir.path()).unwrap();
        assert_eq!((report.tampered, report.notes), (None, Vec::new()));
        lines(self.dir.path())
    }
}

fn lines(state: &Path) -> Vec<Line> {
    let files = audit::files(state).unwrap();
    let texts = files
        .iter()
        .map(|(_, path)| std::fs::read_to_string(path).unwrap());
    let texts: String = texts.collect();
    texts
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn entry(verb: &str) -> Entry {
    Entry {
        verb: verb.to_owned().into(),
        ..Entry::default()
    }
}

#[tokio::test]
async fn a_note_is_a_line_when_its_last_holder_lets_go() {
    let world = World::new();
    let note = world.note(How::Always, "Jobs.Start");
    note.ended(Ok(()));
    let other = note.clone();
    drop(note);
    let failure = Failure::new(Reason::DeniedByPolicy, "an agent may not do that");
    other.ended(Err(&failure));
    drop(other);
    drop(world.note(How::Always, "Session.Login"));
    let quiet = world.note(How::Refused, "Session.Get");
    quiet.ended(Ok(()));
    drop(quiet);
    let refused = world.note(How::Refused, "Jobs.List");
    refused.ended(Err(&failure));
    drop(refused);
    let lines = world.lines().await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                &*line.entry.verb,
                &*line.entry.result,
                &*line.entry.decision,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Jobs.Start", "DENIED_BY_POLICY", "deny"),
            ("Session.Login", "left", ""),
            ("Jobs.List", "DENIED_BY_POLICY", "deny"),
        ]
    );
}

#[tokio::test]
async fn the_same_keys_are_one_counted_line_a_minute_and_role() {
    let world = World::new();
    for minute in 0..2 {
        world.seconds.0.store(minute * 61, Ordering::Relaxed);
        for hit in 0..1_000 {
            let note = world.note(How::Counted, "Credentials.Get");
            note.session(if hit % 10 == 0 { "lab" } else { "corp" });
            note.ended(Ok(()));
        }
        // The minute ends: what was counted is written by the timer.
        world.seconds.0.fetch_add(60, Ordering::Relaxed);
        let mut written = 0;
        while written < usize::try_from(minute + 1).unwrap() * 2 {
            tokio::task::yield_now().await;
            let text = std::fs::read_to_string(audit::current(world.dir.path()));
            written = text.unwrap_or_default().lines().count();
        }
    }
    let mut counts: Vec<_> = world
        .lines()
        .await
        .iter()
        .map(|line| line.entry.count)
        .collect();
    counts.sort();
    assert_eq!(counts, [Some(100), Some(100), Some(900), Some(900)]);
}

#[tokio::test]
async fn agents_are_refused_while_the_log_cannot_be_written() {
    let world = World::new();
    assert!(world.audit.admit_agent().is_ok());
    world.writer.finish().await;
    let file = audit::current(world.dir.path());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let world = World::of(world.dir);
    assert!(world.audit.admit_agent().is_err());
    drop(world.note(How::Always, "Jobs.Start"));
    tokio::task::yield_now().await;
    assert!(world.audit.admit_agent().is_err());
    std::fs::remove_dir(&file).unwrap();
    drop(world.note(How::Always, "Jobs.Cancel"));
    while world.audit.admit_agent().is_err() {
        tokio::task::yield_now().await;
    }
    // What could not be written was kept.
    let verbs: Vec<_> = world
        .lines()
        .await
        .iter()
        .map(|line| line.entry.verb.clone())
        .collect();
    assert_eq!(verbs, ["Jobs.Start", "Jobs.Cancel"]);
}

/// A log whose files are full at once.
fn small(state: &Path) -> Log {
    Log::of_size(state.to_owned(), 300)
}

#[test]
fn a_full_file_is_followed_by_another_and_the_oldest_go() {
    let dir = World::private();
    let state = dir.path();
    for number in 0..60 {
        // Now and then by another daemon.
        let mut log = small(state);
        log.append(&[entry(&format!("Number.{number}")), entry("And.Another")])
            .unwrap();
        log.append(&[entry("And.More")]).unwrap();
        assert_eq!(verify(state).unwrap().tampered, None, "{number}");
    }
    let files = audit::files(state).unwrap();
    assert!(files.len() <= 10, "{files:?}");
    let report = verify(state).unwrap();
    assert!(matches!(report.notes[..], [Oddity::BeginsAt(first)] if first > 100));
    std::fs::remove_file(&files[0].1).unwrap();
    assert!(verify(state).unwrap().tampered.is_some());
}

#[test]
fn what_a_killed_daemon_left_is_followed_by_the_next_one() {
    let whole = {
        let dir = World::private();
        let mut log = Log::new(dir.path().to_owned());
        log.append(&[entry("One"), entry("Two")]).unwrap();
        let anchored = std::fs::read(audit::head(dir.path())).unwrap();
        log.append(&[entry("Three")]).unwrap();
        (std::fs::read(audit::current(dir.path())).unwrap(), anchored)
    };
    let (text, head) = whole;
    let anchored = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(1)
        .unwrap()
        .0
        + 1;
    for length in anchored..=text.len() {
        let dir = World::private();
        let state = dir.path();
        std::fs::write(audit::current(state), &text[..length]).unwrap();
        std::fs::write(audit::head(state), &head).unwrap();
        assert_eq!(verify(state).unwrap().tampered, None, "{length}");
        Log::new(state.to_owned())
            .append(&[entry("After")])
            .unwrap();
        let report = verify(state).unwrap();
        assert_eq!(
            (report.tampered, report.notes),
            (None, Vec::new()),
            "{length}"
        );
        let told = lines(state)
            .iter()
            .any(|line| line.entry.verb == "Log.torn");
        assert_eq!(told, length != anchored && length != text.len(), "{length}");
    }
}

#[test]
fn an_end_that_was_cut_off_stays_missing_whoever_writes_on() {
    let changes: [fn(PathBuf); 4] = [
        |state| {
            let text = std::fs::read_to_string(audit::current(&state)).unwrap();
            let first = text.find('\n').unwrap() + 1;
            std::fs::write(audit::current(&state), &text[..first]).unwrap();
        },
        |state| std::fs::write(audit::current(&state), "").unwrap(),
        |state| std::fs::remove_file(audit::current(&state)).unwrap(),
        |state| std::fs::remove_file(audit::head(&state)).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let dir = World::private();
        let state = dir.path().to_owned();
        Log::new(state.clone())
            .append(&[entry("One"), entry("Two")])
            .unwrap();
        change(state.clone());
        assert!(verify(&state).unwrap().tampered.is_some(), "{number}");
        Log::new(state.clone()).append(&[entry("Three")]).unwrap();
        assert!(
            verify(&state).unwrap().tampered.is_some(),
            "{number}, written on"
        );
    }
}

impl World {
    fn private() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(dir.path(), mode).unwrap();
        dir
    }
}
