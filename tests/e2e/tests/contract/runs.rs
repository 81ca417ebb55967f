//! The documents about jobs: one run, many, and what is told of them later.

use awsso_e2e::{
    Background, World, assert_shape, finish,
    known::{ADMIN, LINUX, PRODUCTION, WINDOWS},
};
use serde_json::{Value, json};

const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", ADMIN];

fn job(task: &Value) -> Value {
    json!({
        "id": "string",
        "kind": "aws_cli|ssm",
        "state": "queued|running|succeeded|failed|partial|cancelled|unknown",
        "startedAt": "instant",
        "endedAt": "instant?",
        "tasks": [task],
    })
}

/// As a list has it.
fn task() -> Value {
    json!({
        "accountId": "string",
        "roleName": "string",
        "region": "string",
        "instanceId": "string?",
        "state": "queued|running|succeeded|failed|timed_out|cancelled|undeliverable|denied|unknown",
        "exitCode": "number?",
        "truncated": "bool",
    })
}

fn with(mut shape: Value, more: &Value) -> Value {
    let fields = shape.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    shape
}

/// As a run has it.
fn task_with_output() -> Value {
    let output = json!({"stdout": "string", "stderr": "string", "outputId": "string"});
    with(task(), &output)
}

async fn ssm(world: &World, instances: &[&str], more: &[&str]) -> awsso_e2e::Run {
    let mut args = [&["ec2-exec-command"], &TARGET[..], more].concat();
    for instance in instances {
        args.extend(["--instance-id", instance]);
    }
    world.awsso(&args).await
}

async fn listed(world: &World) -> Vec<Value> {
    let list = world
        .awsso(&["jobs", "list", "--json"])
        .await
        .code(0)
        .json();
    assert_shape(&list, &json!({"jobs": [job(&task())]}));
    list["jobs"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_job_with_its_output_and_the_list_has_it_without() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo out; echo err >&2; exit 7");
    let mut command = aws.exec("aws sts x");
    command.arg("--json");
    let run = finish(command, "exec-command".into()).await.code(7).json();
    let ended = json!({
        "state": "failed", "exitCode": "number", "instanceId": null,
        "stdout": "out\n", "stderr": "err\n",
    });
    let shape = with(
        job(&with(task_with_output(), &ended)),
        &json!({"kind": "aws_cli", "endedAt": "instant"}),
    );
    assert_shape(&run, &shape);
    assert_eq!(
        (&run["state"], &run["tasks"][0]["exitCode"]),
        (&json!("failed"), &json!(7))
    );

    let on_one = ssm(&world, &[LINUX], &["--command", "echo hi", "--json"]).await;
    let on_one = on_one.code(0).json();
    let ended =
        json!({"state": "succeeded", "exitCode": "number", "instanceId": LINUX, "stdout": "hi\n"});
    let shape = with(
        job(&with(task_with_output(), &ended)),
        &json!({"kind": "ssm", "endedAt": "instant"}),
    );
    assert_shape(&on_one, &shape);

    let jobs = listed(&world).await;
    let ids: Vec<_> = jobs.iter().map(|job| &job["id"]).collect();
    assert_eq!(ids, [&on_one["id"], &run["id"]], "newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_many_is_one_document_or_a_line_for_each() {
    let world = World::logged_in().await;
    let both = [LINUX, WINDOWS];
    let run = ssm(&world, &both, &["--command", "uptime", "--json"]).await;
    let run = run.code(6).json();
    assert_shape(&run, &job(&task_with_output()));
    assert_eq!(run["state"], "partial");

    let lines = ssm(&world, &both, &["--command", "uptime", "--output", "jsonl"]).await;
    let lines = lines.code(6);
    let line = json!({
        "jobId": "string", "accountName": "string", "detail": "string", "otherRoles": [],
    });
    let line = with(task_with_output(), &line);
    assert_eq!(lines.stdout.lines().count(), 2);
    for text in lines.stdout.lines() {
        assert_shape(&serde_json::from_str(text).unwrap(), &line);
    }

    let before = listed(&world).await.len();
    let plan = ssm(
        &world,
        &both,
        &["--command", "uptime", "--dry-run", "--json"],
    )
    .await;
    let place = json!({
        "accountId": "string", "accountName": "string", "roleName": "string?", "region": "string",
        "instanceId": "string?", "state": "queued|denied", "detail": "string", "otherRoles": [],
    });
    assert_shape(
        &plan.code(0).json(),
        &json!({"kind": "ssm", "tasks": [place]}),
    );
    assert_eq!(listed(&world).await.len(), before, "a plan is no job");

    let left = ssm(
        &world,
        &both,
        &["--command", "uptime", "--detach", "--json"],
    )
    .await;
    assert_shape(&left.code(0).json(), &json!({"jobId": "string"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_told_while_it_runs_when_it_is_cancelled_and_afterwards() {
    let world = World::logged_in().await;
    let run = world
        .fake_aws("echo out; exec sleep 600")
        .start("aws sts x");
    run.prints("out").await;
    let running = listed(&world).await.remove(0);
    let fields = json!({"state": "running", "endedAt": null});
    assert_shape(
        &running,
        &with(job(&with(task(), &json!({"exitCode": null}))), &fields),
    );
    let id = running["id"].as_str().unwrap();

    let watch = world.awsso_in_background(&["jobs", "watch", id, "--json"]);
    let cancelled = world.awsso(&["jobs", "cancel", id, "--json"]).await;
    assert_shape(&cancelled.code(0).json(), &job(&task()));
    let told = Background::end(watch).await.code(1).json();
    assert_shape(
        &told,
        &with(job(&task_with_output()), &json!({"endedAt": "instant"})),
    );
    assert_eq!(
        (&told["id"], &told["state"]),
        (&running["id"], &json!("cancelled"))
    );
    let _ = run.end().await;

    let output =
        json!({"outputs": [{"stdout": "out\n", "stderr": "string", "outputId": "string"}]});
    for args in [
        &["jobs", "output", id][..],
        &["jobs", "output", id, "--tail", "1"],
    ] {
        let printed = world.awsso(&[args, &["--json"]].concat()).await;
        assert_shape(&printed.code(0).json(), &output);
    }
    // `unknown`, of a run that died with its daemon, and `queued`: in `many`.
}
