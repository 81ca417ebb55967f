//! The child's part: reads an output from stdin, writes the answer to stdout.
//! What is wrong with the question is one line on stderr.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read as _, Write},
    process::ExitCode,
};

use jaq_core::{
    Compiler, Ctx, DataT, Lut, Vars,
    data::HasLut,
    load::{self, Arena, File, Loader},
    native,
};
use jaq_json::{Val, read, write};
use jaq_std::input::{self, HasInputs, Inputs, RcIter};
use regex::bytes::Regex;

use super::{MEMORY_LIMIT, Question, TIME_LIMIT, What};
use crate::os;

/// The exit code of a question that has no answer.
pub(super) const REFUSED: i32 = 3;
/// A message may quote the value that it is about.
const MAX_WORDS: usize = 300;

/// What a filter can reach: its own functions, and the values that are to come.
struct Reach<'a> {
    functions: &'a Lut<Values>,
    values: Inputs<'a, Val>,
}

struct Values;

impl DataT for Values {
    type V<'a> = Val;
    type Data<'a> = &'a Reach<'a>;
}

impl<'a> HasLut<'a, Values> for &'a Reach<'a> {
    fn lut(&self) -> &'a Lut<Values> {
        self.functions
    }
}

impl<'a> HasInputs<'a, Val> for &'a Reach<'a> {
    fn inputs(&self) -> Inputs<'a, Val> {
        self.values
    }
}

/// Answers whoever started this process, as far as it may go.
pub fn answer(question: &str) -> ExitCode {
    os::confine(MEMORY_LIMIT, TIME_LIMIT);
    let Err(why) = work(question) else {
        return ExitCode::SUCCESS;
    };
    let why: String = why
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX_WORDS)
        .collect();
    let _ = io::stderr().write_all(why.as_bytes()); // nobody listens
    ExitCode::from(u8::try_from(REFUSED).expect("it is small"))
}

fn work(question: &str) -> Result<(), String> {
    let question: Question = serde_json::from_str(question).map_err(words)?;
    let from = BufReader::new(io::stdin().lock().take(question.length));
    let mut to = BufWriter::new(io::stdout().lock());
    match question.what {
        What::Grep(pattern) => grep(&pattern, from, &mut to),
        What::Jq(filter) => jq(&filter, from, &mut to),
    }?;
    to.flush().map_err(words)
}

/// Lines as they were printed; the last one gets an end.
fn grep(pattern: &str, mut from: impl BufRead, to: &mut impl Write) -> Result<(), String> {
    let pattern = Regex::new(pattern).map_err(|error| {
        let told = error.to_string();
        let why = told.lines().last().unwrap_or_default();
        let why = why.trim_start_matches("error: ");
        format!("the regular expression is wrong: {why}")
    })?;
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).map_err(words)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        // Windows ends its lines so.
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if pattern.is_match(text) {
            to.write_all(&line).map_err(words)?;
            if !line.ends_with(b"\n") {
                to.write_all(b"\n").map_err(words)?;
            }
        }
        line.clear();
    }
    Ok(())
}

/// Every result of every JSON value, one a line.
fn jq(filter: &str, from: impl BufRead, to: &mut impl Write) -> Result<(), String> {
    let filter = compiled(filter).map_err(|why| format!("the jq filter is wrong: {why}"))?;
    let values = RcIter::new(read::read_many(from).map(|value| {
        value.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => format!("the output is not JSON: {error}"),
            _ => error.to_string(),
        })
    }));
    let reach = Reach {
        functions: &filter.lut,
        values: &values,
    };
    let context = Ctx::<Values>::new(&reach, Vars::new([]));
    for value in reach.values {
        for result in filter.id.run((context.clone(), value?)) {
            match result.map_err(jaq_core::Exn::get_err) {
                Ok(result) => {
                    write::write(to, &write::Pp::default(), 0, &result).map_err(words)?;
                    to.write_all(b"\n").map_err(words)?;
                }
                Err(Ok(error)) => return Err(format!("jq: {error}")),
                // The results before it are the answer, unless it says otherwise.
                Err(Err(halt)) => {
                    return match halt.get_halt() {
                        Ok(0) | Err(_) => Ok(()),
                        Ok(code) => Err(format!("jq: the filter halted with {code}")),
                    };
                }
            }
        }
    }
    Ok(())
}

