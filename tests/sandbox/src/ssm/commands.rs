//! The commands that were sent and what has become of them. [`CommandBook`] owns them per account and region.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::schedule::{End, Phase, Timeline};
use super::script::Ran;
use super::upload::Uploads;
use crate::clock;

/// Whose commands these are: an account and a region see only their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

#[derive(Clone)]
pub(crate) struct Command {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) document_version: String,
    pub(crate) comment: String,
    pub(crate) parameters: Value,
    pub(crate) instance_ids: Vec<String>,
    pub(crate) targets: Value,
    pub(crate) sent: SystemTime,
    pub(crate) timeout: Duration,
    pub(crate) max_concurrency: String,
    pub(crate) max_errors: String,
    /// `max_errors` as a number of instances.
    pub(crate) errors_allowed: usize,
    pub(crate) output_bucket: String,
    pub(crate) output_prefix: String,
    /// Empty when it has none.
    pub(crate) log_group: String,
    pub(crate) uploads: Uploads,
    /// When readers begin to see the invocations.
    pub(crate) visible: SystemTime,
    pub(crate) invocations: Vec<Invocation>,
}

#[derive(Clone)]
pub(crate) struct Invocation {
    pub(crate) instance_id: String,
    pub(crate) instance_name: String,
    /// `aws:runShellScript`
    pub(crate) plugin: &'static str,
    pub(crate) timeline: Timeline,
    pub(crate) cancelled: Option<SystemTime>,
    pub(crate) ran: Ran,
}

#[derive(Default)]
pub(crate) struct CommandBook {
    commands: Mutex<HashMap<Place, Vec<Command>>>,
}

impl CommandBook {
    pub(crate) fn add(&self, place: &Place, command: Command) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.entry(place.clone()).or_default().push(command);
    }

    pub(crate) fn find(&self, place: &Place, id: &str) -> Option<Command> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands
            .get(place)?
            .iter()
            .find(|command| command.id == id)
            .cloned()
    }

    /// Newest first, as AWS lists them.
    pub(crate) fn all(&self, place: &Place) -> Vec<Command> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands
            .get(place)
            .into_iter()
            .flatten()
            .rev()
            .cloned()
            .collect()
    }

    /// When each instance ends, or ended, its newest command, and a reader can see it.
    pub(crate) fn ends(&self) -> BTreeMap<String, SystemTime> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let commands = commands.values().flatten();
        let ends = commands.flat_map(|command| {
            let invocations = command.invocations.iter();
            invocations.map(|it| (it.instance_id.clone(), it.ended().max(command.visible)))
        });
        ends.collect()
    }

    /// What commands of an account, in whatever region, have left in a bucket.
    pub(crate) fn objects(
        &self,
        account: &str,
        bucket: &str,
        now: SystemTime,
    ) -> Vec<(String, String)> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let here = commands
            .iter()
            .filter(|(place, _)| place.account == account);
        let commands = here.flat_map(|(_, commands)| commands);
        commands
            .filter(|command| command.output_bucket == bucket)
            .flat_map(|command| command.objects(now))
            .collect()
    }

    /// The events of a stream of a log group; none when there is no such stream.
    pub(crate) fn log_events(
        &self,
        place: &Place,
        group: &str,
        stream: &str,
        now: SystemTime,
    ) -> Option<Vec<String>> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let mut commands = commands.get(place)?.iter();
        let command = commands.find(|command| {
            command.log_group == group && stream.starts_with(&format!("{}/", command.id))
        })?;
        command.events(stream, now)
    }

    /// `false` when there is no such command.
    pub(crate) fn cancel(
        &self,
        place: &Place,
        id: &str,
        instances: &[String],
        now: SystemTime,
    ) -> bool {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let found = commands
            .get_mut(place)
            .and_then(|all| all.iter_mut().find(|command| command.id == id));
        let Some(command) = found else { return false };
        for invocation in &mut command.invocations {
            if instances.is_empty() || instances.contains(&invocation.instance_id) {
                invocation.cancelled.get_or_insert(now);
            }
        }
        true
    }
}

