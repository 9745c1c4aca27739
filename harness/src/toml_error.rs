//! What is wrong with a TOML file, in one line.

/// What is wrong and where, without toml's drawing of it, which takes four lines.
pub fn one_line(error: &toml::de::Error, text: &str) -> String {
    // The message of a wrong type may run over several lines.
    let message = error.message().replace('\n', ", ");
    match error.span() {
        Some(span) => format!("line {}: {message}", line(text, span.start)),
        None => message,
    }
}

/// The number of the line in which this byte is.
pub fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}
