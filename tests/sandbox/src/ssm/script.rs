//! What a script does on a modelled instance: a small shell over a table of programs, *never* run on the host. Pure.
//!
//! Understood are sequences of simple commands joined by newlines, `;`, `&&`, `||` and `|`, quotes, comments, the
//! options `-e`, `-u` and `pipefail`, `export`, `unset`, `$NAME`, `${NAME-}`, `[ -n … ]`, `exec bash "$0"` and the
//! redirections `>&2`, `1>&2`, `2>&1` (ignored), `>/dev/null`, `2>/dev/null`. The agent runs `sh`, which is no bash:
//! `[[` and `pipefail` are bash's, and some instances have none. A variable that is not set stays as it is written.
//! What is not in the table is not found, with the shell's text and code 127.

mod programs;
mod steps;

use std::collections::HashMap;
use std::time::Duration;

use self::programs::{fails, not_found, says};
use self::steps::{Join, LITERAL_DOLLAR, Step, steps};
use crate::organization::{Instance, Platform};

/// The end of a script, as the agent sees it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
    pub(crate) took: Duration,
}

/// Past this a script is cut off, as a disk would be; AWS keeps far less.
const MOST_OUTPUT: usize = 8 << 20;
/// The directories of every instance.
const DIRECTORIES: [&str; 5] = ["/", "/tmp", "/srv", "/usr/bin", "C:\\"];

/// Runs it in a directory; an empty one stands for the agent's own.
pub(crate) fn run(instance: &Instance, lines: &[String], directory: &str) -> Ran {
    let directory = if directory.is_empty() {
        "/usr/bin"
    } else {
        directory
    };
    if !DIRECTORIES.contains(&directory) {
        return fails(
            1,
            &format!("chdir {directory}: no such file or directory\n"),
        );
    }
    let script = lines.join("\n");
    let own = script
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("#!"));
    let own = own.is_some_and(|interpreter| interpreter.trim_end().ends_with("bash"));
    let mut shell = Shell {
        instance,
        bash: own && instance.bash,
        variables: HashMap::new(),
        directory: directory.to_owned(),
        options: Options::default(),
        ran: Ran::default(),
    };
    if own && !instance.bash {
        return not_found("bash");
    }
    while shell.pass(&steps(&script)) == After::Again {
        shell.bash = true;
    }
    shell.ran
}

/// What follows a pass over the script.
#[derive(Debug, PartialEq, Eq)]
enum After {
    End,
    /// `exec bash "$0"`: the same text once more, read by bash.
    Again,
}

struct Shell<'a> {
    instance: &'a Instance,
    bash: bool,
    variables: HashMap<String, String>,
    directory: String,
    options: Options,
    ran: Ran,
}

/// What `set` has set: `-e`, `-u`, `-o pipefail`.
#[derive(Default)]
struct Options {
    errexit: bool,
    nounset: bool,
    pipefail: bool,
}

