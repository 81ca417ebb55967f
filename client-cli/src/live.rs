//! A text on the terminal of stdout that is replaced as it changes. Each change
//! is one write, so that nothing flickers, and nothing of the terminal is left
//! in another state: it may end at any time.

use std::io;

use console::{Term, is_dumb, measure_text_width};

use crate::exit::Stop;

pub struct Live {
    terminal: Term,
    shown: String,
}

impl Live {
    /// `None` when nobody looks at stdout, or nothing there can be replaced.
    pub fn new() -> Option<Self> {
        let terminal = Term::buffered_stdout();
        (terminal.is_term() && !is_dumb()).then(|| Self {
            terminal,
            shown: String::new(),
        })
    }

    /// How many rows, and how many columns, a text may have: what has left the
    /// screen at its top stays as it is.
    pub fn room(&self) -> (usize, usize) {
        let (rows, columns) = self.terminal.size();
        // The cursor stands in a row of its own.
        (usize::from(rows).saturating_sub(1), columns.into())
    }

    /// What stays as it is is not drawn again: a person may be selecting it.
    pub fn show(&mut self, text: String) -> Result<(), Stop> {
        if self.shown != text {
            self.take_back()?;
            self.terminal.write_line(&text)?;
            self.terminal.flush()?;
            self.shown = text;
        }
        Ok(())
    }

    /// Leaves the terminal as if nothing had been shown.
    pub fn clear(&mut self) -> Result<(), Stop> {
        self.take_back()?;
        self.terminal.flush()?;
        self.shown.clear();
        Ok(())
    }

    fn take_back(&self) -> io::Result<()> {
        if self.shown.is_empty() {
            return Ok(());
        }
        let columns = self.terminal.size().1.into();
        self.terminal.move_cursor_up(rows(&self.shown, columns))?;
        // With the text goes what was typed below it: a Ctrl-C leaves its `^C`.
        self.terminal.clear_to_end_of_screen()
    }
}

/// How many rows of the terminal the text takes: a long line goes on in the next.
fn rows(text: &str, columns: usize) -> usize {
    text.lines()
        .map(|line| measure_text_width(line).max(1).div_ceil(columns.max(1)))
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

    #[test]
    fn a_wide_character_takes_two_columns() {
        assert_eq!(rows("本番本番", 4), 2);
    }
}
