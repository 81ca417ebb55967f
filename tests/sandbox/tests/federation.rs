//! Sign-in to the console, asked the way AWS's own documentation shows it: Python, `json.dumps` and `quote_plus`.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test does"
)]

use std::process::Command;
use std::time::Duration;

use awsso_sandbox::{Config, IssuedKeys, Sandbox};

const SCRIPT: &str = r#"
import json, sys, urllib.error, urllib.parse, urllib.request
endpoint, parameters = sys.argv[1] + "/federation", json.loads(sys.argv[2])
query = "&".join(f"{name}={urllib.parse.quote_plus(value)}" for name, value in parameters.items())
try:
    with urllib.request.urlopen(f"{endpoint}?{query}") as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as refused:
    print(refused.code, refused.read().decode())
"#;

const ASSUME_ROLE: &str = r#"
import boto3, json, sys
session = json.loads(sys.argv[3])
sts = boto3.client("sts", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id=session["sessionId"],
                   aws_secret_access_key=session["sessionKey"], aws_session_token=session["sessionToken"])
keys = sts.assume_role(RoleArn=sys.argv[2], RoleSessionName="chained")["Credentials"]
names = {"sessionId": "AccessKeyId", "sessionKey": "SecretAccessKey", "sessionToken": "SessionToken"}
print(json.dumps({ours: keys[name] for ours, name in names.items()}))
"#;

const PRODUCTION: &str = "111122223333";
const ASKED: &str = "signin.GetSigninToken";

async fn sandbox() -> Sandbox {
    Sandbox::start(Config::default()).await.unwrap()
}

/// Status and body.
fn federation(sandbox: &Sandbox, parameters: &[(&str, &str)]) -> (u16, String) {
    let parameters: serde_json::Map<_, _> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let parameters = serde_json::Value::Object(parameters).to_string();
    let text = python(SCRIPT, &[sandbox.base_url(), &parameters]);
    let (status, body) = text.split_once(' ').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The keys of a chained role, as [`session`] writes them.
fn assume_role(sandbox: &Sandbox, keys: &IssuedKeys) -> String {
    let role = "arn:aws:iam::444455556666:role/Deploy";
    python(ASSUME_ROLE, &[sandbox.base_url(), role, &session(keys)])
}

/// What a script prints.
fn python(script: &str, arguments: &[&str]) -> String {
    let python = std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(["-c", script])
        .args(arguments)
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap_or_else(|error| panic!("{python} is needed (or set AWSSO_TEST_PYTHON): {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// With blanks, as `json.dumps` writes it.
fn session(keys: &IssuedKeys) -> String {
    format!(
        r#"{{"sessionId": "{}", "sessionKey": "{}", "sessionToken": "{}"}}"#,
        keys.access_key_id, keys.secret_access_key, keys.session_token
    )
}

fn signin_token(sandbox: &Sandbox, session: &str, more: &[(&str, &str)]) -> (u16, String) {
    let asked = [("Action", "getSigninToken"), ("Session", session)];
    federation(sandbox, &[&asked[..], more].concat())
}

fn login(sandbox: &Sandbox, token: &str, destination: &str) -> (u16, String) {
    let parameters = [
        ("Action", "login"),
        ("Issuer", "https://example.com"),
        ("Destination", destination),
        ("SigninToken", token),
    ];
    federation(sandbox, &parameters)
}

fn token_in(answer: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
    answer["SigninToken"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_console_says_who_follows_it_and_where_to() {
    let sandbox = sandbox().await;
    let keys = sandbox.issue_credentials(PRODUCTION, "ReadOnly").unwrap();
    let (status, answer) = signin_token(&sandbox, &session(&keys), &[]);
    assert_eq!(status, 200, "{answer}");
    let token = token_in(&answer);
    assert!(sandbox.issued_secrets().contains(&token));
    let destination = "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1&a=b";
    let (status, page) = login(&sandbox, &token, destination);
    assert_eq!(status, 200);
    let until = humantime::format_rfc3339_millis(keys.expires);
    assert!(page.contains(&format!("<code id=\"until\">{until}</code>")));
    for shown in [
        "<code id=\"account\">111122223333</code>",
        "<code id=\"role\">ReadOnly</code>",
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ReadOnly_",
        "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1&amp;a=b</code>",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    assert_eq!(
        (sandbox.count(ASKED), sandbox.count("signin.Login")),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_for_fifteen_minutes_and_for_aws_pages_only() {
    let sandbox = sandbox().await;
    let keys = sandbox.issue_credentials(PRODUCTION, "ReadOnly").unwrap();
    let console = "https://console.aws.amazon.com/";
    let token = token_in(&signin_token(&sandbox, &session(&keys), &[]).1);
    assert_eq!(login(&sandbox, &token, "https://evil.example/").0, 400);
    assert_eq!(login(&sandbox, "never issued", console).0, 400);
    sandbox.advance(Duration::from_mins(14));
    assert_eq!(login(&sandbox, &token, console).0, 200);
    sandbox.advance(Duration::from_mins(1));
    let (status, page) = login(&sandbox, &token, console);
    assert_eq!(status, 400);
    assert!(page.contains("HTTP Status 400 - Token expired"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_keys_that_live_are_exchanged_for_a_token() {
    let sandbox = sandbox().await;
    let keys = sandbox.issue_credentials(PRODUCTION, "ReadOnly").unwrap();
    let wrong_secret = session(&IssuedKeys {
        secret_access_key: "guess".into(),
        ..keys.clone()
    });
    for session in ["", "{}", &wrong_secret] {
        let (status, page) = signin_token(&sandbox, session, &[]);
        assert_eq!(status, 400, "{session}");
        assert!(page.contains("Invalid credentials parameter"), "{page}");
    }
    sandbox.advance(Duration::from_hours(1));
    assert_eq!(signin_token(&sandbox, &session(&keys), &[]).0, 400);
    sandbox.faults().throttle_next("signin", 1);
    assert_eq!(signin_token(&sandbox, &session(&keys), &[]).0, 429);
    assert_eq!(sandbox.count(ASKED), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_outlast_its_keys_but_not_those_of_a_chained_role() {
    let sandbox = sandbox().await;
    let keys = sandbox.issue_credentials(PRODUCTION, "ReadOnly").unwrap();
    let administrator = sandbox.issue_credentials(PRODUCTION, "AdministratorAccess");
    let chained = assume_role(&sandbox, &administrator.unwrap());
    let keys = session(&keys);
    let ask = |session, seconds| signin_token(&sandbox, session, &[("SessionDuration", seconds)]).0;
    for (seconds, status) in [
        ("900", 200),
        ("43200", 200),
        ("899", 400),
        ("43201", 400),
        ("x", 400),
    ] {
        assert_eq!(ask(&keys, seconds), status, "{seconds}");
    }
    assert_eq!(ask(&chained, "3600"), 400);
    assert_eq!(signin_token(&sandbox, &chained, &[]).0, 200);
}
