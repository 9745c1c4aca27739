//! Aligned columns without lines, as wide as the reader's terminal.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

/// A table whose first columns are never wrapped; the others share the rest.
#[derive(Debug)]
pub struct Columns {
    table: Table,
    indent: usize,
    unwrapped: usize,
}

impl Columns {
    /// An empty table, so many columns of which are never wrapped.
    pub fn new(indent: usize, width: usize, unwrapped: usize) -> Self {
        let mut table = Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width.saturating_sub(indent)).unwrap_or(u16::MAX));
        Self {
            table,
            indent,
            unwrapped,
        }
    }

    /// Sets the headings.
    pub fn header(&mut self, cells: &[&str]) {
        self.table.set_header(cells.to_vec());
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.table.add_row(cells);
    }

    /// Adds a row that holds a heading alone.
    pub fn heading(&mut self, text: &str) {
        self.table.add_row([text]);
    }

    /// Aligns a column to the right.
    pub fn align_right(&mut self, column: usize) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// The lines, each without spaces at its end.
    pub fn lines(mut self) -> Vec<String> {
        let last = self.table.column_count().saturating_sub(1);
        let widths = self.table.column_max_content_widths();
        for (index, width) in widths.into_iter().enumerate() {
            let Some(column) = self.table.column_mut(index) else {
                continue;
            };
            column.set_padding((0, if index == last { 0 } else { 2 }));
            if index < self.unwrapped {
                let padded = Width::Fixed(width + 2);
                column.set_constraint(ColumnConstraint::Absolute(padded));
            }
        }
        let left = " ".repeat(self.indent);
        self.table
            .lines()
            .map(|line| format!("{left}{line}").trim_end().to_owned())
            .collect()
    }
}
