//! Following what was sent to the end of every instance: one list per command
//! and tick, a result per instance, a cancel that says what really stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_ssm::types::CommandInvocation;
use awsso_proto::v1::TaskState;
use futures_util::{StreamExt as _, stream};
use tokio::{task::JoinSet, time::Instant};
use tracing::{debug, warn};

use super::{
    invocation::{Reader, Seen, Told, Unfinished},
    place::Ssm,
    whole::{self, Destination},
};
use crate::{
    jobs::{
        Job,
        schedule::{UNLISTED, next_poll},
    },
    limiter::Repeat,
};

/// AWS's own words come a little after the limits.
const SLACK: Duration = Duration::from_mins(1);
/// After a cancel AWS gets this long to say what really stopped.
const CANCEL_LIMIT: Duration = Duration::from_mins(2);
/// Calls of one place at the same time; the limiter has the last word.
const AT_ONCE: usize = 16;

/// One sent command and the tasks that wait for it, by instance.
#[derive(Debug)]
pub struct Sent {
    pub command_id: String,
    pub tasks: BTreeMap<String, usize>,
    /// Where its instances leave what SSM cuts.
    pub whole: Option<Destination>,
}

pub(super) struct Following {
    reader: Reader,
    commands: Vec<Sent>,
    /// Fetch what SSM has cut, while the others are followed. They end with this.
    fetches: JoinSet<()>,
    /// What happened last that ends instances soon: sent, or cancelled.
    stirred: Instant,
    deadline: Instant,
    listing_denied: bool,
}

impl Following {
    /// Commands that were sent `age` ago.
    pub(super) fn new(ssm: &Ssm, job: &Arc<Job>, commands: Vec<Sent>, age: Duration) -> Self {
        let now = Instant::now();
        let most = job.limit + SLACK;
        let sent = now.checked_sub(age).unwrap_or(now);
        Self {
            reader: Reader {
                ssm: ssm.clone(),
                job: Arc::clone(job),
                sent,
            },
            commands,
            fetches: JoinSet::new(),
            stirred: sent,
            // However old it is, it is looked at.
            deadline: now + most.saturating_sub(age).max(SLACK),
            listing_denied: false,
        }
    }

