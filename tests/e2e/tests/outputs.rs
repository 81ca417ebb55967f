//! Stored outputs: read whole, in part, by a question, and how long they stay.

use awsso_e2e::{FakeAws, Run, World, finish};

const INSTANCES: &str = r#"{"Reservations":[
  {"Instances":[{"InstanceId":"i-1","State":{"Name":"running"}}]},
  {"Instances":[{"InstanceId":"i-2","State":{"Name":"stopped"}}]}
]}"#;

/// Runs a script as the AWS CLI; the id of the job that it was.
async fn printed(world: &World, body: &str) -> String {
    let _ = world.fake_aws(body).run("aws x").await;
    newest(world).await["id"].as_str().unwrap().to_owned()
}

async fn newest(world: &World) -> serde_json::Value {
    let jobs = world.awsso(&["jobs", "list", "--json"]).await.json();
    jobs["jobs"][0].clone()
}

async fn output(world: &World, job: &str, flags: &[&str]) -> Run {
    world
        .awsso(&[&["jobs", "output", job], flags].concat())
        .await
}

fn cat(text: &str) -> String {
    format!("cat <<'END'\n{text}\nEND")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_is_read_whole_or_in_part() {
    let world = World::logged_in().await;
    let job = printed(&world, "printf 0123456789; printf abc >&2").await;
    let whole = output(&world, &job, &[]).await.code(0);
    assert_eq!((&*whole.stdout, &*whole.stderr), ("0123456789", "abc"));
    for (flags, data) in [
        (&["--stderr"][..], "abc"),
        (&["--offset", "7"], "789"),
        (&["--max", "3"], "012"),
        (&["--offset", "2", "--max", "3"], "234"),
        (&["--offset", "99"], ""),
        (&["--task", "1", "--max", "1"], "0"),
        (&["--account", "111122223333", "--stderr"], "abc"),
    ] {
        let part = output(&world, &job, flags).await.code(0);
        assert_eq!((&*part.stdout, &*part.stderr), (data, ""), "{flags:?}");
    }
    let _ = output(&world, &job, &["--task", "2"])
        .await
        .code(1)
        .says("no such task");
    let _ = output(&world, &job, &["--task", "0"]).await.code(2);
    let _ = output(&world, &job, &["--tail", "1", "--jq", "."])
        .await
        .code(2);
    let _ = output(&world, "job_0", &["--tail", "1"])
        .await
        .code(1)
        .says("there is no output");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_and_those_that_match_are_found() {
    let world = World::logged_in().await;
    let job = printed(&world, "seq 1 200000; echo 'error: disk full' >&2").await;
    for (flags, data) in [
        (&["--tail", "2"][..], "199999\n200000\n"),
        (
            &["--grep", "^1(0{3,5}|9{5})$"],
            "1000\n10000\n100000\n199999\n",
        ),
        (&["--grep", "^-"], ""),
        (&["--grep", "(?i)ERROR", "--stderr"], "error: disk full\n"),
        (&["--grep", "00$", "--max", "9"], "100\n200\n"),
        (&["--tail", "1000", "--max", "9"], "200000\n"),
    ] {
        let answer = output(&world, &job, flags).await.code(0);
        assert_eq!(answer.stdout, data, "{flags:?}");
        let is_cut = answer.stderr.contains("There is more");
        assert_eq!(is_cut, flags.contains(&"--max"), "{flags:?}");
    }
    let _ = output(&world, &job, &["--grep", "a(b"])
        .await
        .code(2)
        .says("the regular expression is wrong: unclosed group");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jq_filter_asks_the_json_that_was_printed() {
    let world = World::logged_in().await;
    let job = printed(&world, &cat(INSTANCES)).await;
    let running = r#".Reservations[].Instances[] | select(.State.Name == "running").InstanceId"#;
    let answer = output(&world, &job, &["--jq", running]).await;
    assert_eq!(answer.ok(), "\"i-1\"\n");
    for (filter, why) in [
        (
            ".Reservations[",
            "the jq filter is wrong: closing bracket is missing",
        ),
        (
            "nonsense",
            "the jq filter is wrong: there is no filter nonsense",
        ),
        (".Reservations.x", "cannot index"),
        ("$ENV", "the jq filter is wrong"),
        ("import \"/etc/passwd\" as $a; $a", "the jq filter is wrong"),
    ] {
        let refused = output(&world, &job, &["--jq", filter])
            .await
            .code(2)
            .says(why);
        assert_eq!(
            (&*refused.stdout, refused.stderr.lines().count()),
            ("", 1),
            "{filter}"
        );
    }
    let text = printed(&world, "echo plain text").await;
    let _ = output(&world, &text, &["--jq", "."])
        .await
        .code(2)
        .says("the output is not JSON");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_never_ends_or_eats_all_memory_is_ended_and_the_daemon_is_well() {
    let world = World::logged_in().await;
    let job = printed(&world, "echo 1").await;
    let daemon = world.daemon_pid().await;
    let (endless, hungry, deep) = tokio::join!(
        output(&world, &job, &["--jq", "last(repeat(1))"]),
        output(&world, &job, &["--jq", "[range(1e9)] | length"]),
        output(&world, &job, &["--jq", "def f: 1 + f; f"]),
    );
    let _ = endless.code(2).says("it took longer than 10 s");
    let _ = hungry.code(2).says("it needs more than 256 MiB of memory");
    let _ = deep.code(2).says("it needs more than 256 MiB of memory");
    let answer = output(&world, &job, &["--jq", ". + 1"]).await;
    assert_eq!(answer.ok(), "2\n");
    assert_eq!(world.daemon_pid().await, daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_tasks_printed_is_asked_task_by_task() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo $AWS_REGION");
    let regions = ["--region", "eu-west-1", "--region", "us-east-1"];
    let _ = finish(with(&aws, &regions), "two regions".to_owned())
        .await
        .code(0);
    let job = newest(&world).await["id"].as_str().unwrap().to_owned();
    let both = output(&world, &job, &["--tail", "1"]).await.ok();
    assert_eq!(both.lines().count(), 2, "{both}");
    let second = output(&world, &job, &["--task", "2"]).await.ok();
    assert_eq!(both.lines().nth(1), second.lines().next());
}

fn with(aws: &FakeAws<'_>, flags: &[&str]) -> tokio::process::Command {
    let mut exec = aws.exec("aws x");
    exec.args(flags);
    exec
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_outputs_are_too_much_the_oldest_go_and_their_jobs_say_so() {
    let world = World::logged_in().await;
    world.configure("[limits]\noutputs_total_bytes = 10000\n");
    let body = "head -c 6000 /dev/zero";
    let first = printed(&world, body).await;
    let second = printed(&world, body).await;
    // Before the third one begins there are two.
    let third = printed(&world, "head -c 100 /dev/zero").await;
    let gone = "is no longer stored";
    for restarted in [false, true] {
        let _ = output(&world, &first, &[]).await.code(1).says(gone);
        let _ = output(&world, &first, &["--tail", "1"])
            .await
            .code(1)
            .says(gone);
        assert_eq!(output(&world, &second, &[]).await.ok().len(), 6000);
        assert_eq!(output(&world, &third, &[]).await.ok().len(), 100);
        let jobs = world.awsso(&["jobs", "list", "--json"]).await.json();
        let jobs = jobs["jobs"].as_array().unwrap();
        let truncated = |at: usize| jobs[at]["tasks"][0]["truncated"].as_bool();
        assert_eq!(
            [truncated(0), truncated(1), truncated(2)].map(Option::unwrap),
            [false, false, true]
        );
        assert!(jobs.iter().all(|job| job["state"] == "succeeded"));
        if !restarted {
            let _ = world.awsso(&["daemon", "restart"]).await.ok();
        }
    }
}
