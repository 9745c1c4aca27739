//! Makes untrusted text safe to show.
//!
//! A probe, a launcher and whatever else prints inside a sandbox may try to
//! drive the reader's terminal. Everything that is not plainly visible is shown
//! as an escape; what is too long is cut, and the cut is said.

use std::fmt::Write as _;

/// One line of at most `max` characters: control characters, bidirectional
/// overrides and invisible characters become escapes, a cut is marked.
pub fn line(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut room = max;
    for (at, character) in text.char_indices() {
        let piece = visible(character);
        let width = piece.chars().count();
        if width > room {
            let left = text.len() - at;
            write!(shown, "… ({left} bytes more)").expect("write to a String");
            return shown;
        }
        room -= width;
        shown.push_str(&piece);
    }
    shown
}

/// As [`line()`], for bytes: what is not UTF-8 becomes `\xNN`.
pub fn bytes(bytes: &[u8], max: usize) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("write to a String");
        }
    }
    line(&text, max)
}

/// The last `max_lines` lines of some output, each safe and of at most `max`
/// characters.
pub fn tail(output: &str, max_lines: usize, max: usize) -> Vec<String> {
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let skipped = lines.len().saturating_sub(max_lines);
    lines[skipped..]
        .iter()
        .map(|text| line(text.trim_end(), max))
        .collect()
}

fn visible(character: char) -> String {
    match character {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        _ if character.is_control() && u32::from(character) < 0x80 => {
            format!("\\x{:02x}", u32::from(character))
        }
        _ if character.is_control() || is_invisible(character) => {
            format!("\\u{{{:x}}}", u32::from(character))
        }
        _ => character.to_string(),
    }
}

/// Characters that change how their neighbours are shown, or show nothing:
/// a name with them can pass for another.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'   // zero width, left-to-right marks
        | '\u{2028}'..='\u{202e}'   // line separators, bidirectional overrides
        | '\u{2060}'..='\u{206f}'   // joiners, bidirectional isolates
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fe00}'..='\u{fe0f}'   // variation selectors
        | '\u{fff9}'..='\u{fffb}'   // interlinear annotations
        | '\u{e0000}'..='\u{e0fff}' // tags, more variation selectors
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain_text_is_left_alone("openat ENOENT, ü, 界", "openat ENOENT, ü, 界")]
    #[case::colour("\x1b[31mred", "\\x1b[31mred")]
    #[case::clipboard("\x1b]52;c;AAAA\x07", "\\x1b]52;c;AAAA\\x07")]
    #[case::c1_control_sequence("\u{9b}2J", "\\u{9b}2J")]
    #[case::delete("a\x7fb", "a\\x7fb")]
    #[case::forged_line("ok\r\ncontained\t1", "ok\\r\\ncontained\\t1")]
    #[case::bidirectional_override("\u{202e}deniatnoc", "\\u{202e}deniatnoc")]
    #[case::isolate("a\u{2067}b", "a\\u{2067}b")]
    #[case::zero_width("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}")]
    #[case::tag("\u{e0041}", "\\u{e0041}")]
    fn what_is_not_visible_is_escaped(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(line(text, 100), expected);
    }

    #[rstest]
    #[case::fits("abcde", 5, "abcde")]
    #[case::cut("abcdefgh", 5, "abcde… (3 bytes more)")]
    #[case::an_escape_is_not_split("abcd\x1bx", 5, "abcd… (2 bytes more)")]
    #[case::escapes_count_as_shown("\x1b\x1b\x1b", 8, "\\x1b\\x1b… (1 bytes more)")]
    fn length_is_bounded(#[case] text: &str, #[case] max: usize, #[case] expected: &str) {
        assert_eq!(line(text, max), expected);
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_numbers() {
        assert_eq!(bytes(b"a\xff\x1bb", 100), "a\\xff\\x1bb");
    }

    #[test]
    fn a_tail_is_the_last_lines_that_say_something() {
        assert_eq!(tail("a\n\nb\x1b\n  \nc\n", 2, 10), ["b\\x1b", "c"]);
    }
}
