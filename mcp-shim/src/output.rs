//! The beginning of a stream of output, or a piece from its middle, and how long
//! the whole is. Memory is bounded by what will be shown, however much comes.

/// The longest encoding of one character in UTF-8.
pub(crate) const CHAR_BYTES: usize = 4;

/// Keeps one part of a stream, counts the rest.
#[derive(Debug)]
pub(crate) struct Head {
    kept: Vec<u8>,
    limit: usize,
    /// The offset of the first byte that is kept.
    first: u64,
    /// What comes before the first whole line is not shown.
    from_a_line: bool,
    /// The offset of the first byte that has not been seen.
    next: u64,
    /// Characters of the stream, where bytes that are no UTF-8 count as they may,
    /// and bytes that were never fetched count one each.
    chars: usize,
}

/// What is shown of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub text: String,
    pub chars: usize,
    /// Of so many.
    pub of: usize,
    /// Where the next byte stands that is not shown.
    pub next_offset: u64,
}

impl Head {
    pub(crate) fn new(max_chars: usize) -> Self {
        Self {
            kept: Vec::new(),
            limit: max_chars * CHAR_BYTES,
            first: 0,
            from_a_line: false,
            next: 0,
            chars: 0,
        }
    }

    /// What was read at this offset of a stream of `total` bytes.
    pub(crate) fn piece(offset: u64, data: Vec<u8>, total: u64) -> Self {
        let next = offset + data.len() as u64;
        let unseen = offset + total.saturating_sub(next);
        Self {
            limit: data.len(),
            chars: usize::try_from(unseen)
                .unwrap_or(usize::MAX)
                .saturating_add(count_chars(&data)),
            first: offset,
            from_a_line: false,
            next: total.max(next),
            kept: data,
        }
    }

    /// The same, where nobody asked for just this offset: it begins with a line.
    pub(crate) fn beginning_with_a_line(self) -> Self {
        Self {
            from_a_line: self.first > 0,
            ..self
        }
    }

    /// Takes a chunk; what an earlier watching has shown already is skipped.
    pub(crate) fn push(&mut self, offset: u64, data: &[u8]) {
        let known = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(new) = data.get(known..) else {
            return;
        };
        self.next = self.next.max(offset) + new.len() as u64;
        self.chars += count_chars(new);
        let room = self.limit - self.kept.len();
        self.kept.extend_from_slice(&new[..new.len().min(room)]);
    }

    pub(crate) fn chars(&self) -> usize {
        self.chars
    }

    /// The offset of the first byte that has not been seen.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The whole stream, when it is here.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        (self.first == 0 && self.next == self.kept.len() as u64).then_some(&self.kept)
    }

    /// At most `max_chars` characters, cut at the end of a line where one is near.
    pub(crate) fn show(&self, max_chars: usize) -> Shown {
        let (skipped, kept) = self.whole_characters();
        let all = String::from_utf8_lossy(kept);
        let (text, is_all) = cut(&all, max_chars);
        let is_all = is_all && self.first == 0 && self.next <= self.kept.len() as u64;
        let chars = text.chars().count();
        Shown {
            chars,
            of: if is_all { chars } else { self.chars.max(chars) },
            next_offset: self.first + (skipped + encoded(kept, chars)) as u64,
            text: text.to_owned(),
        }
    }

    /// What is kept, without the parts of characters at its ends.
    fn whole_characters(&self) -> (usize, &[u8]) {
        let kept = &self.kept;
        let mut start = 0;
        if self.first > 0 {
            start = match kept.iter().position(|byte| *byte == b'\n') {
                Some(end) if self.from_a_line && end < kept.len() / 2 => end + 1,
                _ => {
                    let mut ends = kept.iter().take(CHAR_BYTES);
                    ends.position(|byte| starts_char(*byte)).unwrap_or_default()
                }
            };
        }
        let mut end = kept.len();
        if self.first + (end as u64) < self.next {
            let last = &kept[end.saturating_sub(CHAR_BYTES).max(start)..];
            let part = last.utf8_chunks().last().map(|chunk| chunk.invalid());
            end -= part.map_or(0, <[u8]>::len);
        }
        (start, &kept[start..end])
    }
}