    pub(super) async fn until_all_ended(&mut self) {
        let job = Arc::clone(&self.reader.job);
        let stop = self.reader.ssm.jobs.0.parts.stop.clone();
        let mut cancelled = false;
        let mut next = Instant::now() + next_poll(self.stirred.elapsed());
        while !self.have_ended() || !self.fetches.is_empty() {
            tokio::select! {
                () = tokio::time::sleep_until(next), if !self.have_ended() => {}
                Some(_) = self.fetches.join_next() => continue,
                // It goes on in AWS, and the next daemon follows it.
                () = stop.cancelled() => return job.suspended.cancel(),
                () = job.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.cancel().await;
                    self.stirred = Instant::now();
                    self.deadline = self.deadline.min(self.stirred + CANCEL_LIMIT);
                }
            }
            let polled = Instant::now();
            self.poll().await;
            let pause = next_poll(self.stirred.elapsed());
            // A tick begins a pause after the last one began, however long that took; an AWS that is slow gets rest.
            next = (polled + pause).max(Instant::now() + pause / 2);
            if Instant::now() > self.deadline {
                self.give_up("AWS did not say how it ended");
            }
        }
    }

    /// Everywhere; some of the output may still be on its way.
    fn have_ended(&self) -> bool {
        self.commands.iter().all(|sent| sent.tasks.is_empty())
    }

    fn give_up(&mut self, why: &str) {
        for sent in &mut self.commands {
            for task in std::mem::take(&mut sent.tasks).into_values() {
                self.reader.job.end(task, TaskState::Unknown, why);
            }
        }
    }

    /// Best effort: AWS does not promise that the process stops. Polling goes
    /// on, and says what really did.
    async fn cancel(&self) {
        let running = self.commands.iter().filter(|sent| !sent.tasks.is_empty());
        let cancels: Vec<_> = running
            .map(|sent| {
                let ssm = &self.reader.ssm;
                ssm.call("CancelCommand", Repeat::Freely, |client| {
                    client.cancel_command().command_id(&sent.command_id).send()
                })
            })
            .collect();
        let results: Vec<_> = stream::iter(cancels)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for error in results.into_iter().filter_map(Result::err) {
            warn!(job = %self.reader.job.id, ?error, "the command could not be cancelled");
        }
    }

    async fn poll(&mut self) {
        let Looked {
            ended,
            cut,
            listing_denied,
        } = self.look().await;
        self.listing_denied |= listing_denied;
        for (command_id, instance) in ended {
            let mut commands = self.commands.iter_mut();
            if let Some(sent) = commands.find(|sent| sent.command_id == command_id) {
                sent.tasks.remove(&instance);
            }
            debug!(job = %self.reader.job.id, instance, "instance ended");
        }
        let tracker = &self.reader.ssm.jobs.0.parts.tracker;
        for unfinished in cut {
            let finish = self.reader.clone().finish(unfinished);
            self.fetches.spawn(tracker.track_future(finish));
        }
    }

    /// One list per command, and the results of those that have ended.
    async fn look(&self) -> Looked {
        let waiting = self.commands.iter().filter(|sent| !sent.tasks.is_empty());
        let looks: Vec<_> = waiting.map(|sent| self.listed(sent)).collect();
        let listed: Vec<_> = stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut looked = Looked {
            listing_denied: listed.iter().any(|it| matches!(it.1, Listed::Denied)),
            ..Looked::default()
        };
        let mut room = whole::AT_ONCE.saturating_sub(self.fetches.len());
        let mut asked: Vec<(&Sent, &String, usize)> = Vec::new();
        for (sent, listed) in &listed {
            for (instance, &task) in &sent.tasks {
                let seen = match listed {
                    Listed::NotNow => continue,
                    Listed::Denied => None,
                    Listed::Yes(invocations) => {
                        let is = |it: &&CommandInvocation| it.instance_id() == Some(instance);
                        match invocations.iter().find(is) {
                            // What the list still lacks after a while is asked for by name.
                            None if self.reader.sent.elapsed() <= UNLISTED => continue,
                            seen => seen,
                        }
                    }
                };
                match self.reader.seen(seen, task).await {
                    Seen::Ended => looked.ended(sent, instance),
                    // What may have to be fetched waits until it can be.
                    Seen::Ask if sent.whole.is_some() && room == 0 => {}
                    Seen::Ask => {
                        room = room.saturating_sub(usize::from(sent.whole.is_some()));
                        asked.push((sent, instance, task));
                    }
                    Seen::Runs => {}
                }
            }
        }
        let asking = asked.into_iter().map(async |(sent, instance, task)| {
            (sent, instance, self.reader.ask(sent, instance, task).await)
        });
        let told: Vec<_> = stream::iter(asking.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (sent, instance, told) in told {
            match told {
                Told::Runs => {}
                Told::Ended => looked.ended(sent, instance),
                Told::Cut(unfinished) => {
                    looked.ended(sent, instance);
                    looked.cut.push(*unfinished);
                }
            }
        }
        looked
    }

    async fn listed<'s>(&self, sent: &'s Sent) -> (&'s Sent, Listed) {
        if self.listing_denied {
            return (sent, Listed::Denied);
        }
        let waiting: Vec<&str> = sent.tasks.keys().map(String::as_str).collect();
        let listed = match self.reader.list(&sent.command_id, &waiting).await {
            Ok(invocations) => Listed::Yes(invocations),
            // SendCommand and GetCommandInvocation suffice.
            Err(error) if error.is_refusal() => Listed::Denied,
            Err(error) => {
                self.reader.not_now(&error);
                Listed::NotNow
            }
        };
        (sent, listed)
    }
}

/// What a list says of a command's instances.
enum Listed {
    Yes(Vec<CommandInvocation>),
    Denied,
    NotNow,
}

/// What a look at all commands gave.
#[derive(Default)]
struct Looked {
    /// Command and instance of each that has ended.
    ended: Vec<(String, String)>,
    /// Of these, the ones whose whole output is somewhere else.
    cut: Vec<Unfinished>,
    listing_denied: bool,
}

impl Looked {
    fn ended(&mut self, sent: &Sent, instance: &str) {
        let ended = (sent.command_id.clone(), instance.to_owned());
        self.ended.push(ended);
    }
}