fn compiled(code: &str) -> Result<jaq_core::Filter<Values>, String> {
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let funs = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .chain(input::funs().into_vec().into_iter().map(native::run))
        .filter(|(name, ..)| *name != "env");
    let arena = Arena::default();
    // Without a reader, modules are refused; data has to be refused apart.
    let modules = Loader::new(defs).load(&arena, File { code, path: () });
    let modules = modules.map_err(|errors| load_error(&errors))?;
    load::import(&modules, |_| Err("no file can be read".to_owned()))
        .map_err(|errors| load_error(&errors))?;
    let filter = Compiler::default().with_funs(funs).compile(modules);
    filter.map_err(|errors| {
        let undefined = errors.iter().flat_map(|(_, errors)| errors).next();
        undefined.map_or_else(String::new, |(name, kind)| {
            format!("there is no {} {name}", kind.as_str())
        })
    })
}

/// The first one: others often follow from it.
fn load_error(errors: &load::Errors<&str, ()>) -> String {
    let missing = |expected: &str, found: &str| match found {
        "" => format!("{expected} is missing at its end"),
        found => format!("{expected} is missing before {found:?}"),
    };
    let first = errors.first().and_then(|(_, error)| match error {
        load::Error::Io(errors) => errors.first().map(|(path, why)| format!("{path}: {why}")),
        load::Error::Lex(errors) => errors
            .first()
            .map(|(expected, found)| missing(expected.as_str(), found)),
        load::Error::Parse(errors) => errors
            .first()
            .map(|(expected, found)| missing(expected.as_str(), found)),
    });
    first.unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn words(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        ask: impl Fn(&str, &[u8], &mut Vec<u8>) -> Result<(), String>,
        question: &str,
        text: &str,
    ) -> Result<String, String> {
        let mut answer = Vec::new();
        ask(question, text.as_bytes(), &mut answer)?;
        Ok(String::from_utf8(answer).unwrap())
    }

    #[test]
    fn lines_match_without_their_ends_and_come_back_with_them() {
        for (pattern, text, answer) in [
            ("b$", "ab\r\nbc\ncb", "ab\r\ncb\n"),
            ("^$", "a\n\nb\n", "\n"),
            ("x", "a\n", ""),
            ("(?i)ERR", "an error\nfine\n", "an error\n"),
        ] {
            assert_eq!(
                asked(|a, b, c| grep(a, b, c), pattern, text).unwrap(),
                answer
            );
        }
        let mut answer = Vec::new();
        grep("b", &b"\xff\xfeb\n"[..], &mut answer).unwrap();
        assert_eq!(answer, b"\xff\xfeb\n");
    }

    #[test]
    fn a_filter_sees_every_value_and_answers_in_lines() {
        for (filter, text, answer) in [
            (
                ".a[]",
                r#"{"a":[1,"x\ny",{"b":null}]}"#,
                "1\n\"x\\ny\"\n{\"b\":null}\n",
            ),
            (".", "1 2\n3", "1\n2\n3\n"),
            ("1, halt, 2", "0", "1\n"),
            (".", "", ""),
            ("[., inputs.n]", r#"1{"n":2}{"n":3}"#, "[1,2,3]\n"),
            (
                "map(select(.n > 1).n) | add",
                r#"[{"n":1},{"n":2},{"n":3}]"#,
                "5\n",
            ),
        ] {
            assert_eq!(asked(|a, b, c| jq(a, b, c), filter, text).unwrap(), answer);
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_a_line() {
        for (filter, text, why) in [
            (
                ".[",
                "[]",
                "the jq filter is wrong: closing bracket is missing at its end",
            ),
            ("foo", "1", "the jq filter is wrong: there is no filter foo"),
            (".a", "[1]", "jq: cannot index [1] with \"a\""),
            (".", "hello", "the output is not JSON: value expected"),
            ("1, halt_error", "0", "jq: the filter halted with 5"),
        ] {
            assert_eq!(asked(|a, b, c| jq(a, b, c), filter, text).unwrap_err(), why);
        }
        let why = asked(|a, b, c| grep(a, b, c), "(", "").unwrap_err();
        assert_eq!(why, "the regular expression is wrong: unclosed group");
    }

    #[test]
    fn a_filter_reaches_neither_files_nor_the_environment() {
        for filter in [
            "env",
            "$ENV",
            "input_filename",
            "$__prog_args",
            "include \"a\"; .",
            "import \"a\" as a; .",
            "import \"/etc/passwd\" as $a; $a",
            "get_search_list",
        ] {
            let why = asked(|a, b, c| jq(a, b, c), filter, "1").unwrap_err();
            assert!(
                why.starts_with("the jq filter is wrong: "),
                "{filter}: {why}"
            );
        }
    }
}
