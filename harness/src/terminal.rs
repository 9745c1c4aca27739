//! The reader's terminal: its width, colours, and text that fits it.
//!
//! Text is made with colours; `anstream` takes them out where the reader cannot
//! or does not want to see them (no terminal, `NO_COLOR`).

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSplitter};

use crate::model::Verdict;

/// Columns where standard output is no terminal.
pub const PLAIN_WIDTH: usize = 100;

/// Columns below which nothing is made to fit.
const MIN_WIDTH: usize = 60;

/// Columns beyond which a line is hard to follow.
const MAX_WIDTH: usize = 160;

/// Headings.
pub const STRONG: Style = Style::new().bold();

/// What matters least.
pub const FAINT: Style = Style::new().dimmed();

/// The width to write for.
pub fn width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(PLAIN_WIDTH, |(columns, _)| {
        usize::from(columns.0).clamp(MIN_WIDTH, MAX_WIDTH)
    })
}

/// The colour of a verdict: green, red, or yellow for missing evidence.
pub fn verdict_style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Contained | Verdict::Xfail => AnsiColor::Green,
        Verdict::Escaped
        | Verdict::Xpass
        | Verdict::Degraded
        | Verdict::Error
        | Verdict::OracleBroken => AnsiColor::Red,
        Verdict::Vacuous | Verdict::Inconclusive | Verdict::Unsupported => AnsiColor::Yellow,
    };
    let style = colour.on_default();
    match verdict {
        Verdict::Escaped => style.bold(),
        _ => style,
    }
}

/// Text in a style.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A label and a text that is wrapped beside it: one or more whole lines.
pub fn labelled(
    indent: usize,
    label: &str,
    label_width: usize,
    text: &str,
    width: usize,
) -> String {
    let left = " ".repeat(indent);
    let first = format!("{left}{label:label_width$}");
    let rest = " ".repeat(indent + label_width);
    let options = options(width)
        .initial_indent(&first)
        .subsequent_indent(&rest);
    let mut lines = textwrap::fill(text, options);
    lines.push('\n');
    // Painted after the wrapping, which would count the colours as text.
    match label {
        "" => lines,
        _ => lines.replacen(label, &paint(FAINT, label), 1),
    }
}

/// A text wrapped at an indent: one or more whole lines.
pub fn paragraph(indent: usize, text: &str, width: usize) -> String {
    labelled(indent, "", 0, text, width)
}

/// A space that [`hanging`] does not break: it becomes an ordinary one.
pub const TIE: char = '\u{a0}';

/// A text whose second line and those after it are set in by two more columns.
pub fn hanging(indent: usize, text: &str, width: usize) -> String {
    let first = " ".repeat(indent);
    let rest = " ".repeat(indent + 2);
    let options = options(width)
        .initial_indent(&first)
        .subsequent_indent(&rest);
    let mut lines = textwrap::fill(text, options).replace(TIE, " ");
    lines.push('\n');
    lines
}

fn options<'a>(width: usize) -> Options<'a> {
    // A probe's name or a path is copied by the reader: never cut at a hyphen.
    Options::new(width)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
}

/// Writes to standard output, with colours where they are wanted.
///
/// # Errors
/// Those of writing, except that a reader who has gone (`| head`) is none.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The text without its colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
