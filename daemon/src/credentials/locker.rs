//! Where the keys of roles lie: side by side in pages of their own, which the system keeps out of the swap as far as
//! `RLIMIT_MEMLOCK` goes. A text is zeroed when its last user lets go of it. Thousands of blocks among all else that is
//! allocated would also hold on to the memory between them: nothing here is a block of its own.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::info;
use zeroize::{Zeroize as _, Zeroizing};

use crate::os;

/// With its margin so large that it is mapped for itself.
const PAGE: usize = 128 << 10;
/// Larger on some machines: then a little more is locked.
const SYSTEM_PAGE: usize = 4 << 10;
const UNIT: usize = 32;
const UNITS: usize = PAGE / UNIT;

/// The pages; a clone is another handle.
#[derive(Clone, Default)]
pub struct Locker(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    /// A place keeps its number; an empty page is given back.
    pages: Vec<Option<Box<Page>>>,
    warned: bool,
}

struct Page {
    bytes: Box<[u8]>,
    /// Whole pages of the system's lie from here: locking them locks nothing else.
    from: usize,
    taken: [bool; UNITS],
    left: usize,
}

/// A text in a page; a clone is the same one. Before it stands how many there are.
pub struct Kept {
    locker: Locker,
    page: u32,
    unit: u16,
    length: u16,
}

const COUNT: usize = size_of::<u32>();

impl Locker {
    /// `None`: it is longer than any keys are.
    pub fn keep(&self, parts: &[&str]) -> Option<Kept> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length_kept = u16::try_from(length).ok()?;
        let mut pages = self.lock();
        let (number, unit) = pages.place(units(length));
        let kept = Kept {
            locker: self.clone(),
            page: u32::try_from(number).expect("fewer pages"),
            unit: u16::try_from(unit).expect("fewer units"),
            length: length_kept,
        };
        let (count, mut text) = kept.entry(&mut pages);
        *count = 1_u32.to_le_bytes();
        for part in parts {
            let (here, rest) = text.split_at_mut(part.len());
            here.copy_from_slice(part.as_bytes());
            text = rest;
        }
        drop(pages);
        Some(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// So many units in a row, taken.
    fn place(&mut self, units: usize) -> (usize, usize) {
        let with_room = self.pages.iter_mut().enumerate();
        let found = with_room
            .filter_map(|(number, page)| Some((number, page.as_mut()?)))
            .find_map(|(number, page)| Some((number, page.take(units)?)));
        found.unwrap_or_else(|| {
            let number = self.pages.iter().position(Option::is_none);
            let number = number.unwrap_or_else(|| {
                self.pages.push(None);
                self.pages.len() - 1
            });
            let page = self.pages[number].insert(Page::new());
            if let Err(error) = os::keep_in_memory(page.bytes())
                && !self.warned
            {
                self.warned = true;
                info!(%error, "keys of roles may be swapped out");
            }
            (number, page.take(units).expect("it is empty"))
        })
    }
}

impl Page {
    fn new() -> Box<Self> {
        let bytes = vec![0; PAGE + SYSTEM_PAGE].into_boxed_slice();
        Box::new(Self {
            from: bytes.as_ptr().align_offset(SYSTEM_PAGE),
            bytes,
            taken: [false; UNITS],
            left: UNITS,
        })
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..][..PAGE]
    }

    fn take(&mut self, units: usize) -> Option<usize> {
        if self.left < units {
            return None;
        }
        let mut free = 0;
        let last = self.taken.iter().position(|taken| {
            free = if *taken { 0 } else { free + 1 };
            free >= units
        })?;
        let first = last + 1 - units;
        self.taken[first..=last].fill(true);
        self.left -= units;
        Some(first)
    }
}

fn units(length: usize) -> usize {
    (COUNT + length).div_ceil(UNIT)
}

