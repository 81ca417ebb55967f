//! Agents under a policy: what they are refused, asked about and allowed, and
//! how a person finds out why.

use std::collections::BTreeSet;

use awsso_e2e::{
    Shim, World, bin,
    known::{ADMIN, LINUX, PRODUCTION, READ_ONLY, STAGING},
};
use awsso_proto::{
    Failure, Reason,
    v1::{
        AwsCliWork, CancelJobRequest, ClientKind, ListJobsRequest, ReadOutputRequest, Selection,
        StartJobRequest, WatchJobRequest, start_job_request::Work,
    },
};
use serde_json::{Value, json};

/// What the daemon decides by.
const TABLE: &str = include_str!("../../../daemon/src/policy/commands/table.txt");

/// A world whose agent has an AWS CLI that leaves a trace, and its shim.
pub(crate) async fn traced() -> (World, Shim) {
    let world = World::logged_in().await;
    let mut command = world.program(bin("awsso-mcp"));
    let script = format!("echo \"$*\" >> {}", world.dir().join("ran").display());
    command.env("PATH", world.path_with_aws(&script));
    let shim = Shim::legacy(command).await;
    (world, shim)
}

/// What the AWS CLI was run for.
pub(crate) fn ran(world: &World) -> Vec<String> {
    let ran = std::fs::read_to_string(world.dir().join("ran"));
    ran.unwrap_or_default().lines().map(str::to_owned).collect()
}

