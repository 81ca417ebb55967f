//! A job that has ended: what is still to be printed, what a person must know,
//! and which exit code stands for it.

use awsso_proto::v1::{Job, JobKind, JobState, Task, TaskState};

use super::{Form, Printed, groups, naming, sink::Sink};
use crate::{
    exit::{self, Family, Stop},
    render::jobs::JobView,
    terminal,
};

/// A job that has ended, and the output that is not printed yet.
pub struct Ended {
    job: Job,
    kept: Vec<Printed>,
    form: Form,
    /// A person asked for the end of the job.
    cancelled: bool,
}

impl Ended {
    pub(super) fn new(sink: Sink, cancelled: bool) -> Self {
        Self {
            job: sink.job,
            kept: sink.tasks.into_iter().map(|task| task.printed).collect(),
            form: sink.form,
            cancelled,
        }
    }

    /// Prints what is not printed yet, and says what a person must know.
    pub fn print(&self) -> Result<(), Stop> {
        match (self.form, self.job.tasks.as_slice()) {
            (Form::Json, _) => terminal::json(&JobView::with_output(&self.job, &self.kept))?,
            (Form::Text, [_, _, ..]) => groups::print(&self.job, &self.kept)?,
            // It is out.
            (Form::Text | Form::Lines, _) => {}
        }
        self.explain();
        Ok(())
    }

    fn explain(&self) {
        match (&self.job.problem, self.job.tasks.as_slice()) {
            (Some(problem), _) => exit::tell(&exit::failure_of(problem)),
            (None, []) => terminal::complain("there was nothing to run it on"),
            (None, [task]) => {
                if let Some(told) = complaint(task) {
                    terminal::complain(told);
                } else if self.job.kind() == JobKind::Ssm && !task.detail.is_empty() {
                    // What the agent means by a code.
                    terminal::say(&task.detail);
                }
            }
            (None, _) => {
                groups::failures(&self.job).iter().for_each(terminal::say);
                terminal::say(naming::summary(&self.job));
            }
        }
        if let [task] = self.job.tasks.as_slice()
            && task.state() != TaskState::Succeeded
            && !task.other_roles.is_empty()
        {
            terminal::say(format_args!(
                "  AWS denied it; other roles in this account: {}",
                task.other_roles.join(", ")
            ));
        }
        for task in self.job.tasks.iter().filter(|task| task.truncated) {
            terminal::say(format_args!(
                "  the output is not whole; what is stored: awsso jobs output {}",
                task.output_id
            ));
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
            form: Form::Text,
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
}