impl Invocation {
    pub(crate) fn phase(&self, now: SystemTime) -> Phase {
        self.timeline.phase(now, self.cancelled)
    }

    pub(crate) fn ended(&self) -> SystemTime {
        self.timeline.ended(self.cancelled)
    }

    /// Exit code, stdout and stderr once it is over; before that AWS shows -1 and nothing.
    pub(crate) fn result(&self, now: SystemTime) -> (i32, String, String) {
        match self.phase(now) {
            Phase::Done(End::Success) => (0, self.ran.stdout.clone(), self.ran.stderr.clone()),
            Phase::Done(End::Failed) => {
                let code = self.ran.code;
                let stderr = format!(
                    "{}failed to run commands: exit status {code}",
                    self.ran.stderr
                );
                (code, self.ran.stdout.clone(), stderr)
            }
            Phase::Done(End::ExecutionTimedOut | End::Cancelled)
                if self.timeline.starts.is_some() =>
            {
                (
                    137,
                    String::new(),
                    "failed to run commands: signal: killed".into(),
                )
            }
            _ => (-1, String::new(), String::new()),
        }
    }
}

impl Command {
    fn count(&self, now: SystemTime, counts: impl Fn(Phase) -> bool) -> usize {
        self.invocations
            .iter()
            .filter(|invocation| counts(invocation.phase(now)))
            .count()
    }

    /// `Status` and `StatusDetails` of the command as a whole.
    pub(crate) fn status(&self, now: SystemTime) -> (&'static str, &'static str) {
        let has = |counts: fn(Phase) -> bool| self.count(now, counts) > 0;
        if self.invocations.is_empty() {
            return ("Success", "NoInstancesInTag");
        }
        if has(|phase| phase == Phase::Cancelling) {
            return ("Cancelling", "Cancelling");
        }
        if !self
            .invocations
            .iter()
            .all(|invocation| matches!(invocation.phase(now), Phase::Done(_)))
        {
            let started = has(|phase| matches!(phase, Phase::InProgress | Phase::Done(_)));
            return if started {
                ("InProgress", "InProgress")
            } else {
                ("Pending", "Pending")
            };
        }
        if has(|phase| phase == Phase::Done(End::Cancelled)) {
            return ("Cancelled", "Cancelled");
        }
        let failed = self.count(now, |phase| {
            matches!(phase, Phase::Done(End::Failed | End::Refused(_)))
        });
        let overran = self.count(now, |phase| phase == Phase::Done(End::ExecutionTimedOut));
        // A delivery time-out is no error, but its number is held against the same limit.
        let undelivered = self.count(now, |phase| phase == Phase::Done(End::DeliveryTimedOut));
        let allowed = self.errors_allowed;
        if failed > 0 && failed + overran > allowed {
            ("Failed", "Failed")
        } else if overran > allowed {
            ("TimedOut", "ExecutionTimedOut")
        } else if undelivered > allowed {
            ("TimedOut", "DeliveryTimedOut")
        } else if failed + overran + undelivered > 0 {
            // The details are documented, the status beside them is not.
            ("Failed", "Incomplete")
        } else {
            ("Success", "Success")
        }
    }

    pub(crate) fn log_config(&self) -> Value {
        json!({
            "CloudWatchLogGroupName": self.log_group,
            "CloudWatchOutputEnabled": !self.log_group.is_empty(),
        })
    }

