//! How the tasks of one job are told apart, and in few words how they ended.

use std::collections::BTreeSet;

use awsso_proto::v1::{Job, Task, TaskState};

use crate::render::printable;

/// What differs between the tasks of a job.
pub struct Naming {
    accounts: bool,
    roles: bool,
    regions: bool,
    noun: &'static str,
}

impl Naming {
    pub fn of(tasks: &[Task]) -> Self {
        // What is empty was not known, and is no difference.
        let count = |of: fn(&Task) -> &str| {
            let known = tasks.iter().map(of).filter(|value| !value.is_empty());
            known.collect::<BTreeSet<_>>().len()
        };
        let accounts = count(|task| &task.account_id);
        let noun = if tasks.iter().all(|task| !task.instance_id.is_empty()) {
            "instances"
        } else if accounts == tasks.len() {
            "accounts"
        } else {
            "tasks"
        };
        Self {
            accounts: accounts > 1,
            roles: count(|task| &task.role_name) > 1,
            regions: count(|task| &task.region) > 1,
            noun,
        }
    }

    /// What several of them are.
    pub fn noun(&self) -> &'static str {
        self.noun
    }

    /// The task among the others.
    pub fn short(&self, task: &Task) -> String {
        let instance = !task.instance_id.is_empty();
        let parts = [
            (instance, task.instance_id.clone()),
            (self.accounts || !instance, account(task)),
            (self.roles, task.role_name.clone()),
            (self.regions, task.region.clone()),
        ];
        joined(parts)
    }

    /// The task for whoever looks into what went wrong.
    pub fn full(&self, task: &Task) -> String {
        if !task.instance_id.is_empty() {
            return self.short(task);
        }
        let parts = [
            (true, account(task)),
            (true, task.role_name.clone()),
            (true, task.region.clone()),
        ];
        joined(parts)
    }
}

/// `production (111122223333)`
fn account(task: &Task) -> String {
    match task.account_name.as_str() {
        "" => task.account_id.clone(),
        name => format!("{} ({})", printable(name), task.account_id),
    }
}

fn joined<const N: usize>(parts: [(bool, String); N]) -> String {
    let wanted = parts.into_iter().filter(|(wanted, _)| *wanted);
    let told = wanted.map(|(_, part)| part).filter(|part| !part.is_empty());
    told.collect::<Vec<_>>().join(", ")
}

/// `failed, exit 3`
pub fn told(task: &Task) -> String {
    let state = task.state().word();
    match task.exit_code {
        Some(code) => format!("{state}, exit {code}"),
        None => state.to_owned(),
    }
}

/// The whole job in one line.
pub fn summary(job: &Job) -> String {
    let all = job.tasks.len();
    let count = |wanted: fn(TaskState) -> bool| {
        let states = job.tasks.iter().map(Task::state);
        states.filter(|state| wanted(*state)).count()
    };
    let succeeded = count(|state| state == TaskState::Succeeded);
    if all <= 1 {
        return job.state().word().to_owned();
    }
    if job.state().is_final() {
        return format!("{succeeded} of {all} succeeded");
    }
    let done = count(TaskState::is_final);
    let running = count(|state| state == TaskState::Running);
    format!(
        "{done} of {all} done, {} failed, {running} running",
        done - succeeded
    )
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::JobState;

    use super::*;

    fn task(account: &str, region: &str, instance: &str) -> Task {
        Task {
            account_id: account.into(),
            account_name: format!("team-{account}"),
            role_name: "Admin".into(),
            region: region.into(),
            instance_id: instance.into(),
            ..Task::default()
        }
    }

    fn named(tasks: &[Task]) -> (String, &'static str) {
        let naming = Naming::of(tasks);
        (naming.short(&tasks[0]), naming.noun())
    }

    #[test]
    fn a_name_says_what_differs_and_nothing_more() {
        let instances = [task("1", "eu", "i-1"), task("1", "eu", "i-2")];
        assert_eq!(named(&instances), ("i-1".into(), "instances"));
        let everywhere = [task("1", "eu", "i-1"), task("2", "us", "i-2")];
        let told = "i-1, team-1 (1), eu".into();
        assert_eq!(named(&everywhere), (told, "instances"));
        let accounts = [task("1", "eu", ""), task("2", "eu", "")];
        assert_eq!(named(&accounts), ("team-1 (1)".into(), "accounts"));
        let regions = [task("1", "eu", ""), task("1", "us", "")];
        assert_eq!(named(&regions), ("team-1 (1), eu".into(), "tasks"));
        let full = Naming::of(&accounts).full(&accounts[1]);
        assert_eq!(full, "team-2 (2), Admin, eu");
    }

    #[test]
    fn a_job_that_runs_is_told_in_numbers() {
        let states = [
            TaskState::Succeeded,
            TaskState::Failed,
            TaskState::Denied,
            TaskState::Running,
            TaskState::Queued,
        ];
        let tasks = states.map(|state| Task {
            state: state.into(),
            ..Task::default()
        });
        let mut job = Job {
            tasks: tasks.into(),
            ..Job::default()
        };
        job.set_state(JobState::Running);
        assert_eq!(summary(&job), "3 of 5 done, 2 failed, 1 running");
        job.set_state(JobState::Partial);
        assert_eq!(summary(&job), "1 of 5 succeeded");
    }
}
