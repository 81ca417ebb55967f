//! What an MCP client and the daemon see of each other through the shim.

use crate::fake_daemon::{Asked, FakeDaemon};
use crate::shim::{Home, Shim, initialize, text};
use awsso_proto::v1::{ClientKind, start_job_request::Work};
use serde_json::{Value, json};

pub(crate) fn both() -> (FakeDaemon, Shim, Home) {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let shim = Shim::initialized(&home);
    (daemon, shim, home)
}

fn exec(command: &str) -> Value {
    json!({
        "name": "aws_sso_exec_command",
        "arguments": {"accountId": "production", "roleName": "ReadOnly", "command": command},
    })
}

fn run(shim: &mut Shim, command: &str) -> Value {
    shim.request("tools/call", exec(command))["result"].take()
}

fn cancelled_job(daemon: &FakeDaemon) -> String {
    loop {
        if let Asked::Cancel(id) = daemon.asked() {
            return id;
        }
    }
}

#[test]
fn a_command_goes_to_the_daemon_with_what_it_needs_and_comes_back_as_text() {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut command = home.command();
    command
        .env("AWS_SSO_START_URL", "https://corp.awsapps.com/start")
        .env("AWS_SSO_REGION", "us-east-1")
        .env("AWS_REGION", "eu-west-1")
        .env("LANG", "C.UTF-8")
        .env("AWS_SECRET_ACCESS_KEY", "wJalr");
    let mut shim = Shim::new(command);
    shim.request("initialize", initialize("2025-11-25"));
    let result = run(&mut shim, "aws s3 ls");
    assert!(
        text(&result).starts_with("aws s3 ls\n[exit 0 | "),
        "{result}"
    );
    assert!(
        text(&result).ends_with(
            " s | account 111122223333 (production) role ReadOnly region eu-west-1 | outputId out_1]"
        ),
        "{result}"
    );
    assert_eq!(result["isError"], false);
    assert!(result["structuredContent"].is_null());

    let Asked::Hello(hello) = daemon.asked() else {
        panic!("the handshake comes first")
    };
    assert_eq!(hello.kind(), ClientKind::Shim);
    assert_eq!(hello.client_name, "test-client/1.0");
    let request = daemon.started();
    let target = request.target.unwrap();
    assert_eq!(
        (target.account.as_str(), target.role.as_str()),
        ("production", "ReadOnly")
    );
    assert_eq!(target.region, "eu-west-1");
    let session = target.session.unwrap();
    assert_eq!(session.start_url, "https://corp.awsapps.com/start");
    assert_eq!(session.sso_region, "us-east-1");
    let Some(Work::AwsCli(work)) = request.work else {
        panic!("an AWS CLI command")
    };
    assert_eq!(work.environment["LANG"], "C.UTF-8");
    assert!(!work.environment.contains_key("AWS_SECRET_ACCESS_KEY"));
    assert!(work.working_directory.starts_with('/'));
}

#[test]
fn what_is_to_be_a_read_says_so_to_the_daemon() {
    let (daemon, mut shim, _home) = both();
    let command = json!({"accountId": "1", "roleName": "r", "args": ["s3", "ls"]});
    for (tool, read_only) in [
        ("aws_sso_read_command", true),
        ("aws_sso_exec_command", false),
    ] {
        let result = shim.call(tool, command.clone());
        assert!(
            text(&result).starts_with("aws s3 ls\n[exit 0 | "),
            "{result}"
        );
        assert_eq!(daemon.started().read_only, read_only, "{tool}");
    }
}

#[test]
fn a_shell_command_goes_to_its_instance() {
    let (daemon, mut shim, _home) = both();
    let result = shim.call(
        "aws_sso_ec2_exec_command",
        json!({
            "instanceId": "i-1", "accountId": "1", "roleName": "r",
            "command": "uptime && df -h", "timeoutSeconds": 90,
        }),
    );
    assert!(
        text(&result).starts_with("uptime && df -h\n[exit 0"),
        "{result}"
    );
    let request = daemon.started();
    assert_eq!(request.time_limit.unwrap().seconds, 90);
    let Some(Work::Ssm(work)) = request.work else {
        panic!("an SSM command")
    };
    assert_eq!(work.instance_ids, ["i-1"]);
}

#[test]
fn a_huge_output_is_cut_and_says_where_all_of_it_is() {
    let (_daemon, mut shim, _home) = both();
    let result = run(&mut shim, "aws big");
    let text = text(&result);
    assert!(text.chars().count() < 20_300);
    assert!(
        text.ends_with(
            "| 20,000 of 3,000,000 chars shown | outputId out_1 | nextOffset 20000 \
             | file /state/outputs/out_1.stdout]"
        ),
        "{}",
        &text[text.len() - 300..]
    );
}

