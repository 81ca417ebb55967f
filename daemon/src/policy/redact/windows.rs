//! The fingerprints that are held: hundreds of thousands of them, in little more room
//! than they take. A hash set doubles when it is full, and is half empty then; these
//! are rows by the first bits of a hash, each in order.

const ROW_BITS: u32 = 9;
/// A full row grows by an eighth, and by so much at least.
const LEAST_GROWTH: usize = 8;

/// 48 bits of the hash of a window, and which secrets it is of. A text is compared with
/// all that are held: a gigabyte without secrets has one letter masked in vain.
#[derive(Clone, Copy)]
pub(super) struct Window(u64);

impl Window {
    const NUMBER: u64 = 0xffff;

    pub(super) fn new(hash: u64, number: u16) -> Self {
        Self(hash & !Self::NUMBER | u64::from(number))
    }

    pub(super) fn number(self) -> u16 {
        u16::try_from(self.0 & Self::NUMBER).expect("sixteen bits")
    }

    fn hash(self) -> u64 {
        self.0 & !Self::NUMBER
    }
}

/// A set: of two with the same hash the first stays.
pub(super) struct Windows {
    rows: [Vec<Window>; 1 << ROW_BITS],
    len: usize,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self {
            rows: [const { Vec::new() }; 1 << ROW_BITS],
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        let window = Window::new(hash, 0);
        place(&self.rows[number_of(window)], window).is_ok()
    }

    pub(super) fn insert(&mut self, window: Window) {
        let row = &mut self.rows[number_of(window)];
        let Err(at) = place(row, window) else {
            return;
        };
        if row.len() == row.capacity() {
            row.reserve_exact((row.len() / 8).max(LEAST_GROWTH));
        }
        row.insert(at, window);
        self.len += 1;
    }

    pub(super) fn retain(&mut self, stays: impl Fn(Window) -> bool) {
        for row in &mut self.rows {
            row.retain(|window| stays(*window));
            row.shrink_to_fit();
        }
        self.len = self.rows.iter().map(Vec::len).sum();
    }
}

fn number_of(window: Window) -> usize {
    usize::try_from(window.0 >> (u64::BITS - ROW_BITS)).expect("few bits")
}

/// Where it stands, or would stand.
fn place(row: &[Window], window: Window) -> Result<usize, usize> {
    row.binary_search_by_key(&window.hash(), |other| other.hash())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_in_is_there_and_nothing_else(
            hashes in prop::collection::vec((any::<u64>(), 0..3_u16), 0..2_000),
            others in prop::collection::vec(any::<u64>(), 100),
            gone in 0..3_u16,
        ) {
            let (mut windows, mut first) = (Windows::new(), BTreeMap::new());
            // Few first bits, so that rows grow.
            let narrow = |hash: u64| hash & 0x003f_ffff_ffff_ffff;
            for (hash, number) in &hashes {
                windows.insert(Window::new(narrow(*hash), *number));
                first.entry(narrow(*hash) >> 16).or_insert(*number);
            }
            prop_assert_eq!(windows.len(), first.len());

            windows.retain(|window| window.number() != gone);

            first.retain(|_, number| *number != gone);
            prop_assert_eq!(windows.len(), first.len());
            let asked = hashes.iter().map(|(hash, _)| narrow(*hash));
            for hash in asked.chain(others.iter().copied()) {
                prop_assert_eq!(windows.contains(hash), first.contains_key(&(hash >> 16)));
            }
        }
    }
}
