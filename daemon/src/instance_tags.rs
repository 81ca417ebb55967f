//! The tags of instances, as far as rules ask about them: looked up with the keys
//! of the role that the work is for, at the pace of its place, kept for a moment.
//! What is not found out is said, and makes rules stricter.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tracing::info;

use crate::{
    aws::Aws,
    clock::Clock,
    config::check_region,
    credentials::Broker,
    ec2,
    jobs::Target,
    limiter::{Lane, Limiters, Repeat},
    policy::{Action, Instances, Seen, Tags, is_id},
};

/// Tags that change count after this time.
const KEEP: Duration = Duration::from_secs(30);
const MOST_KEPT: usize = 10_000;
/// Places, and instances in each, that one request may make us look at.
const MOST_PLACES: usize = 200;
const MOST_NAMED: usize = 500;
const PLACES_AT_ONCE: usize = 16;
/// A request waits no longer for what its rules ask about.
const LOOK_LIMIT: Duration = Duration::from_secs(15);
/// Instances that a text names.
const SHOWN: usize = 3;

/// The handle.
#[derive(Debug, Clone)]
pub struct InstanceTags(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    aws: Aws,
    clock: Clock,
    broker: Broker,
    limiters: Limiters,
    kept: Mutex<HashMap<Instance, (SystemTime, Tags)>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Instance {
    account: String,
    region: String,
    id: String,
}

/// What was found in one place, by id; and why the rest was not.
type Found = (HashMap<String, Tags>, Option<String>);

impl InstanceTags {
    pub fn new(aws: Aws, clock: Clock, broker: Broker, limiters: Limiters) -> Self {
        Self(Arc::new(Inner {
            aws,
            clock,
            broker,
            limiters,
            kept: Mutex::default(),
        }))
    }

    /// For each target what is to be known of the instances that the action names.
    /// An error only when a login is missing: then nothing can be done at all.
    pub async fn of(&self, action: &Action, targets: &[&Target]) -> Result<Vec<Seen>, Failure> {
        let Instances::Named { ids, .. } = &action.instances else {
            return Ok(vec![Seen::default(); targets.len()]);
        };
        if targets.len() > MOST_PLACES || ids.len() > MOST_NAMED {
            let why = format!(
                "{} instances in {} places: too many to look at",
                ids.len(),
                targets.len()
            );
            return Ok(vec![not_known(ids.iter(), &why); targets.len()]);
        }
        let looks = targets
            .iter()
            .map(|target| self.in_place(target, action.region.as_deref(), ids));
        let looks: Vec<_> = looks.collect();
        let looked: Vec<Found> = stream::iter(looks)
            .buffered(PLACES_AT_ONCE)
            .try_collect()
            .await?;
        // An id is of one place: that the others do not know it says nothing.
        let somewhere: BTreeSet<&String> =
            looked.iter().flat_map(|(found, _)| found.keys()).collect();
        let seen = looked.iter().map(|(found, failed)| {
            let lost = ids.iter().filter(|id| !found.contains_key(*id));
            let lost = lost.filter(|id| failed.is_some() || !somewhere.contains(id));
            let why = failed.as_deref().unwrap_or("EC2 does not know them there");
            Seen {
                found: found.values().cloned().collect(),
                ..not_known(lost, why)
            }
        });
        Ok(seen.collect())
    }

    async fn in_place(
        &self,
        target: &Target,
        region: Option<&str>,
        ids: &[String],
    ) -> Result<Found, Failure> {
        let region = region.unwrap_or(&target.region);
        let mut found = self.held(target, region, ids);
        let asked: Vec<String> = ids
            .iter()
            .filter(|id| !found.contains_key(*id) && is_id(id) && id.starts_with("i-"))
            .cloned()
            .collect();
        let looked = tokio::time::timeout(LOOK_LIMIT, self.look(target, region, &asked)).await;
        let failed = match looked {
            Ok(Ok(more)) => {
                self.keep(target, region, &more);
                found.extend(more);
                None
            }
            Ok(Err(failure))
                if matches!(failure.reason, Reason::LoginRequired | Reason::LoginExpired) =>
            {
                return Err(failure);
            }
            Ok(Err(failure)) => Some(failure.message),
            Err(_) => Some("AWS does not answer in time".to_owned()),
        };
        if let Some(why) = &failed {
            info!(account = %target.role.account, region, why, "the tags of instances are not known");
        }
        Ok((found, failed))
    }

    async fn look(
        &self,
        target: &Target,
        region: &str,
        ids: &[String],
    ) -> Result<HashMap<String, Tags>, Failure> {
        let mut found = HashMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        check_region(region)?;
        let limiter = self
            .0
            .limiters
            .of(&format!("ec2 {} {region}", target.role.account));
        for ids in ids.chunks(ec2::MOST_IDS) {
            let keys = self.0.broker.get(&target.session, &target.role).await?;
            let described = limiter
                .call("DescribeInstances", Lane::Person, Repeat::Freely, || {
                    ec2::describe_instances(
                        &self.0.aws,
                        region,
                        &keys.credentials,
                        ids,
                        self.0.clock.now(),
                    )
                })
                .await?;
            found.extend(described);
        }
        Ok(found)
    }

    fn held(&self, target: &Target, region: &str, ids: &[String]) -> HashMap<String, Tags> {
        let now = self.0.clock.now();
        let kept = self.lock();
        let held = ids.iter().filter_map(|id| {
            let (at, tags) = kept.get(&instance(target, region, id))?;
            let age = now.duration_since(*at).ok()?;
            (age < KEEP).then(|| (id.clone(), tags.clone()))
        });
        held.collect()
    }

    fn keep(&self, target: &Target, region: &str, found: &HashMap<String, Tags>) {
        let now = self.0.clock.now();
        let mut kept = self.lock();
        kept.retain(|_, (at, _)| now.duration_since(*at).is_ok_and(|age| age < KEEP));
        for (id, tags) in found {
            if kept.len() < MOST_KEPT {
                kept.insert(instance(target, region, id), (now, tags.clone()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Instance, (SystemTime, Tags)>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn instance(target: &Target, region: &str, id: &str) -> Instance {
    Instance {
        account: target.role.account.clone(),
        region: region.to_owned(),
        id: id.to_owned(),
    }
}

/// `i-1, i-2, … are not known (AWS says AccessDenied: …)`
fn not_known<'a>(ids: impl Iterator<Item = &'a String>, why: &str) -> Seen {
    let ids: Vec<_> = ids.map(String::as_str).collect();
    let more = if ids.len() > SHOWN { ", …" } else { "" };
    let shown = ids[..ids.len().min(SHOWN)].join(", ");
    Seen {
        found: Vec::new(),
        unknown: (!ids.is_empty()).then(|| format!("{shown}{more} are not known ({why})")),
    }
}