#[test]
fn a_denied_command_is_an_error_that_names_other_roles() {
    let (_daemon, mut shim, _home) = both();
    let result = run(&mut shim, "aws denied");
    assert_eq!(result["isError"], true);
    assert!(
        text(&result).contains("Other roles in this account: Admin."),
        "{result}"
    );
    assert!(text(&result).contains("[denied, exit 254 | "), "{result}");
}

#[test]
fn a_cancelled_call_cancels_its_job_and_gets_no_answer() {
    let (daemon, mut shim, _home) = both();
    let id = shim.send("tools/call", exec("aws hang"));
    daemon.started();
    shim.notify(
        "notifications/cancelled",
        &json!({"requestId": id, "reason": "enough"}),
    );
    assert_eq!(cancelled_job(&daemon), "job_1");
    let ping = shim.send("ping", json!({}));
    assert_eq!(shim.read()["id"], ping);
}

#[test]
fn a_command_that_takes_longer_answers_with_a_handle_and_is_read_on() {
    let (daemon, mut shim, _home) = both();
    let mut slow = exec("aws hang");
    slow["arguments"]["waitSeconds"] = 0.into();
    let begun = shim.request("tools/call", slow)["result"].take();
    assert_eq!(begun["isError"], false);
    assert!(text(&begun).contains("| jobId job_1 |"), "{begun}");

    let job = shim.call("aws_sso_job", json!({"jobId": "job_1"}));
    assert!(text(&job).starts_with("working\nstill running"), "{job}");
    let waiting = shim.send(
        "tools/call",
        json!({"name": "aws_sso_job", "arguments": {"jobId": "job_1", "action": "wait"}}),
    );
    shim.request("ping", json!({}));
    daemon.finish("job_1");
    let ended = shim.answer(waiting)["result"].take();
    assert!(text(&ended).starts_with("working\n[exit 0 | "), "{ended}");
}

#[test]
fn a_call_that_only_waits_leaves_its_job_alone_when_it_is_cancelled() {
    let (daemon, mut shim, _home) = both();
    let mut slow = exec("aws hang");
    slow["arguments"]["waitSeconds"] = 0.into();
    shim.request("tools/call", slow);
    daemon.started();
    let waiting = shim.send(
        "tools/call",
        json!({"name": "aws_sso_job", "arguments": {"jobId": "job_1", "action": "wait"}}),
    );
    daemon.watched();
    shim.notify("notifications/cancelled", &json!({"requestId": waiting}));
    let job = shim.call("aws_sso_job", json!({"jobId": "job_1"}));
    assert!(text(&job).contains("[running | "), "{job}");

    let cancelled = shim.call("aws_sso_job", json!({"jobId": "job_1", "action": "cancel"}));
    assert!(text(&cancelled).contains("[cancelled | "), "{cancelled}");
    assert_eq!(cancelled_job(&daemon), "job_1");
}

#[test]
fn an_unknown_handle_is_a_tool_error_that_says_so() {
    let (_daemon, mut shim, _home) = both();
    for (tool, arguments) in [
        ("aws_sso_job", json!({"jobId": "job_9"})),
        ("aws_sso_job", json!({"jobId": "job_9", "action": "cancel"})),
        ("aws_sso_output", json!({"outputId": "out_9"})),
    ] {
        let result = shim.call(tool, arguments);
        assert_eq!(result["isError"], true);
        assert!(text(&result).starts_with("NOT_FOUND: no such "), "{result}");
        assert!(text(&result).contains("run the command again"), "{result}");
    }
}

#[test]
fn several_accounts_are_one_call_and_one_table() {
    let (daemon, mut shim, _home) = both();
    let result = shim.call(
        "aws_sso_exec_command",
        json!({
            "accounts": ["111122223333", "444455556666"], "roles": ["Audit", "ReadOnly"],
            "args": ["s3", "ls", "s3://a bucket"],
        }),
    );
    assert!(
        text(&result).starts_with(
            "#  account  result  chars  outputId\n\
             1  111122223333  exit 0  26  out_1\n\
             2  444455556666  exit 0  26  out_1\n\
             == 1-2\n\
             aws s3 ls 's3://a bucket'\n\
             [2 of 2 succeeded | "
        ),
        "{result}"
    );
    let request = daemon.started();
    let selection = request.selection.unwrap();
    assert!(request.target.is_none());
    assert_eq!(selection.roles, ["Audit", "ReadOnly"]);
    let both = shim.call(
        "aws_sso_exec_command",
        json!({"accountId": "1", "accounts": ["2"], "roleName": "r", "command": "aws x"}),
    );
    assert!(
        text(&both).starts_with("INVALID_ARGUMENT: give accountId or accounts, not both"),
        "{both}"
    );
}

