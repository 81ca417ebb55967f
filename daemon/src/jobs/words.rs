//! A command line becomes words the way a POSIX shell makes them (Shell Command
//! Language §2.2), and nothing else happens: no shell sees it, nothing is
//! expanded. What a shell would do beyond words is refused, not ignored.

use awsso_proto::{Failure, Reason, error::key};

/// Linux takes 128 KiB in one argument; a command line of a person or a model
/// is far below.
const MAX_COMMAND: usize = 100_000;

/// The words of a command line.
pub fn split(command: &str) -> Result<Vec<String>, Failure> {
    if command.len() > MAX_COMMAND {
        return Err(invalid(format!(
            "the command has {} bytes, {MAX_COMMAND} is the most",
            command.len()
        )));
    }
    if command.contains('\0') {
        return Err(invalid("the command holds a NUL character".into()));
    }
    let mut splitter = Splitter {
        rest: command.trim().chars().peekable(),
        words: Vec::new(),
        word: None,
    };
    splitter.run()?;
    Ok(splitter.words)
}

struct Splitter<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    words: Vec<String>,
    /// `Some` inside a word, also an empty quoted one.
    word: Option<String>,
}

impl Splitter<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        while let Some(c) = self.rest.next() {
            match c {
                ' ' | '\t' => self.words.extend(self.word.take()),
                '\'' => self.single_quoted()?,
                '"' => self.double_quoted()?,
                '\\' => self.escaped()?,
                '|' | ';' | '&' | '<' | '>' => return Err(operator(c)),
                '\n' | '\r' => return Err(operator('\n')),
                '`' => return Err(substitution("`")),
                '$' if self.rest.peek() == Some(&'(') => return Err(substitution("$(")),
                c => self.push(c),
            }
        }
        self.words.extend(self.word.take());
        Ok(())
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    /// §2.2.2: everything is literal.
    fn single_quoted(&mut self) -> Result<(), Failure> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.push(c),
                None => return Err(unbalanced('\'')),
            }
        }
    }

    /// §2.2.3: a backslash escapes `$`, a backtick, `"`, `\` and a newline only.
    fn double_quoted(&mut self) -> Result<(), Failure> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.rest.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => self.push(c),
                    Some(c) => {
                        self.push('\\');
                        self.push(c);
                    }
                    None => return Err(unbalanced('"')),
                },
                Some('`') => return Err(substitution("`")),
                Some('$') if self.rest.peek() == Some(&'(') => return Err(substitution("$(")),
                Some(c) => self.push(c),
                None => return Err(unbalanced('"')),
            }
        }
    }

    /// §2.2.1: the next character is literal; a newline continues the line.
    fn escaped(&mut self) -> Result<(), Failure> {
        match self.rest.next() {
            Some('\n') => Ok(()),
            Some('\r') if self.rest.peek() == Some(&'\n') => {
                self.rest.next();
                Ok(())
            }
            Some(c) => {
                self.push(c);
                Ok(())
            }
            None => Err(invalid("the command ends in a backslash".into())),
        }
    }
}

const HINT: &str = "one AWS CLI command without a shell: cut results down with --query or --filters, \
                    and quote a character that is meant literally";

fn invalid(what: String) -> Failure {
    Failure::new(Reason::InvalidArgument, what)
}

fn operator(c: char) -> Failure {
    let what = match c {
        '\n' => "the command holds more than one line".to_owned(),
        c => format!("the command holds an unquoted {c:?}, and no shell runs it"),
    };
    invalid(what).with(key::HINT, HINT)
}

fn substitution(sign: &str) -> Failure {
    invalid(format!("the command holds {sign:?}, and no shell runs it")).with(key::HINT, HINT)
}

fn unbalanced(quote: char) -> Failure {
    invalid(format!("the quote {quote} is not closed")).with(
        key::HINT,
        "close it, or put a backslash before one that is meant literally",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_what_a_posix_shell_makes_of_them() {
        for (command, words) in [
            ("aws s3 ls", vec!["aws", "s3", "ls"]),
            ("  aws\t s3   ls \n", vec!["aws", "s3", "ls"]),
            ("aws 'a b' \"c d\" e\\ f", vec!["aws", "a b", "c d", "e f"]),
            ("a'b'\"c\"d", vec!["abcd"]),
            ("'' \"\"", vec!["", ""]),
            (r#""\$x \` \" \\ \n""#, vec![r#"$x ` " \ \n"#]),
            (r"'\' '$(x)' '`|;&<>'", vec![r"\", "$(x)", "`|;&<>"]),
            ("\"a|b;c&d<e>f\"", vec!["a|b;c&d<e>f"]),
            ("a\\\n  b \\\r\n c", vec!["a", "b", "c"]),
            (
                "Values=web-* $LATEST ${x} #x ~ {a,b} a?",
                vec!["Values=web-*", "$LATEST", "${x}", "#x", "~", "{a,b}", "a?"],
            ),
            (r"\| \; \$\(", vec!["|", ";", "$("]),
            ("--query 'R[].[A,B]'", vec!["--query", "R[].[A,B]"]),
            ("é 日本", vec!["é", "日本"]),
            ("", vec![]),
        ] {
            assert_eq!(split(command).unwrap(), words, "{command:?}");
        }
    }

    #[test]
    fn what_only_a_shell_could_do_is_refused_with_a_hint() {
        for command in [
            "aws s3 ls | head",
            "a; b",
            "a && b",
            "a &",
            "a > f",
            "a < f",
            "a\nb",
            "a\rb",
            "a $(id)",
            "a `id`",
            "a \"$(id)\"",
            "a \"`id`\"",
            "a 2>&1",
        ] {
            let failure = split(command).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidArgument);
            assert!(failure.hint().is_some(), "{command:?}");
        }
        for command in ["a 'b", "a \"b", "a \"b\\", "a \\", "a\0b"] {
            assert!(split(command).is_err(), "{command:?}");
        }
        assert!(split(&"x".repeat(MAX_COMMAND + 1)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back_whole(words in proptest::collection::vec("[^\0]{0,20}", 0..6)) {
            let command = words
                .iter()
                .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
                .collect::<Vec<_>>()
                .join(" ");
            prop_assert_eq!(split(&command).unwrap(), words);
        }

        #[test]
        fn no_input_makes_it_panic(command in "\\PC{0,200}") {
            let _ = split(&command);
        }
    }
}
