//! A text on the terminal of stdout that is replaced as it changes.

use console::{Term, measure_text_width};

use crate::exit::Stop;

pub struct Live {
    terminal: Term,
    shown: String,
}

impl Live {
    /// `None` when nobody looks at stdout.
    pub fn new() -> Option<Self> {
        let terminal = Term::buffered_stdout();
        terminal.is_term().then(|| Self {
            terminal,
            shown: String::new(),
        })
    }

    /// What stays as it is is not drawn again: a person may be selecting it.
    pub fn show(&mut self, text: String) -> Result<(), Stop> {
        if self.shown != text {
            let width = self.terminal.size().1.into();
            self.terminal.clear_last_lines(rows(&self.shown, width))?;
            self.terminal.write_line(&text)?;
            self.terminal.flush()?;
            self.shown = text;
        }
        Ok(())
    }
}

/// How many rows of the terminal the text takes: a long line goes on in the next.
fn rows(text: &str, width: usize) -> usize {
    text.lines()
        .map(|line| measure_text_width(line).max(1).div_ceil(width.max(1)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_takes_several_rows_and_an_empty_one_takes_one() {
        assert_eq!(rows("", 4), 0);
        assert_eq!(rows("abcd", 4), 1);
        assert_eq!(rows("abcde", 4), 2);
        assert_eq!(rows("ab\n\ncd", 4), 3);
        assert_eq!(rows("ab", 0), 2);
    }
}