impl Kept {
    /// A copy to be used and dropped.
    pub fn read(&self) -> Zeroizing<String> {
        let mut pages = self.locker.lock();
        let (_, text) = self.entry(&mut pages);
        let text = str::from_utf8(text).expect("it was text");
        Zeroizing::new(text.to_owned())
    }

    fn entry<'a>(&self, pages: &'a mut Pages) -> (&'a mut [u8; COUNT], &'a mut [u8]) {
        let page = pages.pages[self.page as usize].as_mut();
        let entry = &mut page.expect("it holds this").bytes()[usize::from(self.unit) * UNIT..];
        let (count, text) = entry
            .split_first_chunk_mut()
            .expect("it begins with a count");
        (count, &mut text[..self.length.into()])
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        let mut pages = self.locker.lock();
        let (count, _) = self.entry(&mut pages);
        *count = (u32::from_le_bytes(*count) + 1).to_le_bytes();
        drop(pages);
        Self {
            locker: self.locker.clone(),
            ..*self
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut pages = self.locker.lock();
        let (count, text) = self.entry(&mut pages);
        let left = u32::from_le_bytes(*count) - 1;
        *count = left.to_le_bytes();
        if left > 0 {
            return;
        }
        text.zeroize();
        let slot = &mut pages.pages[self.page as usize];
        let page = slot.as_mut().expect("it holds this");
        let (first, units) = (usize::from(self.unit), units(self.length.into()));
        page.taken[first..first + units].fill(false);
        page.left += units;
        if page.left == UNITS {
            os::let_swap(page.bytes());
            *slot = None;
        }
    }
}

impl fmt::Debug for Locker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locker(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pages(locker: &Locker) -> usize {
        locker.lock().pages.iter().flatten().count()
    }

    proptest! {
        #[test]
        fn each_reads_its_own_however_they_come_and_go(
            steps in prop::collection::vec((0..3_000_usize, any::<prop::sample::Index>(), any::<bool>()), 1..200)
        ) {
            let (locker, mut held) = (Locker::default(), Vec::new());
            for (at, (length, which, goes)) in steps.iter().enumerate() {
                let text: String = format!("{at:06}-").chars().cycle().take(*length).collect();
                let (front, back) = text.split_at(length / 3);
                held.push((locker.keep(&[front, back]).expect("short"), text));
                if *goes {
                    let (kept, text) = held.swap_remove(which.index(held.len()));
                    prop_assert_eq!(&*kept.read(), &text);
                }
            }
            for (kept, text) in held {
                prop_assert_eq!(&*kept.read(), &text);
            }
            prop_assert_eq!(pages(&locker), 0);
        }
    }

    #[test]
    fn thousands_of_keys_lie_side_by_side() {
        let locker = Locker::default();
        let text = "k".repeat(396);
        let held: Vec<_> = (0..5_000).map(|_| locker.keep(&[&text])).collect();
        assert_eq!(pages(&locker), 5_000_usize.div_ceil(UNITS / units(396)));
        drop(held);
        assert_eq!(pages(&locker), 0);
    }

    #[test]
    fn what_is_let_go_of_is_zeroed() {
        let locker = Locker::default();
        let (stays, goes) = (locker.keep(&["stays"]), locker.keep(&["a secret"]));
        let same = goes.clone();
        drop(goes);
        assert_eq!(*same.as_ref().expect("short").read(), "a secret");
        drop(same);
        let mut pages = locker.lock();
        let bytes = pages.pages[0].as_mut().expect("one stays").bytes();
        let (stays_here, rest) = bytes[COUNT..].split_at(5);
        assert_eq!(stays_here, b"stays");
        assert!(rest.iter().all(|byte| *byte == 0));
        drop(pages);
        drop(stays);
    }

    #[test]
    fn what_is_longer_than_any_keys_is_not_kept() {
        let (locker, most) = (Locker::default(), "k".repeat(u16::MAX.into()));
        assert!(locker.keep(&[&most]).is_some());
        assert!(locker.keep(&[&most, "k"]).is_none());
    }
}
