//! The shared folder with friends, strangers and vandals in it.

use std::os::unix::fs::PermissionsExt as _;

use awsso_proto::Endpoint;
use serde_json::{Value, json};

use super::*;
use crate::{config::Environment, session::token::Flow};

const URL: &str = "https://example.awsapps.com/start";
/// SHA-1 of `URL` and of `corp`, by botocore's own function.
const OF_URL: &str = "e8be5486177c5b5392bd9aa76563515b29358e6e.json";
const OF_CORP: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

struct Home {
    dir: tempfile::TempDir,
    cache: AwsCache,
}

impl Home {
    fn new(settings: &str, aws: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(".config/awsso/config.toml", settings);
        write(".aws/config", aws);
        let home = dir.path().to_str().unwrap().to_owned();
        let environment = Environment::new([("HOME".to_owned(), home)]).unwrap();
        let endpoint = Endpoint {
            socket: dir.path().join("sock"),
            explicit: true,
            state: dir.path().join("state"),
        };
        let spec = SessionSpec {
            name: "corp".into(),
            start_url: URL.into(),
            region: "eu-west-1".into(),
        };
        let cache = AwsCache::new(Arc::new(Config::new(endpoint, environment)), spec);
        Self { dir, cache }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(".aws/sso/cache").join(file)
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap()
    }

