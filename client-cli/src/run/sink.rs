//! What is heard of a job: its last state, and what its tasks printed. What
//! cannot wait for the end goes out at once.

use awsso_proto::v1::{Job, OutputChunk, OutputOffset, OutputStream};

use super::Form;
use crate::{exit::Stop, progress::Progress, render::jobs::TaskLine, terminal};

/// What a task printed.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Printed {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

pub struct Sink {
    pub(super) form: Form,
    pub(super) job: Job,
    pub(super) tasks: Vec<Heard>,
    /// Messages; it tells whether there was one more.
    heard: u64,
}

/// Of one task.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Kept until it is printed.
    pub printed: Printed,
    stdout: u64,
    stderr: u64,
    /// Its line is out.
    told: bool,
}

impl Sink {
    pub fn new(form: Form) -> Self {
        Self {
            form,
            job: Job::default(),
            tasks: Vec::new(),
            heard: 0,
        }
    }

    pub fn heard(&self) -> u64 {
        self.heard
    }

    pub fn is_final(&self) -> bool {
        self.job.state().is_final()
    }

    /// Where the next daemon is to go on.
    pub fn offsets(&self) -> Vec<OutputOffset> {
        let of = |task: usize, stream: OutputStream, offset| OutputOffset {
            task: u32::try_from(task).expect("a number from the wire"),
            stream: stream.into(),
            offset,
        };
        let heard = self.tasks.iter().enumerate();
        let offsets = heard.flat_map(|(task, heard)| {
            [
                of(task, OutputStream::Stdout, heard.stdout),
                of(task, OutputStream::Stderr, heard.stderr),
            ]
        });
        offsets.filter(|offset| offset.offset > 0).collect()
    }

    pub fn job(&mut self, job: Job, progress: &Progress) -> Result<(), Stop> {
        self.heard += 1;
        self.tasks.resize_with(job.tasks.len(), Heard::default);
        self.job = job;
        self.lines(progress)
    }

    pub fn output(&mut self, chunk: OutputChunk, progress: &Progress) -> Result<(), Stop> {
        self.heard += 1;
        let is_live = self.form == Form::Text && self.tasks.len() == 1;
        let task = usize::try_from(chunk.task).expect("a u32 fits");
        // The job itself came first.
        let Some(heard) = self.tasks.get_mut(task) else {
            return Ok(());
        };
        let (seen, kept) = if chunk.stream() == OutputStream::Stderr {
            (&mut heard.stderr, &mut heard.printed.stderr)
        } else {
            (&mut heard.stdout, &mut heard.printed.stdout)
        };
        *seen += u64::try_from(chunk.data.len()).expect("memory is smaller than u64");
        if !is_live {
            kept.extend(chunk.data);
            return self.lines(progress);
        }
        progress.end();
        match chunk.stream() {
            OutputStream::Stderr => terminal::foreign_stderr(&chunk.data),
            OutputStream::Stdout | OutputStream::Unspecified => terminal::data(&chunk.data)?,
        }
        Ok(())
    }

    /// Nothing more will be heard.
    pub fn end(&mut self) -> Result<(), Stop> {
        let rest = (0..self.tasks.len()).filter(|task| !self.tasks[*task].told);
        let rest: Vec<_> = rest.collect();
        if self.form == Form::Lines {
            rest.into_iter().try_for_each(|task| self.line(task))?;
        }
        Ok(())
    }

    /// A line for each task that has ended and of which all output is here: a
    /// state may overtake the output.
    fn lines(&mut self, progress: &Progress) -> Result<(), Stop> {
        if self.form != Form::Lines {
            return Ok(());
        }
        for task in 0..self.tasks.len() {
            let (now, heard) = (&self.job.tasks[task], &self.tasks[task]);
            let is_whole = heard.stdout >= now.stdout_bytes && heard.stderr >= now.stderr_bytes;
            if now.state().is_final() && is_whole && !heard.told {
                let mut printed = Ok(());
                progress.pause(|| printed = self.line(task));
                printed?;
            }
        }
        Ok(())
    }

    fn line(&mut self, task: usize) -> Result<(), Stop> {
        let heard = &mut self.tasks[task];
        heard.told = true;
        let printed = std::mem::take(&mut heard.printed);
        terminal::json_line(&TaskLine::new(&self.job, &self.job.tasks[task], &printed))
    }
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::Task;

    use super::*;

    fn job(tasks: usize) -> Job {
        Job {
            tasks: vec![Task::default(); tasks],
            ..Job::default()
        }
    }

    fn chunk(task: u32, stream: OutputStream, data: &str) -> OutputChunk {
        OutputChunk {
            task,
            stream: stream.into(),
            offset: 0,
            data: data.into(),
        }
    }

    #[test]
    fn kept_output_stays_apart_by_task_and_stream() {
        let mut sink = Sink::new(Form::Text);
        let progress = Progress::new("");
        sink.job(job(2), &progress).unwrap();
        for (task, stream, data) in [
            (1, OutputStream::Stdout, "b"),
            (0, OutputStream::Stderr, "x"),
            (1, OutputStream::Stdout, "c"),
        ] {
            sink.output(chunk(task, stream, data), &progress).unwrap();
        }
        assert_eq!(sink.tasks[1].printed.stdout, b"bc");
        assert_eq!(sink.tasks[0].printed.stderr, b"x");
    }

    #[test]
    fn the_next_daemon_goes_on_after_what_was_heard_even_when_it_is_printed() {
        let mut sink = Sink::new(Form::Json);
        let progress = Progress::new("");
        sink.job(job(2), &progress).unwrap();
        sink.output(chunk(1, OutputStream::Stderr, "err"), &progress)
            .unwrap();
        sink.tasks[1].printed = Printed::default();
        sink.job(job(2), &progress).unwrap();
        let offsets = sink.offsets();
        assert_eq!(offsets.len(), 1);
        assert_eq!((offsets[0].task, offsets[0].offset), (1, 3));
        assert_eq!(offsets[0].stream(), OutputStream::Stderr);
    }
}
