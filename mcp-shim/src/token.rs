//! The bearer token of the HTTP transport: made once, kept in a file of the state
//! folder that only its owner can read, compared in constant time, never shown.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use awsso_proto::{Endpoint, disk, ipc};
use subtle::ConstantTimeEq as _;

const FILE: &str = "mcp-http.token";
const BYTES: usize = 32;

/// `Debug` is not derived: it would show it.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn path(endpoint: &Endpoint) -> PathBuf {
        endpoint.state.join(FILE)
    }

    /// The token of the file, which is made when it is not there.
    pub(crate) fn load_or_create(endpoint: &Endpoint) -> Result<Self, String> {
        ipc::private_dir(&endpoint.state).map_err(|failure| failure.to_string())?;
        let path = Self::path(endpoint);
        let problem = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        if !path.exists() {
            create(&path).map_err(|error| problem(&error))?;
        }
        if !ipc::is_private_file(&path).map_err(|error| problem(&error))? {
            return Err(problem(
                &"is not a file that only you can read; remove it, and a new token is made",
            ));
        }
        let text = fs::read_to_string(&path).map_err(|error| problem(&error))?;
        let token = text.trim();
        if token.len() < BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(problem(&"holds no token; remove it, and a new one is made"));
        }
        Ok(Self(token.to_owned()))
    }

    /// Whether this is the value of an `Authorization` header with the token.
    pub(crate) fn authorizes(&self, header: &[u8]) -> bool {
        let Some((scheme, given)) = header.split_at_checked("Bearer ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ") && given.ct_eq(self.0.as_bytes()).into()
    }
}

/// A file with a new token; of several processes that make one the first wins.
fn create(path: &Path) -> io::Result<()> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    let mut text = String::with_capacity(2 * BYTES + 1);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text.push('\n');
    let temp = path.with_extension(format!("{}.tmp", std::process::id()));
    let made = (|| {
        let mut file = disk::create_private(&temp)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&temp, path)
    })();
    let _ = fs::remove_file(&temp); // it may not be there
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn endpoint(dir: &Path) -> Endpoint {
        Endpoint {
            socket: dir.join("d.sock"),
            explicit: true,
            state: dir.join("state"),
        }
    }

    #[test]
    fn a_token_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        let first = Token::load_or_create(&endpoint).unwrap();
        let again = Token::load_or_create(&endpoint).unwrap();
        assert_eq!(first.0, again.0);
        assert_eq!(first.0.len(), 64);
        let mode = Token::path(&endpoint).metadata().unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let entries = endpoint.state.read_dir().unwrap();
        assert_eq!(entries.count(), 1, "no other file is left behind");
    }

    #[test]
    fn a_file_that_others_can_read_or_without_a_token_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        Token::load_or_create(&endpoint).unwrap();
        let path = Token::path(&endpoint);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Token::load_or_create(&endpoint).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(Token::load_or_create(&endpoint).is_err());
    }

    #[test]
    fn only_the_whole_token_authorizes() {
        let token = Token("0123456789abcdef0123456789abcdef".into());
        assert!(token.authorizes(b"Bearer 0123456789abcdef0123456789abcdef"));
        assert!(token.authorizes(b"bearer 0123456789abcdef0123456789abcdef"));
        for wrong in [
            &b""[..],
            b"Bearer",
            b"Bearer ",
            b"Bearer 0123456789abcdef0123456789abcde",
            b"Bearer 0123456789abcdef0123456789abcdef0",
            b"Bearer  0123456789abcdef0123456789abcdef",
            b"Basic 0123456789abcdef0123456789abcdef",
            b"0123456789abcdef0123456789abcdef",
        ] {
            assert!(!token.authorizes(wrong), "{wrong:?}");
        }
    }
}
