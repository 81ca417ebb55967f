//! The audit log: who asked for what, what was decided, what came of it
//! ([`awsso_proto::audit`] has its form). One line per request, and one when a job
//! ends; the same keys handed out again and again are one counted line per
//! principal, role and minute.
//!
//! * A [`Note`] is begun where a request comes in, learns on its way what it is
//!   about, and becomes a line when the last who holds it lets go: also when a call
//!   is given up or fails in between.
//! * Lines are written by one task, in order, and are on disk (`fdatasync`) before
//!   the head knows them. No request waits for the disk; a daemon that is killed
//!   loses the lines of its last moment, and what it did then is in the journal.
//! * While the log cannot be written agents are refused: what they do is recorded
//!   or not done.
//! * Nothing runs while there is nothing to write.
//!
//! No output is recorded, and no secret: values of flags that hold secrets are
//! masked, and every word passes the redactor.

mod counted;
mod log;
mod note;
mod words;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason,
    audit::{Entry, Who},
    error::key,
    v1,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Principal, Redactor};
use crate::{clock::Clock, credentials::Role};
use counted::Counts;
use log::Log;
pub use note::{How, Note};

/// Lines that wait for the disk; more are counted and not kept.
const QUEUE: usize = 10_000;
/// Hand-outs of keys are written together, so long after the first of them.
const TOGETHER: Duration = Duration::from_mins(1);
/// Roles and principals that are counted at the same time; with one more all are written.
const MAX_COUNTED: usize = 1_000;
/// Tasks that are named in the line on a job's end.
const MAX_TASKS: usize = 100;

/// The handle.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    redactor: Redactor,
    queue: Mutex<Queue>,
    more: Notify,
    /// The last attempt to write failed.
    broken: AtomicBool,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<Entry>,
    lost: u64,
    counted: Counts,
    /// When what was counted is written.
    due: Option<SystemTime>,
}

/// Writes until it is told to end, then what is left.
#[derive(Debug)]
pub struct Writer {
    audit: Audit,
    task: JoinHandle<()>,
}

impl Audit {
    /// In the state folder.
    pub fn open(state: &Path, clock: Clock, redactor: Redactor) -> (Self, Writer) {
        let mut log = Log::new(state.to_owned());
        let opened = log.open(&rfc3339(clock.now()));
        if let Err(error) = &opened {
            warn!(%error, "the audit log cannot be opened");
        }
        let audit = Self(Arc::new(Inner {
            clock,
            redactor,
            queue: Mutex::default(),
            more: Notify::new(),
            broken: AtomicBool::new(opened.is_err()),
            end: CancellationToken::new(),
        }));
        let task = tokio::spawn(audit.clone().write(log));
        (audit.clone(), Writer { audit, task })
    }

    /// The last attempt to write it failed.
    pub fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    /// Agents do nothing that is not recorded.
    pub fn admit_agent(&self) -> Result<(), Failure> {
        if !self.is_broken() {
            return Ok(());
        }
        let message = "agents are refused because the audit log cannot be written";
        Err(Failure::new(Reason::DeniedByPolicy, message)
            .with(key::HINT, "a person can read why: awsso daemon logs"))
    }

    /// A job came to its end.
    pub fn job_ended(&self, job: &v1::Job) {
        let mut states = BTreeMap::new();
        for task in job.tasks.iter().filter(|_| job.tasks.len() > 1) {
            *states.entry(task.state().word().to_owned()).or_default() += 1;
        }
        let tasks = job.tasks.iter().take(MAX_TASKS).map(note::task).collect();
        self.add(Entry {
            at: self.now(),
            who: Who {
                kind: Principal::from(job.asked_by()).word().into(),
                ..Who::default()
            },
            verb: "Job.ended".into(),
            job: job.id.clone(),
            result: job.state().word().into(),
            message: job
                .problem
                .as_ref()
                .map_or_else(String::new, |problem| self.0.redactor.text(&problem.reason)),
            tasks,
            states,
            ..Entry::default()
        });
    }

    /// A program was given keys by an endpoint of `exec --serve`.
    pub fn served(&self, port: u16, session: &str, role: &Role, result: &'static str) {
        let entry = Entry {
            who: Who {
                kind: "person".into(),
                client: format!("endpoint {port}"),
                ..Who::default()
            },
            verb: "Credentials.OpenEndpoint".into(),
            target: Some(note::target_of_role(session, role)),
            result: result.into(),
            ..Entry::default()
        };
        self.count(entry);
    }

    fn now(&self) -> String {
        rfc3339(self.0.clock.now())
    }

    fn add(&self, entry: Entry) {
        let mut queue = self.lock();
        if queue.lines.len() < QUEUE {
            queue.lines.push(entry);
        } else {
            queue.lost += 1;
        }
        drop(queue);
        self.0.more.notify_one();
    }

    /// The same as before: only counted, in memory.
    fn count(&self, entry: Entry) {
        let now = self.0.clock.now();
        let mut queue = self.lock();
        let others = queue.counted.len();
        if let Err(error) = queue.counted.add(entry, now) {
            error!(%error, "a line of the audit log cannot be written");
            self.0.broken.store(true, Ordering::Relaxed);
        }
        match queue.counted.len() {
            same if same == others => return,
            all if all >= MAX_COUNTED => queue.due = Some(now),
            _ => queue.due = queue.due.or(Some(now + TOGETHER)),
        }
        drop(queue);
        self.0.more.notify_one();
    }

    async fn write(self, mut log: Log) {
        loop {
            let due = self.lock().due;
            let ends = tokio::select! {
                () = self.0.more.notified() => false,
                () = self.0.clock.wait_until(due), if due.is_some() => false,
                () = self.0.end.cancelled() => true,
            };
            loop {
                let entries = self.lock().take(self.0.clock.now(), ends);
                if entries.is_empty() {
                    break;
                }
                let written = tokio::task::spawn_blocking(move || {
                    let written = log.append(&entries);
                    (log, entries, written)
                });
                let (same, entries, written) = match written.await {
                    Ok(written) => written,
                    Err(error) => {
                        error!(%error, "the audit log is written no more");
                        self.0.broken.store(true, Ordering::Relaxed);
                        return;
                    }
                };
                log = same;
                self.0.broken.store(written.is_err(), Ordering::Relaxed);
                if let Err(error) = &written {
                    warn!(%error, "the audit log cannot be written");
                    self.lock().put_back(entries);
                    break;
                }
            }
            if ends {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        let queue = &self.0.queue;
        queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// What is to be written now.
    fn take(&mut self, now: SystemTime, all: bool) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut self.lines);
        if all || self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.counted.end();
        }
        entries.extend(self.counted.take());
        match std::mem::take(&mut self.lost) {
            0 => {}
            lost => entries.push(Entry {
                at: rfc3339(now),
                who: Who {
                    kind: "daemon".into(),
                    ..Who::default()
                },
                verb: "Log.lost".into(),
                count: Some(lost),
                ..Entry::default()
            }),
        }
        entries
    }
}

impl Queue {
    /// They could not be written, and are tried again with the next one.
    fn put_back(&mut self, mut entries: Vec<Entry>) {
        entries.append(&mut self.lines);
        self.lost += entries.len().saturating_sub(QUEUE) as u64;
        entries.truncate(QUEUE);
        self.lines = entries;
    }
}

impl Writer {
    /// Writes what is left.
    pub async fn finish(self) {
        self.audit.0.end.cancel();
        if let Err(error) = self.task.await {
            error!(%error, "the audit log was not finished");
        }
    }
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests;
