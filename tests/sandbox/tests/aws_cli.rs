//! The real AWS CLI against the sandbox: what it prints with issued keys, and which error it shows with bad ones.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test does"
)]

use std::process::{Command, Output};
use std::time::Duration;

use awsso_sandbox::{Config, IssuedKeys, Sandbox};
use serde_json::Value;

const PRODUCTION: &str = "111122223333";
const DEPLOY: &str = "arn:aws:iam::444455556666:role/Deploy";
const VENDOR: &str = "arn:aws:iam::444455556666:role/Vendor";
const NOWHERE: &str = "arn:aws:iam::999999999999:role/Deploy";
const WEB_1: &str = "i-0a1b2c3d4e5f60001";

/// The CLI with keys of one role, and no other configuration of this machine.
struct Cli<'a> {
    sandbox: &'a Sandbox,
    keys: IssuedKeys,
}

async fn sandbox() -> Sandbox {
    Sandbox::start(Config::default())
        .await
        .expect("a port on loopback is free")
}

fn cli<'a>(sandbox: &'a Sandbox, role: &str) -> Cli<'a> {
    Cli {
        sandbox,
        keys: sandbox
            .issue_credentials(PRODUCTION, role)
            .expect("the role exists"),
    }
}

/// A later option of the same name wins.
fn assume_role(role: &str) -> [&str; 6] {
    let name = "chained";
    [
        "sts",
        "assume-role",
        "--role-arn",
        role,
        "--role-session-name",
        name,
    ]
}

