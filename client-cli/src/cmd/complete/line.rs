//! A line as each shell tells it, and replies as each shell wants them. Pure: a
//! name with blanks, quotes or colons is one word when the shell has taken it.

use std::{borrow::Cow, ffi::OsString};

use clap_complete::CompletionCandidate;

use crate::args::CompletionShell;

/// The line up to the cursor.
#[derive(Debug)]
pub struct Line {
    shell: CompletionShell,
    /// The program, and what follows it, up to the word at the cursor.
    pub words: Vec<String>,
    cursor: Cursor,
}

/// How the word at the cursor is written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    /// The quotation that is still open.
    quote: Option<char>,
    /// How much of the word bash leaves as it is.
    kept: usize,
}

impl Line {
    pub fn new(shell: CompletionShell, told: &[OsString]) -> Self {
        let mut told: Vec<_> = told.iter().map(|word| word.to_string_lossy()).collect();
        let (mut words, cursor) = match shell {
            CompletionShell::Bash => {
                let text = told.first().map_or("", Cow::as_ref);
                split(text, told.get(1).map_or("", Cow::as_ref))
            }
            // Everything is unquoted, also the last.
            CompletionShell::Zsh => (owned(&told), Cursor::default()),
            CompletionShell::Fish | CompletionShell::Powershell => {
                let last = told.pop().unwrap_or_default();
                let last = match shell {
                    CompletionShell::Powershell => last.strip_prefix('=').unwrap_or(&last),
                    _ => &last,
                };
                let (mut words, cursor) = (owned(&told), Cursor::default());
                words.push(unquoted(last));
                (words, cursor)
            }
        };
        // What stands before the program: variables, `sudo`.
        if let Some(at) = words.iter().position(|word| is_our_name(word)) {
            words.drain(..at);
        }
        Self {
            shell,
            words,
            cursor,
        }
    }

    /// The value of a flag that stands on the line, before the cursor.
    pub fn value_of(&self, flags: &[&str]) -> Option<&str> {
        let (_, before) = self.words.split_last()?;
        let mut words = before.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--").map(|flag| flag.split_once('=')) {
                // What follows is for another program.
                Some(None) if word == "--" => return None,
                Some(Some((flag, value))) if flags.contains(&flag) => return Some(value),
                Some(None) if flags.contains(&&word[2..]) => {
                    return words.next().map(String::as_str);
                }
                Some(_) | None => {}
            }
        }
        None
    }

    /// One line of ours for one reply; nothing when the shell could not take it.
    pub fn reply(&self, candidate: &CompletionCandidate) -> Option<String> {
        let value = candidate.get_value().to_str()?;
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.as_deref().and_then(|help| help.lines().next());
        Some(match self.shell {
            CompletionShell::Bash => for_bash(value.get(self.cursor.kept..)?, self.cursor.quote),
            CompletionShell::Zsh => {
                let value = value.replace('\\', r"\\").replace(':', r"\:");
                followed(value, ':', help.map(|help| help.replace('\\', r"\\")))
            }
            CompletionShell::Fish => followed(value.to_owned(), '\t', help),
            CompletionShell::Powershell => followed(for_powershell(value), '\t', help),
        })
    }
}