    /// After a restart of the daemon.
    fn reopened(&self) -> AwsCache {
        AwsCache::new(Arc::clone(&self.cache.config), self.cache.spec.clone())
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// 2030-01-01T00:00:00Z
const NOW: u64 = 1_893_456_000;

fn now() -> SystemTime {
    at(NOW)
}

fn ours(access: &str, life: u64) -> Token {
    Token {
        access: access.to_owned().into(),
        refresh: Some("canary-refresh".to_owned().into()),
        issued_at: now(),
        expires_at: at(NOW + life),
        origin: Origin::Login(Flow::Device),
    }
}

/// As `aws sso login` leaves it.
fn of_the_cli(access: &str, expires_at: &str) -> Value {
    json!({"startUrl": URL, "region": "eu-west-1", "accessToken": access, "expiresAt": expires_at,
        "clientId": "id", "clientSecret": "secret", "registrationExpiresAt": "2030-03-01T00:00:00Z",
        "refreshToken": "theirs"})
}

#[test]
fn others_find_our_token_under_their_names_with_four_fields_and_mode_0600() {
    let aws = format!(
        "[sso-session corp]\nsso_start_url={URL}\nsso_region=eu-west-1\n\
         [profile old]\nsso_start_url={URL}/#\nsso_region=eu-west-1\n"
    );
    let home = Home::new("", &aws);
    home.cache.leave(&ours("access-1", 3600), true, now());
    assert_eq!(
        home.json(OF_CORP),
        json!({"startUrl": URL, "region": "eu-west-1", "accessToken": "access-1",
            "expiresAt": "2030-01-01T01:00:00Z"})
    );
    let dir = home.path("");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    for entry in fs::read_dir(&dir).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_renewed_token_replaces_ours_and_a_logout_removes_it() {
    let home = Home::new("", "");
    home.cache.leave(&ours("access-1", 3600), true, now());
    home.cache.leave(&ours("access-2", 7200), false, now());
    assert_eq!(home.json(OF_URL)["accessToken"], "access-2");
    // A daemon that was killed between the store and the folder left the older one.
    home.reopened().leave(&ours("access-3", 9000), false, now());
    assert_eq!(home.json(OF_URL)["accessToken"], "access-3");
    home.reopened()
        .withdraw(Some(ours("access-3", 9000).digest()));
    assert!(!home.path(OF_URL).exists());
}

#[test]
fn the_login_of_another_tool_stays_while_it_is_newer_or_renews_itself() {
    for (theirs, login, stays) in [
        (of_the_cli("theirs", "2030-01-01T09:00:00Z"), true, true),
        (of_the_cli("theirs", "2030-01-01T00:30:00Z"), false, true),
        (of_the_cli("theirs", "2030-01-01T00:30:00Z"), true, false),
        (of_the_cli("theirs", "2029-12-31T23:00:00Z"), false, false),
        (
            json!({"startUrl": URL, "accessToken": "theirs", "expiresAt": "2030-01-01T00:30:00Z"}),
            false,
            false,
        ),
    ] {
        let home = Home::new("", "");
        home.put(OF_URL, theirs.to_string().as_bytes());
        home.cache.leave(&ours("access-1", 3600), login, now());
        let there = home.json(OF_URL);
        assert_eq!(there["accessToken"] == "theirs", stays, "{theirs} {login}");
        home.cache.withdraw(Some(ours("access-1", 3600).digest()));
        assert_eq!(home.path(OF_URL).exists(), stays, "{theirs} {login}");
    }
}

#[test]
fn a_valid_token_of_another_tool_is_found_and_its_refresh_token_is_not_taken() {
    for end in [
        "2030-01-01T08:00:00Z",
        "2030-01-01T08:00:00UTC",
        "2030-01-01T08:00:00.5Z",
        "2030-01-01T09:00:00+01:00",
    ] {
        let home = Home::new("", "");
        home.put(OF_URL, of_the_cli("theirs", end).to_string().as_bytes());
        let found = home.cache.find(now()).expect(end);
        assert_eq!(found.access.expose_secret(), "theirs");
        assert!(found.refresh.is_none());
        assert!(found.is_taken_over());
        assert_eq!(found.expires_at, at(NOW + 8 * 3600), "{end}");
    }
}

#[test]
fn the_longest_of_several_tokens_is_taken() {
    let aws = format!(
        "[sso-session corp]\nsso_start_url={URL}\nsso_region=eu-west-1\n\
         [profile old]\nsso_start_url={URL}\nsso_region=eu-west-1\n"
    );
    let home = Home::new("", &aws);
    home.put(
        OF_CORP,
        of_the_cli("one", "2030-01-01T01:00:00Z")
            .to_string()
            .as_bytes(),
    );
    home.put(
        OF_URL,
        of_the_cli("two", "2030-01-01T02:00:00Z")
            .to_string()
            .as_bytes(),
    );
    assert_eq!(
        home.cache.find(now()).unwrap().access.expose_secret(),
        "two"
    );
}

#[test]
fn no_file_of_the_folder_is_an_error() {
    let good = of_the_cli("theirs", "2030-01-01T08:00:00Z").to_string();
    let with = |key: &str, value: Value| {
        let mut file = of_the_cli("theirs", "2030-01-01T08:00:00Z");
        file[key] = value;
        file.to_string()
    };
    for (what, text) in [
        ("empty", String::new()),
        ("half-written", good[..good.len() / 2].to_owned()),
        ("an array", "[1]".to_owned()),
        ("deep", "[".repeat(100_000)),
        ("huge", "x".repeat(1 << 20)),
        ("no token", with("accessToken", Value::Null)),
        ("an empty token", with("accessToken", json!(""))),
        (
            "a header inside",
            with("accessToken", json!("a\r\nHost: evil")),
        ),
        (
            "a giant token",
            with("accessToken", json!("a".repeat(17 << 10))),
        ),
        ("no time", with("expiresAt", json!("soon"))),
        (
            "a number for a time",
            with("expiresAt", json!(1_893_456_000)),
        ),
        (
            "before time began",
            with("expiresAt", json!("1900-01-01T00:00:00Z")),
        ),
        ("expired", with("expiresAt", json!("2029-12-31T23:59:59Z"))),
        (
            "another place",
            with("startUrl", json!("https://evil.example/start")),
        ),
        ("another region", with("region", json!("us-east-1"))),
    ] {
        let home = Home::new("", "");
        home.put(OF_URL, text.as_bytes());
        assert!(home.cache.find(now()).is_none(), "{what}");
        home.cache.leave(&ours("access-1", 3600), true, now());
        if what != "another place" && what != "another region" {
            assert_eq!(home.json(OF_URL)["accessToken"], "access-1", "{what}");
        }
    }
    let home = Home::new("", "");
    home.put(
        OF_URL,
        with("expiresAt", json!("9999-12-31T23:59:59Z")).as_bytes(),
    );
    assert!(home.cache.find(now()).is_some(), "far away is no overflow");
}

#[test]
fn a_folder_or_a_pipe_in_the_place_of_a_file_holds_up_nobody() {
    let home = Home::new("", "");
    fs::create_dir_all(home.path(OF_URL)).unwrap();
    assert!(home.cache.find(now()).is_none());
    fs::remove_dir(home.path(OF_URL)).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(home.path(OF_URL))
        .status();
    assert!(made.unwrap().success());
    assert!(home.cache.find(now()).is_none());
    home.cache.leave(&ours("access-1", 3600), true, now());
    assert_eq!(home.json(OF_URL)["accessToken"], "access-1");
}

#[test]
fn a_person_can_switch_it_off() {
    let home = Home::new("share_with_aws_cli = false", "");
    home.cache.leave(&ours("access-1", 3600), true, now());
    assert!(!home.path(OF_URL).exists());
    home.put(
        OF_URL,
        of_the_cli("theirs", "2030-01-01T08:00:00Z")
            .to_string()
            .as_bytes(),
    );
    assert!(home.cache.find(now()).is_none());
}

#[test]
fn readers_see_whole_files_while_fifty_write() {
    let home = Home::new("", "");
    home.cache.leave(&ours("access-0", 3600), true, now());
    std::thread::scope(|scope| {
        for writer in 0..50 {
            let home = &home;
            scope.spawn(move || {
                let cache = home.reopened();
                for life in 1..5 {
                    cache.leave(&ours(&format!("access-{writer}"), 3600 + life), true, now());
                    let bytes = fs::read(home.path(OF_URL)).unwrap();
                    assert!(
                        Found::parse(&bytes).is_some(),
                        "{:?}",
                        String::from_utf8_lossy(&bytes)
                    );
                }
            });
        }
    });
    // No temporary file is left behind.
    assert_eq!(fs::read_dir(home.path("")).unwrap().count(), 1);
}
