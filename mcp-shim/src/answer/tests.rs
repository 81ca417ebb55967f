use awsso_proto::v1::{Job, JobState, Problem, Task, TaskState};
use rmcp::model::CallToolResult;

use super::*;
use crate::{
    output::Head,
    run::{Printed, Run},
};

fn task() -> Task {
    Task {
        account_id: "111122223333".into(),
        account_name: "production".into(),
        role_name: "ReadOnly".into(),
        region: "eu-west-1".into(),
        state: TaskState::Succeeded.into(),
        exit_code: Some(0),
        started_at: Some(Timestamp {
            seconds: 100,
            nanos: 0,
        }),
        ended_at: Some(Timestamp {
            seconds: 101,
            nanos: 200_000_000,
        }),
        output_id: "out_1".into(),
        output_path: "/state/outputs/out_1".into(),
        ..Task::default()
    }
}

fn ended(task: Task, stdout: &str, stderr: &str) -> Run {
    let head = |text: &str| {
        let mut head = Head::new(100);
        head.push(0, text.as_bytes());
        head
    };
    Run {
        job: Job {
            id: "job_1".into(),
            state: JobState::Succeeded.into(),
            tasks: vec![task],
            ..Job::default()
        },
        printed: vec![Printed {
            stdout: head(stdout),
            stderr: head(stderr),
            reshaped: None,
        }],
        watched: Duration::from_secs(45),
    }
}

