//! The figures, one row each: what it is, both sides, how they compare, the bar.

use std::{fmt, io};

use crate::measure::Pairs;

const HEAD: [&str; 6] = ["what", "ours", "beside", "compared", "bar", "ok"];

pub struct Row {
    cells: [String; 5],
    ok: bool,
}

impl Row {
    /// Medians, and how many times longer ours takes.
    pub fn ratio(what: &str, pairs: &Pairs, bar: f64) -> Self {
        let ratio = pairs.ratio();
        let cells = [
            what.to_owned(),
            format!("{:.2} ms", pairs.ours()),
            format!("{:.2} ms", pairs.beside()),
            format!("{ratio:.2} x"),
            format!("<= {bar} x"),
        ];
        Self::new(cells, ratio <= bar)
    }

    /// Medians, and how much longer ours takes.
    pub fn difference(what: &str, pairs: &Pairs, bar: f64) -> Self {
        let difference = pairs.difference();
        let cells = [
            what.to_owned(),
            format!("{:.2} ms", pairs.ours()),
            format!("{:.2} ms", pairs.beside()),
            format!("{difference:+.2} ms"),
            format!("<= {bar} ms"),
        ];
        Self::new(cells, difference <= bar)
    }

    /// Resident memory, in MiB.
    pub fn memory(what: &str, ours: f64, bar: f64) -> Self {
        let cells = [
            what.to_owned(),
            format!("{ours:.1} MiB"),
            String::new(),
            String::new(),
            format!("<= {bar} MiB"),
        ];
        Self::new(cells, ours <= bar)
    }

    /// Ours, what it stands beside, how they compare, the bar; and whether it is met.
    pub fn figure(what: &str, [ours, beside, compared, bar]: [String; 4], ok: bool) -> Self {
        Self::new([what.to_owned(), ours, beside, compared, bar], ok)
    }

    fn new(cells: [String; 5], ok: bool) -> Self {
        Self { cells, ok }
    }

    fn texts(&self) -> [&str; 6] {
        let [what, ours, beside, compared, bar] = self.cells.each_ref().map(String::as_str);
        [what, ours, beside, compared, bar, self.verdict()]
    }

    fn verdict(&self) -> &'static str {
        if self.ok { "yes" } else { "NO" }
    }
}

pub fn print(out: &mut dyn io::Write, rows: &[Row]) -> io::Result<()> {
    let texts: Vec<_> = [HEAD]
        .into_iter()
        .chain(rows.iter().map(Row::texts))
        .collect();
    let width = |column: usize| texts.iter().map(|row| row[column].len()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or_default());
    for row in &texts {
        writeln!(out, "{}", Aligned(row, &widths))?;
    }
    let met = rows.iter().filter(|row| row.ok).count();
    writeln!(out, "{met} of {} bars are met", rows.len())
}

struct Aligned<'a>(&'a [&'a str; 6], &'a [usize; 6]);

impl fmt::Display for Aligned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(row, widths) = self;
        write!(f, "{:<1$}", row[0], widths[0])?;
        for (text, width) in row.iter().zip(*widths).skip(1) {
            write!(f, "  {text:>width$}")?;
        }
        Ok(())
    }
}
