//! What taking each protection away lets out, as a matrix.

use std::collections::{BTreeMap, BTreeSet};

use crate::describe;
use crate::model::{Ablation, AblationCell, AblationRow, Verdict};
use crate::sanitise;
use crate::table::Columns;
use crate::terminal::{STRONG, labelled, paint, paragraph, verdict_style};

const NAME_MAX: usize = 60;

/// Columns of a protection in the matrix.
const CELL: usize = 4;

/// The matrix: a column for each protection, a row for each probe.
pub(super) fn ablation(ablation: &Ablation, width: usize) -> String {
    let sandbox = sanitise::line(&ablation.sandbox, NAME_MAX);
    let mut text = paint(STRONG, &format!("{sandbox} without each protection"));
    text.push('\n');
    text.push_str(&legend(&ablation.rows, width));
    let probes: BTreeSet<&str> = ablation
        .rows
        .iter()
        .flat_map(|row| row.cells.iter().map(|cell| cell.probe.as_str()))
        .collect();
    let longest = probes.iter().map(|probe| probe.len()).max().unwrap_or(0);
    let columns = (width.saturating_sub(longest + 4) / CELL).max(1);
    for (index, rows) in ablation.rows.chunks(columns).enumerate() {
        text.push('\n');
        text.push_str(&matrix(rows, index * columns + 1, &probes, width));
    }
    text.push_str("  E escaped, . contained, - not run, ? another verdict; ! not as declared\n");
    text.push_str(&surprises(&ablation.rows, width));
    text
}

fn legend(rows: &[AblationRow], width: usize) -> String {
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = format!("without {}", describe::name(&row.without));
        if !row.also_lost.is_empty() {
            let lost = describe::guards(&row.also_lost, ", ");
            line.push_str(&format!(" (and so without {lost})"));
        }
        let escapes = row
            .cells
            .iter()
            .filter(|cell| cell.verdict == Verdict::Escaped)
            .count();
        line.push_str(&format!(": {escapes} of {} get out", row.cells.len()));
        text.push_str(&labelled(2, &format!("{:2}", index + 1), 4, &line, width));
    }
    text
}

fn matrix(rows: &[AblationRow], first: usize, probes: &BTreeSet<&str>, width: usize) -> String {
    let cells: Vec<BTreeMap<&str, &AblationCell>> = rows
        .iter()
        .map(|row| {
            row.cells
                .iter()
                .map(|cell| (cell.probe.as_str(), cell))
                .collect()
        })
        .collect();
    let mut table = Columns::new(2, width, rows.len() + 1);
    let numbers: Vec<String> = (first..first + rows.len())
        .map(|number| format!("{number:<2}"))
        .collect();
    let mut header = vec!["probe"];
    header.extend(numbers.iter().map(String::as_str));
    table.header(&header);
    for probe in probes {
        let mut row = vec![(*probe).to_owned()];
        row.extend(cells.iter().map(|cells| mark(cells.get(probe).copied())));
        table.row(row);
    }
    let mut text = String::new();
    for (index, line) in table.lines().into_iter().enumerate() {
        text.push_str(&if index == 0 {
            paint(STRONG, &line)
        } else {
            line
        });
        text.push('\n');
    }
    text
}

fn mark(cell: Option<&AblationCell>) -> String {
    let Some(cell) = cell else {
        return "- ".to_owned();
    };
    let mark = match cell.verdict {
        Verdict::Escaped => "E",
        Verdict::Contained => ".",
        _ => "?",
    };
    let surprise = if cell.as_expected() { " " } else { "!" };
    format!("{mark}{surprise}")
}

/// Cells that came otherwise than the probes declare: the declaration is wrong,
/// or a protection is.
fn surprises(rows: &[AblationRow], width: usize) -> String {
    let mut text = String::new();
    for row in rows {
        for cell in row.cells.iter().filter(|cell| !cell.as_expected()) {
            let expected = if cell.expected_escape {
                Verdict::Escaped
            } else {
                Verdict::Contained
            };
            let line = format!(
                "! without {}: {} {}, declared {}",
                describe::name(&row.without),
                sanitise::line(&cell.probe, NAME_MAX),
                cell.verdict.name(),
                expected.name(),
            );
            let line = paragraph(2, &line, width);
            text.push_str(&paint(verdict_style(Verdict::Vacuous), line.trim_end()));
            text.push('\n');
        }
    }
    text
}
