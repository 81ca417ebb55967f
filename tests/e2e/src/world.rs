//! One person's machine: an empty home, a runtime folder, the binaries, and a
//! sandbox where AWS is.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use awsso_sandbox::{Config, Sandbox};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Run;

/// No command of a test takes longer, unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// Everything a test needs. Dropped: the daemon ends, the folders go.
pub struct World {
    pub sandbox: Sandbox,
    dir: TempDir,
    /// Where the person's desktop has its D-Bus, once there is a desktop.
    pub(crate) session_bus: OnceLock<String>,
    /// And its machine the one that logind is on, once there is a logind.
    pub(crate) system_bus: OnceLock<String>,
}

impl World {
    /// A sandbox that approves every login at once.
    pub async fn new() -> Self {
        Self::approving(Config::default()).await
    }

    /// Such a sandbox, otherwise configured like this.
    async fn approving(config: Config) -> Self {
        Self::with(Config {
            auto_approve: Some(Duration::ZERO),
            interval: Duration::from_secs(1),
            ..config
        })
        .await
    }

    /// A sandbox where a login waits for its person.
    pub async fn waiting() -> Self {
        Self::with(Config {
            interval: Duration::from_secs(1),
            ..Config::default()
        })
        .await
    }

    pub async fn with(config: Config) -> Self {
        let sandbox = Sandbox::start(config).await.expect("the sandbox starts");
        let dir = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("home")).expect("a home");
        let world = Self {
            sandbox,
            dir,
            session_bus: OnceLock::new(),
            system_bus: OnceLock::new(),
        };
        awsso_proto::ipc::private_dir(&world.runtime()).expect("a runtime folder");
        world
    }

    /// A world whose person is logged in.
    pub async fn logged_in() -> Self {
        Self::logged_in_to(Config::default()).await
    }

    /// The same, with a sandbox that is configured like this.
    pub async fn logged_in_to(config: Config) -> Self {
        let world = Self::approving(config).await;
        world.login().await;
        world
    }

    /// The same, in an organisation of so many accounts.
    pub async fn of_accounts(accounts: usize) -> Self {
        Self::logged_in_to(Config {
            accounts,
            ..Config::default()
        })
        .await
    }

    pub async fn login(&self) {
        let _ = self.awsso(&["login", "--no-launch-browser"]).await.ok();
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn runtime(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/awsso")
    }

    pub fn socket(&self) -> PathBuf {
        self.runtime().join("awsso/awssod.sock")
    }

    /// A place for files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A program in this person's environment and nothing else's.
    pub fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.runtime())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("AWS_ENDPOINT_URL", self.sandbox.base_url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_SSO_START_URL", self.sandbox.start_url())
            .env("AWS_SSO_REGION", self.sandbox.region())
            .envs(
                self.session_bus
                    .get()
                    .map(|address| ("DBUS_SESSION_BUS_ADDRESS", address)),
            )
            // Without one the real machine's would be heard.
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.system_bus())
            .current_dir(self.home())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn system_bus(&self) -> String {
        let nowhere = || format!("unix:path={}", self.dir().join("no-bus").display());
        self.system_bus.get().cloned().unwrap_or_else(nowhere)
    }

    /// Writes the person's `config.toml`.
    pub fn configure(&self, text: &str) {
        self.write(".config/awsso/config.toml", text);
    }

    /// Agents may do what they want but get credentials: for tests of how work is
    /// done, not of who may have it done.
    pub fn open_to_agents(&self) {
        self.configure("[policy]\npreset = 'open'\n");
    }

    /// Writes a file of the person's home.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.home().join(path);
        let dir = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir).expect("a folder of the test");
        std::fs::write(path, text).expect("a file of the test");
    }

    /// Runs `awsso` with these variables, in an environment that names no session.
    pub async fn awsso_unnamed(&self, vars: &[(&str, &str)], args: &[&str]) -> Run {
        let mut command = self.program(bin("awsso"));
        command
            .env_remove("AWS_SSO_START_URL")
            .env_remove("AWS_SSO_REGION")
            .envs(vars.iter().copied())
            .args(args);
        finish(command, args.join(" ")).await
    }

    /// Waits until a status fits.
    pub async fn status(&self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let watch = self.awsso_in_background(&["status", "--watch", "--json"]);
        watch.document(wanted, fits).await
    }

    /// Runs `awsso` to its end.
    pub async fn awsso(&self, args: &[&str]) -> Run {
        let mut command = self.program(bin("awsso"));
        command.args(args);
        finish(command, args.join(" ")).await
    }

    /// Runs `awsso exec-command` as a role of an account.
    pub async fn aws(&self, account: &str, role: &str, command: &str) -> Run {
        self.awsso(&[
            "exec-command",
            "--account-id",
            account,
            "--role-name",
            role,
            "--command",
            command,
        ])
        .await
    }

    /// Waits until AWS was given so many commands for instances.
    pub async fn commands_are_sent(&self, count: u64) {
        within_limit("the command is sent", async {
            while self.sandbox.count("ssm.SendCommand") < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// The daemon's process, by its own word.
    pub async fn daemon_pid(&self) -> Option<u32> {
        let run = self.awsso(&["daemon", "status", "--json"]).await;
        u32::try_from(run.json()["pid"].as_u64()?).ok()
    }
}

/// Runs a prepared command to its end.
pub async fn finish(mut command: Command, shown: String) -> Run {
    let output = within_limit(&shown, command.output())
        .await
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    Run::new(shown, &output)
}

/// Waits, but not for ever.
pub async fn within_limit<T>(shown: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work)
        .await
        .unwrap_or_else(|_| panic!("{shown}: not finished after {LIMIT:?}"))
}

impl Drop for World {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(bin("awsso"))
            .args(["daemon", "stop", "--force"])
            .env_clear()
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.runtime())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // A test that has failed already says more than this.
        if !std::thread::panicking() {
            assert!(
                stopped.is_ok_and(|status| status.success()),
                "the daemon does not stop"
            );
        }
    }
}

/// A built binary of ours: beside the test's own folder. `tests/check` builds
/// them all before the tests run.
pub fn bin(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path of the test");
    let built = own
        .ancestors()
        .map(|dir| dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
        .find(|path| path.is_file());
    built.unwrap_or_else(|| panic!("{name} is not built: run cargo build --workspace --bins"))
}
