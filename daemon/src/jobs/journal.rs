//! What the next daemon knows of a job: one file each, appended to as things
//! happen, 0600. No keys, no commands, no output. A file that ends in the middle
//! of an entry, because its daemon was killed there, is read up to that. What AWS
//! was asked to run is on disk before it is asked.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use awsso_proto::{
    disk,
    v1::{self, instant},
};
use prost::Message;
use tracing::warn;

use super::ssm::Destination;
use crate::{
    config::SessionSpec,
    credentials::{Assumed, Role},
};

/// 5,000 tasks, each written a dozen times, are 20 MB.
const MAX_FILE: u64 = 128 << 20;

/// What stands in a file, in the order in which it happened.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    #[prost(oneof = "Event", tags = "1, 2, 3, 4")]
    pub event: Option<Event>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Event {
    /// The first: the job as it was asked for.
    #[prost(message, tag = "1")]
    Begun(Begun),
    /// A task as it is from here on.
    #[prost(message, tag = "2")]
    Task(Changed),
    #[prost(message, tag = "3")]
    Problem(v1::Problem),
    /// `SendCommand` is about to be called.
    #[prost(message, tag = "4")]
    Sending(Sending),
}

#[derive(Clone, PartialEq, Message)]
pub struct Begun {
    #[prost(message, optional, tag = "1")]
    pub job: Option<v1::Job>,
    /// Whom each task is done as, by the position in `targets`.
    #[prost(uint32, repeated, tag = "2")]
    pub target_of: Vec<u32>,
    #[prost(message, repeated, tag = "3")]
    pub targets: Vec<TargetForm>,
    /// How long the work may run, in seconds.
    #[prost(uint64, tag = "4")]
    pub limit: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Changed {
    #[prost(uint32, tag = "1")]
    pub index: u32,
    #[prost(message, optional, tag = "2")]
    pub task: Option<v1::Task>,
}

/// Whether it was called is found out by the comment.
#[derive(Clone, PartialEq, Message)]
pub struct Sending {
    #[prost(uint32, repeated, tag = "1")]
    pub tasks: Vec<u32>,
    #[prost(string, tag = "2")]
    pub comment: String,
    #[prost(message, optional, tag = "3")]
    pub at: Option<prost_types::Timestamp>,
    /// Where it has its instances leave their output.
    #[prost(message, optional, tag = "4")]
    pub whole: Option<Destination>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TargetForm {
    #[prost(string, tag = "1")]
    session: String,
    #[prost(string, tag = "2")]
    start_url: String,
    #[prost(string, tag = "3")]
    sso_region: String,
    #[prost(message, optional, tag = "4")]
    role: Option<RoleForm>,
    #[prost(string, tag = "5")]
    pub account_name: String,
    #[prost(string, tag = "6")]
    pub region: String,
}

#[derive(Clone, PartialEq, Message)]
struct RoleForm {
    #[prost(string, tag = "1")]
    account: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, optional, boxed, tag = "3")]
    source: Option<Box<RoleForm>>,
    #[prost(string, tag = "4")]
    arn: String,
    #[prost(string, optional, tag = "5")]
    session_name: Option<String>,
    #[prost(string, optional, tag = "6")]
    external_id: Option<String>,
    #[prost(uint32, optional, tag = "7")]
    seconds: Option<u32>,
    #[prost(string, optional, tag = "8")]
    policy: Option<String>,
    #[prost(string, repeated, tag = "9")]
    policy_arns: Vec<String>,
}

impl TargetForm {
    pub fn new(spec: &SessionSpec, role: &Role, account_name: &str, region: &str) -> Self {
        Self {
            session: spec.name.clone(),
            start_url: spec.start_url.clone(),
            sso_region: spec.region.clone(),
            role: Some(RoleForm::from(role)),
            account_name: account_name.to_owned(),
            region: region.to_owned(),
        }
    }

    pub fn session(&self) -> SessionSpec {
        SessionSpec {
            name: self.session.clone(),
            start_url: self.start_url.clone(),
            region: self.sso_region.clone(),
        }
    }

    pub fn role(&self) -> Role {
        self.role.clone().unwrap_or_default().into()
    }
}

impl From<&Role> for RoleForm {
    fn from(role: &Role) -> Self {
        let plain = Self {
            account: role.account.clone(),
            name: role.name.clone(),
            ..Self::default()
        };
        match &role.assumed {
            None => plain,
            Some(assumed) => Self {
                source: Some(Box::new(Self::from(&assumed.source))),
                arn: assumed.arn.clone(),
                session_name: assumed.session_name.clone(),
                external_id: assumed.external_id.clone(),
                seconds: assumed.seconds,
                policy: assumed.policy.clone(),
                policy_arns: assumed.policy_arns.clone(),
                ..plain
            },
        }
    }
}

impl From<RoleForm> for Role {
    fn from(form: RoleForm) -> Self {
        let assumed = form.source.map(|source| {
            Arc::new(Assumed {
                source: Self::from(*source),
                arn: form.arn,
                session_name: form.session_name,
                external_id: form.external_id,
                seconds: form.seconds,
                policy: form.policy,
                policy_arns: form.policy_arns,
            })
        });
        Self {
            account: form.account,
            name: form.name,
            assumed,
        }
    }
}

