//! Every source of configuration: `config.toml`, the AWS config file,
//! `~/.mcp/configs.json` and the daemon's own environment. Files are read again
//! when they change. Nothing comes from a request or a working directory.

mod aws_cache;
mod aws_file;
mod environment;
mod lock;
mod mcp_file;
mod roles;
mod sessions;
mod settings;
mod ssm;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use awsso_proto::{Endpoint, Failure, ipc};

pub use aws_cache::{CacheEntry, cache_entries};
pub use aws_file::{AwsFile, Section};
pub use environment::{Environment, check_endpoint};
pub use lock::LockSettings;
pub use roles::{RoleArn, RoleSettings, session_policy};
pub use sessions::{Resolved, SessionSpec, canonical, check_region, resolve, same_place};
pub use settings::{Limits, LoginFlow, Network, SessionSettings, Settings, StoreKind};
pub use ssm::SsmSettings;

/// The largest configuration file that is read.
const MAX_FILE: u64 = 8 << 20;

/// Calls that come closer together than this look at the files once: nobody changes a
/// file and asks in a shorter time, and to look is a ninth of a call for keys.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What the files say, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Files {
    pub settings: Arc<Settings>,
    pub aws: Arc<AwsFile>,
    pub mcp: Option<SessionSettings>,
    /// Every session that they name: worked out once, asked for by each call.
    pub known: Arc<[SessionSpec]>,
}

impl Files {
    pub fn new(settings: Settings, aws: AwsFile, mcp: Option<SessionSettings>) -> Self {
        let known = sessions::known(&settings, &aws, mcp.as_ref()).into();
        Self {
            settings: Arc::new(settings),
            aws: Arc::new(aws),
            mcp,
            known,
        }
    }
}

/// The configuration of a daemon.
#[derive(Debug)]
pub struct Config {
    pub endpoint: Endpoint,
    pub environment: Environment,
    cached: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    /// When these were what the files said.
    looked: Option<Instant>,
    stamps: Vec<Stamp>,
    files: Files,
}

/// What tells that a file is another one than before.
type Stamp = Option<(SystemTime, u64, bool)>;

impl Config {
    pub fn new(endpoint: Endpoint, environment: Environment) -> Self {
        Self {
            endpoint,
            environment,
            cached: Mutex::default(),
        }
    }

    /// What the files say now. A file that cannot be parsed is an error that
    /// names the place; the daemon goes on with it as soon as it is mended.
    pub fn files(&self) -> Result<Files, Failure> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if cached
            .looked
            .is_some_and(|at| now.duration_since(at) < LOOK_AGAIN)
        {
            return Ok(cached.files.clone());
        }
        cached.looked = None;
        let paths = [
            &self.environment.config_file,
            &self.environment.aws_config_file,
            &self.environment.mcp_file,
        ];
        let stamps: Vec<Stamp> = paths.iter().map(|path| stamp(path)).collect();
        if cached.stamps != stamps {
            let files = Files::new(
                Settings::read(paths[0])?,
                AwsFile::read(paths[1])?,
                mcp_file::read(paths[2]),
            );
            cached.stamps = stamps;
            cached.files = files;
        }
        cached.looked = Some(now);
        Ok(cached.files.clone())
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.modified().ok()?,
        meta.len(),
        ipc::others_can_write(path).unwrap_or(true),
    ))
}

/// The text of a file; `None` when there is no such file.
fn read(path: &PathBuf) -> Result<Option<String>, Failure> {
    let problem = |what: &dyn std::fmt::Display| {
        Failure::new(
            awsso_proto::Reason::InvalidArgument,
            format!("{}: {what}", path.display()),
        )
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_FILE => return Err(problem(&"the file is too large")),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(problem(&error)),
    }
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| problem(&"the file is not UTF-8")),
        Err(error) => Err(problem(&error)),
    }
}
