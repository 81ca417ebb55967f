use std::time::Duration;

use awsso_proto::v1::{Job, JobState};

use super::*;

fn task(account: &str, state: TaskState, exit_code: Option<i32>) -> Task {
    Task {
        account_id: account.into(),
        account_name: format!("team-{account}"),
        role_name: "ReadOnly".into(),
        region: "eu-west-1".into(),
        state: state.into(),
        exit_code,
        output_id: format!("out_{account}"),
        ..Task::default()
    }
}

fn printed(stdout: &str) -> Printed {
    let mut printed = Printed::new(1_000);
    printed.stdout.push(0, stdout.as_bytes());
    printed
}

fn run(state: JobState, tasks: Vec<(Task, &str)>) -> Run {
    let (tasks, outputs): (Vec<_>, Vec<_>) = tasks.into_iter().unzip();
    Run {
        job: Job {
            id: "job_1".into(),
            state: state.into(),
            tasks,
            ..Job::default()
        },
        printed: outputs.into_iter().map(printed).collect(),
        watched: Duration::from_secs(12),
    }
}

#[test]
fn tasks_that_printed_the_same_are_told_once_and_every_one_has_its_row() {
    let good = |account| task(account, TaskState::Succeeded, Some(0));
    let mut denied = task("4", TaskState::Denied, None);
    denied.detail = "you have no role ReadOnly here".into();
    denied.other_roles = vec!["Admin".into()];
    denied.output_id = String::new();
    let run = run(
        JobState::Partial,
        vec![
            (good("1"), "a\n"),
            (good("2"), "b\n"),
            (good("3"), "a\n"),
            (denied, ""),
        ],
    );
    assert_eq!(
        text(&run, 1_000),
        "#  account  result  chars  outputId\n\
         1  team-1 (1)  exit 0  2  out_1\n\
         2  team-2 (2)  exit 0  2  out_2\n\
         3  team-3 (3)  exit 0  2  out_3\n\
         4  team-4 (4)  denied  0  -  you have no role ReadOnly here; other roles: Admin\n\
         == 1, 3\n\
         a\n\
         == 2\n\
         b\n\
         [3 of 4 succeeded | 12 s | role ReadOnly region eu-west-1 | jobId job_1]"
    );
}

#[test]
fn a_job_that_runs_names_its_handle() {
    let run = run(
        JobState::Running,
        vec![
            (task("1", TaskState::Succeeded, Some(0)), "a"),
            (task("2", TaskState::Running, None), ""),
        ],
    );
    let text = text(&run, 1_000);
    assert!(
        text.contains("\n2  team-2 (2)  running  0  out_2\n"),
        "{text}"
    );
    assert!(text.contains("\nstill running: "), "{text}");
    assert!(
        text.ends_with("[1 of 2 done | 12 s | role ReadOnly region eu-west-1 | jobId job_1]"),
        "{text}"
    );
}

#[test]
fn short_outputs_are_whole_and_long_ones_share_the_rest() {
    assert_eq!(shares(&[10, 1_000, 500, 20], 130), [10, 50, 50, 20]);
    assert_eq!(shares(&[5, 5], 100), [5, 5]);
    assert_eq!(shares(&[], 100), [0; 0]);
}

#[test]
fn numbers_in_a_row_are_a_range() {
    assert_eq!(numbers(&[0, 1, 2, 4, 6, 7]), "1-3, 5, 7-8");
}

#[test]
fn of_too_many_rows_those_stay_that_did_not_go_well() {
    let tasks = (0..500).map(|n| {
        let state = if n == 499 {
            TaskState::Failed
        } else {
            TaskState::Succeeded
        };
        (task(&n.to_string(), state, Some(i32::from(n == 499))), "x")
    });
    let text = text(&run(JobState::Partial, tasks.collect()), 1_000);
    assert!(text.contains("\n500  team-499 (499)  exit 1  1  out_499\n"));
    assert!(text.contains("\n(300 more rows are not shown)\n"));
    assert!(text.contains("\n== 1-500\nx\n"), "{text}");
    assert!(text.len() < 10_000, "{}", text.len());
}
