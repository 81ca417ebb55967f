//! A job that has ended: what is still to be printed, what a person must know,
//! and which exit code stands for it.

use std::borrow::Cow;

use awsso_proto::v1::{Job, JobState, Task, TaskState};

use super::Printed;
use crate::{
    exit::{self, Family, Stop},
    render::jobs::JobView,
    terminal,
};

/// A job that has ended, and the output that is not printed yet.
pub struct Ended {
    pub(super) job: Job,
    pub(super) kept: Vec<Printed>,
    /// A person asked for the end of the job.
    pub(super) cancelled: bool,
}

impl Ended {
    /// Prints what is not printed yet, and says what a person must know.
    pub fn print(&self, json: bool) -> Result<(), Stop> {
        if json {
            terminal::json(&JobView::with_output(&self.job, &self.kept))?;
        } else if let [_, _, ..] = self.job.tasks.as_slice() {
            self.print_each()?;
        } else if let Some(printed) = self.kept.first() {
            printed.print()?;
        }
        self.explain();
        Ok(())
    }

    fn print_each(&self) -> Result<(), Stop> {
        for (index, task) in self.job.tasks.iter().enumerate() {
            terminal::line(heading(task))?;
            if let Some(printed) = self.kept.get(index) {
                terminal::data(&ending_its_line(&printed.stdout))?;
                terminal::foreign_stderr(&ending_its_line(&printed.stderr));
            }
        }
        Ok(())
    }

    fn explain(&self) {
        let tasks = self.job.tasks.as_slice();
        match (&self.job.problem, tasks) {
            (Some(problem), _) => exit::tell(&exit::failure_of(problem)),
            (None, []) => terminal::complain("there was nothing to run it on"),
            (None, [task]) => {
                if let Some(told) = complaint(task) {
                    terminal::complain(told);
                }
            }
            (None, _) => {
                for task in tasks.iter().filter(|task| !task.detail.is_empty()) {
                    terminal::say(format_args!("{}: {}", task.instance_id, task.detail));
                }
                terminal::say(summary(&self.job));
            }
        }
        for task in tasks {
            if task.state() != TaskState::Succeeded && !task.other_roles.is_empty() {
                terminal::say(format_args!(
                    "  AWS denied it; other roles in this account: {}",
                    task.other_roles.join(", ")
                ));
            }
            if task.truncated {
                terminal::say(format_args!(
                    "  the output is not whole; what is stored: awsso jobs output {}",
                    task.output_id
                ));
            }
        }
    }

    /// The code of a command that stands for what was run.
    pub fn exit_code(&self) -> u8 {
        let stopped = |task: &Task| task.state() == TaskState::Cancelled;
        if self.cancelled
            && (self.job.state() == JobState::Cancelled || self.job.tasks.iter().any(stopped))
        {
            return exit::INTERRUPTED;
        }
        match self.job.tasks.as_slice() {
            [] => self.problem_code(),
            [task] => own_code(task).unwrap_or_else(|| self.problem_code()),
            tasks => match succeeded(tasks) {
                0 => exit::FAILED,
                all if all == tasks.len() => exit::OK,
                _ => exit::SOME_SUCCEEDED,
            },
        }
    }

    /// The code of a command that only tells how it ended.
    pub fn outcome(&self) -> u8 {
        if self.job.state() == JobState::Succeeded {
            exit::OK
        } else {
            exit::FAILED
        }
    }

    fn problem_code(&self) -> u8 {
        let problem = self.job.problem.as_ref();
        problem.map_or(exit::RUN_FAILED, |problem| {
            exit::code(exit::failure_of(problem).reason, Family::Runs)
        })
    }
}

/// The child's own code; 0 stands for success and for nothing else.
fn own_code(task: &Task) -> Option<u8> {
    match (task.state(), task.exit_code) {
        (TaskState::Succeeded, code) => Some(code.map_or(exit::OK, low_byte)),
        (_, Some(code)) => Some(low_byte(code)).filter(|code| *code != exit::OK),
        (_, None) => None,
    }
}

