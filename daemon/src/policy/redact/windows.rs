//! The fingerprints that are held: hundreds of thousands of them, in little more room than they take. A hash set
//! doubles when it is full, and is half empty then. This is one table in the order of the hashes, with gaps: a hash is
//! looked for from the place that is its share of the table on, and the table grows by a sixteenth.

const LEAST: usize = 1 << 10;
/// Behind the last place: what is shifted beyond it.
const TAIL: usize = 1 << 8;

/// 48 bits of the hash of a window, and which secrets it is of. A text is compared with
/// all that are held: a gigabyte without secrets has one letter masked in vain.
#[derive(Clone, Copy)]
pub(super) struct Window(u64);

impl Window {
    const NUMBER: u64 = 0xffff;
    const GAP: Self = Self(0);

    pub(super) fn new(hash: u64, number: u16) -> Self {
        Self((hash & !Self::NUMBER).max(Self::NUMBER + 1) | u64::from(number))
    }

    pub(super) fn number(self) -> u16 {
        u16::try_from(self.0 & Self::NUMBER).expect("sixteen bits")
    }

    fn hash(self) -> u64 {
        self.0 & !Self::NUMBER
    }

    fn is_gap(self) -> bool {
        self.0 == 0
    }

    /// Its share of so many places.
    fn home(self, places: usize) -> usize {
        let share = (u128::from(self.0) * places as u128) >> u64::BITS;
        usize::try_from(share).expect("less than the places")
    }
}

/// A set: of two with the same hash the first stays.
#[derive(Default)]
pub(super) struct Windows {
    slots: Vec<Window>,
    places: usize,
    len: usize,
}

impl Windows {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        let window = Window::new(hash, 0);
        let there = self.slots.get(self.place(window));
        there.is_some_and(|there| there.hash() == window.hash())
    }

    pub(super) fn insert(&mut self, window: Window) {
        if self.len * 16 >= self.places * 15 {
            self.grow();
        }
        loop {
            let at = self.place(window);
            let behind = self.slots.get(at..).unwrap_or_default();
            if behind
                .first()
                .is_some_and(|there| there.hash() == window.hash())
            {
                return;
            }
            if let Some(run) = behind.iter().position(|there| there.is_gap()) {
                self.slots.copy_within(at..at + run, at + 1);
                self.slots[at] = window;
                self.len += 1;
                return;
            }
            self.grow();
        }
    }

    pub(super) fn retain(&mut self, stays: impl Fn(Window) -> bool) {
        let stays: Vec<_> = self.held().filter(|window| stays(*window)).collect();
        let places = (stays.len() + stays.len() / 8).max(LEAST);
        *self = Self::of(stays.into_iter(), places);
    }

    fn held(&self) -> impl Iterator<Item = Window> {
        let slots = self.slots.iter().copied();
        slots.filter(|window| !window.is_gap())
    }

    fn grow(&mut self) {
        let places = (self.places + self.places / 16).max(self.places + LEAST);
        *self = Self::of(self.held(), places);
    }

    /// `windows` come in order.
    fn of(windows: impl Iterator<Item = Window>, places: usize) -> Self {
        let mut slots = vec![Window::GAP; places + TAIL];
        let (mut next, mut len) = (0, 0);
        for window in windows {
            let at = window.home(places).max(next);
            match slots.get_mut(at) {
                Some(slot) => *slot = window,
                None => slots.push(window),
            }
            (next, len) = (at + 1, len + 1);
        }
        Self { slots, places, len }
    }

    /// Where it stands, or would stand.
    fn place(&self, window: Window) -> usize {
        let home = window.home(self.places);
        let from = self.slots.get(home..).unwrap_or_default();
        let before = |there: &&Window| !there.is_gap() && there.hash() < window.hash();
        home + from.iter().take_while(before).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Evenly spread, as hashes are; or crowded at the beginning or the end.
    fn hash() -> impl Strategy<Value = u64> {
        let crowded = any::<u64>().prop_map(|hash| hash & 0xff_ffff);
        prop_oneof![
            any::<u64>(),
            crowded.clone(),
            crowded.prop_map(|hash| !hash)
        ]
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_there_and_nothing_else(
            hashes in prop::collection::vec((hash(), 0..3_u16), 0..3_000),
            others in prop::collection::vec(hash(), 100),
            gone in 0..3_u16,
        ) {
            let (mut windows, mut first) = (Windows::default(), BTreeMap::new());
            for (hash, number) in &hashes {
                let window = Window::new(*hash, *number);
                windows.insert(window);
                first.entry(window.hash()).or_insert(*number);
            }
            prop_assert_eq!(windows.len(), first.len());

            windows.retain(|window| window.number() != gone);

            first.retain(|_, number| *number != gone);
            prop_assert_eq!(windows.len(), first.len());
            let asked = hashes.iter().map(|(hash, _)| *hash);
            for hash in asked.chain(others.iter().copied()) {
                let window = Window::new(hash, 0);
                prop_assert_eq!(windows.contains(hash), first.contains_key(&window.hash()));
            }
        }
    }
}
