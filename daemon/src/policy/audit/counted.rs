//! Hand-outs of keys that are the same but for their time and their process: counted,
//! and written together. Ten thousand roles may be in use within a minute, so each
//! is held as the text that its line will be.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    hash::{BuildHasher as _, RandomState},
    time::SystemTime,
};

use awsso_proto::audit::Entry;

use super::rfc3339;

/// Lines that are made at a time: an entry is much larger than what is held of it.
const BATCH: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Counts {
    hasher: RandomState,
    held: HashMap<u64, Counted>,
    /// Counted no more, oldest first.
    ended: VecDeque<Counted>,
}

#[derive(Debug)]
struct Counted {
    first: SystemTime,
    last: SystemTime,
    count: u64,
    /// The first of them, as JSON.
    entry: Box<[u8]>,
}

impl Counts {
    /// One more.
    pub(super) fn add(&mut self, entry: &Entry, now: SystemTime) -> serde_json::Result<()> {
        let who = &entry.who;
        let same = (&who.kind, &who.exe, &who.client);
        let same = (same, &entry.verb, &entry.target, &entry.result);
        match self.held.entry(self.hasher.hash_one(same)) {
            hash_map::Entry::Occupied(mut held) => {
                let counted = held.get_mut();
                counted.count += 1;
                counted.last = now;
            }
            hash_map::Entry::Vacant(free) => {
                free.insert(Counted {
                    first: now,
                    last: now,
                    count: 1,
                    entry: serde_json::to_vec(entry)?.into(),
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
        ended.sort_by_key(|counted| counted.first);
        self.ended.extend(ended);
    }

    /// Some of what is counted no more.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Entry> {
        let batch = self.ended.len().min(BATCH);
        self.ended.drain(..batch).map(Counted::entry)
    }
}

impl Counted {
    fn entry(self) -> Entry {
        let first: Entry = serde_json::from_slice(&self.entry).unwrap_or_default();
        let again = self.count > 1;
        Entry {
            at: rfc3339(self.first),
            count: again.then_some(self.count),
            until: if again {
                rfc3339(self.last)
            } else {
                String::new()
            },
            ..first
        }
    }
}