/// What a parent sees of an exit code.
fn low_byte(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

fn succeeded(tasks: &[Task]) -> usize {
    let done = |task: &&Task| task.state() == TaskState::Succeeded;
    tasks.iter().filter(done).count()
}

pub(super) fn summary(job: &Job) -> String {
    let tasks = job.tasks.as_slice();
    let ended = tasks.iter().filter(|task| task.state().is_final()).count();
    match (tasks.len(), job.state().is_final()) {
        (0 | 1, _) => job.state().word().to_owned(),
        (all, true) => format!("{} of {all} succeeded", succeeded(tasks)),
        (all, false) => format!("{ended} of {all} ended"),
    }
}

/// `== i-0abc (succeeded, exit 0)`
fn heading(task: &Task) -> String {
    let state = task.state().word();
    match task.exit_code {
        Some(code) => format!("== {} ({state}, exit {code})", task.instance_id),
        None => format!("== {} ({state})", task.instance_id),
    }
}

/// What follows begins a line of its own.
fn ending_its_line(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.last() {
        None | Some(b'\n') => bytes.into(),
        Some(_) => [bytes, b"\n"].concat().into(),
    }
}

/// What happened to a task that has no code of its own to tell it.
fn complaint(task: &Task) -> Option<String> {
    if own_code(task).is_some() {
        return None;
    }
    let told = match task.state() {
        TaskState::Succeeded => return None,
        TaskState::Failed => "the command failed",
        TaskState::TimedOut => "the command ran out of time",
        TaskState::Cancelled => "the command was cancelled",
        TaskState::Undeliverable => "the command could not be delivered",
        TaskState::Denied => "AWS denied the command",
        TaskState::Unknown | TaskState::Unspecified | TaskState::Queued | TaskState::Running => {
            "what became of the command cannot be known"
        }
    };
    Some(if task.detail.is_empty() {
        told.to_owned()
    } else {
        format!("{told}: {}", task.detail)
    })
}

#[cfg(test)]
mod tests {
    use awsso_proto::{Reason, v1::Problem};

    use super::*;

    fn task(state: TaskState, exit_code: Option<i32>) -> Task {
        let mut task = Task {
            instance_id: "i-0abc".into(),
            exit_code,
            ..Task::default()
        };
        task.set_state(state);
        task
    }

    fn ended(tasks: Vec<Task>) -> Ended {
        let job = Job {
            tasks,
            ..Job::default()
        };
        Ended {
            job,
            kept: Vec::new(),
            cancelled: false,
        }
    }

    fn code(tasks: &[(TaskState, Option<i32>)]) -> u8 {
        ended(
            tasks
                .iter()
                .map(|(state, code)| task(*state, *code))
                .collect(),
        )
        .exit_code()
    }

    #[test]
    fn one_task_passes_its_own_code_through() {
        assert_eq!(code(&[(TaskState::Succeeded, Some(0))]), 0);
        assert_eq!(code(&[(TaskState::Failed, Some(7))]), 7);
        assert_eq!(code(&[(TaskState::Denied, Some(254))]), 254);
        assert_eq!(code(&[(TaskState::Failed, Some(137))]), 137);
        assert_eq!(code(&[(TaskState::Failed, Some(-1))]), 255);
    }

    #[test]
    fn one_task_without_a_code_of_its_own_is_a_failure_of_ours() {
        for state in [
            TaskState::Failed,
            TaskState::TimedOut,
            TaskState::Undeliverable,
            TaskState::Denied,
            TaskState::Cancelled,
            TaskState::Unknown,
        ] {
            assert_eq!(code(&[(state, None)]), 125, "{state:?}");
        }
        assert_eq!(code(&[(TaskState::TimedOut, Some(0))]), 125);
        assert_eq!(code(&[]), 125);
    }

    #[test]
    fn of_several_tasks_all_none_or_some_succeed() {
        let (good, bad) = (
            (TaskState::Succeeded, Some(0)),
            (TaskState::Failed, Some(3)),
        );
        assert_eq!(code(&[good, good]), 0);
        assert_eq!(code(&[bad, bad]), 1);
        assert_eq!(code(&[good, bad]), 6);
    }

    #[test]
    fn a_program_that_is_not_there_is_127() {
        let mut ended = ended(vec![task(TaskState::Failed, None)]);
        ended.job.problem = Some(Problem {
            reason: Reason::ProgramNotFound.name().into(),
            ..Problem::default()
        });
        assert_eq!(ended.exit_code(), 127);
    }

    #[test]
    fn a_person_who_cancels_sees_130_unless_it_had_ended_by_itself() {
        let mut cancelled = ended(vec![task(TaskState::Cancelled, Some(143))]);
        cancelled.cancelled = true;
        assert_eq!(cancelled.exit_code(), 130);
        let mut too_late = ended(vec![task(TaskState::Succeeded, Some(0))]);
        too_late.cancelled = true;
        assert_eq!(too_late.exit_code(), 0);
    }

    #[test]
    fn a_heading_tells_how_it_went() {
        let text = heading(&task(TaskState::Succeeded, Some(0)));
        assert_eq!(text, "== i-0abc (succeeded, exit 0)");
    }
}
