//! The results of several tasks, in the order of the plan. Tasks that ended alike
//! and printed the same are told once, under one heading.

use std::{borrow::Cow, collections::HashMap};

use awsso_proto::v1::{Job, Task, TaskState};

use super::{
    Printed,
    naming::{Naming, told},
};
use crate::{exit::Stop, terminal};

/// Headings and data on stdout, what came on stderr there.
pub fn print(job: &Job, kept: &[Printed]) -> Result<(), Stop> {
    let naming = Naming::of(&job.tasks);
    for group in alike(&job.tasks, kept) {
        terminal::line(heading(&naming, &job.tasks, &group))?;
        if let Some(printed) = kept.get(group[0]) {
            terminal::data(&ending_its_line(&printed.stdout))?;
            terminal::foreign_stderr(&ending_its_line(&printed.stderr));
        }
    }
    Ok(())
}

/// One line for each task of which a person must know more than its output.
pub fn failures(job: &Job) -> Vec<String> {
    let naming = Naming::of(&job.tasks);
    let mut lines = Vec::new();
    // Those that were cancelled for one reason are many, and there is no more to say.
    let mut cancelled: Vec<(&str, usize)> = Vec::new();
    for task in &job.tasks {
        let state = task.state();
        if state == TaskState::Cancelled {
            match cancelled.iter_mut().find(|(why, _)| *why == task.detail) {
                Some((_, count)) => *count += 1,
                None => cancelled.push((&task.detail, 1)),
            }
        } else if state != TaskState::Succeeded || !task.detail.is_empty() {
            lines.push(failure(&naming, task));
        }
    }
    lines.extend(cancelled.into_iter().map(|(why, count)| match why {
        "" => format!("{count} cancelled"),
        why => format!("{count} cancelled: {why}"),
    }));
    lines
}

fn failure(naming: &Naming, task: &Task) -> String {
    let mut line = format!("{}: {}", naming.full(task), told(task));
    if !task.detail.is_empty() {
        line.push_str(": ");
        line.push_str(&task.detail);
    }
    if task.state() != TaskState::Succeeded && !task.other_roles.is_empty() {
        line.push_str("; other roles in this account: ");
        line.push_str(&task.other_roles.join(", "));
    }
    line
}

/// `== i-0abc (succeeded, exit 0)`, `== 2 accounts (failed, exit 1): dev (1…), prod (2…)`
fn heading(naming: &Naming, tasks: &[Task], group: &[usize]) -> String {
    let how = told(&tasks[group[0]]);
    let names: Vec<_> = group.iter().map(|at| naming.short(&tasks[*at])).collect();
    match &names[..] {
        [only] => format!("== {only} ({how})"),
        several => {
            let (count, noun) = (several.len(), naming.noun());
            format!("== {count} {noun} ({how}): {}", several.join(", "))
        }
    }
}

/// Positions of tasks, each group where its first task is.
fn alike(tasks: &[Task], kept: &[Printed]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known = HashMap::new();
    for (at, task) in tasks.iter().enumerate() {
        let group = known
            .entry((task.state, task.exit_code, kept.get(at)))
            .or_insert(groups.len());
        match groups.get_mut(*group) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// What follows begins a line of its own.
fn ending_its_line(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.last() {
        None | Some(b'\n') => bytes.into(),
        Some(_) => [bytes, b"\n"].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(account: &str, state: TaskState, exit_code: Option<i32>) -> Task {
        Task {
            account_id: account.into(),
            role_name: "Admin".into(),
            region: "eu-west-1".into(),
            state: state.into(),
            exit_code,
            ..Task::default()
        }
    }

    fn printed(stdout: &str) -> Printed {
        Printed {
            stdout: stdout.into(),
            stderr: Vec::new(),
        }
    }

    #[test]
    fn tasks_that_ended_alike_and_printed_the_same_stand_together() {
        let good = |account| task(account, TaskState::Succeeded, Some(0));
        let tasks = [
            good("1"),
            good("2"),
            good("3"),
            task("4", TaskState::Failed, Some(1)),
        ];
        let kept = [printed("a"), printed("b"), printed("a"), printed("a")];
        let groups = alike(&tasks, &kept);
        assert_eq!(groups, [vec![0, 2], vec![1], vec![3]]);
        let naming = Naming::of(&tasks);
        let headings = groups.iter().map(|group| heading(&naming, &tasks, group));
        assert_eq!(
            headings.collect::<Vec<_>>(),
            [
                "== 2 accounts (succeeded, exit 0): 1, 3",
                "== 2 (succeeded, exit 0)",
                "== 4 (failed, exit 1)",
            ]
        );
    }

    #[test]
    fn a_failure_is_told_with_its_place_and_what_would_work_and_those_cancelled_are_counted() {
        let mut denied = task("1", TaskState::Denied, None);
        denied.detail = "you have no role Admin here".into();
        denied.other_roles = vec!["Audit".into(), "ReadOnly".into()];
        let mut idle = task("3", TaskState::Cancelled, None);
        idle.detail = "not begun".into();
        let tasks = vec![
            denied,
            task("2", TaskState::Failed, Some(254)),
            idle.clone(),
            idle,
            task("5", TaskState::Succeeded, Some(0)),
        ];
        let job = Job {
            tasks,
            ..Job::default()
        };
        assert_eq!(
            failures(&job),
            [
                "1, Admin, eu-west-1: denied: you have no role Admin here; \
                 other roles in this account: Audit, ReadOnly",
                "2, Admin, eu-west-1: failed, exit 254",
                "2 cancelled: not begun",
            ]
        );
    }
}