impl Cli<'_> {
    /// Goes on with the keys that `assume-role` answered.
    fn chain(&mut self, assumed: &Value) {
        let text = |name: &str| assumed["Credentials"][name].as_str().unwrap().to_owned();
        self.keys.access_key_id = text("AccessKeyId");
        self.keys.secret_access_key = text("SecretAccessKey");
        self.keys.session_token = text("SessionToken");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("aws");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let nowhere = tempfile::tempdir().unwrap();
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", self.sandbox.base_url())
            .env("AWS_REGION", self.sandbox.region())
            .env("AWS_DEFAULT_REGION", self.sandbox.region())
            .env("AWS_ACCESS_KEY_ID", &self.keys.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.keys.secret_access_key)
            .env("AWS_SESSION_TOKEN", &self.keys.session_token)
            .env("AWS_CONFIG_FILE", nowhere.path().join("config"))
            .env(
                "AWS_SHARED_CREDENTIALS_FILE",
                nowhere.path().join("credentials"),
            )
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_PAGER", "")
            .env("AWS_DEFAULT_OUTPUT", "json")
            .output()
            .unwrap_or_else(|error| {
                panic!("the AWS CLI (`aws` on PATH, `pip install awscli`) is needed: {error}")
            })
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "aws {arguments:?} failed: {stderr}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(arguments)).unwrap()
    }

    /// The text of the error the CLI ends with.
    fn error(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "aws {arguments:?} should fail");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_is_the_role_the_keys_were_issued_for() {
    let sandbox = sandbox().await;
    let identity = cli(&sandbox, "ReadOnly").json(&["sts", "get-caller-identity"]);
    assert_eq!(identity["Account"], PRODUCTION);
    let arn = identity["Arn"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ReadOnly_"),
        "{arn}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chained_role_can_be_used_in_turn() {
    let sandbox = sandbox().await;
    let mut cli = cli(&sandbox, "AdministratorAccess");
    cli.chain(&cli.json(&assume_role(DEPLOY)));
    let identity = cli.json(&["sts", "get-caller-identity"]);
    assert_eq!(
        identity["Arn"],
        "arn:aws:sts::444455556666:assumed-role/Deploy/chained"
    );
    assert_eq!(sandbox.count("sts.AssumeRole as chained"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_policy_leaves_a_chained_role_less_than_the_role_has() {
    let sandbox = sandbox().await;
    let administrator = || cli(&sandbox, "AdministratorAccess");
    let policy =
        r#"{"Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}"#;
    let assumed = administrator().json(&[&assume_role(DEPLOY)[..], &["--policy", policy]].concat());
    assert_eq!(assumed["PackedPolicySize"], 4);
    let mut narrowed = administrator();
    narrowed.chain(&assumed);
    let instances = narrowed.json(&["ec2", "describe-instances"]);
    assert_eq!(instances["Reservations"].as_array().unwrap().len(), 2);
    let denied = narrowed.error(&["s3", "ls"]);
    assert!(
        denied.contains("(AccessDenied)")
            && denied.contains("no session policy allows the s3:ListAllMyBuckets action"),
        "{denied}"
    );

    let arn = "arn=arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let managed = [&assume_role(DEPLOY)[..], &["--policy-arns", arn]].concat();
    narrowed.chain(&administrator().json(&managed));
    assert!(narrowed.text(&["s3", "ls"]).contains("444455556666-data"));
    let denied = narrowed.error(&["ec2", "describe-instances"]);
    assert!(denied.contains("(UnauthorizedOperation)"), "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_not_assumed_without_what_aws_asks_for() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    let with = |role, more: &[&'static str]| [&assume_role(role)[..], more].concat();
    for (line, code) in [
        (
            with(DEPLOY, &["--policy", "no json"]),
            "MalformedPolicyDocument",
        ),
        (with(VENDOR, &[]), "AccessDenied"),
        (with(VENDOR, &["--external-id", "vendor-1"]), "AccessDenied"),
        (with(NOWHERE, &[]), "AccessDenied"),
        (with(DEPLOY, &["--external-id", "a b"]), "ValidationError"),
        (
            with(DEPLOY, &["--role-session-name", "a b"]),
            "ValidationError",
        ),
    ] {
        let refused = cli.error(&line);
        assert!(
            refused.contains(&format!("({code})")),
            "{line:?}: {refused}"
        );
    }
    let assumed = cli.json(&with(VENDOR, &["--external-id", "vendor-444455556666"]));
    let id = assumed["AssumedRoleUser"]["AssumedRoleId"].as_str();
    assert!(id.unwrap().ends_with(":chained"));
    sandbox.advance(Duration::from_hours(1));
    let refused = cli.error(&with(DEPLOY, &[]));
    assert!(refused.contains("(ExpiredToken)"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_and_objects_are_listed_and_read() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "ReadOnly");
    assert!(cli.text(&["s3", "ls"]).contains("111122223333-data"));
    let listing = cli.text(&["s3", "ls", "s3://111122223333-data"]);
    assert!(
        listing.contains("PRE logs/") && listing.contains("hello.txt"),
        "{listing}"
    );
    assert!(
        cli.text(&["s3", "ls", "s3://111122223333-data/reports/"])
            .contains("a b+c ü.csv")
    );
    assert_eq!(
        cli.text(&[
            "s3",
            "cp",
            "s3://111122223333-data/reports/a b+c ü.csv",
            "-"
        ]),
        "a,b\n1,2\n"
    );
    assert!(
        cli.error(&["s3", "ls", "s3://nobodys-bucket"])
            .contains("NoSuchBucket")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_paged_through() {
    let sandbox = sandbox().await;
    let list = [
        "s3api",
        "list-objects-v2",
        "--bucket",
        "111122223333-data",
        "--page-size",
        "1",
    ];
    let listing = cli(&sandbox, "ReadOnly").json(&list);
    assert_eq!(listing["Contents"].as_array().unwrap().len(), 4);
    assert_eq!(sandbox.count("s3.ListObjectsV2"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_described_and_filtered() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "ReadOnly");
    let all = cli.json(&["ec2", "describe-instances"]);
    assert_eq!(all["Reservations"].as_array().unwrap().len(), 6);
    let web = cli.json(&[
        "ec2",
        "describe-instances",
        "--filters",
        "Name=tag:Name,Values=web-*",
    ]);
    let ids: Vec<_> = web["Reservations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reservation| reservation["Instances"][0]["InstanceId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [WEB_1, "i-0a1b2c3d4e5f60002"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_manager_knows_the_managed_instances() {
    let sandbox = sandbox().await;
    let known = cli(&sandbox, "ReadOnly").json(&["ssm", "describe-instance-information"]);
    let list = known["InstanceInformationList"].as_array().unwrap();
    let platforms: Vec<_> = list
        .iter()
        .map(|instance| instance["PlatformType"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["Linux", "Linux", "Windows", "MacOS", "Linux"]);
    assert_eq!(list[4]["PingStatus"], "ConnectionLost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_sent_and_its_end_is_read() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    let call = [
        "ssm",
        "send-command",
        "--document-name",
        "AWS-RunShellScript",
        "--instance-ids",
        WEB_1,
    ];
    let parameters = [
        "--parameters",
        r#"{"commands":["hostname","sleep 30","echo oops 1>&2","exit 3"]}"#,
    ];
    let sent = cli.json(&[call.as_slice(), &parameters].concat());
    let id = sent["Command"]["CommandId"].as_str().unwrap();
    let get = [
        "ssm",
        "get-command-invocation",
        "--command-id",
        id,
        "--instance-id",
        WEB_1,
    ];
    sandbox.advance(Duration::from_secs(5));
    let running = cli.json(&get);
    assert_eq!(
        (&running["Status"], &running["ResponseCode"]),
        (&"InProgress".into(), &(-1).into())
    );
    sandbox.advance(Duration::from_secs(30));
    let ended = cli.json(&get);
    assert_eq!(
        (&ended["Status"], &ended["ResponseCode"]),
        (&"Failed".into(), &3.into())
    );
    assert_eq!(ended["StandardOutputContent"], "web-1\n");
    assert_eq!(
        ended["StandardErrorContent"],
        "oops\nfailed to run commands: exit status 3"
    );
    let listed = cli.json(&[
        "ssm",
        "list-command-invocations",
        "--command-id",
        id,
        "--details",
    ]);
    let output = &listed["CommandInvocations"][0]["CommandPlugins"][0]["Output"];
    assert!(
        output
            .as_str()
            .unwrap()
            .starts_with("web-1\n\n----------ERROR-------\noops\n"),
        "{output}"
    );
    let commands = cli.json(&[
        "ssm",
        "list-commands",
        "--filters",
        "key=InvokedAfter,value=2020-01-01T00:00:00Z",
    ]);
    assert_eq!(commands["Commands"][0]["CompletedCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_command_ends_as_cancelled() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    let call = [
        "ssm",
        "send-command",
        "--document-name",
        "AWS-RunShellScript",
        "--targets",
        "Key=tag:Role,Values=web",
    ];
    let sent = cli.json(
        &[
            call.as_slice(),
            &["--parameters", "commands=[\"sleep 600\"]"],
        ]
        .concat(),
    );
    let id = sent["Command"]["CommandId"].as_str().unwrap();
    sandbox.advance(Duration::from_secs(5));
    cli.text(&["ssm", "cancel-command", "--command-id", id]);
    sandbox.advance(Duration::from_secs(5));
    let commands = cli.json(&["ssm", "list-commands", "--command-id", id]);
    assert_eq!(commands["Commands"][0]["Status"], "Cancelled");
    assert_eq!(commands["Commands"][0]["TargetCount"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_printed_is_in_its_bucket_and_its_log_group() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let run = |text: &str| {
        let words = words(text);
        cli.json(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let sent = run(&format!(
        "ssm send-command --document-name AWS-RunShellScript --instance-ids {WEB_1} \
         --parameters commands=hostname --output-s3-bucket-name 111122223333-artifacts \
         --output-s3-key-prefix runs --cloud-watch-output-config \
         CloudWatchLogGroupName=/runs,CloudWatchOutputEnabled=true"
    ));
    let id = sent["Command"]["CommandId"].as_str().unwrap();
    sandbox.advance(Duration::from_secs(5));
    let listed = run(&format!(
        "s3api list-objects-v2 --bucket 111122223333-artifacts --prefix runs/{id}/"
    ));
    let key = listed["Contents"][0]["Key"].as_str().unwrap();
    let expected = format!("runs/{id}/{WEB_1}/awsrunShellScript/0.awsrunShellScript/stdout");
    assert_eq!(key, expected);
    let object = format!("s3://111122223333-artifacts/{key}");
    assert_eq!(cli.text(&["s3", "cp", &object, "-"]), "web-1\n");

    let stream = format!("{id}/{WEB_1}/aws-runShellScript/stdout");
    let read = format!(
        "logs get-log-events --log-group-name /runs --log-stream-name {stream} --start-from-head"
    );
    let first = run(&read);
    assert_eq!(first["events"][0]["message"], "web-1");
    let token = first["nextForwardToken"].as_str().unwrap();
    let second = run(&format!("{read} --next-token {token}"));
    assert_eq!(second["events"].as_array().unwrap().len(), 0);
    assert_eq!(second["nextForwardToken"], token, "which says: the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_targets_are_refused_in_the_words_of_aws() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    let refusal = |document, instance| {
        let parameters = ["--parameters", "commands=[\"true\"]"];
        let call = [
            "ssm",
            "send-command",
            "--document-name",
            document,
            "--instance-ids",
            instance,
        ];
        cli.error(&[call.as_slice(), &parameters].concat())
    };
    assert!(refusal("AWS-RunShellScript", "i-0a1b2c3d4e5f60006").contains("(InvalidInstanceId)"));
    assert!(
        refusal("AWS-RunShellScript", "i-0a1b2c3d4e5f60003").contains("(UnsupportedPlatformType)")
    );
    assert!(refusal("No-Such-Document", WEB_1).contains("(InvalidDocument)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_denied_what_it_may_not_do() {
    let sandbox = sandbox().await;
    let no_s3 = cli(&sandbox, "NoS3").error(&["s3", "ls"]);
    assert!(no_s3.contains("(AccessDenied)"), "{no_s3}");
    let blind = cli(&sandbox, "NoSSMInventory").error(&["ssm", "describe-instance-information"]);
    assert!(blind.contains("(AccessDeniedException)"), "{blind}");
    let put = [
        "s3api",
        "put-object",
        "--bucket",
        "111122223333-data",
        "--key",
        "new",
    ];
    let write = cli(&sandbox, "ReadOnly").error(&put);
    assert!(write.contains("(AccessDenied)"), "{write}");
}

/// One call of each service; each has its own way to say no.
const CALLS: [&[&str]; 4] = [
    &["sts", "get-caller-identity"],
    &["ssm", "describe-instance-information"],
    &["s3api", "list-buckets"],
    &["ec2", "describe-instances"],
];

fn assert_each_says(cli: &Cli<'_>, codes: [&str; 4]) {
    for (call, code) in CALLS.into_iter().zip(codes) {
        let error = cli.error(call);
        assert!(
            error.contains(&format!("({code})")),
            "{call:?} should say {code}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_named_by_each_service() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    sandbox.revoke_credentials();
    assert_each_says(
        &cli,
        [
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "AuthFailure",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_named_by_each_service() {
    let sandbox = sandbox().await;
    let mut cli = cli(&sandbox, "AdministratorAccess");
    cli.keys.secret_access_key = "wrong".into();
    assert_each_says(
        &cli,
        [
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "AuthFailure",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_are_named_by_each_service() {
    let sandbox = sandbox().await;
    let cli = cli(&sandbox, "AdministratorAccess");
    sandbox.advance(Duration::from_hours(1));
    assert_each_says(
        &cli,
        [
            "ExpiredToken",
            "ExpiredTokenException",
            "ExpiredToken",
            "RequestExpired",
        ],
    );
}
