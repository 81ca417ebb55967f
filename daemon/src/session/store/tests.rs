//! The store on a disk, with keyrings that are open, locked and lost.

use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::ExposeSecret as _;

use super::*;

fn spec() -> SessionSpec {
    SessionSpec {
        name: "corp/é".into(),
        start_url: "https://corp.awsapps.com/start".into(),
        region: "eu-west-1".into(),
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn record() -> Record {
    Record {
        token: Some(Token {
            access: "canary-access".to_owned().into(),
            refresh: Some("canary-refresh".to_owned().into()),
            issued_at: at(1_000),
            expires_at: at(4_600),
            origin: Origin::Login(Flow::Browser),
        }),
        ..Record::default()
    }
}

fn vault(answer: impl Fn() -> Result<Key, String> + Send + Sync + 'static) -> Vault {
    Vault::new(Arc::new(move || Box::pin(std::future::ready(answer()))))
}

fn no_keyring() -> Vault {
    vault(|| Err("the keyring is locked".to_owned()))
}

fn a_keyring(byte: u8) -> Vault {
    vault(move || Ok(Key::new([byte; 32])))
}

fn store(kind: StoreKind, vault: Vault) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("sessions"), kind, vault);
    (dir, store)
}

/// The same folder after a restart.
fn reopened(store: &Store, kind: StoreKind, vault: Vault) -> Store {
    Store::new(store.dir.clone(), kind, vault)
}

async fn token(store: &Store) -> Option<String> {
    let token = store.load(&spec()).await.token?;
    Some(token.access.expose_secret().to_owned())
}

#[tokio::test(flavor = "current_thread")]
async fn a_session_comes_back_and_its_file_shows_nothing() {
    for (kind, vault) in [
        (StoreKind::File, no_keyring()),
        (StoreKind::Keyring, a_keyring(1)),
        (StoreKind::Keyring, no_keyring()),
    ] {
        let (_dir, store) = store(kind, vault.clone());
        store.save(&spec(), record()).await.unwrap();
        let loaded = reopened(&store, kind, vault).load(&spec()).await.token;
        let loaded = loaded.unwrap();
        assert_eq!(loaded.access.expose_secret(), "canary-access");
        assert_eq!(loaded.expires_at, at(4_600));
        assert_eq!(loaded.origin, Origin::Login(Flow::Browser));
        assert_eq!(store.sessions(), [spec()]);
        for entry in std::fs::read_dir(&store.dir).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn with_a_keyring_no_key_lies_beside_the_files() {
    let (_dir, store) = store(StoreKind::Keyring, a_keyring(1));
    store.save(&spec(), record()).await.unwrap();
    assert!(!store.dir.join("key").exists());
    let status = store.status().await;
    assert_eq!(status.kind(), v1::StoreKind::Keyring);
    assert_eq!(status.why, "");
    // Another keyring, or a new one: the old login is lost, not misread.
    let other = reopened(&store, StoreKind::Keyring, a_keyring(2));
    assert_eq!(token(&other).await, None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_locked_keyring_is_told_and_a_login_meanwhile_goes_to_the_file() {
    let (_dir, store) = store(StoreKind::Keyring, a_keyring(1));
    store.save(&spec(), record()).await.unwrap();

    let locked = reopened(&store, StoreKind::Keyring, no_keyring());
    let status = locked.status().await;
    assert_eq!(status.kind(), v1::StoreKind::File);
    assert_eq!(status.wanted(), v1::StoreKind::Keyring);
    assert!(status.why.contains("locked"), "{}", status.why);
    let loaded = locked.load(&spec()).await;
    assert!(loaded.token.is_none());
    assert!(loaded.locked.unwrap().contains("locked"));
    assert_eq!(locked.sessions(), [spec()]);

    locked.save(&spec(), record()).await.unwrap();
    assert_eq!(token(&locked).await.as_deref(), Some("canary-access"));
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_keyring_seals_is_read_whatever_the_configuration_says_later() {
    let (_dir, store) = store(StoreKind::Keyring, a_keyring(1));
    store.save(&spec(), record()).await.unwrap();
    let file = reopened(&store, StoreKind::File, a_keyring(1));
    assert_eq!(token(&file).await.as_deref(), Some("canary-access"));
    file.save(&spec(), record()).await.unwrap();
    let later = reopened(&store, StoreKind::Keyring, no_keyring());
    assert_eq!(token(&later).await.as_deref(), Some("canary-access"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_file_store_asks_no_keyring() {
    let asked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&asked);
    let vault = vault(move || {
        flag.store(true, Ordering::SeqCst);
        Err(String::new())
    });
    let (_dir, store) = store(StoreKind::File, vault);
    store.save(&spec(), record()).await.unwrap();
    assert_eq!(token(&store).await.as_deref(), Some("canary-access"));
    assert!(!asked.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "current_thread")]
async fn another_place_under_the_same_name_gets_nothing() {
    let (_dir, store) = store(StoreKind::File, no_keyring());
    store.save(&spec(), record()).await.unwrap();
    let elsewhere = SessionSpec {
        region: "us-east-1".into(),
        ..spec()
    };
    assert!(store.load(&elsewhere).await.token.is_none());
}

#[tokio::test(flavor = "current_thread")]
async fn a_damaged_file_is_no_session_and_no_error() {
    let (_dir, store) = store(StoreKind::File, no_keyring());
    store.save(&spec(), record()).await.unwrap();
    let path = store.path(&spec().name);
    let whole = std::fs::read(&path).unwrap();
    for damage in [whole.len() - 1, whole.len() - 60, 30, 3] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(token(&store).await, None, "byte {damage}");
    }
    for text in [&b"x"[..], b"", b"{}\n", &whole[..whole.len() / 2]] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(token(&store).await, None);
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(token(&store).await.is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_record_leaves_no_file_and_a_token_of_another_tool_none_of_it() {
    let (_dir, store) = store(StoreKind::File, no_keyring());
    store.save(&spec(), record()).await.unwrap();
    store.save(&spec(), Record::default()).await.unwrap();
    store.save(&spec(), Record::default()).await.unwrap();
    assert!(store.sessions().is_empty());

    let mut foreign = record();
    foreign.token.as_mut().unwrap().origin = Origin::TakenOver;
    store.save(&spec(), foreign).await.unwrap();
    assert!(store.load(&spec()).await.token.is_none());
}

#[tokio::test(flavor = "current_thread")]
async fn a_memory_store_writes_nothing_and_removes_what_was_there() {
    let (_dir, file) = store(StoreKind::File, no_keyring());
    file.save(&spec(), record()).await.unwrap();
    let memory = reopened(&file, StoreKind::Memory, no_keyring());
    assert!(memory.load(&spec()).await.token.is_none());
    memory.save(&spec(), record()).await.unwrap();
    assert!(!memory.path(&spec().name).exists());
}