    /// The `Command` structure of the API.
    pub(crate) fn describe(&self, now: SystemTime) -> Value {
        let (status, details) = self.status(now);
        let done = |phase| matches!(phase, Phase::Done(_));
        let failed = |phase| {
            matches!(
                phase,
                Phase::Done(End::Failed | End::ExecutionTimedOut | End::Refused(_))
            )
        };
        json!({
            "CommandId": self.id,
            "DocumentName": self.document,
            "DocumentVersion": self.document_version,
            "Comment": self.comment,
            "ExpiresAfter": clock::epoch_seconds(self.sent + self.timeout),
            "Parameters": self.parameters,
            "InstanceIds": self.instance_ids,
            "Targets": self.targets,
            "RequestedDateTime": clock::epoch_seconds(self.sent),
            "Status": status,
            "StatusDetails": details,
            "OutputS3Region": "",
            "OutputS3BucketName": self.output_bucket,
            "OutputS3KeyPrefix": self.output_prefix,
            "MaxConcurrency": self.max_concurrency,
            "MaxErrors": self.max_errors,
            "TargetCount": self.invocations.len(),
            "CompletedCount": self.count(now, done),
            "ErrorCount": self.count(now, failed),
            "DeliveryTimedOutCount": self.count(now, |phase| phase == Phase::Done(End::DeliveryTimedOut)),
            "ServiceRole": "",
            "NotificationConfig": { "NotificationArn": "", "NotificationEvents": [], "NotificationType": "" },
            "CloudWatchOutputConfig": self.log_config(),
            "TimeoutSeconds": self.timeout.as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssm::schedule::{Prospect, Terms, schedule};
    use std::time::UNIX_EPOCH;

    fn ended(ends: &[End], errors_allowed: usize) -> (&'static str, &'static str) {
        let sent = UNIX_EPOCH;
        let terms = Terms {
            sent,
            pickup_delay: Duration::ZERO,
            delivery_timeout: Duration::from_secs(30),
            max_concurrency: 50,
            max_errors: errors_allowed,
        };
        let prospects: Vec<_> = ends
            .iter()
            .map(|&end| match end {
                End::DeliveryTimedOut => Prospect::Unreachable,
                end => Prospect::Runs {
                    takes: Duration::from_secs(1),
                    end,
                },
            })
            .collect();
        let invocations = schedule(&prospects, &terms)
            .into_iter()
            .map(|timeline| Invocation {
                instance_id: String::new(),
                instance_name: String::new(),
                plugin: "aws:runShellScript",
                timeline,
                cancelled: None,
                ran: Ran::default(),
            })
            .collect();
        let command = Command {
            id: String::new(),
            document: String::new(),
            document_version: String::new(),
            comment: String::new(),
            parameters: Value::Null,
            instance_ids: Vec::new(),
            targets: Value::Null,
            sent,
            timeout: terms.delivery_timeout,
            max_concurrency: String::new(),
            max_errors: String::new(),
            errors_allowed,
            output_bucket: String::new(),
            output_prefix: String::new(),
            log_group: String::new(),
            uploads: Uploads {
                allowed: true,
                delay: Duration::ZERO,
            },
            visible: sent,
            invocations,
        };
        command.status(sent + Duration::from_mins(1))
    }

    #[test]
    fn a_command_is_judged_by_how_many_errors_it_allows() {
        use End::{DeliveryTimedOut, ExecutionTimedOut, Failed, Success};
        for (ends, allowed, details) in [
            (vec![Success, Success], 0, "Success"),
            (vec![Success, Failed], 0, "Failed"),
            (vec![Success, Failed], 1, "Incomplete"),
            (vec![Success, ExecutionTimedOut], 0, "ExecutionTimedOut"),
            (vec![Failed, ExecutionTimedOut], 1, "Failed"),
            (vec![Success, DeliveryTimedOut], 0, "DeliveryTimedOut"),
            (vec![Success, DeliveryTimedOut], 1, "Incomplete"),
            (vec![], 0, "NoInstancesInTag"),
        ] {
            assert_eq!(
                ended(&ends, allowed).1,
                details,
                "{ends:?} with {allowed} allowed"
            );
        }
    }
}
