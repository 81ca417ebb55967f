//! What an agent must not see is masked in all that it is shown: the secrets
//! that are in use (`known`), and what has the form of a key or a token
//! (`shapes`). A person is shown everything.
//!
//! * A mask is as long as what it hides, and leaves line breaks: offsets, line
//!   numbers and JSON stay what they are, and an agent that reads on at an
//!   offset reads on where it was.
//! * Outputs are stored as they were printed and masked when they are shown. What
//!   is masked does not depend on where a reader begins or how much it takes: a
//!   byte is masked because of at most [`REACH`] bytes around it. Whoever shows a
//!   part reads so much before it, and holds back an end that is undecided while
//!   more may come.
//! * It never fails open: what cannot be looked at is masked whole.
//!
//! The id of an access key is shown: it is no secret, AWS writes it into its own
//! logs, and rotating keys needs it. So are account ids, ARNs, digests and `ETag`s.

mod known;
mod letters;
mod shapes;
#[cfg(test)]
mod tests;
mod windows;

use std::{ops::Range, time::SystemTime};

use known::Index;
pub use known::Known;
use letters::WINDOW_REACH;

use crate::clock::Clock;

/// How far what is masked may be from what tells that it is.
pub const REACH: usize = shapes::REACH + WINDOW_REACH;

const MASK: u8 = b'*';

/// The handle.
#[derive(Clone)]
pub struct Redactor {
    known: Index,
}

// It has nothing to say of what it knows.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl Redactor {
    pub fn new(clock: Clock) -> Self {
        Self {
            known: Index::new(clock),
        }
    }

    /// From now on these are masked, for as long as the answer lives and at least
    /// until the secrets' own end.
    pub fn know(&self, secrets: &[&str], ends_at: Option<SystemTime>) -> Known {
        self.known.know(secrets, ends_at)
    }

    /// Masks in place. Unless the text is `whole`, more may come: returned is how
    /// much of it will be the same then. The rest is at most [`REACH`] bytes.
    pub fn mask(&self, text: &mut [u8], whole: bool) -> usize {
        let mut marks = Marks::default();
        let open = [
            self.known.mark(text, whole, &mut marks),
            shapes::mark(text, whole, &mut marks),
        ];
        marks.hide(text);
        if whole {
            return text.len();
        }
        open.into_iter().min().unwrap_or(0)
    }

    /// The same for a text of ours.
    pub fn text(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        self.mask(&mut bytes, true);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// What could not be looked at.
pub fn hide(text: &mut [u8]) {
    let mut marks = Marks::default();
    marks.add(0..text.len());
    marks.hide(text);
}

/// Parts of a text that are to be hidden; they may overlap.
#[derive(Default)]
struct Marks(Vec<Range<usize>>);

impl Marks {
    fn add(&mut self, part: Range<usize>) {
        match self.0.last_mut() {
            Some(last) if last.contains(&part.start) => last.end = last.end.max(part.end),
            _ => self.0.push(part),
        }
    }

    fn hide(self, text: &mut [u8]) {
        for byte in self.0.into_iter().flatten() {
            if !matches!(text[byte], b'\n' | b'\r') {
                text[byte] = MASK;
            }
        }
    }
}
