//! The AWS CLI that `exec-command` runs: one that honours `AWS_ENDPOINT_URL`, from `PATH` or fetched once into the build
//! folder.

use std::{
    env,
    ffi::OsString,
    iter,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use crate::stage::line;

/// Version 1 is on `PyPI`, so that no installer is needed.
const PACKAGE: &str = "awscli==1.45.*";

/// The first versions that honour `AWS_ENDPOINT_URL`, of each line.
const FIRST: [[u32; 2]; 2] = [[1, 29], [2, 13]];

/// A `PATH` that leads to a usable AWS CLI.
pub fn find_or_fetch() -> anyhow::Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    if is_usable(&path) {
        return Ok(path);
    }
    let tools = tools()?;
    // The first one is what `tests/check` installs.
    for name in ["python", "awscli"] {
        let with = before(&tools.join(name), &path)?;
        if is_usable(&with) {
            return Ok(with);
        }
    }
    let folder = tools.join("awscli");
    fetch(&folder)?;
    let with = before(&folder, &path)?;
    ensure!(
        is_usable(&with),
        "{} holds no usable AWS CLI",
        folder.display()
    );
    Ok(with)
}

/// `target/tools`: two above the folder where cargo puts an example.
fn tools() -> anyhow::Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(3).context("a build folder")?;
    Ok(target.join("tools"))
}

fn programs(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" })
}

fn before(environment: &Path, path: &OsString) -> anyhow::Result<OsString> {
    let all = iter::once(programs(environment)).chain(env::split_paths(path));
    env::join_paths(all).context("PATH")
}

/// Whether `aws` works in an empty home, too: a shim of a version manager may not.
fn is_usable(path: &OsString) -> bool {
    let asked = Command::new(find(path).unwrap_or_else(|| "aws".into()))
        .arg("--version")
        .env_clear()
        .env("PATH", path)
        .env("HOME", env::temp_dir())
        .stdin(Stdio::null())
        .output();
    asked.is_ok_and(|told| honours_endpoints(&String::from_utf8_lossy(&told.stdout)))
}

/// By hand, because a child is looked up in our `PATH` and not in its own.
fn find(path: &OsString) -> Option<PathBuf> {
    let name = format!("aws{}", env::consts::EXE_SUFFIX);
    env::split_paths(path)
        .map(|folder| folder.join(&name))
        .find(|program| program.is_file())
}

/// Reads `aws-cli/1.45.11 Python/3.11.7 …`.
fn honours_endpoints(version: &str) -> bool {
    let Some(version) = version.strip_prefix("aws-cli/") else {
        return false;
    };
    let mut numbers = version.split(['.', ' ']).map_while(|n| n.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return false;
    };
    FIRST
        .into_iter()
        .any(|first| first[0] == major && first[1] <= minor)
}

fn fetch(folder: &Path) -> anyhow::Result<()> {
    line(format_args!(
        "Fetching the AWS CLI ({PACKAGE} from PyPI) into {}, once",
        folder.display()
    ))?;
    let has_venv = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stderr(Stdio::null())
        .status();
    match has_venv {
        Err(_) => bail!(
            "no AWS CLI from 1.29 or 2.13 on is in PATH, and without python3 none can be fetched: \
             apt-get install python3 python3-venv"
        ),
        Ok(status) if !status.success() => {
            bail!("python3 cannot make an environment: apt-get install python3-venv")
        }
        Ok(_) => {}
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    succeed(venv, "python3 -m venv")?;
    let mut pip = Command::new(programs(folder).join("python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
        .args(["--quiet", PACKAGE]);
    succeed(pip, "pip install")
}

fn succeed(mut command: Command, name: &str) -> anyhow::Result<()> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("{name} cannot be run"))?;
    ensure!(status.success(), "{name} failed");
    Ok(())
}
