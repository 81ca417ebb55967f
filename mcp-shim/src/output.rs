//! The beginning of a stream of output, and how long the whole was. Memory is
//! bounded by what will be shown, however much comes.

/// The longest encoding of one character in UTF-8.
const CHAR_BYTES: usize = 4;

/// Keeps the first part of a stream, counts the rest.
#[derive(Debug)]
pub(crate) struct Head {
    kept: Vec<u8>,
    limit: usize,
    /// The offset of the first byte that has not been seen.
    next: u64,
    /// Characters seen, where bytes that are no UTF-8 count as they may.
    chars: usize,
}

/// What is shown of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub text: String,
    pub chars: usize,
    /// Of so many.
    pub of: usize,
}

impl Head {
    pub(crate) fn new(max_chars: usize) -> Self {
        Self {
            kept: Vec::new(),
            limit: max_chars * CHAR_BYTES,
            next: 0,
            chars: 0,
        }
    }

    /// Takes a chunk; what an earlier watching has shown already is skipped.
    pub(crate) fn push(&mut self, offset: u64, data: &[u8]) {
        let known = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(new) = data.get(known..) else {
            return;
        };
        self.next = self.next.max(offset) + new.len() as u64;
        self.chars += new.iter().filter(|byte| starts_char(**byte)).count();
        let room = self.limit - self.kept.len();
        self.kept.extend_from_slice(&new[..new.len().min(room)]);
    }

    pub(crate) fn chars(&self) -> usize {
        self.chars
    }

    /// At most `max_chars` characters, cut at the end of a line where one is near.
    pub(crate) fn show(&self, max_chars: usize) -> Shown {
        let whole = String::from_utf8_lossy(&self.kept);
        let end = whole
            .char_indices()
            .nth(max_chars)
            .map_or(whole.len(), |(at, _)| at);
        let all = end == whole.len() && self.next <= self.kept.len() as u64;
        let mut text = &whole[..end];
        if !all
            && let Some(line_end) = text.rfind('\n')
            && line_end >= text.len() / 2
        {
            text = &text[..=line_end];
        }
        let chars = text.chars().count();
        Shown {
            text: text.to_owned(),
            chars,
            of: if all { chars } else { self.chars.max(chars) },
        }
    }
}

fn starts_char(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(max_chars: usize, data: &str) -> Head {
        let mut head = Head::new(max_chars);
        let mut offset = 0;
        for chunk in data.as_bytes().chunks(3) {
            head.push(offset, chunk);
            offset += chunk.len() as u64;
        }
        head
    }

    #[test]
    fn a_short_output_is_shown_whole() {
        let shown = head(100, "günther\n").show(100);
        assert_eq!(
            (shown.text.as_str(), shown.chars, shown.of),
            ("günther\n", 8, 8)
        );
    }

    #[test]
    fn a_long_output_is_cut_at_a_line_end() {
        let shown = head(10, "12345\n789\nabcdef\n").show(12);
        assert_eq!(
            (shown.text.as_str(), shown.chars, shown.of),
            ("12345\n789\n", 10, 17)
        );
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let shown = head(4, &"ü".repeat(1_000)).show(4);
        assert_eq!(
            (shown.text.as_str(), shown.chars, shown.of),
            ("üüüü", 4, 1_000)
        );
    }

    #[test]
    fn memory_is_bounded_however_much_comes() {
        let mut head = Head::new(10);
        for n in 0..1_000_u64 {
            head.push(n * 1_000, &[b'x'; 1_000]);
        }
        assert_eq!(head.kept.len(), 40);
        assert_eq!(head.show(10).of, 1_000_000);
    }

    #[test]
    fn a_watch_taken_up_again_shows_nothing_twice() {
        let mut head = Head::new(100);
        head.push(0, b"abc");
        head.push(0, b"ab");
        head.push(0, b"abcde");
        head.push(5, b"f");
        assert_eq!(head.show(100).text, "abcdef");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_break_the_answer() {
        let mut head = Head::new(100);
        head.push(0, &[b'a', 0xff, 0xfe, b'b']);
        let shown = head.show(100);
        assert_eq!(shown.text, "a\u{fffd}\u{fffd}b");
        assert_eq!(shown.chars, shown.of);
    }
}
