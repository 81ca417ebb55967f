//! How answers look: one shape per noun for programs (camelCase), and one table
//! for people. Pure: from messages and `now` to text.

pub mod accounts;
pub mod approvals;
pub mod audit;
pub mod jobs;
pub mod login;
pub mod plan;
pub mod session;
pub mod time;

use std::io;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{args::Format, exit::Stop, terminal};

/// Rows under a header: a table for people, or CSV for a spreadsheet.
pub struct Rows {
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Rows {
    pub fn new(header: &'static [&'static str]) -> Self {
        let rows = Vec::new();
        Self { header, rows }
    }

    pub fn push<const N: usize>(&mut self, row: [String; N]) {
        debug_assert_eq!(N, self.header.len(), "a row fits its header");
        self.rows.push(row.into());
    }

    pub fn into_table(self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(self.header);
        for row in self.rows {
            table.add_row(row.iter().map(|cell| printable(cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = String::new();
        for line in table.to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn into_csv(self) -> io::Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(self.header)?;
        for row in self.rows {
            csv.write_record(row)?;
        }
        csv.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Prints a list in the form that was asked for.
pub fn print_list(
    format: Format,
    document: &impl Serialize,
    table: impl FnOnce() -> Rows,
    csv: impl FnOnce() -> Rows,
) -> Result<(), Stop> {
    match format {
        Format::Table => terminal::data(table().into_table().as_bytes()),
        Format::Json => terminal::json(document),
        Format::Toon => {
            let text = toon_format::encode_default(document).map_err(io::Error::other)?;
            terminal::line(text)
        }
        Format::Csv => terminal::data(&csv().into_csv()?),
    }
}

/// A name that someone chose elsewhere must not move the cursor here.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new(&["ID", "NAME"]);
        rows.push(["1".into(), "a, b".into()]);
        rows.push(["22".into(), "\x1b[2Jc".into()]);
        rows
    }

    #[test]
    fn a_table_is_aligned_and_free_of_control_characters() {
        assert_eq!(rows().into_table(), "ID  NAME\n1   a, b\n22   [2Jc\n");
    }

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        let csv = rows().into_csv().unwrap();
        assert_eq!(csv, b"ID,NAME\n1,\"a, b\"\n22,\x1b[2Jc\n");
    }
}
