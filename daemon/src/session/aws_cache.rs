//! `~/.aws/sso/cache`, shared with the AWS CLI and the SDKs: their token is
//! taken over when we have none, ours is left for them, without the refresh
//! token and the client secret. A file there may be half-written, hostile, or
//! somebody else's newer login: none of these is an error, and none is lost.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_smithy_types::{DateTime, date_time::Format};
use awsso_proto::disk;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::token::{Origin, Token, TokenDigest};
use crate::config::{CacheEntry, Config, SessionSpec, cache_entries, same_place};

/// The AWS CLI writes in place: a file that cannot be parsed may be a moment old.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);
/// A token file is a few kilobytes.
const MAX_FILE: u64 = 64 << 10;
/// Of an access token; longer ones would not fit into a header.
const MAX_TOKEN: usize = 16 << 10;

/// The files of one session.
#[derive(Debug, Clone)]
pub struct AwsCache {
    config: Arc<Config>,
    spec: SessionSpec,
    /// What we wrote last, to know it again.
    written: Arc<Mutex<Option<TokenDigest>>>,
}

impl AwsCache {
    pub fn new(config: Arc<Config>, spec: SessionSpec) -> Self {
        Self {
            config,
            spec,
            written: Arc::default(),
        }
    }

    /// The token of another tool that lasts longest. Blocks, for a tenth of a
    /// second at the most.
    pub fn find(&self, now: SystemTime) -> Option<Token> {
        self.files()?
            .iter()
            .filter_map(|(path, _)| read(path))
            .filter(|found| found.is_for(&self.spec) && now < found.expires_at)
            .max_by_key(|found| found.expires_at)
            .map(|found| found.into_token(now))
    }

    /// Leaves `token` for others, each file whole or not at all. `login` says
    /// that a person has just logged in, and did not mean an older login.
    pub fn leave(&self, token: &Token, login: bool, now: SystemTime) {
        let Some(files) = self.files() else {
            return;
        };
        let ours = [Some(token.digest()), self.written()];
        for (path, start_url) in files {
            let there = read(&path);
            let keep = there.as_ref().is_some_and(|there| {
                !ours.contains(&Some(there.digest())) && there.stays(token, login, now)
            });
            if keep {
                info!(session = %self.spec.name, file = %path.display(), "another tool's login stays");
                continue;
            }
            if let Err(error) = write(&path, &start_url, &self.spec.region, token) {
                warn!(session = %self.spec.name, file = %path.display(), %error, "not shared");
            }
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.digest());
    }

    /// Removes what we left; a file of another tool stays.
    pub fn withdraw(&self, last: Option<TokenDigest>) {
        let ours = [last, self.written()];
        for (path, _) in self.files().unwrap_or_default() {
            let is_ours = read(&path).is_some_and(|there| ours.contains(&Some(there.digest())));
            if is_ours && let Err(error) = fs::remove_file(&path) {
                warn!(session = %self.spec.name, file = %path.display(), %error, "not removed");
            }
        }
    }

    fn written(&self) -> Option<TokenDigest> {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files, and the start URL that each is to hold; `None` when a person
    /// wants no sharing.
    fn files(&self) -> Option<Vec<(PathBuf, String)>> {
        let files = self.config.files().ok()?;
        if !files.settings.shares_with_aws_cli() {
            return None;
        }
        let dir = &self.config.environment.aws_cache_dir;
        let entries = cache_entries(&files, &self.spec).into_iter();
        Some(
            entries
                .map(|CacheEntry { file, start_url }| (dir.join(file), start_url))
                .collect(),
        )
    }
}

/// What a file of the cache says, checked.
struct Found {
    access_token: Zeroizing<String>,
    expires_at: SystemTime,
    start_url: Option<String>,
    region: Option<String>,
    /// Its owner can renew it without us.
    renews_itself: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileForm {
    access_token: Zeroizing<String>,
    expires_at: String,
    start_url: Option<String>,
    region: Option<String>,
    refresh_token: Option<Zeroizing<String>>,
    client_secret: Option<Zeroizing<String>>,
}

impl Found {
    fn parse(text: &[u8]) -> Option<Self> {
        let form: FileForm = serde_json::from_slice(text).ok()?;
        let token = &form.access_token;
        // It becomes a header: visible letters only.
        let good =
            (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        good.then_some(())?;
        Some(Self {
            expires_at: instant(&form.expires_at)?,
            access_token: form.access_token,
            start_url: form.start_url,
            region: form.region,
            renews_itself: form.refresh_token.is_some() && form.client_secret.is_some(),
        })
    }

    fn is_for(&self, spec: &SessionSpec) -> bool {
        let url = self.start_url.as_ref();
        let region = self.region.as_ref();
        url.is_none_or(|url| same_place(url, &spec.start_url))
            && region.is_none_or(|region| *region == spec.region)
    }

    fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.access_token)
    }

    /// Whether another tool's login is worth more to it than ours.
    fn stays(&self, ours: &Token, login: bool, now: SystemTime) -> bool {
        let newer = ours.expires_at < self.expires_at;
        let its_own_master = self.renews_itself && !login;
        now < self.expires_at && (newer || its_own_master)
    }

    fn into_token(self, now: SystemTime) -> Token {
        Token {
            access: self.access_token.as_str().to_owned().into(),
            refresh: None,
            issued_at: now,
            expires_at: self.expires_at,
            origin: Origin::TakenOver,
        }
    }
}

/// `2030-01-01T00:00:00Z`; older tools wrote `UTC` for the `Z`.
fn instant(text: &str) -> Option<SystemTime> {
    let text = text
        .strip_suffix("UTC")
        .map_or_else(|| text.to_owned(), |start| format!("{start}Z"));
    let time = DateTime::from_str(&text, Format::DateTimeWithOffset).ok()?;
    // Far enough for everybody, and no overflow.
    let seconds = u64::try_from(time.secs()).ok()?.min(1 << 40);
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn read(path: &Path) -> Option<Found> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        match bytes(path) {
            Ok(bytes) => {
                if let Some(found) = Found::parse(&bytes) {
                    return Some(found);
                }
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    warn!(file = %path.display(), %error, "passed over");
                }
                return None;
            }
        }
    }
    None
}

fn bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Asked before it is opened: a pipe would never answer.
    let meta = fs::metadata(path)?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(io::Error::other("it is no token file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Left<'a> {
    start_url: &'a str,
    region: &'a str,
    access_token: &'a str,
    expires_at: String,
}

fn write(path: &Path, start_url: &str, region: &str, token: &Token) -> io::Result<()> {
    let file = Left {
        start_url,
        region,
        access_token: token.access.expose_secret(),
        expires_at: humantime::format_rfc3339_seconds(token.expires_at).to_string(),
    };
    let text = Zeroizing::new(serde_json::to_vec(&file)?);
    if let Some(dir) = path.parent() {
        crate::os::create_private_dir(dir)?;
    }
    disk::replace(path, &text)
}

#[cfg(test)]
mod tests;
