//! boto3 against the sandbox: the device login, the portal and STS, through the endpoint variables users set.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test does"
)]

use std::process::Command;

use awsso_sandbox::{Config, Sandbox};
use serde_json::Value;

const SCRIPT: &str = r#"
import json, os, sys
try:
    import boto3, botocore
    from botocore.config import Config
except ImportError as error:
    sys.exit(f"this test needs boto3 (pip install boto3, or point AWSSO_TEST_PYTHON at a python that has it): {error}")

seen = {}
oidc = boto3.client("sso-oidc")
client = oidc.register_client(clientName="boto3", clientType="public", scopes=["sso:account:access"])
asked = oidc.start_device_authorization(
    clientId=client["clientId"], clientSecret=client["clientSecret"], startUrl=os.environ["START_URL"])
seen["verification"] = asked["verificationUriComplete"]
def exchange(**grant):
    return oidc.create_token(clientId=client["clientId"], clientSecret=client["clientSecret"], **grant)
device = dict(grantType="urn:ietf:params:oauth:grant-type:device_code", deviceCode=asked["deviceCode"])
try:
    exchange(**device)
except oidc.exceptions.AuthorizationPendingException as error:
    seen["pending"] = error.response["error"]
try:
    exchange(**device)
except oidc.exceptions.SlowDownException as error:
    seen["fast"] = error.response["error"]

# The program that runs this approves, and lets the interval pass.
print("pending", flush=True)
sys.stdin.readline()
token = exchange(**device)
refreshed = exchange(grantType="refresh_token", refreshToken=token["refreshToken"])
try:
    exchange(grantType="refresh_token", refreshToken=token["refreshToken"])
except oidc.exceptions.InvalidGrantException as error:
    seen["spent"] = error.response["error"]

sso = boto3.client("sso", config=Config(retries={"total_max_attempts": 1}))
bearer = refreshed["accessToken"]
accounts = sso.get_paginator("list_accounts").paginate(accessToken=bearer, PaginationConfig={"PageSize": 5})
seen["accounts"] = [account["accountId"] for page in accounts for account in page["accountList"]]
roles = sso.list_account_roles(accessToken=bearer, accountId="111122223333")["roleList"]
seen["roles"] = [role["roleName"] for role in roles]
keys = sso.get_role_credentials(accessToken=bearer, accountId="111122223333", roleName="ReadOnly")["roleCredentials"]
sts = boto3.client("sts", aws_access_key_id=keys["accessKeyId"],
                   aws_secret_access_key=keys["secretAccessKey"], aws_session_token=keys["sessionToken"])
seen["identity"] = sts.get_caller_identity()["Account"]
seen["milliseconds"] = keys["expiration"] > 1_000_000_000_000
try:
    sso.get_role_credentials(accessToken=bearer, accountId="111122223333", roleName="Nobody")
except botocore.exceptions.ClientError as error:
    seen["no_role"] = [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
sso.logout(accessToken=bearer)
try:
    sso.list_accounts(accessToken=bearer)
except sso.exceptions.UnauthorizedException as error:
    seen["after_logout"] = error.response["Error"]["Message"]
print(json.dumps(seen))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn boto3_logs_in_reads_the_portal_and_uses_its_keys() {
    let sandbox = Sandbox::start(Config {
        accounts: 12,
        ..Config::default()
    })
    .await
    .unwrap();
    let seen = run(&sandbox);
    let verification = seen["verification"].as_str().unwrap();
    assert!(
        verification.starts_with(&format!("{}/device?user_code=", sandbox.base_url())),
        "{verification}"
    );
    assert_eq!(seen["pending"], "authorization_pending");
    assert_eq!(seen["fast"], "slow_down");
    assert_eq!(seen["spent"], "invalid_grant");
    let accounts: Vec<_> = sandbox
        .organization()
        .accounts()
        .iter()
        .map(|account| account.id.as_str())
        .collect();
    assert_eq!(seen["accounts"], serde_json::json!(accounts));
    assert_eq!(
        sandbox.count("sso.ListAccounts"),
        4,
        "three pages, and one after the logout"
    );
    assert_eq!(
        seen["roles"],
        serde_json::json!(["AdministratorAccess", "NoS3", "NoSSMInventory", "ReadOnly"])
    );
    assert_eq!(seen["identity"], "111122223333");
    assert_eq!(seen["milliseconds"], true);
    assert_eq!(
        seen["no_role"],
        serde_json::json!(["ForbiddenException", 403])
    );
    assert_eq!(seen["after_logout"], "Session token not found or invalid");
}

fn run(sandbox: &Sandbox) -> Value {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::process::Stdio;
    let python = std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let nowhere = tempfile::tempdir().unwrap();
    let mut child = command
        .args(["-c", SCRIPT])
        .env("AWS_ENDPOINT_URL_SSO", sandbox.base_url())
        .env("AWS_ENDPOINT_URL_SSO_OIDC", sandbox.base_url())
        .env("AWS_ENDPOINT_URL_STS", sandbox.base_url())
        .env("AWS_DEFAULT_REGION", sandbox.region())
        .env("AWS_CONFIG_FILE", nowhere.path().join("config"))
        .env(
            "AWS_SHARED_CREDENTIALS_FILE",
            nowhere.path().join("credentials"),
        )
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("START_URL", sandbox.start_url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{python} is needed (or set AWSSO_TEST_PYTHON): {error}"));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    if line.trim() == "pending" {
        assert!(sandbox.approve());
        sandbox.advance(std::time::Duration::from_secs(10));
        child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    }
    let mut report = String::new();
    stdout.read_to_string(&mut report).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&report).unwrap()
}
