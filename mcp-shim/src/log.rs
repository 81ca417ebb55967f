//! The shim's own log: one private file per process, opened when the first
//! line is written, rotated, and tidied up after. A log that cannot be written
//! disturbs nothing. Only our own crates are heard: rmcp's events carry whole
//! requests, with what people and models wrote in them.

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Mutex,
    time::SystemTime,
};

use awsso_proto::ipc;
use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

const PREFIX: &str = "awsso-mcp-";

/// A process writes two files of this size at most.
const FILE_BYTES: usize = 5 << 20;

/// Processes whose logs are kept, this one included.
const PROCESSES_KEPT: usize = 20;

/// `AWSSO_LOG` and `DEBUG` raise the level. In `AWSSO_LOG` a level may stand
/// alone or behind a target, as in `awsso_mcp=debug`.
pub(crate) fn level(var: &dyn Fn(&str) -> Option<String>) -> LevelFilter {
    let wished = var("AWSSO_LOG").and_then(|text| {
        text.split(',')
            .filter_map(|part| part.rsplit('=').next()?.trim().parse().ok())
            .max()
    });
    let debug = matches!(var("DEBUG").as_deref(), Some("true" | "1"));
    let wished = wished.unwrap_or(LevelFilter::INFO);
    if debug {
        wished.max(LevelFilter::DEBUG)
    } else {
        wished
    }
}

pub(crate) fn init(dir: PathBuf, level: LevelFilter) {
    let ours = Targets::new()
        .with_target("awsso_mcp", level)
        .with_target("awsso_proto", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(Log::Closed { dir }));
    tracing_subscriber::registry().with(ours).with(lines).init();
}

enum Log {
    Closed { dir: PathBuf },
    Open(Box<FileRotate<AppendCount>>),
    Broken,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Self::Closed { dir } = self {
            *self = open(dir).map_or(Self::Broken, |file| Self::Open(Box::new(file)));
        }
        if let Self::Open(file) = self {
            // file-rotate asserts that the file it rotates away from is still
            // there; another shim may have tidied it up.
            let written = catch_unwind(AssertUnwindSafe(|| file.write(line)));
            if !matches!(written, Ok(Ok(_))) {
                *self = Self::Broken;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(dir: &Path) -> Option<FileRotate<AppendCount>> {
    ipc::private_dir(dir).ok()?;
    tidy(dir, PROCESSES_KEPT - 1);
    let mut options = ipc::private_file();
    options.read(true).create(true).append(true);
    Some(FileRotate::new(
        dir.join(format!("{PREFIX}{}.log", std::process::id())),
        AppendCount::new(1),
        ContentLimit::BytesSurpassed(FILE_BYTES),
        Compression::None,
        Some(options),
    ))
}

/// Removes the logs of all but the `keep` processes that wrote last.
fn tidy(dir: &Path, keep: usize) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    let mut logs: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(PREFIX)?.strip_suffix(".log")?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    logs.sort_unstable_by(|a, b| b.cmp(a));
    for (_, log) in logs.into_iter().skip(keep) {
        // Another shim may be tidying up as well.
        let _ = std::fs::remove_file(log.with_extension("log.1"));
        let _ = std::fs::remove_file(log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(vars: &[(&str, &str)]) -> LevelFilter {
        level(&|name| {
            let found = vars.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn debug_and_awsso_log_raise_the_level() {
        assert_eq!(level_of(&[]), LevelFilter::INFO);
        assert_eq!(level_of(&[("DEBUG", "false")]), LevelFilter::INFO);
        assert_eq!(level_of(&[("DEBUG", "1")]), LevelFilter::DEBUG);
        assert_eq!(level_of(&[("AWSSO_LOG", "trace")]), LevelFilter::TRACE);
        assert_eq!(
            level_of(&[("AWSSO_LOG", "warn,awssod=debug")]),
            LevelFilter::DEBUG
        );
    }

    #[test]
    fn the_newest_logs_stay_and_strangers_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (age, pid) in [1, 2, 3].into_iter().enumerate() {
            let log = std::fs::File::create(path(&format!("awsso-mcp-{pid}.log"))).unwrap();
            let age = std::time::Duration::from_secs(age as u64 * 60);
            log.set_modified(SystemTime::UNIX_EPOCH + age).unwrap();
        }
        std::fs::write(path("awsso-mcp-1.log.1"), "").unwrap();
        std::fs::write(path("awssod.log"), "").unwrap();
        tidy(dir.path(), 2);
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["awsso-mcp-2.log", "awsso-mcp-3.log", "awssod.log"]);
    }

    #[test]
    fn the_file_appears_with_the_first_line_and_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("logs");
        let mut log = Log::Closed { dir: dir.clone() };
        assert!(!dir.exists());
        log.write_all(b"line\n").unwrap();
        let file = dir.join(format!("awsso-mcp-{}.log", std::process::id()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "line\n");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_not_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut log = Log::Closed {
            dir: file.path().to_owned(),
        };
        assert!(log.write_all(b"line\n").is_ok());
    }
}
