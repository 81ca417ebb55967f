//! The program that an entry starts: which path of it lasts, and what it answers.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use awsso_proto::{Failure, Reason, error::key};

use super::check::Answer;
use crate::version;

/// A program prints its version in a thousandth of that.
const LIMIT: Duration = Duration::from_secs(3);

/// The path of `awsso-mcp` beside this program, as an entry is to name it.
pub fn path() -> Result<String, Failure> {
    let own = env::current_exe()
        .map_err(|error| Failure::new(Reason::Internal, format!("the path of awsso: {error}")))?;
    let program = own.with_file_name(format!("awsso-mcp{}", env::consts::EXE_SUFFIX));
    if !program.is_file() {
        let text = format!("{} is not there", program.display());
        return Err(Failure::new(Reason::NotFound, text).with(
            key::HINT,
            "install awsso, awssod and awsso-mcp in one folder",
        ));
    }
    let path = lasting(program, env::var_os("PATH").as_deref());
    path.into_os_string().into_string().map_err(|path| {
        let text = format!(
            "{} is not UTF-8, as settings files are",
            Path::new(&path).display()
        );
        Failure::new(Reason::InvalidArgument, text)
            .with(key::HINT, "install awsso in a folder with another name")
    })
}

/// A package manager installs a program into a folder with the version in its
/// name, and puts a link into `PATH` that leads to the newest.
pub fn lasting(program: PathBuf, path: Option<&OsStr>) -> PathBuf {
    let (Ok(real), Some(name)) = (fs::canonicalize(&program), program.file_name()) else {
        return program;
    };
    let folders = path.into_iter().flat_map(env::split_paths);
    let mut links = folders
        .filter(|it| it.is_absolute())
        .map(|it| it.join(name));
    let link = links.find(|link| fs::canonicalize(link).is_ok_and(|it| it == real));
    link.unwrap_or(program)
}

/// What a program says of itself.
pub async fn answer(program: &str) -> Answer {
    match version::printed(program, LIMIT).await {
        Ok(text) => {
            let version = text.trim().strip_prefix("awsso-mcp ");
            version.map_or(Answer::Nothing, |it| Answer::Version(it.to_owned()))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Answer::Missing,
            io::ErrorKind::PermissionDenied => Answer::NotExecutable,
            _ => Answer::Nothing,
        },
    }
}