fn owned(words: &[Cow<'_, str>]) -> Vec<String> {
    words.iter().map(|word| word.clone().into_owned()).collect()
}

fn is_our_name(word: &str) -> bool {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    matches!(name, "awsso" | "awsso.exe")
}

fn followed(value: String, mark: char, help: Option<impl AsRef<str>>) -> String {
    match help {
        Some(help) => format!("{value}{mark}{}", help.as_ref()),
        None => value,
    }
}

/// One word as it is meant, however it is quoted, and also when the quotation is open.
fn unquoted(text: &str) -> String {
    // A blank that is not quoted does not end it: the shell has said what it is.
    let (words, _) = split(text, "");
    words.join(" ")
}

/// The words of a line, the last of them the one at the cursor, perhaps empty.
/// Where one of `breaks` stands, a word of bash's own editor begins.
fn split(text: &str, breaks: &str) -> (Vec<String>, Cursor) {
    let mut words = vec![];
    let (mut word, mut cursor) = (String::new(), Cursor::default());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (cursor.quote, c) {
            (Some(quote), _) if c == quote => cursor.quote = None,
            (None, '\\') => word.extend(chars.next()),
            (Some('"'), '\\') => {
                let next = chars.next_if(|next| r#""\$`"#.contains(*next));
                word.push(next.unwrap_or('\\'));
            }
            (None, '"' | '\'') => {
                cursor = Cursor {
                    quote: Some(c),
                    kept: word.len(),
                };
            }
            (None, _) if c.is_whitespace() => {
                // Blanks in a row, or before the first word, are one.
                if chars.peek().is_none_or(|next| !next.is_whitespace()) {
                    words.push(std::mem::take(&mut word));
                }
                cursor = Cursor::default();
            }
            (quote, _) => {
                word.push(c);
                if quote.is_none() && breaks.contains(c) {
                    cursor.kept = word.len();
                }
            }
        }
    }
    words.push(word);
    (words, cursor)
}

fn for_bash(value: &str, quote: Option<char>) -> String {
    match quote {
        Some('\'') => value.replace('\'', r"'\''"),
        Some(_) => escaped(value, |c| r#""\$`"#.contains(c)),
        None => escaped(value, |c| {
            c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./,+%@:=^".contains(c)
        }),
    }
}

fn escaped(value: &str, must: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if must(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn for_powershell(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=".contains(c);
    if value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn bash(text: &str) -> Line {
        Line::new(CompletionShell::Bash, &[text.into(), BREAKS.into()])
    }

    fn reply(line: &Line, value: &str) -> String {
        line.reply(&CompletionCandidate::new(value)).unwrap()
    }

    #[test]
    fn a_line_of_bash_is_read_as_bash_reads_it() {
        for (text, words) in [
            ("awsso ", &["awsso", ""][..]),
            ("awsso  ls", &["awsso", "ls"]),
            ("A=1 sudo /usr/bin/awsso ls", &["/usr/bin/awsso", "ls"]),
            (r"awsso x Team\ 7", &["awsso", "x", "Team 7"]),
            (r#"awsso x "Team 7" y"#, &["awsso", "x", "Team 7", "y"]),
            (r#"awsso x "a\"b\c"#, &["awsso", "x", r#"a"b\c"#]),
            ("awsso x 'Team ", &["awsso", "x", "Team "]),
        ] {
            assert_eq!(bash(text).words, words, "{text}");
        }
    }

    #[test]
    fn bash_gets_the_rest_of_a_word_quoted_as_the_word_is() {
        for (text, written) in [
            ("awsso x T", r"Team\ 7\ \(it\'s\)"),
            ("awsso x \"T", "Team 7 (it's)"),
            ("awsso x 'T", r"Team 7 (it'\''s)"),
            ("awsso x ", r"Team\ 7\ \(it\'s\)"),
        ] {
            assert_eq!(reply(&bash(text), "Team 7 (it's)"), written, "{text}");
        }
        assert_eq!(reply(&bash("awsso --account=T"), "--account=Team"), "Team");
        assert_eq!(reply(&bash("awsso x a:b"), "a:bc"), "bc");
        assert_eq!(reply(&bash(r"awsso x a\:b"), "a:bc"), "a:bc");
    }

    #[test]
    fn other_shells_quote_by_themselves() {
        let line = |shell, told: &[&str]| {
            let told: Vec<_> = told.iter().map(OsString::from).collect();
            Line::new(shell, &told)
        };
        let candidate = CompletionCandidate::new("Team 7:b").help(Some("1".into()));
        for (shell, told, written) in [
            (CompletionShell::Zsh, "Team ", r"Team 7\:b:1"),
            (CompletionShell::Fish, r"Team\ ", "Team 7:b\t1"),
            (CompletionShell::Powershell, "='Team ", "'Team 7:b'\t1"),
        ] {
            let line = line(shell, &["awsso", told]);
            assert_eq!(line.words, ["awsso", "Team "], "{shell:?}");
            assert_eq!(line.reply(&candidate).unwrap(), written);
        }
    }

    #[test]
    fn a_flag_is_found_wherever_it_stands_before_the_cursor() {
        let account = |text: &str| {
            let line = bash(text);
            line.value_of(&["account", "account-id"]).map(str::to_owned)
        };
        for text in [
            "awsso exec --account 'Team 7' --role ",
            "awsso exec --account=Team\\ 7 --role ",
            "awsso exec --region x --account-id \"Team 7\" --role ",
        ] {
            assert_eq!(account(text).as_deref(), Some("Team 7"), "{text}");
        }
        assert_eq!(account("awsso exec -- x --account a "), None);
        assert_eq!(account("awsso exec --account a"), None);
    }
}
