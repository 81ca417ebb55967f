//! A command for instances, checked before anything is asked of AWS: pure.

use std::time::Duration;

use awsso_proto::{Failure, Reason, v1};

use super::script::Script;
use crate::jobs::Bounds;

/// Delivery, apart from running (`SendCommand`'s `TimeoutSeconds`), unless asked for another.
const DELIVERY_LIMIT: Duration = Duration::from_mins(10);
/// What AWS takes.
const DELIVERY_LIMITS: (Duration, Duration) =
    (Duration::from_secs(30), Duration::from_hours(30 * 24));
/// `executionTimeout` of the documents; outside of it the agent takes an hour.
const RUN_LIMITS: (u64, u64) = (5, 172_800);
/// Instances of one request; a bound, not a goal.
const MAX_INSTANCES: usize = 1_000;

/// A command for instances, checked.
#[derive(Debug, Clone)]
pub struct Work {
    pub(super) script: Script,
    pub(super) instance_ids: Vec<String>,
    pub(super) targets: Vec<v1::SsmTarget>,
    pub(super) limit: Duration,
    pub(super) delivery: Duration,
    pub(super) bounds: Bounds,
}

impl Work {
    pub fn new(work: v1::SsmWork, limit: Duration, bounds: Bounds) -> Result<Self, Failure> {
        let invalid = |what: String| Err(Failure::new(Reason::InvalidArgument, what));
        let script = Script::new(&work)?;
        let delivery = match work.delivery_limit.map(Duration::try_from) {
            None => DELIVERY_LIMIT,
            Some(Ok(limit)) if (DELIVERY_LIMITS.0..=DELIVERY_LIMITS.1).contains(&limit) => limit,
            Some(_) => return invalid("AWS tries to deliver for 30 seconds to 30 days".into()),
        };
        let mut instance_ids = work.instance_ids;
        instance_ids.sort();
        instance_ids.dedup();
        if instance_ids.is_empty() == work.targets.is_empty() {
            return invalid("name instances by id or by target, one of the two".into());
        }
        if instance_ids.len() > MAX_INSTANCES {
            return invalid(format!("{MAX_INSTANCES} instances are the most"));
        }
        if let Some(bad) = instance_ids.iter().find(|id| !is_instance_id(id)) {
            return invalid(format!(
                "{bad:?} is not an instance id like i-0a1b2c3d4e5f67890"
            ));
        }
        let good = |target: &v1::SsmTarget| {
            target.key.starts_with("tag:") && target.key.len() > 4 && !target.values.is_empty()
        };
        if let Some(bad) = work.targets.iter().find(|target| !good(target)) {
            return invalid(format!(
                "the target {:?} is not of the form tag:KEY=VALUE",
                bad.key
            ));
        }
        let limit = limit.as_secs().clamp(RUN_LIMITS.0, RUN_LIMITS.1);
        Ok(Self {
            script,
            instance_ids,
            targets: work.targets,
            limit: Duration::from_secs(limit),
            delivery,
            bounds,
        })
    }

    /// How long it may take until it has ended everywhere: to be delivered, then to run.
    pub fn limit(&self) -> Duration {
        self.delivery + self.limit
    }
}

/// EC2 instances and hybrid nodes.
fn is_instance_id(id: &str) -> bool {
    let hex = id.strip_prefix("i-").or_else(|| id.strip_prefix("mi-"));
    hex.is_some_and(|hex| {
        (8..=17).contains(&hex.len())
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(command: &str, ids: &[&str], targets: &[(&str, &[&str])]) -> Result<Work, Failure> {
        let work = v1::SsmWork {
            command: command.into(),
            instance_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            targets: targets
                .iter()
                .map(|(key, values)| v1::SsmTarget {
                    key: (*key).to_owned(),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
            ..v1::SsmWork::default()
        };
        Work::new(work, Duration::from_secs(1), Bounds::default())
    }

    #[test]
    fn a_request_names_instances_or_targets_and_each_rightly() {
        let id = "i-0a1b2c3d4e5f60001";
        assert_eq!(work("uptime", &[id, id], &[]).unwrap().instance_ids, [id]);
        assert!(work("uptime", &["mi-0123456789abcdef0"], &[]).is_ok());
        assert!(work("uptime", &[], &[("tag:Role", &["web"])]).is_ok());
        for bad in [
            work("", &[id], &[]),
            work("a\0", &[id], &[]),
            work("a", &[], &[]),
            work("a", &[id], &[("tag:Role", &["web"])]),
            work("a", &["i-XYZ"], &[]),
            work("a", &["web-1"], &[]),
            work("a", &[], &[("Role", &["web"])]),
            work("a", &[], &[("tag:Role", &[])]),
        ] {
            assert_eq!(bad.unwrap_err().reason, Reason::InvalidArgument);
        }
    }

    #[test]
    fn a_running_limit_is_one_that_the_agent_honours() {
        let limit = |seconds| {
            let work = v1::SsmWork {
                command: "x".into(),
                instance_ids: vec!["i-0a1b2c3d4e5f60001".into()],
                ..v1::SsmWork::default()
            };
            Work::new(work, Duration::from_secs(seconds), Bounds::default())
                .unwrap()
                .limit
                .as_secs()
        };
        assert_eq!((limit(1), limit(60), limit(1_000_000)), (5, 60, 172_800));
    }

    #[test]
    fn a_delivery_limit_is_one_that_aws_takes() {
        let limit = |seconds| {
            let work = v1::SsmWork {
                command: "x".into(),
                instance_ids: vec!["i-0a1b2c3d4e5f60001".into()],
                delivery_limit: Some(prost_types::Duration { seconds, nanos: 0 }),
                ..v1::SsmWork::default()
            };
            let work = Work::new(work, Duration::from_mins(1), Bounds::default());
            work.map(|work| (work.delivery.as_secs(), work.limit().as_secs()))
        };
        assert_eq!(limit(45).unwrap(), (45, 105));
        for bad in [29, -1, 30 * 24 * 3600 + 1] {
            assert_eq!(limit(bad).unwrap_err().reason, Reason::InvalidArgument);
        }
    }
}
