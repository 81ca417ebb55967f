//! Aliases of the AWS CLI. They come before its own commands, and may run any
//! program: what an agent names must not be one.

use std::{io, path::Path};

/// A person writes a few lines into it.
const MAX_FILE: u64 = 1 << 20;

/// Why the words that name a command may mean another one; `home` is the home
/// of whom the AWS CLI would run for.
pub fn objection(words: &[&str], home: &Path) -> Option<String> {
    let path = home.join(".aws/cli/alias");
    let text = match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Ok(meta) if meta.len() <= MAX_FILE => std::fs::read(&path).ok(),
        _ => None,
    };
    let Some(text) = text else {
        return Some(format!(
            "run the AWS CLI while {} cannot be read",
            path.display()
        ));
    };
    let text = String::from_utf8_lossy(&text);
    let alias =
        names(&text).find(|name| words.iter().any(|word| word.eq_ignore_ascii_case(name)))?;
    Some(format!(
        "use {alias:?}: it is an alias in {}, and an alias can be any program",
        path.display()
    ))
}

/// Every key, of whatever section: `[toplevel]`, and in version 2 `[command ec2]`.
/// A line that goes on with the one before counts as well: better a word too many.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';', '[']))
        .filter_map(|line| Some(line.split_once(['=', ':'])?.0.trim_end()))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        text.split(' ').collect()
    }

    #[test]
    fn a_word_that_is_an_alias_is_not_for_agents() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(objection(&words("s3 ls"), home.path()), None);
        std::fs::create_dir_all(home.path().join(".aws/cli")).unwrap();
        let file = home.path().join(".aws/cli/alias");
        std::fs::write(
            &file,
            "[toplevel]\nS3 = !rm -rf\n  ec2 = x\n# sts = y\n[command iam]\nlist-users: !id\n",
        )
        .unwrap();
        for (command, refused) in [
            ("s3 ls", true),
            ("ec2 describe-instances", true),
            ("sts get-caller-identity", false),
            ("iam list-users", true),
        ] {
            assert_eq!(
                objection(&words(command), home.path()).is_some(),
                refused,
                "{command}"
            );
        }
        std::fs::write(&file, [0xff; 8]).unwrap();
        assert_eq!(objection(&words("s3 ls"), home.path()), None);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(objection(&words("s3 ls"), home.path()).is_some());
    }
}
