//! Columns that are as wide as what is in them. For terminals only: scripts get plain lines.

use unicode_width::UnicodeWidthStr as _;

use super::style::{Look, Paint};
use super::text::escape;

/// Between two columns.
const GAP: &str = "  ";

/// A field: its text, made harmless, and its look.
pub(crate) struct Cell {
    text: String,
    look: Option<Look>,
}

impl Cell {
    /// A field in its own look.
    pub(crate) fn new(look: Look, text: impl AsRef<str>) -> Self {
        Self { text: escape(text.as_ref()), look: Some(look) }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: escape(text.as_ref()), look: None }
    }
}

/// Rows under a heading.
pub(crate) struct Table {
    heading: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|name| Cell::new(Look::Faint, name)).collect(), rows: Vec::new() }
    }

    /// Adds a row for each of several things.
    pub(crate) fn rows<T>(mut self, things: impl IntoIterator<Item = T>, cells: impl Fn(T) -> Vec<Cell>) -> Self {
        self.rows.extend(things.into_iter().map(cells));
        self
    }

    /// One line for each row; nothing at all when there is no row.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let heading = (!self.heading.is_empty()).then_some(&self.heading);
        let all: Vec<&Vec<Cell>> = heading.into_iter().chain(&self.rows).collect();
        let columns = all.iter().map(|row| row.len()).max().unwrap_or(0);
        let widest = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width()).max();
        let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
        all.iter().map(|row| line(row, &widths, paint)).collect()
    }
}

/// A row, without blanks at its end.
fn line(row: &[Cell], widths: &[usize], paint: Paint) -> String {
    let last = row.iter().rposition(|cell| !cell.text.is_empty());
    let mut line = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        line.push_str(&cell.look.map_or_else(|| cell.text.clone(), |look| paint.paint(look, &cell.text)));
        if last.is_none_or(|last| column >= last) {
            break;
        }
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.text.width())));
        line.push_str(GAP);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let table = Table::new(&["USER", "NOTE"])
            .rows([("bob", "tea"), ("日本", ""), ("caroline", "x")], |(who, note)| vec![who.into(), note.into()]);
        assert_eq!(table.lines(Paint::off()), ["USER      NOTE", "bob       tea", "日本", "caroline  x"]);
        assert!(Table::new(&["USER"]).lines(Paint::off()).is_empty());
    }

    #[test]
    fn atk_61_a_field_cannot_break_out_of_its_row() {
        let table = Table::new(&["NOTE"]).rows(["a\u{1b}[2J\nb\u{202e}"], |note| vec![note.into()]);
        assert_eq!(table.lines(Paint::off()), ["NOTE", "a\\u{1b}[2J\\nb\\u{202e}"]);
    }
}
