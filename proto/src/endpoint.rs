//! Where things are: the state folder, the runtime folder and the socket.
//! Pure functions of the environment and the user, so that two processes with
//! the same HOME find each other.

use std::path::{Path, PathBuf};

use crate::error::{Failure, Reason};

/// The places that a client and the daemon must agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The socket that a new daemon binds, and that a client tries last.
    pub socket: PathBuf,
    /// The socket was named by `AWSSO_SOCKET` or a flag: no other is looked for.
    pub explicit: bool,
    /// Journal, outputs, logs, sealed store, locks.
    pub state: PathBuf,
}

/// The variable that names the home folder.
pub const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// The environment that decides, as a parameter.
pub struct Places<'a> {
    pub var: &'a dyn Fn(&str) -> Option<String>,
    /// Where sockets are no files: the user's pipe.
    pub pipe: Option<PathBuf>,
    /// `/run/user/<uid>`, when it is a directory of ours.
    pub user_runtime: Option<PathBuf>,
}

impl Endpoint {
    /// From this process's own environment; `socket` is a flag's value.
    pub fn from_env(socket: Option<PathBuf>) -> Result<Self, Failure> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::resolve(
            socket,
            &Places {
                var: &var,
                pipe: crate::ipc::own_pipe()?,
                user_runtime: crate::ipc::user_runtime_dir(),
            },
        )
    }

    pub fn resolve(socket: Option<PathBuf>, places: &Places<'_>) -> Result<Self, Failure> {
        let state = state_dir(places)?;
        if let Some(socket) = socket.or_else(|| (places.var)("AWSSO_SOCKET").map(PathBuf::from)) {
            if !socket.is_absolute() {
                return Err(Failure::new(
                    Reason::InvalidArgument,
                    format!("the socket path {} is not absolute", socket.display()),
                ));
            }
            return Ok(Self {
                socket,
                explicit: true,
                state,
            });
        }
        let in_folder = || {
            absolute(places, "XDG_RUNTIME_DIR")
                .or_else(|| places.user_runtime.clone())
                .map_or_else(|| state.join("run"), |dir| dir.join("awsso"))
                .join("awssod.sock")
        };
        Ok(Self {
            socket: places.pipe.clone().unwrap_or_else(in_folder),
            explicit: false,
            state,
        })
    }

    /// Held by the running daemon; its text is the socket's path.
    pub fn instance_lock(&self) -> PathBuf {
        self.state.join("awssod.lock")
    }

    /// Held by a client while it starts the daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.state.join("awssod.start.lock")
    }

    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Where the daemon says that it listens; one that was killed goes on saying so.
    pub fn announced(&self) -> Option<PathBuf> {
        let text = std::fs::read_to_string(self.instance_lock()).ok()?;
        let path = Path::new(text.trim_end());
        path.is_absolute().then(|| path.to_owned())
    }

    /// The sockets to try, best first: the one that the running daemon wrote
    /// into its lock, so that a client without `XDG_RUNTIME_DIR` (cron, ssh, a
    /// desktop program) finds the same daemon, then the one that a new daemon
    /// would bind.
    pub fn candidates(&self) -> Vec<PathBuf> {
        let mut sockets = Vec::with_capacity(2);
        if !self.explicit {
            sockets.extend(self.announced());
        }
        if !sockets.contains(&self.socket) {
            sockets.push(self.socket.clone());
        }
        sockets
    }
}

fn absolute(places: &Places<'_>, name: &str) -> Option<PathBuf> {
    // The XDG base directory specification: a relative path is to be ignored.
    (places.var)(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn home(places: &Places<'_>) -> Result<PathBuf, Failure> {
    absolute(places, HOME).ok_or_else(|| {
        Failure::new(
            Reason::InvalidArgument,
            format!(
                "{HOME} is not set to an absolute path, so there is no place for awsso's state"
            ),
        )
    })
}

fn state_dir(places: &Places<'_>) -> Result<PathBuf, Failure> {
    if let Some(dir) = absolute(places, "XDG_STATE_HOME") {
        return Ok(dir.join("awsso"));
    }
    if cfg!(windows)
        && let Some(dir) = absolute(places, "LOCALAPPDATA")
    {
        return Ok(dir.join("awsso"));
    }
    let home = home(places)?;
    Ok(if cfg!(target_os = "macos") {
        home.join("Library/Application Support/awsso/state")
    } else if cfg!(windows) {
        home.join("AppData/Local/awsso")
    } else {
        home.join(".local/state/awsso")
    })
}

/// `config.toml`: `AWSSO_CONFIG`, else in the platform's configuration folder.
pub fn config_file(var: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Failure> {
    let places = Places {
        var,
        pipe: None,
        user_runtime: None,
    };
    if let Some(file) = var("AWSSO_CONFIG") {
        return Ok(file.into());
    }
    if let Some(dir) = absolute(&places, "XDG_CONFIG_HOME") {
        return Ok(dir.join("awsso/config.toml"));
    }
    if cfg!(windows)
        && let Some(dir) = absolute(&places, "APPDATA")
    {
        return Ok(dir.join("awsso/config.toml"));
    }
    let home = home(&places)?;
    Ok(if cfg!(target_os = "macos") {
        home.join("Library/Application Support/awsso/config.toml")
    } else if cfg!(windows) {
        home.join("AppData/Roaming/awsso/config.toml")
    } else {
        home.join(".config/awsso/config.toml")
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn resolve(vars: &[(&str, &str)], user_runtime: Option<&str>) -> Result<Endpoint, Failure> {
        let var = |name: &str| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Endpoint::resolve(
            None,
            &Places {
                var: &var,
                pipe: crate::ipc::own_pipe()?,
                user_runtime: user_runtime.map(PathBuf::from),
            },
        )
    }

    #[test]
    fn the_runtime_folder_is_the_environments_then_the_users_then_the_state_folder() {
        let socket = |vars: &[_], user| resolve(vars, user).unwrap().socket;
        assert_eq!(
            socket(
                &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/x")],
                Some("/run/user/7")
            ),
            Path::new("/x/awsso/awssod.sock")
        );
        assert_eq!(
            socket(
                &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "x")],
                Some("/run/user/7")
            ),
            Path::new("/run/user/7/awsso/awssod.sock")
        );
        assert_eq!(
            socket(&[("HOME", "/h")], None),
            Path::new("/h/.local/state/awsso/run/awssod.sock")
        );
    }

    #[test]
    fn no_home_is_one_clear_line() {
        let failure = resolve(&[], None).unwrap_err();
        assert!(failure.message.contains("HOME"), "{failure}");
    }

    #[test]
    fn the_daemons_own_word_on_its_socket_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint {
            socket: "/run/a.sock".into(),
            explicit: false,
            state: dir.path().to_owned(),
        };
        assert_eq!(endpoint.candidates(), [Path::new("/run/a.sock")]);
        std::fs::write(endpoint.instance_lock(), "/run/b.sock\n").unwrap();
        assert_eq!(
            endpoint.candidates(),
            [Path::new("/run/b.sock"), Path::new("/run/a.sock")]
        );
    }
}
