//! What a script does on a modelled instance: a small table of commands, *never* run on the host. Pure.
//!
//! Understood are sequences of simple commands joined by newlines, `;`, `&&` and `||`, quotes, comments, `set -e` and
//! the redirections `>&2`, `1>&2` and `2>&1` (ignored). What is not in the table is not found, with the shell's text
//! and code 127.

use std::time::Duration;

use crate::organization::{Instance, Platform};

/// The end of a script, as the agent sees it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
    pub(crate) took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    Always,
    IfOk,
    IfFailed,
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    join: Join,
    words: Vec<String>,
    to_stderr: bool,
}

/// Past this a script is cut off, as a disk would be; AWS keeps far less.
const MOST_OUTPUT: usize = 1 << 20;

pub(crate) fn run(instance: &Instance, lines: &[String]) -> Ran {
    let mut ran = Ran::default();
    let mut stop_on_error = false;
    for step in steps(&lines.join("\n")) {
        let runs = match step.join {
            Join::Always => true,
            Join::IfOk => ran.code == 0,
            Join::IfFailed => ran.code != 0,
        };
        if !runs {
            continue;
        }
        let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
        if let ["exit", code @ ..] = words.as_slice() {
            // A shell keeps eight bits of it.
            let code = code
                .first()
                .map_or(Some(ran.code), |code| code.parse().ok())
                .unwrap_or(2);
            ran.code = if instance.platform == Platform::Windows {
                code
            } else {
                code & 0xff
            };
            break;
        }
        if let ["set", flags] = words.as_slice() {
            stop_on_error |= flags.starts_with('-') && flags.contains('e');
            ran.code = 0;
            continue;
        }
        let one = match instance.platform {
            Platform::Windows => powershell(instance, &words),
            Platform::Linux | Platform::MacOs => shell(instance, &words),
        };
        let stdout = if step.to_stderr {
            &mut ran.stderr
        } else {
            &mut ran.stdout
        };
        stdout.push_str(&one.stdout);
        ran.stderr.push_str(&one.stderr);
        ran.took += one.took;
        ran.code = one.code;
        if (stop_on_error && ran.code != 0) || ran.stdout.len() > MOST_OUTPUT {
            break;
        }
    }
    ran
}

fn shell(instance: &Instance, words: &[&str]) -> Ran {
    let mac = instance.platform == Platform::MacOs;
    match words {
        [] | ["true" | ":" | "cd" | "export", ..] => Ran::default(),
        ["false"] => Ran {
            code: 1,
            ..Ran::default()
        },
        ["echo", "-n", rest @ ..] => says(&rest.join(" ")),
        ["echo", rest @ ..] => says(&(rest.join(" ") + "\n")),
        ["printf", text, ..] => says(&text.replace("\\n", "\n")),
        ["hostname"] => says(&format!("{}\n", instance.name)),
        ["whoami"] => says("root\n"),
        ["id"] => says("uid=0(root) gid=0(root) groups=0(root)\n"),
        ["pwd"] => says("/usr/bin\n"),
        ["uname"] => says(if mac { "Darwin\n" } else { "Linux\n" }),
        ["uname", "-a"] if mac => says(&format!("Darwin {} 23.6.0 arm64\n", instance.name)),
        ["uname", "-a"] => says(&format!(
            "Linux {} 6.1.0-amzn x86_64 GNU/Linux\n",
            instance.name
        )),
        ["uptime"] => {
            says(" 12:00:00 up 42 days,  3:14,  0 users,  load average: 0.08, 0.03, 0.01\n")
        }
        ["df", ..] => says(
            "Filesystem      Size  Used Avail Use% Mounted on\n\
             /dev/nvme0n1p1   30G   11G   20G  36% /\n\
             tmpfs           1.9G     0  1.9G   0% /dev/shm\n",
        ),
        ["free", ..] if !mac => says(
            "               total        used        free      shared  buff/cache   available\n\
             Mem:            3904         612        1830           1        1461        3066\n\
             Swap:              0           0           0\n",
        ),
        ["sleep", span] => sleeps(span),
        ["yes", count] => repeats(count),
        [name, ..] => Ran {
            stderr: format!("sh: 1: {name}: not found\n"),
            code: 127,
            ..Ran::default()
        },
    }
}