/// The bytes that so many characters were made of.
fn encoded(bytes: &[u8], chars: usize) -> usize {
    let pieces = bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(char::len_utf8);
        // What is no UTF-8 is shown as one character.
        let invalid = Some(chunk.invalid().len()).filter(|length| *length > 0);
        valid.chain(invalid)
    });
    pieces.take(chars).sum()
}

/// The beginning of a text, and whether that is all of it. It ends with a line
/// where one ends in its second half.
pub(crate) fn cut(text: &str, max_chars: usize) -> (&str, bool) {
    let Some((end, _)) = text.char_indices().nth(max_chars) else {
        return (text, true);
    };
    let beginning = &text[..end];
    match beginning.rfind('\n') {
        Some(line_end) if line_end >= end / 2 => (&beginning[..=line_end], false),
        _ => (beginning, false),
    }
}

fn count_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| starts_char(**byte)).count()
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

    /// The text, its characters, of so many, and where to read on.
    fn shown(head: &Head, max_chars: usize) -> (String, usize, usize, u64) {
        let shown = head.show(max_chars);
        (shown.text, shown.chars, shown.of, shown.next_offset)
    }

    #[test]
    fn a_short_output_is_shown_whole() {
        let head = head(100, "günther\n");
        assert_eq!(shown(&head, 100), ("günther\n".into(), 8, 8, 9));
        assert_eq!(head.whole(), Some("günther\n".as_bytes()));
    }

    #[test]
    fn a_long_output_is_cut_at_a_line_end() {
        let head = head(10, "12345\n789\nabcdef\n");
        assert_eq!(shown(&head, 12), ("12345\n789\n".into(), 10, 17, 10));
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        let head = head(4, &"ü".repeat(1_000));
        assert_eq!(shown(&head, 4), ("üüüü".into(), 4, 1_000, 8));
    }

    #[test]
    fn memory_is_bounded_however_much_comes() {
        let mut head = Head::new(10);
        for n in 0..1_000_u64 {
            head.push(n * 1_000, &[b'x'; 1_000]);
        }
        assert_eq!(head.kept.len(), 40);
        assert_eq!(head.show(10).of, 1_000_000);
        assert_eq!(head.whole(), None);
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

    #[test]
    fn a_piece_from_the_middle_says_where_to_read_on_and_may_begin_with_a_line() {
        let piece = Head::piece(100, b"end\nsecond line\nthird\n".to_vec(), 1_000);
        assert!(piece.show(100).text.starts_with("end\n"));
        let piece = piece.beginning_with_a_line();
        let expected = ("second line\nthird\n".to_owned(), 18, 1_000, 122);
        assert_eq!(shown(&piece, 100), expected);
        assert_eq!(piece.whole(), None);
        let inside = Head::piece(1, "üa".as_bytes()[1..].to_vec(), 3);
        assert_eq!(shown(&inside, 100).0, "a");
    }

    #[test]
    fn pieces_that_follow_each_other_leave_nothing_out() {
        let data = "aü\nbö\ncä\nno end of a line but ünïcödé".repeat(7);
        for max_chars in 1..20 {
            let mut read = String::new();
            let mut offset = 0;
            while offset < data.len() as u64 {
                let rest = &data.as_bytes()[usize::try_from(offset).unwrap()..];
                let most = rest.len().min(max_chars * CHAR_BYTES);
                let piece = Head::piece(0, rest[..most].to_vec(), rest.len() as u64);
                let shown = piece.show(max_chars);
                read.push_str(&shown.text);
                offset += shown.next_offset;
            }
            assert_eq!(read, data, "{max_chars}");
        }
    }

    #[test]
    fn where_to_read_on_counts_bytes_that_are_no_text() {
        let mut head = Head::new(100);
        head.push(0, &[0xff, b'a', 0xfe, b'b', 0xc3]);
        assert_eq!(head.show(3).next_offset, 3);
        assert_eq!(head.show(100).next_offset, 5);
    }
}
