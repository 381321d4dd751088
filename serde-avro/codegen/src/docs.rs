//! Documentation of schemas as rustdoc comments that contain no links, code or markup.

/// Characters that rustdoc gives a meaning anywhere in a line.
const MARKUP: [char; 7] = ['[', ']', '<', '>', '`', '*', '\\'];
/// Characters that start a list, heading or table at the start of a line.
const LINE_MARKUP: [char; 6] = ['-', '+', '#', '=', '|', '~'];

/// Returns the lines of a documentation string, escaped for rustdoc, without empty lines at its
/// ends.
pub(crate) fn lines(doc: &str) -> Vec<String> {
    let mut lines: Vec<String> = doc.lines().map(line).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let blank = lines.iter().take_while(|line| line.is_empty()).count();
    lines.drain(..blank);
    lines
}

fn line(text: &str) -> String {
    // Indentation would make the line a code block, which rustdoc compiles as a test.
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    let joined = words.join(" ");
    let digits = joined.len()
        - joined
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    match joined.get(digits..).and_then(|rest| rest.chars().next()) {
        // A numbered list.
        Some('.' | ')') if digits > 0 => {
            format!("{}\\{}", &joined[..digits], &joined[digits..])
        }
        Some(first) if digits == 0 && LINE_MARKUP.contains(&first) => format!("\\{joined}"),
        _ => joined,
    }
}

fn word(word: &str) -> String {
    if word.starts_with("http://") || word.starts_with("https://") {
        let end = word
            .trim_end_matches(['.', ',', ')', ';', ':', '>', '"'])
            .len();
        let (link, rest) = word.split_at(end);
        if !link.contains(MARKUP) {
            return format!("<{link}>{}", escaped(rest));
        }
    }
    escaped(word)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Control and direction characters are invisible, and the compiler rejects some in comments.
    for character in text.chars().filter(|c| !is_invisible(*c)) {
        if MARKUP.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_docs_is_escaped() {
        let table = [
            ("An employee.\nSecond line.", "An employee.|Second line."),
            ("    let x = 1;", "let x = 1;"),
            (
                "see [Other] and `x` <b>",
                "see \\[Other\\] and \\`x\\` \\<b\\>",
            ),
            ("- item\n1. one\n# head", "\\- item|1\\. one|\\# head"),
            ("see https://a.b/c.", "see <https://a.b/c>."),
            ("\n\na\n\n", "a"),
            ("a\u{202e}b\u{7}", "ab"),
            ("```", "\\`\\`\\`"),
        ];
        for (doc, expected) in table {
            assert_eq!(lines(doc).join("|"), expected);
        }
    }
}