#[test]
fn many_instances_are_named_by_id_or_tag() {
    let (daemon, mut shim, _home) = both();
    let common = json!({"accountId": "1", "roleName": "r", "command": "id"});
    let with = |more: &Value| {
        let mut arguments = common.clone();
        for (name, value) in more.as_object().unwrap() {
            arguments[name] = value.clone();
        }
        arguments
    };
    let tagged = with(&json!({
        "targets": ["tag:Role=web,db"], "shell": "sh", "strict": true, "workingDirectory": "/srv",
    }));
    assert_eq!(
        shim.call("aws_sso_ec2_exec_command", tagged)["isError"],
        false
    );
    let Some(Work::Ssm(work)) = daemon.started().work else {
        panic!("an SSM command")
    };
    assert_eq!(work.targets[0].values, ["web", "db"]);
    assert_eq!((work.shell.as_str(), work.strict), ("sh", true));
    assert_eq!(work.working_directory, "/srv");
    for wrong in [
        json!({}),
        json!({"instanceId": "i-1", "instanceIds": ["i-2"]}),
        json!({"targets": ["Role=web"]}),
        json!({"instanceId": "i-1", "shell": "zsh"}),
        json!({"instanceIds": []}),
        json!({"instanceIds": "i-1"}),
    ] {
        let result = shim.call("aws_sso_ec2_exec_command", with(&wrong));
        assert!(text(&result).starts_with("INVALID_ARGUMENT: "), "{result}");
    }
}

#[test]
fn an_output_is_read_in_parts_or_asked_a_question() {
    let (_daemon, mut shim, _home) = both();
    run(&mut shim, "aws big");
    let read = |shim: &mut Shim, more: Value| {
        let mut arguments = more;
        arguments["outputId"] = "out_1".into();
        shim.call("aws_sso_output", arguments)
    };
    let part = read(&mut shim, json!({"offset": 20_000, "maxChars": 100}));
    assert!(text(&part).starts_with("123456789\n"), "{part}");
    assert!(
        text(&part).ends_with("\n[bytes 20000 to 20100 of 3000000 | nextOffset 20100]"),
        "{part}"
    );
    let last = read(&mut shim, json!({"offset": 3_000_000}));
    assert_eq!(
        text(&last),
        "(nothing)\n[bytes 3000000 to 3000000 of 3000000]"
    );
    let tail = read(&mut shim, json!({"tail": 3}));
    assert!(text(&tail).starts_with("the last 3\n["), "{tail}");
    let grep = read(&mut shim, json!({"grep": "x", "stream": "stderr"}));
    assert!(text(&grep).starts_with("lines with x\n["), "{grep}");
    let toon = read(&mut shim, json!({"jq": ".", "format": "toon"}));
    assert!(
        text(&toon).starts_with("[3]{a}:\n  1\n  2\n  3\n["),
        "{toon}"
    );
    let two = read(&mut shim, json!({"jq": ".", "tail": 1}));
    assert!(
        text(&two).starts_with("INVALID_ARGUMENT: give one of"),
        "{two}"
    );
}

#[test]
fn a_filter_is_applied_before_anything_is_cut() {
    let (_daemon, mut shim, _home) = both();
    let mut filtered = exec("aws big");
    filtered["arguments"]["filter"] = ".".into();
    filtered["arguments"]["format"] = "toon".into();
    let result = shim.request("tools/call", filtered)["result"].take();
    assert!(
        text(&result).starts_with("[3]{a}:\n  1\n  2\n  3\n[exit 0 | "),
        "{result}"
    );
}