fn powershell(instance: &Instance, words: &[&str]) -> Ran {
    let lower = words
        .first()
        .map(|word| word.to_ascii_lowercase())
        .unwrap_or_default();
    match (lower.as_str(), words.get(1..).unwrap_or_default()) {
        ("", _) => Ran::default(),
        ("hostname", []) => says(&format!("{}\r\n", instance.name)),
        ("whoami", []) => says("nt authority\\system\r\n"),
        ("write-output" | "write-host" | "echo", rest) => says(&(rest.join("\r\n") + "\r\n")),
        ("write-error", rest) => Ran {
            stderr: format!("{}\r\n", rest.join(" ")),
            code: 1,
            ..Ran::default()
        },
        ("get-service", _) => says(
            "Status   Name               DisplayName\r\n------   ----               -----------\r\n\
             Running  AmazonSSMAgent     Amazon SSM Agent\r\nRunning  W3SVC              World Wide Web Publishing\r\n",
        ),
        ("start-sleep", [.., span]) => sleeps(span),
        ("yes", [count]) => repeats(count),
        _ => Ran {
            stderr: format!(
                "{name} : The term '{name}' is not recognized as the name of a cmdlet, function, script file, or \
                 operable program.\r\n",
                name = words[0]
            ),
            code: 1,
            ..Ran::default()
        },
    }
}

fn says(text: &str) -> Ran {
    Ran {
        stdout: text.to_owned(),
        ..Ran::default()
    }
}

fn sleeps(span: &str) -> Ran {
    match span
        .parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    {
        Some(took) => Ran {
            took,
            ..Ran::default()
        },
        None => Ran {
            stderr: format!("sleep: invalid time interval '{span}'\n"),
            code: 1,
            ..Ran::default()
        },
    }
}

/// `yes N`: N characters, the last of them a newline.
fn repeats(count: &str) -> Ran {
    let count = count
        .parse::<usize>()
        .unwrap_or(MOST_OUTPUT)
        .min(MOST_OUTPUT);
    says(
        &"y\n"
            .chars()
            .cycle()
            .skip(count % 2)
            .take(count)
            .collect::<String>(),
    )
}

fn steps(script: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = Step {
        join: Join::Always,
        words: Vec::new(),
        to_stderr: false,
    };
    let mut word: Option<String> = None;
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        let join = match letter {
            '\'' | '"' => {
                let text = word.get_or_insert_default();
                while let Some(quoted) = letters.next_if(|&next| next != letter) {
                    if letter == '"' && quoted == '\\' {
                        text.extend(letters.next());
                    } else {
                        text.push(quoted);
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
                    .extend(letters.next().filter(|&next| next != '\n'));
                continue;
            }
            '\n' | ';' => Join::Always,
            '&' if letters.next_if_eq(&'&').is_some() => Join::IfOk,
            '|' if letters.next_if_eq(&'|').is_some() => Join::IfFailed,
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
        let next = Step {
            join,
            words: Vec::new(),
            to_stderr: false,
        };
        let done = std::mem::replace(&mut step, next);
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
        Some(text) => step.words.push(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organization::Organization;

    fn on(number: usize, script: &str) -> Ran {
        let organization = Organization::of(1);
        run(
            &organization.accounts()[0].instances[number],
            &[script.to_owned()],
        )
    }

    #[test]
    fn scripts_do_what_a_shell_would() {
        for (script, stdout, stderr, code) in [
            ("hostname", "web-1\n", "", 0),
            ("echo a  'b  c' \"d\"", "a b  c d\n", "", 0),
            ("echo out; echo err 1>&2; exit 3", "out\n", "err\n", 3),
            ("false && echo no\necho yes", "yes\n", "", 0),
            ("false || echo fallback", "fallback\n", "", 0),
            ("true &&\necho joined", "joined\n", "", 0),
            (
                "frobnicate --all",
                "",
                "sh: 1: frobnicate: not found\n",
                127,
            ),
            ("#!/bin/sh\n# a comment\necho x # tail", "x\n", "", 0),
            ("set -e\nfalse\necho never", "", "", 1),
            ("exit 256", "", "", 0),
            ("yes 5", "\ny\ny\n", "", 0),
            ("", "", "", 0),
        ] {
            let ran = on(0, script);
            assert_eq!(
                (ran.stdout.as_str(), ran.stderr.as_str(), ran.code),
                (stdout, stderr, code),
                "{script:?}"
            );
        }
    }

    #[test]
    fn sleeping_takes_time_of_the_model() {
        assert_eq!(
            on(0, "sleep 2; sleep 0.5").took,
            Duration::from_millis(2500)
        );
    }

    #[test]
    fn output_has_exactly_the_length_asked_for() {
        assert_eq!(on(0, "yes 24001").stdout.len(), 24_001);
    }

    #[test]
    fn windows_speaks_powershell() {
        assert_eq!(on(2, "Write-Output hi").stdout, "hi\r\n");
        assert_eq!(on(2, "exit 3010").code, 3010);
        assert!(on(2, "uptime").stderr.contains("not recognized"));
    }
}
