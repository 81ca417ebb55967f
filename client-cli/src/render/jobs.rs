//! Jobs, their tasks, and what the tasks printed.

use std::{collections::BTreeSet, time::SystemTime};

use awsso_proto::v1::{Job, Task, instant};
use serde::Serialize;

use super::{Rows, time};
use crate::run::Printed;

#[derive(Debug, Serialize)]
pub struct JobsView<'a> {
    jobs: Vec<JobView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView<'a> {
    id: &'a str,
    kind: &'static str,
    state: &'static str,
    started_at: Option<String>,
    ended_at: Option<String>,
    tasks: Vec<TaskView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskView<'a> {
    account_id: &'a str,
    role_name: &'a str,
    region: &'a str,
    instance_id: Option<&'a str>,
    state: &'static str,
    exit_code: Option<i32>,
    truncated: bool,
    #[serde(flatten)]
    output: Option<OutputView<'a>>,
}

/// A job that was left to the daemon.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detached<'a> {
    pub job_id: &'a str,
}

/// A task that has ended, for whoever reads one line after the other.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskLine<'a> {
    job_id: &'a str,
    account_name: &'a str,
    #[serde(flatten)]
    task: TaskView<'a>,
    detail: &'a str,
    other_roles: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputView<'a> {
    pub stdout: String,
    pub stderr: String,
    pub output_id: &'a str,
}

impl<'a> JobsView<'a> {
    pub fn new(jobs: &'a [Job]) -> Self {
        Self {
            jobs: jobs.iter().map(JobView::from).collect(),
        }
    }
}

impl<'a> From<&'a Job> for JobView<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            id: &job.id,
            kind: job.kind().word(),
            state: job.state().word(),
            started_at: time::wire(job.started_at.as_ref()),
            ended_at: time::wire(job.ended_at.as_ref()),
            tasks: job.tasks.iter().map(TaskView::from).collect(),
        }
    }
}

impl<'a> JobView<'a> {
    /// With what each task printed.
    pub fn with_output(job: &'a Job, printed: &[Printed]) -> Self {
        let mut view = Self::from(job);
        for (index, (task, view)) in job.tasks.iter().zip(&mut view.tasks).enumerate() {
            view.output = Some(match printed.get(index) {
                Some(printed) => OutputView::new(&task.output_id, printed),
                None => OutputView::new(&task.output_id, &Printed::default()),
            });
        }
        view
    }
}

impl<'a> From<&'a Task> for TaskView<'a> {
    fn from(task: &'a Task) -> Self {
        Self {
            account_id: &task.account_id,
            role_name: &task.role_name,
            region: &task.region,
            instance_id: Some(task.instance_id.as_str()).filter(|id| !id.is_empty()),
            state: task.state().word(),
            exit_code: task.exit_code,
            truncated: task.truncated,
            output: None,
        }
    }
}

impl<'a> TaskLine<'a> {
    pub fn new(job: &'a Job, task: &'a Task, printed: &Printed) -> Self {
        let mut view = TaskView::from(task);
        view.output = Some(OutputView::new(&task.output_id, printed));
        Self {
            job_id: &job.id,
            account_name: &task.account_name,
            task: view,
            detail: &task.detail,
            other_roles: &task.other_roles,
        }
    }
}

impl<'a> OutputView<'a> {
    pub fn new(output_id: &'a str, printed: &Printed) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&printed.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&printed.stderr).into_owned(),
            output_id,
        }
    }
}

pub fn table(jobs: &[Job], now: SystemTime) -> Rows {
    let mut rows = Rows::new(&["JOB", "KIND", "STATE", "STARTED", "TOOK", "WHERE"]);
    for job in jobs {
        let started = job.started_at.as_ref().and_then(instant);
        let ended = job.ended_at.as_ref().and_then(instant);
        let took = started
            .zip(ended)
            .and_then(|(started, ended)| ended.duration_since(started).ok());
        rows.push([
            job.id.clone(),
            job.kind().word().to_owned(),
            job.state().word().to_owned(),
            started.map_or_else(String::new, |at| time::relative(at, now)),
            took.map_or_else(String::new, time::span),
            place(&job.tasks),
        ]);
    }
    rows
}

/// One row per task.
pub fn csv(jobs: &[Job]) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "kind",
        "state",
        "startedAt",
        "endedAt",
        "accountId",
        "roleName",
        "region",
        "instanceId",
        "taskState",
        "exitCode",
        "truncated",
    ]);
    for job in jobs {
        for task in &job.tasks {
            rows.push([
                job.id.clone(),
                job.kind().word().to_owned(),
                job.state().word().to_owned(),
                time::wire(job.started_at.as_ref()).unwrap_or_default(),
                time::wire(job.ended_at.as_ref()).unwrap_or_default(),
                task.account_id.clone(),
                task.role_name.clone(),
                task.region.clone(),
                task.instance_id.clone(),
                task.state().word().to_owned(),
                task.exit_code
                    .map_or_else(String::new, |code| code.to_string()),
                task.truncated.to_string(),
            ]);
        }
    }
    rows
}

fn place(tasks: &[Task]) -> String {
    let Some(first) = tasks.first() else {
        return String::new();
    };
    let place = format!("{}/{}", first.account_id, first.role_name);
    match tasks {
        [task] if task.instance_id.is_empty() => place,
        [task] => format!("{place} {}", task.instance_id),
        _ if tasks.iter().any(|task| task.account_id != first.account_id) => {
            let accounts: BTreeSet<_> = tasks.iter().map(|task| &task.account_id).collect();
            format!("{} accounts, {} tasks", accounts.len(), tasks.len())
        }
        _ if first.instance_id.is_empty() => format!("{place} {} regions", tasks.len()),
        _ => format!("{place} {} instances", tasks.len()),
    }
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::{JobKind, JobState, TaskState};
    use serde_json::json;

    use super::*;

    fn job() -> Job {
        let mut task = Task {
            account_id: "111122223333".into(),
            role_name: "Admin".into(),
            region: "eu-west-1".into(),
            exit_code: Some(3),
            output_id: "o1".into(),
            ..Task::default()
        };
        task.set_state(TaskState::Failed);
        let mut job = Job {
            id: "j1".into(),
            tasks: vec![task],
            ..Job::default()
        };
        job.set_kind(JobKind::AwsCli);
        job.set_state(JobState::Failed);
        job
    }

    #[test]
    fn a_listed_job_has_the_documented_fields_and_no_output() {
        let jobs = [job()];
        assert_eq!(
            serde_json::to_value(JobsView::new(&jobs)).unwrap(),
            json!({"jobs": [{"id": "j1", "kind": "aws_cli", "state": "failed",
                "startedAt": null, "endedAt": null, "tasks": [{
                    "accountId": "111122223333", "roleName": "Admin", "region": "eu-west-1",
                    "instanceId": null, "state": "failed", "exitCode": 3,
                    "truncated": false}]}]})
        );
    }

    #[test]
    fn a_job_that_was_run_has_its_output_as_text() {
        let printed = [Printed {
            stdout: b"a\xff".to_vec(),
            stderr: b"b".to_vec(),
        }];
        let job = job();
        let value = serde_json::to_value(JobView::with_output(&job, &printed)).unwrap();
        let task = &value["tasks"][0];
        assert_eq!(task["stdout"], "a\u{fffd}");
        assert_eq!(task["stderr"], "b");
        assert_eq!(task["outputId"], "o1");
    }
}
