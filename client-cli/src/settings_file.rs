//! A settings file of another program, on disk. It is replaced whole or not at
//! all, with its mode, through the symlink that it may be, and never over
//! somebody else's change; what was there is kept beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use awsso_proto::{Failure, Reason, disk, error::key};
use similar::TextDiff;

use crate::exit::file_failure;

/// How often the work is done when others write the file at the same time.
const TRIES: usize = 2;

pub struct SettingsFile {
    path: PathBuf,
}

impl SettingsFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; nothing when there is none.
    pub fn read(&self) -> Result<String, Failure> {
        match fs::read(&self.path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| self.unusable("it is not UTF-8")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// What it held before our last change; `None` when it was not there then.
    pub fn read_backup(&self) -> Option<String> {
        fs::read_to_string(beside(&self.path, "awsso-backup")).ok()
    }

    /// Replaces what it holds by what `change` makes of it. When the file has
    /// changed meanwhile, `change` is asked once more.
    pub fn update<T>(
        &self,
        mut change: impl FnMut(&str) -> Result<(String, T), Failure>,
    ) -> Result<T, Failure> {
        for _ in 0..TRIES {
            let old = self.read()?;
            let (new, told) = change(&old)?;
            if new == old {
                return Ok(told);
            }
            if self.read()? == old {
                self.replace(&new).map_err(|error| self.failed(&error))?;
                return Ok(told);
            }
        }
        Err(Failure::new(
            Reason::Busy,
            format!(
                "{} is being changed by another program; nothing was written",
                self.path.display()
            ),
        ))
    }

    /// The failure to make sense of what it holds.
    pub fn unusable(&self, why: impl std::fmt::Display) -> Failure {
        let path = self.path.display();
        Failure::new(
            Reason::InvalidArgument,
            format!("{path}: {why}; nothing was written"),
        )
        .with(key::HINT, "correct the file, then run the command again")
    }

    fn failed(&self, error: &io::Error) -> Failure {
        file_failure(&self.path.display(), error).with(
            key::HINT,
            "look at the rights of the file and of its folder",
        )
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let target = if fs::symlink_metadata(&self.path).is_ok() {
            let target = fs::canonicalize(&self.path)?;
            let backup = beside(&self.path, "awsso-backup");
            if text.is_empty() && !backup.exists() {
                return fs::remove_file(&self.path); // nobody but us has written it
            }
            disk::replace(&backup, &fs::read(&target)?)?;
            target
        } else {
            if let Some(dir) = self.path.parent() {
                fs::create_dir_all(dir)?;
            }
            self.path.clone()
        };
        let mode = fs::metadata(&target).ok().map(|there| there.permissions());
        disk::replace_as(&target, text.as_bytes(), mode)
    }
}

/// How its text would change, for a person to read.
pub fn diff(path: &Path, old: &str, new: &str) -> String {
    let path = path.display().to_string();
    TextDiff::from_lines(old, new)
        .unified_diff()
        .header(&path, &path)
        .to_string()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tempfile::TempDir;

    use super::*;

    fn file(dir: &TempDir) -> SettingsFile {
        SettingsFile::new(dir.path().join("a/config"))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what an update takes")]
    fn append(text: &str) -> Result<(String, ()), Failure> {
        Ok((format!("{text}x"), ()))
    }

    #[test]
    fn the_first_text_has_no_backup_and_each_later_one_has_its_last() {
        let dir = TempDir::new().unwrap();
        let file = file(&dir);
        let backup = beside(file.path(), "awsso-backup");
        file.update(append).unwrap();
        assert!(!backup.exists());
        file.update(append).unwrap();
        assert_eq!(file.read().unwrap(), "xx");
        assert_eq!(fs::read(&backup).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_we_made_goes_when_nothing_is_left_in_it_and_no_other_does() {
        let dir = TempDir::new().unwrap();
        let file = file(&dir);
        file.update(append).unwrap();
        file.update(|_| Ok((String::new(), ()))).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
        fs::write(file.path(), "").unwrap();
        file.update(append).unwrap();
        file.update(|_| Ok((String::new(), ()))).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"");
        assert_eq!(file.read_backup().as_deref(), Some("x"));
    }

    #[test]
    fn a_change_of_somebody_else_is_read_again_once() {
        let dir = TempDir::new().unwrap();
        let file = file(&dir);
        file.update(append).unwrap();
        let asked = Cell::new(0);
        let disturb = |times: usize| {
            let (asked, path) = (&asked, file.path());
            asked.set(0);
            move |text: &str| {
                asked.set(asked.get() + 1);
                if asked.get() <= times {
                    fs::write(path, format!("theirs {}", asked.get())).unwrap();
                }
                append(text)
            }
        };
        file.update(disturb(1)).unwrap();
        assert_eq!(
            (asked.get(), file.read().unwrap().as_str()),
            (2, "theirs 1x")
        );
        let refused = file.update(disturb(2)).unwrap_err();
        assert_eq!(refused.reason, Reason::Busy);
        assert_eq!(
            (asked.get(), file.read().unwrap().as_str()),
            (2, "theirs 2")
        );
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        let dir = TempDir::new().unwrap();
        let file = file(&dir);
        file.update(append).unwrap();
        fs::write(file.path(), b"[default]\n# caf\xe9\n").unwrap();
        let refused = file.update(append).unwrap_err();
        assert!(refused.message.contains("not UTF-8"), "{refused}");
        assert!(!beside(file.path(), "awsso-backup").exists());
    }
}
