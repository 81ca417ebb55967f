//! A real Chromium that does what a person does: opens links, reads, clicks.
//! Every wait is for the page itself. Dropped: no process of it is left.

use std::{
    env, io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{ChildStdin, ChildStdout},
    sync::Mutex,
    time::timeout,
};

use crate::{
    World,
    devtools::{DevTools, Refused},
    world::{LIMIT, within_limit},
};

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// It runs as root, in a container with little shared memory; it leaves a
/// desktop's keyring alone, and speaks to nobody but the page's server.
const FLAGS: [&str; 13] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--password-store=basic",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-breakpad",
];

/// The protocol reads descriptor 3 and writes descriptor 4.
const ON_PIPES: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >&2"#;

/// The code of a refusal that is none of the protocol's own: here, that the
/// document which was asked is gone.
const SERVER_ERROR: i64 = -32000;

const LOADED: &str = "new Promise(done => document.readyState === 'complete' \
                      ? done() : addEventListener('load', () => done()))";

pub struct Browser {
    _processes: Processes,
    devtools: Mutex<DevTools>,
    _profile: TempDir,
}

/// A tab.
pub struct Page<'b> {
    browser: &'b Browser,
    session: String,
}

impl Browser {
    /// Starts a Chromium that knows nothing yet, in a world's environment.
    pub fn start(world: &World) -> Self {
        let profile = TempDir::new_in(world.dir()).expect("a profile");
        let mut command = world.program("sh").into_std();
        command
            .args(["-c", ON_PIPES, "sh"])
            .arg(program())
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut processes = Processes::start(command);
        let to = processes.leader.stdin.take().map(ChildStdin::from_std);
        let from = processes.leader.stdout.take().map(ChildStdout::from_std);
        let pipes = (to.transpose(), from.transpose());
        let (Ok(Some(to)), Ok(Some(from))) = pipes else {
            panic!("no pipes to Chromium: {pipes:?}");
        };
        Self {
            devtools: Mutex::new(DevTools::new(to, from)),
            _processes: processes,
            _profile: profile,
        }
    }

    /// Opens a link in a new tab.
    pub async fn open(&self, link: &str) -> Page<'_> {
        let tab = self
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attached = self
            .call(
                "Target.attachToTarget",
                json!({"targetId": tab["targetId"], "flatten": true}),
            )
            .await;
        let session = attached["sessionId"].as_str().expect("a session");
        let page = Page {
            browser: self,
            session: session.to_owned(),
        };
        let went = page.call("Page.navigate", json!({"url": link})).await;
        let went = went.unwrap_or_else(|refused| panic!("{link}: {refused}"));
        assert!(went["errorText"].is_null(), "{link}: {went}");
        page
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let mut devtools = self.devtools.lock().await;
        let answer = within_limit(method, devtools.call(None, method, params)).await;
        answer.unwrap_or_else(|refused| panic!("{method}: {refused}"))
    }
}

impl Page<'_> {
    /// What a person can read, when all of the page is there.
    pub async fn text(&self) -> String {
        let text = format!("{LOADED}.then(() => document.body.innerText)");
        let text = within_limit("the page's text", self.ask(&text)).await;
        text.as_str().expect("a text").to_owned()
    }

    pub async fn url(&self) -> String {
        let url = within_limit("the page's address", self.ask("location.href")).await;
        url.as_str().expect("an address").to_owned()
    }

    /// Waits until a person can read this.
    pub async fn shows(&self, text: &str) {
        let shown = format!("document.body?.innerText.includes({})", json!(text));
        self.until(text, &shown).await;
    }

    /// Waits until the address holds this.
    pub async fn reaches(&self, part: &str) {
        let reached = format!("location.href.includes({})", json!(part));
        self.until(part, &reached).await;
    }

    /// Clicks what a CSS selector finds, once a person can see it.
    pub async fn click(&self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(selector, &format!("{found}?.checkVisibility()"))
            .await;
        let click = format!("{found}.click()");
        let clicked = within_limit(selector, self.evaluate(&click)).await;
        clicked.unwrap_or_else(|refused| panic!("{selector}: {refused}"));
    }

    /// Writes what it looks like to a PNG file, for a person.
    pub async fn screenshot(&self, file: &Path) {
        within_limit("the page", self.ask(LOADED)).await;
        let taken = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let taken = within_limit("a screenshot", taken).await;
        let taken = taken.expect("a picture")["data"].take();
        let picture = BASE64_STANDARD.decode(taken.as_str().unwrap_or_default());
        std::fs::write(file, picture.expect("base64")).expect("a file");
    }

    /// Waits until a condition on the document holds.
    async fn until(&self, wanted: &str, condition: &str) {
        let held = format!(
            "new Promise(done => {{
                const look = () => {{
                    if ({condition}) {{
                        observer.disconnect();
                        done();
                    }}
                }};
                const observer = new MutationObserver(look);
                const all = {{attributes: true, characterData: true, childList: true, subtree: true}};
                observer.observe(document, all);
                look();
            }})"
        );
        if timeout(LIMIT, self.ask(&held)).await.is_err() {
            let (url, text) = (self.url().await, self.text().await);
            panic!("no {wanted:?} at {url}:\n{text}");
        }
    }

    /// What an expression comes to. A document that goes away takes the
    /// question along; then the next one is asked.
    async fn ask(&self, expression: &str) -> Value {
        loop {
            match self.evaluate(expression).await {
                Ok(value) => return value,
                Err(refused) if refused.code == SERVER_ERROR => {}
                Err(refused) => panic!("{expression}: {refused}"),
            }
        }
    }

    async fn evaluate(&self, expression: &str) -> Result<Value, Refused> {
        let params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = self.call("Runtime.evaluate", params).await?;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown:#}");
        Ok(answer["result"]["value"].take())
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, Refused> {
        let mut devtools = self.browser.devtools.lock().await;
        devtools.call(Some(&self.session), method, params).await
    }
}

/// A program, and what it starts. Dropped: killed, and gone.
struct Processes {
    leader: Child,
    said: Option<JoinHandle<io::Result<String>>>,
}

impl Processes {
    fn start(mut command: Command) -> Self {
        let spawned = command.stderr(Stdio::piped()).process_group(0).spawn();
        let mut leader = spawned.expect("sh runs");
        let stderr = leader.stderr.take();
        let said = stderr.map(|stderr| thread::spawn(|| io::read_to_string(stderr)));
        Self { leader, said }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Refused when all of them have ended already.
        let _ = kill_process_group(Pid::from_child(&self.leader), Signal::KILL);
        let ended = self.leader.wait();
        // They all write there, those in a group of their own too: it ends with the last of them.
        let said = self.said.take().and_then(|said| said.join().ok());
        let killed = ended.is_ok_and(|status| status.signal() == Some(Signal::KILL.as_raw()));
        if !killed {
            #[expect(clippy::print_stderr, reason = "why Chromium ended by itself")]
            {
                eprintln!("Chromium said: {said:?}");
            }
        }
    }
}

fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let places = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let program = places.into_iter().find(|place| place.is_file());
    program.unwrap_or_else(|| panic!("none of {NAMES:?} in PATH: tests/check installs one"))
}