/// The file of one job, open for more.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl Journal {
    /// Of a new job.
    pub fn begin(dir: &Path, begun: Begun) -> std::io::Result<Self> {
        let id = begun.job.as_ref().map_or("", |job| &job.id);
        let path = dir.join(id);
        let journal = Self {
            file: Mutex::new(Some(disk::create_private(&path)?)),
            path,
        };
        journal.append(Event::Begun(begun))?;
        Ok(journal)
    }

    /// What is not written is not known to the next daemon; the job goes on.
    pub fn write(&self, event: Event) {
        if let Err(error) = self.append(event) {
            warn!(file = %self.path.display(), %error, "the journal of a job is not written");
        }
    }

    fn append(&self, event: Event) -> std::io::Result<()> {
        // What AWS may be carrying out must be known after a power cut too; the rest dies with the machine.
        let lasting = matches!(event, Event::Sending(_));
        let entry = Entry { event: Some(event) };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *file {
            // One call: an entry is there or it is not.
            Some(file) => {
                file.write_all(&entry.encode_length_delimited_to_vec())?;
                if lasting {
                    file.sync_all()?;
                    disk::sync_name(&self.path)?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Nothing more will happen.
    pub fn close(&self) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path); // gone already
    }
}

/// A job of an earlier daemon.
pub struct Record {
    pub job: v1::Job,
    pub begun: Begun,
    /// What may have been sent, newest last.
    pub sendings: Vec<Sending>,
    /// Its file, for more.
    pub journal: Journal,
}

/// Every job that is on record, oldest first. What cannot be read is left alone.
pub fn records(dir: &Path) -> Vec<Record> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut records: Vec<_> = entries.filter_map(|entry| record(&entry.path())).collect();
    let started = |record: &Record| record.job.started_at.as_ref().and_then(instant);
    records.sort_by_key(|record| started(record).unwrap_or(SystemTime::UNIX_EPOCH));
    records
}

fn record(path: &Path) -> Option<Record> {
    if std::fs::metadata(path).ok()?.len() > MAX_FILE {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let mut rest = bytes.as_slice();
    let mut whole = 0;
    let mut events = std::iter::from_fn(|| {
        let entry = Entry::decode_length_delimited(&mut rest).ok()?;
        whole = bytes.len() - rest.len();
        entry.event
    });
    let Some(Event::Begun(begun)) = events.next() else {
        return None;
    };
    let mut job = begun.job.clone()?;
    let mut sendings = Vec::new();
    for event in events {
        match event {
            Event::Begun(_) => {}
            Event::Task(changed) => {
                let index = usize::try_from(changed.index).ok()?;
                if let (Some(slot), Some(task)) = (job.tasks.get_mut(index), changed.task) {
                    *slot = task;
                }
            }
            Event::Problem(problem) => job.problem = Some(problem),
            Event::Sending(sending) => sendings.push(sending),
        }
    }
    let file = File::options().append(true).open(path).ok()?;
    if whole < bytes.len() {
        // The half of an entry would hide those that follow.
        file.set_len(u64::try_from(whole).ok()?).ok()?;
    }
    Some(Record {
        job,
        begun,
        sendings,
        journal: Journal {
            path: path.to_owned(),
            file: Mutex::new(Some(file)),
        },
    })
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::TaskState;

    use super::*;

    fn begun(id: &str) -> Begun {
        Begun {
            job: Some(v1::Job {
                id: id.to_owned(),
                tasks: vec![v1::Task::default(), v1::Task::default()],
                ..v1::Job::default()
            }),
            target_of: vec![0, 0],
            ..Begun::default()
        }
    }

    fn changed(index: u32, state: TaskState) -> Event {
        let mut task = v1::Task::default();
        task.set_state(state);
        Event::Task(Changed {
            index,
            task: Some(task),
        })
    }

    #[test]
    fn a_job_is_read_back_as_it_was_last() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::begin(dir.path(), begun("job_1")).unwrap();
        journal.write(changed(0, TaskState::Running));
        journal.write(changed(0, TaskState::Failed));
        let records = records(dir.path());
        assert_eq!(records[0].job.tasks[0].state(), TaskState::Failed);
        assert_eq!(records[0].job.tasks[1].state(), TaskState::Unspecified);
        records[0].journal.remove();
        assert!(super::records(dir.path()).is_empty());
    }

    #[test]
    fn wherever_its_daemon_was_killed_a_file_says_what_it_said_before_that_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::begin(dir.path(), begun("job_1")).unwrap();
        let path = dir.path().join("job_1");
        let first = std::fs::metadata(&path).unwrap().len();
        journal.write(changed(1, TaskState::Running));
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let records = super::records(dir.path());
            if (length as u64) < first {
                assert!(records.is_empty(), "{length}");
                continue;
            }
            assert_eq!(records[0].job.tasks[1].state(), TaskState::Unspecified);
            records[0].journal.write(changed(1, TaskState::Succeeded));
            let again = super::records(dir.path());
            assert_eq!(again[0].job.tasks[1].state(), TaskState::Succeeded);
        }
    }

    #[test]
    fn whom_a_task_is_done_as_comes_back_with_the_roles_that_it_is_assumed_from() {
        let spec = SessionSpec {
            name: "corp".into(),
            start_url: "https://corp.awsapps.com/start".into(),
            region: "eu-west-1".into(),
        };
        let role = |assumed| Role {
            account: "111122223333".into(),
            name: "Admin".into(),
            assumed,
        };
        let chained = role(Some(Arc::new(Assumed {
            source: role(None),
            arn: "arn:aws:iam::444455556666:role/Deploy".into(),
            session_name: None,
            external_id: Some("e".into()),
            seconds: Some(900),
            policy: Some("{}".into()),
            policy_arns: vec!["a".into()],
        })));
        let form = TargetForm::new(&spec, &chained, "prod", "eu-west-1");
        let bytes = form.encode_to_vec();
        let back = TargetForm::decode(bytes.as_slice()).unwrap();
        assert_eq!(back.session(), spec);
        assert_eq!(back.role(), chained);
    }
}