fn text_of(result: &CallToolResult) -> String {
    let content = serde_json::to_value(&result.content).unwrap();
    content[0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_command_that_went_well_shows_its_output_and_one_line() {
    let result = run(&ended(task(), "bucket\n", ""), 100);
    assert_eq!(
        text_of(&result),
        "bucket\n[exit 0 | 1.2 s | account 111122223333 (production) role ReadOnly region eu-west-1 | outputId out_1]"
    );
    assert_eq!(result.is_error, Some(false));
    assert_eq!(result.structured_content, None);
}

#[test]
fn a_failed_command_is_an_error_with_the_same_layout() {
    let task = Task {
        state: TaskState::Failed.into(),
        exit_code: Some(254),
        ..task()
    };
    let result = run(&ended(task, "part", "no such bucket\n"), 100);
    assert!(text_of(&result).starts_with("part\n[stderr]\nno such bucket\n[exit 254 | 1.2 s | "));
    assert_eq!(result.is_error, Some(true));
}

#[test]
fn a_denied_command_names_the_other_roles() {
    let task = Task {
        state: TaskState::Denied.into(),
        exit_code: Some(254),
        other_roles: vec!["Admin".into(), "Audit".into()],
        ..task()
    };
    let text = text_of(&run(&ended(task, "", "AccessDenied"), 100));
    assert!(
        text.contains("Other roles in this account: Admin, Audit. Try again with one of them.\n")
    );
    assert!(text.contains("[denied, exit 254 | "));
}

#[test]
fn a_cut_answer_says_so_and_where_the_rest_is() {
    let text = text_of(&run(&ended(task(), &"line\n".repeat(1_000), ""), 20));
    assert!(
        text.starts_with("line\nline\nline\nline\n[exit 0"),
        "{text}"
    );
    assert!(
        text.ends_with(
            "| 20 of 5,000 chars shown | outputId out_1 | nextOffset 20 | file /state/outputs/out_1.stdout]"
        ),
        "{text}"
    );
}

#[test]
fn a_cut_answer_links_the_whole_output() {
    let link = |stdout: &str| {
        let result = run(&ended(task(), stdout, ""), 20);
        let content = serde_json::to_value(&result.content).unwrap();
        content[1]["uri"].as_str().map(str::to_owned)
    };
    let uri = "aws-sso://output/out_1";
    assert_eq!(link(&"line\n".repeat(9)).as_deref(), Some(uri));
    assert_eq!(link("line\n"), None);
}

#[test]
fn a_filtered_output_stands_in_place_of_what_was_printed() {
    let mut filtered = ended(task(), &"long\n".repeat(1_000), "");
    filtered.printed[0].reshaped = Some(Ok("[1]: x".into()));
    let text = text_of(&run(&filtered, 100));
    assert!(text.starts_with("[1]: x\n[exit 0 | "), "{text}");
    assert!(!text.contains("chars shown"), "{text}");

    let mut wrong = ended(task(), "no JSON\n", "");
    let failure = Failure::new(Reason::InvalidArgument, "this is no JSON");
    wrong.printed[0].reshaped = Some(Err(failure));
    let text = text_of(&run(&wrong, 100));
    assert!(
        text.starts_with("no JSON\nfilter not applied: this is no JSON\n[exit 0"),
        "{text}"
    );
}

#[test]
fn a_long_stdout_leaves_room_for_stderr() {
    let text = text_of(&run(&ended(task(), &"o".repeat(500), "why it failed"), 100));
    assert!(text.contains("\n[stderr]\nwhy it failed\n["), "{text}");
    assert!(text.contains("100 of 513 chars shown"), "{text}");
}

#[test]
fn a_running_command_is_no_error_and_names_its_job() {
    let mut run_so_far = ended(
        Task {
            state: TaskState::Running.into(),
            exit_code: None,
            ended_at: None,
            ..task()
        },
        "so far\n",
        "",
    );
    run_so_far.job.state = JobState::Running.into();
    let result = run(&run_so_far, 100);
    let text = text_of(&result);
    assert!(text.starts_with("so far\nstill running"), "{text}");
    assert!(text.contains("[running | 45 s | account"), "{text}");
    assert!(text.contains("| jobId job_1 |"), "{text}");
    assert!(text.contains("Call aws_sso_job with jobId job_1"), "{text}");
    assert_eq!(result.is_error, Some(false));
}

#[test]
fn an_instance_and_its_fate_stand_in_the_trailer() {
    let task = Task {
        instance_id: "i-0a69e80761897dcce".into(),
        state: TaskState::Undeliverable.into(),
        exit_code: None,
        detail: "the agent is not connected".into(),
        ..task()
    };
    let text = text_of(&run(&ended(task, "", ""), 100));
    assert!(
        text.contains(
            "[undeliverable | 1.2 s | instance i-0a69e80761897dcce account 111122223333 "
        ),
        "{text}"
    );
    assert!(text.contains("| the agent is not connected |"), "{text}");
}

#[test]
fn a_job_that_could_not_go_on_says_why_and_what_to_do() {
    let mut failed = ended(Task::default(), "", "");
    failed.job.state = JobState::Failed.into();
    failed.job.problem = Some(Problem {
        reason: "LOGIN_EXPIRED".into(),
        message: "the session has ended".into(),
        ..Problem::default()
    });
    let result = run(&failed, 100);
    assert!(
        text_of(&result).starts_with("LOGIN_EXPIRED: the session has ended\nCall aws_sso_login"),
    );
    assert_eq!(result.is_error, Some(true));
}

#[test]
fn every_failure_is_text_with_a_next_step() {
    for reason in (0..).map_while(|number| Reason::try_from(number).ok()) {
        let result = failure(&Failure::new(reason, "why"));
        let text = text_of(&result);
        assert!(
            text.starts_with(&format!("{}: why\n", reason.name())),
            "{text}"
        );
        assert!(
            text.lines().count() == 2 && text.ends_with(['.', ')']),
            "{text}"
        );
        assert_eq!(result.is_error, Some(true));
        assert_eq!(result.structured_content, None);
    }
}

#[test]
fn a_denial_lists_the_roles_that_would_work() {
    let denied = Failure::new(Reason::AccessDenied, "no").with(key::ROLES, "ReadOnly,Admin");
    assert!(failure_text(&denied).contains("ReadOnly, Admin"));
}

#[test]
fn a_throttled_call_says_when_to_come_back() {
    let throttled =
        Failure::new(Reason::Throttled, "slow down").retry_after(Some(Duration::from_secs(12)));
    assert!(failure_text(&throttled).contains("in 12 s"));
}
