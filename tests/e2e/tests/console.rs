//! `console`: a browser is signed in as a role, by a link that nobody else gets
//! to see.

use std::collections::BTreeSet;

use awsso_e2e::{
    Browser, Run, World, bin, finish,
    known::{ADMIN, PRODUCTION, READ_ONLY},
    process::{script, signal},
};
use awsso_proto::{
    Failure, Reason,
    v1::{ClientKind, SignInRequest, Target},
};

const ASKED: &str = "signin.GetSigninToken";
const TARGET: [&str; 5] = ["console", "--account", PRODUCTION, "--role", READ_ONLY];

async fn print(world: &World, more: &[&str]) -> Run {
    let args = [&TARGET[..], &["--print"], more].concat();
    world.awsso(&args).await.code(0)
}

/// As a person whose browser is this program.
async fn open(world: &World, browser: impl AsRef<std::ffi::OsStr>) -> Run {
    let mut console = world.program(bin("awsso"));
    console.args(TARGET).env("BROWSER", browser);
    finish(console, "console".into()).await
}

/// What makes the link a secret.
fn token(url: &str) -> &str {
    let (_, rest) = url.split_once("SigninToken=").unwrap();
    let token = rest.split('&').next().unwrap();
    assert!(token.len() > 20, "{url}");
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_that_is_printed_signs_a_browser_in() {
    let world = World::logged_in().await;
    let browser = Browser::start(&world);
    let place = ["--region", "eu-west-1", "--destination", "s3"];
    let printed = print(&world, &place).await;
    assert_eq!(printed.stderr, "");
    assert_eq!(printed.stdout.lines().count(), 1, "{}", printed.stdout);
    let page = browser.open(printed.stdout.trim_end()).await;
    page.shows(&format!("In account {PRODUCTION} with role {READ_ONLY}"))
        .await;
    page.shows("https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1")
        .await;

    let json = print(&world, &["--json"]).await.json();
    let names = json.as_object().unwrap().keys().map(String::as_str);
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        BTreeSet::from(["accountId", "expiresAt", "roleName", "url"])
    );
    assert_eq!(json["accountId"], PRODUCTION);
    assert_eq!(json["roleName"], READ_ONLY);
    let page = browser.open(json["url"].as_str().unwrap()).await;
    page.shows(PRODUCTION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_goes_to_the_browser_and_into_no_text() {
    let world = World::new().await;
    let mut loud = world.program(bin("awsso"));
    loud.env("AWSSO_LOG", "trace").args(["daemon", "start"]);
    let _ = finish(loud, "daemon start".into()).await.ok();
    world.login().await;
    let mut links = world.links();
    let opened = open(&world, links.browser()).await.code(0);
    let url = links.next().await;
    assert!(opened.stderr.contains(PRODUCTION), "{opened:?}");
    assert!(opened.stderr.contains(READ_ONLY), "{opened:?}");
    assert_eq!(opened.stdout, "");
    let log = std::fs::read_to_string(world.state().join("logs/awssod.log")).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    // Among them the keys that it was made of.
    let mut secrets = world.sandbox.issued_secrets();
    secrets.extend([token(&url).to_owned(), url]);
    for secret in secrets {
        assert!(!opened.stderr.contains(&secret), "{opened:?}");
        assert!(!log.contains(&secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_stays_is_not_waited_for() {
    let world = World::logged_in().await;
    let (browser, pid) = (world.dir().join("browser"), world.dir().join("pid"));
    let body = format!("echo $$ >'{}'\nexec sleep 600", pid.display());
    script(&browser, &body);
    let _ = open(&world, &browser).await.code(0);
    let pid = std::fs::read_to_string(pid).unwrap();
    // It is there to be ended.
    signal(pid.trim().parse().unwrap(), "TERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_there_is_the_link_to_print() {
    let world = World::logged_in().await;
    let _ = world
        .awsso(&TARGET)
        .await
        .code(1)
        .says("there is no display here")
        .says("--print");
    assert_eq!(world.sandbox.count(ASKED), 0);
    let _ = open(&world, "false")
        .await
        .code(1)
        .says("no browser could be opened")
        .says("--print");
    let _ = world
        .awsso(&[&TARGET[..], &["--json"]].concat())
        .await
        .code(2)
        .says("--print");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_refused_as_keys_are() {
    let world = World::logged_in().await;
    let refused = async |command: &[&str]| {
        let target = ["--account", PRODUCTION, "--role", "Nobody"];
        let run = world.awsso(&[command, &target].concat()).await;
        (run.code, run.stdout, run.stderr)
    };
    let refusal = refused(&["env"]).await;
    assert_eq!(refusal.0, Some(5), "{refusal:?}");
    assert_eq!(refused(&["console", "--print"]).await, refusal);
    assert_eq!(world.sandbox.count(ASKED), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_no_link() {
    let world = World::logged_in().await;
    for kind in [ClientKind::Shim, ClientKind::Unspecified] {
        let request = SignInRequest {
            target: Some(Target {
                account: PRODUCTION.to_owned(),
                role: ADMIN.to_owned(),
                ..Target::default()
            }),
            ..SignInRequest::default()
        };
        let agent = world.connect(kind).await;
        let answer = agent.credentials().sign_in(request).await;
        let failure = Failure::from(answer.expect_err("an agent got it"));
        assert_eq!(failure.reason, Reason::DeniedByPolicy, "{failure}");
    }
    assert_eq!(world.sandbox.count(ASKED), 0);
}