pub(crate) fn exec(command: &str) -> Value {
    json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": command})
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_an_agent_reads_is_held_back_from_writing_and_gets_no_credentials() {
    let (world, mut shim) = traced().await;
    for (command, begins) in [
        (
            "aws ec2 terminate-instances --instance-ids i-1",
            "APPROVAL_REQUIRED: ec2:TerminateInstances (write)",
        ),
        (
            "aws s3 rm s3://bucket --recursive",
            "APPROVAL_REQUIRED: s3:DeleteObject (write)",
        ),
        (
            "aws secretsmanager get-secret-value --secret-id x",
            "DENIED_BY_POLICY: secretsmanager:GetSecretValue (credentials)",
        ),
        (
            "aws ecr get-login-password",
            "DENIED_BY_POLICY: ecr:GetAuthorizationToken (credentials)",
        ),
        (
            "aws s3 ls --profile other",
            "DENIED_BY_POLICY: an agent may not use --profile",
        ),
        (
            "aws s3 ls --endpoint-url=https://evil.example",
            "DENIED_BY_POLICY: an agent may not use --endpoint-url",
        ),
        (
            "aws s3 cp /etc/passwd s3://bucket",
            "DENIED_BY_POLICY: an agent may not read or write files of this machine",
        ),
        (
            "aws iam create-user --user-name file:///etc/passwd",
            "DENIED_BY_POLICY: an agent may not use file://",
        ),
        (
            "aws configure list",
            "DENIED_BY_POLICY: an agent may not use aws configure",
        ),
        (
            "aws whoami",
            "DENIED_BY_POLICY: an agent may not use aws \"whoami\"",
        ),
    ] {
        let answer = shim.call("aws_sso_exec_command", exec(command)).await;
        assert!(answer.error().starts_with(begins), "{command}: {answer:?}");
    }
    let mut shell = exec("hostname");
    shell["instanceId"] = LINUX.into();
    let answer = shim.call("aws_sso_ec2_exec_command", shell).await;
    assert!(
        answer
            .error()
            .starts_with("APPROVAL_REQUIRED: ssm:SendCommand (write)"),
        "{answer:?}"
    );
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 0);
    assert_eq!(ran(&world), Vec::<String>::new());

    let read = shim
        .call("aws_sso_exec_command", exec("aws ec2 describe-instances"))
        .await;
    let _ = read.ok();
    assert_eq!(ran(&world), ["ec2 describe-instances"]);
    // A person is free.
    let _ = world
        .fake_aws("exit 0")
        .run("aws ec2 terminate-instances")
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_counts_from_the_moment_it_is_written() {
    let (world, mut shim) = traced().await;
    let stop = exec("aws ec2 stop-instances --instance-ids i-1");
    let answer = shim.call("aws_sso_exec_command", stop.clone()).await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED"),
        "{answer:?}"
    );
    world.configure(
        "[[policy.rule]]\naccount = '111122223333'\naction = 'ec2:Stop*'\neffect = 'allow'\n",
    );
    let _ = shim.call("aws_sso_exec_command", stop.clone()).await.ok();
    assert_eq!(ran(&world).len(), 1);
    world.configure("[policy]\npreset = 'open'\n[[policy.rule]]\nclass = 'write'\neffect = 'deny'\nreason = 'change freeze'\n");
    let answer = shim.call("aws_sso_exec_command", stop).await;
    let text = answer.error();
    assert!(
        text.starts_with("DENIED_BY_POLICY")
            && text.contains("rule 1 (line 3 of config.toml): change freeze"),
        "{text}"
    );
    assert_eq!(ran(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_the_role_that_the_person_gave_it_and_no_other() {
    let (world, mut shim) = traced().await;
    world.configure("[policy]\nagent_role = 'ReadOnly'\n");
    let answer = shim.call("aws_sso_exec_command", exec("aws s3 ls")).await;
    assert!(
        answer.ok().contains(&format!("role {READ_ONLY} ")),
        "{answer:?}"
    );
    world.configure("[policy]\nagent_roles = { '1111*' = 'NoSuchRole' }\n");
    let answer = shim.call("aws_sso_exec_command", exec("aws s3 ls")).await;
    assert!(answer.error().contains("NoSuchRole"), "{answer:?}");
    assert_eq!(ran(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_the_aws_cli_is_not_for_agents() {
    let (world, mut shim) = traced().await;
    world.write(".aws/cli/alias", "[toplevel]\nsts = !id\n");
    let answer = shim
        .call("aws_sso_exec_command", exec("aws sts get-caller-identity"))
        .await;
    assert!(answer.error().contains("it is an alias in "), "{answer:?}");
    let _ = shim
        .call("aws_sso_exec_command", exec("aws s3 ls"))
        .await
        .ok();
    assert_eq!(ran(&world), ["s3 ls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_accounts_one_that_is_denied_stops_all_and_is_named() {
    let world = World::logged_in().await;
    world.configure(
        "[policy]\npreset = 'open'\n[[policy.rule]]\naccount = 'prod*'\neffect = 'deny'\n",
    );
    let agent = world.connect(ClientKind::Shim).await;
    let request = StartJobRequest {
        selection: Some(Selection {
            all_accounts: true,
            roles: vec![ADMIN.into(), READ_ONLY.into()],
            ..Selection::default()
        }),
        work: Some(Work::AwsCli(AwsCliWork {
            command: "aws s3 ls".into(),
            working_directory: "/".into(),
            ..AwsCliWork::default()
        })),
        ..StartJobRequest::default()
    };
    for dry_run in [true, false] {
        let request = StartJobRequest {
            dry_run,
            ..request.clone()
        };
        let failure = Failure::from(agent.jobs().start(request).await.unwrap_err());
        assert_eq!(failure.reason, Reason::DeniedByPolicy);
        assert!(
            failure
                .message
                .contains(" targets: production (111122223333) as AdministratorAccess"),
            "{failure}"
        );
    }
    let jobs = world
        .awsso(&["jobs", "list", "--json"])
        .await
        .code(0)
        .json();
    assert_eq!(jobs["jobs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_not_see_what_a_person_had_run() {
    let world = World::logged_in().await;
    let run = world.fake_aws("echo a secret").run("aws x").await;
    assert_eq!(run.ok(), "a secret\n");
    let jobs = world
        .awsso(&["jobs", "list", "--json"])
        .await
        .code(0)
        .json();
    let job_id = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    let person = world.connect(ClientKind::Cli).await;
    let listed = person
        .jobs()
        .list(ListJobsRequest {})
        .await
        .unwrap()
        .into_inner();
    let output_id = listed.jobs[0].tasks[0].output_id.clone();

    let agent = world.connect(ClientKind::Shim).await;
    let listed = agent
        .jobs()
        .list(ListJobsRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.jobs, []);
    let read = ReadOutputRequest {
        output_id,
        ..ReadOutputRequest::default()
    };
    let cancel = CancelJobRequest {
        job_id: job_id.clone(),
    };
    let watch = WatchJobRequest {
        job_id,
        ..WatchJobRequest::default()
    };
    for refused in [
        agent.jobs().read_output(read.clone()).await.map(|_| ()),
        agent.jobs().cancel(cancel).await.map(|_| ()),
        agent.jobs().watch(watch).await.map(|_| ()),
    ] {
        assert_eq!(
            Failure::from(refused.unwrap_err()).reason,
            Reason::DeniedByPolicy
        );
    }
    assert!(person.jobs().read_output(read).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_an_account_counts_before_anybody_has_listed_the_accounts() {
    let (world, mut shim) = traced().await;
    world.configure(
        "[policy]\npreset = 'open'\n[[policy.rule]]\naccount = 'prod*'\neffect = 'deny'\n",
    );
    let answer = shim.call("aws_sso_exec_command", exec("aws s3 ls")).await;
    assert!(
        answer.error().contains("in production (111122223333)"),
        "{answer:?}"
    );
    let mut elsewhere = exec("aws s3 ls");
    elsewhere["accountId"] = STAGING.into();
    let _ = shim.call("aws_sso_exec_command", elsewhere).await.ok();
    assert_eq!(ran(&world), ["s3 ls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_about_persons_binds_them_and_the_keys_they_hold() {
    let world = World::logged_in().await;
    world.configure(
        "[[policy.rule]]\nprincipal = 'person'\naccount = '111122223333'\nrole = 'Admin*'\nclass = ['write', 'credentials']\n\
         effect = 'deny'\n",
    );
    let target = ["--account", PRODUCTION, "--role", ADMIN];
    let denied = world.awsso(&[&["env"], &target[..]].concat()).await;
    let _ = denied.code(5).says("rule 1 (line 1 of config.toml)");
    let _ = world
        .aws(PRODUCTION, ADMIN, "aws ec2 stop-instances")
        .await
        .code(125)
        .says("is denied");
    let _ = world
        .aws(PRODUCTION, ADMIN, "aws sts get-caller-identity")
        .await
        .ok();
    let _ = world
        .awsso(&["env", "--account", PRODUCTION, "--role", READ_ONLY])
        .await
        .ok();
}

/// What `awsso policy test` tells about a command.
async fn explained(world: &World, command: &str, more: &[&str]) -> Value {
    let args = [
        "policy",
        "test",
        command,
        "--account",
        PRODUCTION,
        "--role",
        ADMIN,
        "--json",
    ];
    let run = world.awsso(&[&args[..], more].concat()).await;
    run.code(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_ask_what_would_be_decided_and_why() {
    let world = World::logged_in().await;
    for (command, more, effect, class, by) in [
        (
            "aws ec2 describe-instances",
            &[][..],
            "allow",
            "list",
            "preset guarded",
        ),
        (
            "aws ec2 run-instances",
            &[],
            "ask",
            "write",
            "preset guarded",
        ),
        (
            "aws sts get-session-token",
            &["--as", "agent"],
            "deny",
            "credentials",
            "preset guarded",
        ),
        (
            "aws sts get-session-token",
            &["--as", "person"],
            "allow",
            "credentials",
            "no rule is about persons here",
        ),
        (
            "aws s3 ls --debug",
            &[],
            "deny",
            "list",
            "what agents never may",
        ),
        (
            "hostname",
            &["--instance-id", LINUX],
            "ask",
            "write",
            "preset guarded",
        ),
    ] {
        let told = explained(&world, command, more).await;
        let facts = (&told["effect"], &told["class"], &told["decidedBy"]);
        assert_eq!(
            facts,
            (&effect.into(), &class.into(), &by.into()),
            "{command}: {told}"
        );
        assert_eq!(told["accountId"], PRODUCTION);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_names_the_rule_and_a_mistake_in_the_file() {
    let world = World::logged_in().await;
    world.configure("[aliases]\nprod = '111122223333'\n[[policy.rule]]\naccount = 'prod'\nregion = 'us-*'\neffect = 'deny'\n");
    let told = explained(&world, "aws s3 ls --region us-east-1", &[]).await;
    assert_eq!(
        (&told["effect"], &told["region"]),
        (&"deny".into(), &"us-east-1".into()),
        "{told}"
    );
    assert_eq!(
        told["operations"],
        json!(["s3:ListBuckets", "s3:ListObjectsV2"])
    );

    world.configure("[[policy.rule]]\neffect = 'sometimes'\n");
    let told = explained(&world, "aws s3 ls", &[]).await;
    assert_eq!(
        (&told["effect"], &told["decidedBy"]),
        (&"deny".into(), &"a mistake in [policy]".into())
    );
    assert!(
        told["why"].as_str().unwrap().contains("line 2, column 10"),
        "{told}"
    );
    let words = world
        .awsso(&[
            "policy",
            "test",
            "aws s3 ls",
            "--account",
            PRODUCTION,
            "--role",
            ADMIN,
        ])
        .await
        .ok();
    assert!(words.starts_with("decision    deny\n"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_installed_aws_cli_is_in_the_table() {
    let mut known = BTreeSet::new();
    let mut service = "";
    for line in TABLE.lines() {
        let mut words = line.split(' ');
        let (kind, verb) = (words.next().unwrap(), words.next().unwrap_or_default());
        match kind {
            "=" => service = verb,
            "#" | "+" => {}
            _ => known.extend(words.map(|rest| match rest {
                "." => format!("{service} {verb}").to_lowercase(),
                rest => format!("{service} {verb}-{rest}").to_lowercase(),
            })),
        }
    }
    let world = World::new().await;
    let installed = world.botocore("commands", &json!([])).await;
    let commands = installed["commands"].as_array().unwrap();
    assert!(commands.len() > 10_000, "{}", commands.len());
    let words = commands.iter().filter_map(Value::as_str);
    let unknown: Vec<_> = words.filter(|it| !known.contains(*it)).collect();
    // Another version has others: agents are refused those that the table lacks.
    let version = format!("awscli {},", installed["version"].as_str().unwrap());
    let most = if TABLE.contains(&version) {
        0
    } else {
        commands.len() / 20
    };
    assert!(
        unknown.len() <= most,
        "the table lacks {unknown:?}; run generate.py"
    );
}