#[test]
fn a_call_with_a_token_is_told_that_it_goes_on() {
    let (daemon, mut shim, _home) = both();
    let mut slow = exec("aws hang");
    slow["_meta"] = json!({"progressToken": "t-1"});
    shim.send("tools/call", slow);
    let progress = shim.read();
    assert_eq!(progress["method"], "notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "t-1");
    assert_eq!(progress["params"]["message"], "5 s: working");
    daemon.finish("job_1");
    assert_eq!(shim.read()["result"]["isError"], false);
}

#[test]
fn a_logout_is_confirmed() {
    let (daemon, mut shim, _home) = both();
    daemon.log_in();
    let careless = shim.call("aws_sso_logout", json!({"confirm": false}));
    assert!(
        text(&careless).starts_with("INVALID_ARGUMENT: confirm"),
        "{careless}"
    );
    let done = shim.call("aws_sso_logout", json!({"confirm": true}));
    assert_eq!(done["structuredContent"], json!({"sessions": ["corp"]}));
    assert_eq!(text(&done), "Logged out of corp.");
}

#[test]
fn resources_tell_what_the_tools_tell() {
    let (daemon, mut shim, _home) = both();
    daemon.log_in();
    run(&mut shim, "aws s3 ls");
    let listed = shim.request("resources/list", json!({}));
    let uris: Vec<_> = listed["result"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["uri"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(uris, ["aws-sso://status", "aws-sso://accounts"]);
    for (uri, part) in [
        ("aws-sso://status", "corp: active"),
        ("aws-sso://accounts", "production"),
        ("aws-sso://output/out_1", "aws s3 ls\n[bytes 0 to 10 of 10]"),
        ("aws-sso://jobs/job_1", "[exit 0 | "),
    ] {
        let read = shim.request("resources/read", json!({"uri": uri}));
        let text = read["result"]["contents"][0]["text"].as_str().unwrap();
        assert!(text.contains(part), "{read}");
    }
    for uri in ["aws-sso://jobs/job_9", "aws-sso://nothing"] {
        let read = shim.request("resources/read", json!({"uri": uri}));
        assert_eq!(read["error"]["code"], -32002, "{read}");
    }
}

#[test]
fn prompts_are_written_and_their_arguments_completed() {
    let (daemon, mut shim, _home) = both();
    daemon.log_in();
    let listed = shim.request("prompts/list", json!({}));
    assert_eq!(listed["result"]["prompts"].as_array().unwrap().len(), 3);
    let prompt = shim.request(
        "prompts/get",
        json!({
            "name": "aws_investigate",
            "arguments": {"account": "production", "role": "ReadOnly", "question": "who pays?"},
        }),
    );
    let text = prompt["result"]["messages"][0]["content"]["text"].as_str();
    assert!(text.unwrap().contains("who pays?"), "{prompt}");
    let completed = shim.request(
        "completion/complete",
        json!({
            "ref": {"type": "ref/prompt", "name": "aws_investigate"},
            "argument": {"name": "role", "value": "read"},
            "context": {"arguments": {"account": "production"}},
        }),
    );
    assert_eq!(
        completed["result"]["completion"]["values"],
        json!(["ReadOnly"])
    );
}

#[test]
fn a_client_that_goes_away_takes_its_job_with_it() {
    let (daemon, mut shim, _home) = both();
    shim.send("tools/call", exec("aws hang"));
    daemon.started();
    assert_eq!(shim.end(), Some(0));
    assert_eq!(cancelled_job(&daemon), "job_1");
}

#[test]
fn a_call_after_the_daemon_was_restarted_goes_through() {
    let (daemon, mut shim, _home) = both();
    run(&mut shim, "aws s3 ls");
    daemon.hang_up();
    assert_eq!(run(&mut shim, "aws s3 ls")["isError"], false);
    daemon.hang_up();
    assert_eq!(shim.call("aws_sso_status", json!({}))["isError"], false);
}

#[test]
fn a_command_that_outlives_its_daemon_is_watched_to_its_end() {
    let (daemon, mut shim, _home) = both();
    let id = shim.send("tools/call", exec("aws hang"));
    daemon.watched();
    daemon.hang_up();
    daemon.finish("job_1");
    let answer = shim.answer(id);
    assert!(
        text(&answer["result"]).starts_with("working\n[exit 0"),
        "{answer}"
    );
    assert!(daemon.is_idle(), "the command was started once");
}

#[test]
fn commands_beyond_the_limit_wait_for_their_turn() {
    let (daemon, mut shim, _home) = both();
    let ids: Vec<_> = (0..17)
        .map(|_| shim.send("tools/call", exec("aws hang")))
        .collect();
    for _ in 0..16 {
        daemon.started();
    }
    // The shim has read all calls by now, and has had its chance to start one more.
    shim.request("ping", json!({}));
    shim.call("aws_sso_status", json!({}));
    assert!(daemon.is_idle(), "a seventeenth command was started");
    daemon.finish("job_1");
    daemon.started();
    for job in 2..=17 {
        daemon.finish(&format!("job_{job}"));
    }
    let mut answered: Vec<_> = ids
        .iter()
        .map(|_| shim.read()["id"].as_u64().unwrap())
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
}

#[test]
fn accounts_are_listed_with_the_last_word_on_their_roles() {
    let (daemon, mut shim, _home) = both();
    let refused = shim.call("aws_sso_ls_accounts", json!({}));
    assert_eq!(
        text(&refused),
        "LOGIN_REQUIRED: nobody is logged in\nCall aws_sso_login (session corp), then call this again."
    );
    daemon.log_in();
    let listed = shim.call("aws_sso_ls_accounts", json!({"filter": "PROD"}));
    assert_eq!(
        listed["structuredContent"]["accounts"],
        json!([{
            "accountId": "111122223333",
            "accountName": "production",
            "emailAddress": "prod@corp.example",
            "roles": ["ReadOnly"],
        }])
    );
}
