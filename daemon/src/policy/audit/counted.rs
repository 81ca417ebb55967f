//! Hand-outs of keys that are the same but for their time and their process: counted,
//! and written together. Thousands of roles may be in use within a minute, so of each
//! only its target is held, in one text with the others'; the rest they share.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    hash::{BuildHasher as _, RandomState},
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use awsso_proto::audit::{Entry, Target, Who};
use serde::Serialize;

use super::rfc3339;

/// Lines that are made at a time: an entry is much larger than what is held of it.
const BATCH: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Counts {
    hasher: RandomState,
    held: HashMap<u64, Counted>,
    /// All but targets, times and processes.
    shared: HashMap<u64, Arc<Entry>>,
    /// Targets as JSON, without the names of what they have.
    targets: Vec<u8>,
    /// Counted no more, oldest first; with their targets.
    ended: VecDeque<(Counted, Arc<[u8]>)>,
}

#[derive(Debug)]
struct Counted {
    first: SystemTime,
    /// How long after that the last one was, in milliseconds.
    span: u32,
    count: u32,
    pid: Option<u32>,
    target: Range<usize>,
    shared: Arc<Entry>,
}

impl Counts {
    /// One more.
    pub(super) fn add(&mut self, entry: Entry, now: SystemTime) -> serde_json::Result<()> {
        let who = &entry.who;
        let same = (&who.kind, &who.exe, &who.client, &entry.verb);
        // Why it failed is said for each.
        let failed = (entry.result != "ok").then_some((&entry.result, &entry.target));
        let same = self.hasher.hash_one((same, failed));
        match self.held.entry(self.hasher.hash_one((same, &entry.target))) {
            hash_map::Entry::Occupied(mut held) => {
                let counted = held.get_mut();
                let span = now.duration_since(counted.first).unwrap_or_default();
                counted.span = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
                counted.count = counted.count.saturating_add(1);
            }
            hash_map::Entry::Vacant(free) => {
                let pid = entry.who.pid;
                let from = self.targets.len();
                let packed = entry.target.as_ref().map(packed);
                if let Err(error) = serde_json::to_writer(&mut self.targets, &packed) {
                    self.targets.truncate(from);
                    return Err(error);
                }
                let shared = self.shared.entry(same).or_insert_with(|| {
                    let who = Who {
                        pid: None,
                        ..entry.who
                    };
                    Arc::new(Entry {
                        who,
                        target: None,
                        ..entry
                    })
                });
                free.insert(Counted {
                    first: now,
                    span: 0,
                    count: 1,
                    pid,
                    target: from..self.targets.len(),
                    shared: Arc::clone(shared),
                });
            }
        }
        Ok(())
    }

    /// What is counted now.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Nothing that comes from now on is counted with what came so far.
    pub(super) fn end(&mut self) {
        let mut ended: Vec<_> = std::mem::take(&mut self.held).into_values().collect();
        self.shared = HashMap::new();
        let targets: Arc<[u8]> = std::mem::take(&mut self.targets).into();
        ended.sort_by_key(|counted| counted.first);
        let ended = ended.into_iter();
        self.ended
            .extend(ended.map(|counted| (counted, Arc::clone(&targets))));
    }

    /// Some of what is counted no more.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Entry> {
        let batch = self.ended.len().min(BATCH);
        let batch = self.ended.drain(..batch);
        batch.map(|(counted, targets)| counted.entry(&targets))
    }
}

impl Counted {
    fn entry(self, targets: &[u8]) -> Entry {
        let mut entry = Arc::unwrap_or_clone(self.shared);
        entry.at = rfc3339(self.first);
        entry.who.pid = self.pid;
        entry.target = serde_json::from_slice(&targets[self.target]).unwrap_or_default();
        if self.count > 1 {
            entry.count = Some(self.count.into());
            entry.until = rfc3339(self.first + Duration::from_millis(self.span.into()));
        }
        entry
    }
}

/// The fields in their order, without their names: serde reads a struct from that, too.
fn packed(target: &Target) -> impl Serialize {
    let Target {
        session,
        account_id,
        account_name,
        role_name,
        region,
        instances,
        of,
    } = target;
    (
        session,
        account_id,
        account_name,
        role_name,
        region,
        instances,
        of,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_comes_back_as_it_was() {
        let target = Target {
            session: "corp".into(),
            account_id: "111122223333".into(),
            account_name: "prod".into(),
            role_name: "Admin".into(),
            region: "eu-west-1".into(),
            instances: vec!["i-1".into()],
            of: Some(3),
        };
        for target in [Some(target), Some(Target::default()), None] {
            let mut counts = Counts::default();
            let entry = Entry {
                target: target.clone(),
                ..Entry::default()
            };
            counts.add(entry, SystemTime::UNIX_EPOCH).unwrap();
            counts.end();
            let entries: Vec<_> = counts.take().collect();
            assert_eq!(entries[0].target, target);
        }
    }
}
