//! A job as it would be: where each task would run, as whom, and where nothing
//! would.

use awsso_proto::v1::{Job, Task, TaskState};
use serde::Serialize;

use super::Rows;
use crate::{exit::Stop, terminal};

#[derive(Debug, Serialize)]
struct PlanView<'a> {
    kind: &'static str,
    tasks: Vec<TaskView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskView<'a> {
    account_id: &'a str,
    account_name: &'a str,
    /// None where there is no role to act as.
    role_name: Option<&'a str>,
    region: &'a str,
    instance_id: Option<&'a str>,
    /// `queued`, or how it would end at once.
    state: &'static str,
    detail: &'a str,
    other_roles: &'a [String],
}

pub fn print(job: &Job, json: bool) -> Result<(), Stop> {
    if json {
        return terminal::json(&PlanView::from(job));
    }
    terminal::data(table(job).into_table().as_bytes())?;
    terminal::say(format_args!("{}; nothing was started", summary(job)));
    Ok(())
}

fn table(job: &Job) -> Rows {
    let mut rows = Rows::new(&["ACCOUNT", "NAME", "ROLE", "REGION", "INSTANCE", "NOTE"]);
    for task in &job.tasks {
        let note = match (task.state(), task.detail.as_str()) {
            (TaskState::Queued, detail) => detail.to_owned(),
            (state, "") => state.word().to_owned(),
            (state, detail) => format!("{}: {detail}", state.word()),
        };
        rows.push([
            task.account_id.clone(),
            task.account_name.clone(),
            task.role_name.clone(),
            task.region.clone(),
            task.instance_id.clone(),
            note,
        ]);
    }
    rows
}

fn summary(job: &Job) -> String {
    let would_run = |task: &&Task| task.state() == TaskState::Queued;
    let runs = job.tasks.iter().filter(would_run).count();
    match job.tasks.len() - runs {
        0 => format!("{runs} would run"),
        not => format!("{runs} would run, {not} would not"),
    }
}

impl<'a> From<&'a Job> for PlanView<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            kind: job.kind().word(),
            tasks: job.tasks.iter().map(TaskView::from).collect(),
        }
    }
}

impl<'a> From<&'a Task> for TaskView<'a> {
    fn from(task: &'a Task) -> Self {
        Self {
            account_id: &task.account_id,
            account_name: &task.account_name,
            role_name: Some(task.role_name.as_str()).filter(|name| !name.is_empty()),
            region: &task.region,
            instance_id: Some(task.instance_id.as_str()).filter(|id| !id.is_empty()),
            state: task.state().word(),
            detail: &task.detail,
            other_roles: &task.other_roles,
        }
    }
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::JobKind;
    use serde_json::json;

    use super::*;

    fn plan() -> Job {
        let good = Task {
            account_id: "111122223333".into(),
            account_name: "prod".into(),
            role_name: "Admin".into(),
            region: "eu-west-1".into(),
            state: TaskState::Queued.into(),
            ..Task::default()
        };
        let bad = Task {
            account_name: "dev".into(),
            role_name: String::new(),
            state: TaskState::Denied.into(),
            detail: "you have no role Admin here".into(),
            other_roles: vec!["Audit".into()],
            ..good.clone()
        };
        let mut job = Job {
            tasks: vec![good, bad],
            ..Job::default()
        };
        job.set_kind(JobKind::AwsCli);
        job
    }

    #[test]
    fn a_plan_says_where_it_would_run_and_where_not() {
        let text = table(&plan()).into_table();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].ends_with("prod  Admin  eu-west-1"), "{text}");
        assert!(
            lines[2].ends_with("denied: you have no role Admin here"),
            "{text}"
        );
        assert_eq!(summary(&plan()), "1 would run, 1 would not");
    }

    #[test]
    fn a_program_reads_the_same() {
        let value = serde_json::to_value(PlanView::from(&plan())).unwrap();
        assert_eq!(value["kind"], "aws_cli");
        assert_eq!(
            value["tasks"][1],
            json!({"accountId": "111122223333", "accountName": "dev", "roleName": null,
                "region": "eu-west-1", "instanceId": null, "state": "denied",
                "detail": "you have no role Admin here", "otherRoles": ["Audit"]})
        );
    }
}