impl Shell<'_> {
    fn pass(&mut self, steps: &[Step]) -> After {
        let windows = self.instance.platform == Platform::Windows;
        for (at, step) in steps.iter().enumerate() {
            let next = steps.get(at + 1).map(|next| next.join);
            let before = self.ran.code;
            let runs = match step.join {
                Join::Always | Join::Pipe => true,
                Join::IfOk => before == 0,
                Join::IfFailed => before != 0,
            };
            if !runs {
                continue;
            }
            let words: Result<Vec<_>, _> = step.words.iter().map(|it| self.expanded(it)).collect();
            let words = match words {
                Ok(words) => words,
                Err(unset) => {
                    let code = if self.bash { 1 } else { 2 };
                    return self.ends(code, &format!("sh: 1: {unset}: parameter not set\n"));
                }
            };
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["exit", code @ ..] => {
                    let code = code.first().map_or(Some(before), |code| code.parse().ok());
                    let code = code.unwrap_or(2);
                    // A shell keeps eight bits of it.
                    self.ran.code = if windows { code } else { code & 0xff };
                    return After::End;
                }
                // PowerShell, and the last command was no success.
                ["if", "(-not", "$?)", ..] if windows && before != 0 => return After::End,
                ["exec", "bash", "_script.sh"] if self.instance.bash => return After::Again,
                ["exec", program, ..] => {
                    return self.ends(127, &format!("sh: 1: exec: {program}: not found\n"));
                }
                _ => {}
            }
            let one = if windows {
                self.powershell(&words)
            } else {
                self.unix(&words)
            };
            self.ran.code = match (step.join, one.code) {
                (Join::Pipe, 0) if self.options.pipefail => before,
                (_, code) => code,
            };
            self.print(step, &one, next == Some(Join::Pipe));
            let is_last_of_list = matches!(next, None | Some(Join::Always));
            let failed = self.options.errexit && self.ran.code != 0 && is_last_of_list;
            if failed || self.ran.stdout.len() > MOST_OUTPUT {
                return After::End;
            }
        }
        if windows {
            // A script file of PowerShell that does not say `exit`.
            self.ran.code = 0;
        }
        After::End
    }

    fn ends(&mut self, code: i32, stderr: &str) -> After {
        self.ran.stderr += stderr;
        self.ran.code = code;
        After::End
    }

    fn print(&mut self, step: &Step, one: &Ran, is_piped: bool) {
        if step.to_stderr {
            self.ran.stderr += &one.stdout;
        } else if !step.no_stdout && !is_piped {
            self.ran.stdout += &one.stdout;
        }
        if !step.no_stderr {
            self.ran.stderr += &one.stderr;
        }
        self.ran.took += one.took;
    }

    /// What the shell itself does, and then the programs.
    fn unix(&mut self, words: &[&str]) -> Ran {
        let truth = |is: bool| Ran {
            code: i32::from(!is),
            ..Ran::default()
        };
        match words {
            ["set", options @ ..] | ["command", "set", options @ ..] => self.set(options),
            ["command", "-v", "bash"] if self.instance.bash => says("/usr/bin/bash\n"),
            ["command", "-v", ..] => truth(false),
            ["[", "-z", word, "]"] => truth(word.is_empty()),
            ["[", "-n", word, "]"] => truth(!word.is_empty()),
            ["[[", left, "==", right, "]]"] if self.bash => truth(left == right),
            ["export", assignment] => {
                if let Some((name, value)) = assignment.split_once('=') {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                Ran::default()
            }
            ["unset", name] => {
                self.variables.remove(*name);
                Ran::default()
            }
            ["cd", directory] if DIRECTORIES.contains(directory) => {
                (*directory).clone_into(&mut self.directory);
                Ran::default()
            }
            ["cd", directory] => fails(2, &format!("sh: 1: cd: can't cd to {directory}\n")),
            ["pwd"] => says(&format!("{}\n", self.directory)),
            words => programs::unix(self.instance, words),
        }
    }

    fn powershell(&mut self, words: &[&str]) -> Ran {
        match words {
            ["$ErrorActionPreference", "=", "Stop"] => {
                self.options.errexit = true;
                Ran::default()
            }
            ["[Console]::OutputEncoding" | "if", ..] => Ran::default(),
            ["pwd"] => says(&format!("{}\r\n", self.directory)),
            words => programs::powershell(self.instance, words),
        }
    }

    fn set(&mut self, options: &[&str]) -> Ran {
        let mut options = options.iter();
        while let Some(flags) = options.next() {
            self.options.errexit |= flags.contains('e');
            self.options.nounset |= flags.contains('u');
            if flags.ends_with('o') {
                match options.next() {
                    Some(&"pipefail") if self.bash => self.options.pipefail = true,
                    option => {
                        let option = option.unwrap_or(&"");
                        return fails(2, &format!("sh: 1: set: Illegal option -o {option}\n"));
                    }
                }
            }
        }
        Ran::default()
    }

    /// With its variables; or the one that should have been set.
    fn expanded(&self, word: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once('$') {
            text += before;
            let braced = after.strip_prefix('{').and_then(|it| it.split_once('}'));
            let (name, default, left) = if let Some((inner, left)) = braced {
                let (name, default) = inner
                    .split_once('-')
                    .map_or((inner, None), |(name, default)| (name, Some(default)));
                (name, default, left)
            } else {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !fits(c)).unwrap_or(after.len());
                (&after[..end], None, &after[end..])
            };
            match (self.variable(name), default) {
                (Some(value), _) => text += value,
                (None, Some(default)) => text += default,
                (None, None) if self.options.nounset && !name.is_empty() => {
                    return Err(name.to_owned());
                }
                (None, None) => {
                    text.push('$');
                    text += &after[..after.len() - left.len()];
                }
            }
            rest = left;
        }
        text += rest;
        Ok(text.replace(LITERAL_DOLLAR, "$"))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        match name {
            "0" => Some("_script.sh"),
            "BASH_VERSION" => self.bash.then_some("5.2.15(1)-release"),
            name => self.variables.get(name).map(String::as_str),
        }
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
            "",
        )
    }

    /// As the tenth of a fleet.
    fn without_bash(script: &str) -> Ran {
        let organization = Organization::of(1).with_fleet(10);
        let instances = &organization.accounts()[0].instances;
        let lean = instances
            .iter()
            .find(|it| it.platform == Platform::Linux && !it.bash);
        run(lean.unwrap(), &[script.to_owned()], "")
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
            (
                "echo \"$HOME|c\" '$0' \"$0\"",
                "$HOME|c $0 _script.sh\n",
                "",
                0,
            ),
            ("false | true", "", "", 0),
            (
                "set -e\nfalse || true\nfalse && true\necho on",
                "on\n",
                "",
                0,
            ),
            (
                "set -u\necho $NOPE\necho on",
                "",
                "sh: 1: NOPE: parameter not set\n",
                2,
            ),
            (
                "set -o pipefail",
                "",
                "sh: 1: set: Illegal option -o pipefail\n",
                2,
            ),
            ("[[ a == a ]]", "", "sh: 1: [[: not found\n", 127),
            ("#!/bin/bash\n[[ a == a ]] && echo yes", "yes\n", "", 0),
            (
                "#!/bin/bash\nset -euo pipefail\nfalse | true\necho on",
                "",
                "",
                1,
            ),
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
    fn a_script_can_go_on_in_bash_where_there_is_bash() {
        let again = "[ -z \"${IN-}\" ] && command -v bash >/dev/null 2>&1 && export IN=1 && exec bash \"$0\"\n\
                     echo \"${BASH_VERSION-sh}\"";
        assert_eq!(on(0, again).stdout, "5.2.15(1)-release\n");
        assert_eq!(without_bash(again).stdout, "sh\n");
        let bash = "exec bash \"$0\"\necho never";
        let ran = without_bash(bash);
        assert_eq!((ran.stdout.as_str(), ran.code), ("", 127));
    }

    #[test]
    fn a_script_runs_where_it_is_told() {
        let organization = Organization::of(1);
        let web = &organization.accounts()[0].instances[0];
        let ran = |directory| run(web, &["pwd".to_owned()], directory);
        assert_eq!(ran("").stdout, "/usr/bin\n");
        assert_eq!(ran("/srv").stdout, "/srv\n");
        assert_eq!(ran("/nowhere").code, 1);
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
        assert_eq!(on(2, "uptime").code, 0);
        assert_eq!(on(2, "uptime\nif (-not $?) { exit 1 }").code, 1);
        assert_eq!(on(2, "hostname\nif (-not $?) { exit 1 }").code, 0);
    }
}
