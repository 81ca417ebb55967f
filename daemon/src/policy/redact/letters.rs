//! All that a text can be read as, by those who look for a secret in it. Pure.
//!
//! *Canonical* letters are those that secrets are made of, in rows: `%2F`, `\u002f`
//! and `\/` are the letter that they stand for, the two alphabets of Base64 are one,
//! and a long line goes on in the next one (`base64` breaks its lines); a short line
//! has ended, and can be shown. A row that is long enough is also read as the Base64
//! of something, at each of the four places where that may begin.

use zeroize::Zeroizing;

use super::Marks;

/// Letters that are compared at once: 96 bits of what is random in Base64.
pub(super) const WINDOW: usize = 16;
/// Letters of Base64 that touch a window's bytes.
const ENCODED: usize = (WINDOW * 8).div_ceil(6) + 1;
/// So many bytes of a text may spell that: escapes, and breaks between them.
pub(super) const WINDOW_REACH: usize = ENCODED * 2 * LONGEST_UNIT;
/// `\u002f`
const LONGEST_UNIT: usize = 6;
/// What wraps lines wraps them later; the ids that AWS gives are shorter.
const WRAPPED: usize = 25;
/// Letters in a row that are held at once.
const ROW: usize = 1 << 10;

/// What a secret looks like.
pub(super) fn of(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut letters = Zeroizing::new(Vec::with_capacity(secret.len()));
    let mut at = 0;
    while at < secret.len() {
        let (unit, width) = unit(secret, at);
        if let Unit::Letter(letter) = unit {
            letters.push(letter);
        }
        at += width;
    }
    letters
}

/// Letters in a row, and where they stand in the text.
#[derive(Default)]
pub(super) struct Row {
    letters: Vec<u8>,
    starts: Vec<usize>,
    /// Behind the last letter.
    end: usize,
}

impl Row {
    /// Marks every window that is known; returns from where on one may have begun
    /// that ends in what is still to come.
    pub(super) fn read(
        text: &[u8],
        whole: bool,
        knows: impl Fn(&[u8]) -> bool,
        marks: &mut Marks,
    ) -> usize {
        let end = if whole { text.len() } else { whole_units(text) };
        let mut row = Self::default();
        let (mut at, mut in_line) = (0, 0);
        while at < end {
            let (unit, width) = unit(text, at);
            match unit {
                Unit::Letter(letter) => {
                    row.letters.push(letter);
                    row.starts.push(at);
                    row.end = at + width;
                    in_line += 1;
                    if row.letters.len() == ROW {
                        row.check(&knows, marks);
                        row.forget_all_but(ENCODED - 1);
                    }
                }
                Unit::Break if in_line >= WRAPPED => in_line = 0,
                Unit::Break | Unit::Other => {
                    row.check(&knows, marks);
                    row.forget_all_but(0);
                    in_line = 0;
                }
            }
            at += width;
        }
        row.check(&knows, marks);
        row.forget_all_but(ENCODED - 1);
        row.starts.first().copied().unwrap_or(end)
    }

    fn check(&self, knows: &impl Fn(&[u8]) -> bool, marks: &mut Marks) {
        let mut mark = |from: usize, to: usize| {
            let end = self.starts.get(to).unwrap_or(&self.end);
            marks.add(self.starts[from]..*end);
        };
        for (at, window) in self.letters.windows(WINDOW).enumerate() {
            if knows(window) {
                mark(at, at + WINDOW);
            }
        }
        if self.letters.len() < ENCODED - 1 {
            return;
        }
        let mut begins = 0;
        let value = |letter: &u8| VALUES[usize::from(*letter)];
        for part in self.letters.split(|letter| value(letter).is_none()) {
            let values: Vec<u8> = part.iter().filter_map(value).collect();
            for phase in 0..part.len().min(4) {
                decoded(&values[phase..], |at, window| {
                    if knows(window) {
                        let from = begins + phase;
                        mark(from + at * 8 / 6, from + ((at + WINDOW) * 8).div_ceil(6));
                    }
                });
            }
            begins += part.len() + 1;
        }
    }

    fn forget_all_but(&mut self, last: usize) {
        let gone = self.letters.len().saturating_sub(last);
        self.letters.drain(..gone);
        self.starts.drain(..gone);
    }
}

/// Hands over each window of canonical letters in what is encoded, and its place.
fn decoded(values: &[u8], mut found: impl FnMut(usize, &[u8])) {
    let mut row = Vec::with_capacity(values.len());
    let (mut bits, mut held, mut at) = (0_u32, 0, 0);
    for value in values {
        bits = (bits << 6 | u32::from(*value)) & 0xffff;
        held += 6;
        if held < 8 {
            continue;
        }
        held -= 8;
        let byte = usize::try_from(bits >> held & 0xff).unwrap_or_default();
        at += 1;
        if let Unit::Letter(letter) = CLASSES[byte] {
            row.push(letter);
            if let Some(window) = row.last_chunk::<WINDOW>() {
                found(at - WINDOW, window);
            }
        } else {
            row.clear();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Letter(u8),
    Break,
    Other,
}

/// What stands at a place, and how many bytes spell it. What begins an escape
/// never stands inside one: where units begin does not depend on what is before.
fn unit(text: &[u8], at: usize) -> (Unit, usize) {
    let hex = |from: usize| {
        let digits = text.get(at + from..at + from + 2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
    };
    let escaped = match text[at] {
        b'%' => hex(1).map(|byte| (byte, 3)),
        b'\\' => match text.get(at + 1) {
            Some(b'/') => Some((b'/', 2)),
            Some(b'n') => Some((b'\n', 2)),
            Some(b'r') => Some((b'\r', 2)),
            Some(b'u') if text[at..].starts_with(b"\\u00") => hex(4).map(|byte| (byte, 6)),
            _ => None,
        },
        b'\r' if text.get(at + 1) == Some(&b'\n') => Some((b'\n', 2)),
        _ => None,
    };
    let (byte, width) = escaped.unwrap_or((text[at], 1));
    (CLASSES[usize::from(byte)], width)
}

/// The text without an escape at its end that may have begun and has not ended.
fn whole_units(text: &[u8]) -> usize {
    let tail = text.len().saturating_sub(LONGEST_UNIT - 1);
    let may_begin = |byte: &u8| matches!(byte, b'%' | b'\\' | b'\r');
    let Some(at) = text[tail..].iter().rposition(may_begin) else {
        return text.len();
    };
    let at = tail + at;
    let rest = &text[at + 1..];
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    let (zeros, digits) = rest.split_at(rest.len().min(3));
    let goes_on = match text[at] {
        b'%' => rest.len() < 2 && hex(rest),
        b'\\' => rest.len() < 5 && b"u00".starts_with(zeros) && hex(digits),
        _ => rest.is_empty(),
    };
    if goes_on { at } else { text.len() }
}

/// What secrets are made of, with Base64's two alphabets as one.
const CLASSES: [Unit; 256] = {
    let mut classes = [Unit::Other; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b'-' => Unit::Letter(b'+'),
            b'_' => Unit::Letter(b'/'),
            b'+' | b'/' | b'=' | b'.' => Unit::Letter(byte),
            b'\n' | b'\r' => Unit::Break,
            _ if byte.is_ascii_alphanumeric() => Unit::Letter(byte),
            _ => Unit::Other,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

/// What a letter is worth in Base64 (RFC 4648).
const VALUES: [Option<u8>; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [None; 256];
    let mut value = 0_u8;
    while value < 64 {
        values[alphabet[value as usize] as usize] = Some(value);
        value += 1;
    }
    values
};
