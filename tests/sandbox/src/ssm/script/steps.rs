//! A script's simple commands, and what joins them. Pure.

/// Stands for a `$` that quotes have taken its meaning from.
pub(super) const LITERAL_DOLLAR: char = '\u{e000}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    Always,
    IfOk,
    IfFailed,
    /// Reads what the one before it writes.
    Pipe,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) join: Join,
    pub(super) words: Vec<String>,
    pub(super) to_stderr: bool,
    /// Redirected to `/dev/null`.
    pub(super) no_stdout: bool,
    pub(super) no_stderr: bool,
}

impl Step {
    fn after(join: Join) -> Self {
        Self {
            join,
            words: Vec::new(),
            to_stderr: false,
            no_stdout: false,
            no_stderr: false,
        }
    }
}

pub(super) fn steps(script: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = Step::after(Join::Always);
    let mut word: Option<String> = None;
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        let join = match letter {
            '\'' | '"' => {
                let text = word.get_or_insert_default();
                while let Some(quoted) = letters.next_if(|&next| next != letter) {
                    match quoted {
                        '\\' if letter == '"' => text.extend(letters.next().map(literal)),
                        '$' if letter == '\'' => text.push(LITERAL_DOLLAR),
                        other => text.push(other),
                    }
                }
                letters.next();
                continue;
            }
            '#' if word.is_none() => {
                while letters.next_if(|&next| next != '\n').is_some() {}
                continue;
            }
            '\\' => {
                word.get_or_insert_default()
                    .extend(letters.next().filter(|&next| next != '\n').map(literal));
                continue;
            }
            '\n' | ';' => Join::Always,
            '&' if letters.next_if_eq(&'&').is_some() => Join::IfOk,
            '|' if letters.next_if_eq(&'|').is_some() => Join::IfFailed,
            '|' => Join::Pipe,
            blank if blank.is_whitespace() => {
                end_word(&mut step, &mut word);
                continue;
            }
            other => {
                word.get_or_insert_default().push(other);
                continue;
            }
        };
        end_word(&mut step, &mut word);
        let done = std::mem::replace(&mut step, Step::after(join));
        if done.words.is_empty() {
            // An empty line joins nothing, but `a &&` at a line's end still waits for its command.
            if done.join != Join::Always {
                step.join = done.join;
            }
        } else {
            steps.push(done);
        }
    }
    end_word(&mut step, &mut word);
    if !step.words.is_empty() {
        steps.push(step);
    }
    steps
}

fn end_word(step: &mut Step, word: &mut Option<String>) {
    match word.take().as_deref() {
        None | Some("2>&1") => {}
        Some(">&2" | "1>&2") => step.to_stderr = true,
        Some(">/dev/null") => step.no_stdout = true,
        Some("2>/dev/null") => step.no_stderr = true,
        Some(text) => step.words.push(text.to_owned()),
    }
}

fn literal(letter: char) -> char {
    if letter == '$' {
        LITERAL_DOLLAR
    } else {
        letter
    }
}
