//! The folder in which an agent may have files: `agent_folder` in `[policy]`.

use std::path::{Component, Path, PathBuf};

/// A folder of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(root: PathBuf) -> Result<Self, String> {
        if root.is_absolute() {
            Ok(Self(root))
        } else {
            Err(format!("agent_folder {} is not absolute", root.display()))
        }
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Whether a path, as a command in `directory` says it, is inside, wherever
    /// links lead. What is not there yet counts by the folder that it would be in.
    pub fn holds(&self, path: &str, directory: &Path) -> bool {
        // The AWS CLI replaces both.
        if path.starts_with('~') || path.contains(['$', '%']) {
            return false;
        }
        let (Ok(root), Some(path)) = (self.0.canonicalize(), real(&directory.join(path))) else {
            return false;
        };
        path.starts_with(root)
    }
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let mut there = path.to_path_buf();
    let mut missing = Vec::new();
    loop {
        // A link that leads nowhere is there, and would be followed.
        if there.symlink_metadata().is_ok() {
            let mut real = there.canonicalize().ok()?;
            real.extend(missing.iter().rev());
            return Some(real);
        }
        match there.components().next_back()? {
            Component::Normal(name) => missing.push(name.to_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
        there.pop();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_inside_only_where_links_and_dots_lead_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("agent");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(dir.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("out")).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", root.join("dangling")).unwrap();
        let folder = Folder::new(root.clone()).unwrap();
        for inside in ["new.txt", "sub/new.txt", "./sub/../x", "sub", ".", "a/b/c"] {
            assert!(folder.holds(inside, &root), "{inside}");
        }
        assert!(folder.holds(root.join("x").to_str().unwrap(), Path::new("/")));
        for outside in [
            "../secret",
            "out/secret",
            "out/new",
            "dangling",
            "/etc/passwd",
            "~/x",
            "$HOME/x",
            "new/../../secret",
            "..",
        ] {
            assert!(!folder.holds(outside, &root), "{outside}");
        }
        assert!(!folder.holds("x", Path::new("/")));
        assert!(Folder::new("relative".into()).is_err());
    }
}
