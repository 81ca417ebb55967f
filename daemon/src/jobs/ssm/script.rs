//! What an instance is given to run: the person's text as it is, line by line,
//! with a prelude that chooses the shell. The text is never quoted into another
//! command, and nothing of it is resolved on the way. Pure.

use awsso_proto::{Failure, Reason, error::key, v1};

use super::instances::Document;

/// The agent runs the file with `sh -c PATH`; bash reads the same file again. The
/// variable keeps it from doing so for ever, and is gone before the text begins.
const BASH_IF_THERE: &str = r#"[ -z "${AWSSO_BASH-}" ] && command -v bash >/dev/null 2>&1 && export AWSSO_BASH=1 && exec bash "$0""#;
/// Without bash, `sh` ends here: "exec: bash: not found", code 127.
const BASH: &str = r#"[ -z "${AWSSO_BASH-}" ] && export AWSSO_BASH=1 && exec bash "$0""#;
const IN_BASH: &str = "unset AWSSO_BASH";
/// dash has no `pipefail`; `command` keeps an option that is not there from ending the script.
const STRICT: &str = "set -eu; command set -o pipefail 2>/dev/null || echo 'awsso: without bash, --strict does not see failures within pipes' >&2";

/// Windows writes in the code page of its console otherwise.
const UTF_8: &str = "[Console]::OutputEncoding = [System.Text.Encoding]::UTF8";
const STRICT_POWERSHELL: &str = "$ErrorActionPreference = 'Stop'";
/// A script file of PowerShell that does not say `exit` ends with 0, whatever its
/// last command did. With this, that command decides, as it does in `sh`.
const LAST_CODE: &str =
    "if (-not $?) { if (Test-Path Variable:LASTEXITCODE) { exit $LASTEXITCODE } else { exit 1 } }";

/// The parameters of both documents, by whose names `{{ NAME }}` is replaced.
const PARAMETERS: [&str; 3] = ["commands", "workingdirectory", "executiontimeout"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    BashIfThere,
    Bash,
    Sh,
}

/// A text, and how an instance runs it.
#[derive(Debug, Clone)]
pub(super) struct Script {
    text: String,
    shell: Shell,
    strict: bool,
    /// Empty: where the agent runs it.
    pub directory: String,
}

impl Script {
    pub fn new(work: &v1::SsmWork) -> Result<Self, Failure> {
        let invalid = |what: String| Err(Failure::new(Reason::InvalidArgument, what));
        let text = work.command.clone();
        if text.trim().is_empty() {
            return invalid("the command is empty".into());
        }
        if text.contains('\0') {
            return invalid("the command holds a NUL character".into());
        }
        let shell = match work.shell.as_str() {
            "" => Shell::BashIfThere,
            "bash" => Shell::Bash,
            "sh" => Shell::Sh,
            other => return invalid(format!("the shell {other:?} is neither bash nor sh")),
        };
        if text.starts_with("#!") && (work.strict || !work.shell.is_empty()) {
            return invalid(
                "the command's own first line (#!) says what runs it; a shell or strict would change that".into(),
            );
        }
        if work.strict && begins_a_script(&text) {
            return invalid("strict cannot stand before the command's own first statement".into());
        }
        let directory = work.working_directory.clone();
        if directory.contains(char::is_control) {
            return invalid("the working directory holds a control character".into());
        }
        if !directory.is_empty() && !is_absolute(&directory) {
            return invalid(format!(
                "the working directory {directory:?} is not an absolute path"
            ));
        }
        if let Some(reference) = resolved(&text).or_else(|| resolved(&directory)) {
            let what = format!("SSM would put something else in the place of {reference}");
            return Err(Failure::new(Reason::InvalidArgument, what).with(
                key::HINT,
                "let the command ask for it (aws ssm get-parameter); braces that are meant as they are: '{''{'",
            ));
        }
        Ok(Self {
            text,
            shell,
            strict: work.strict,
            directory,
        })
    }

    /// The document's `commands`, which the agent joins to one file.
    pub fn lines(&self, document: Document) -> Vec<String> {
        let (prelude, after) = match document {
            Document::Shell if self.text.starts_with("#!") => (Vec::new(), None),
            Document::Shell => (self.prelude(), None),
            Document::PowerShell if begins_a_script(&self.text) => (Vec::new(), Some(LAST_CODE)),
            Document::PowerShell => {
                let strict = self.strict.then_some(STRICT_POWERSHELL);
                ([UTF_8].into_iter().chain(strict).collect(), Some(LAST_CODE))
            }
        };
        // One line, so that an error's line number is off by one and no more.
        let before = (!prelude.is_empty()).then(|| prelude.join("; "));
        let text = self.text.lines().chain(after).map(str::to_owned);
        before.into_iter().chain(text).collect()
    }

    fn prelude(&self) -> Vec<&'static str> {
        let mut prelude = match self.shell {
            Shell::BashIfThere => vec![BASH_IF_THERE, IN_BASH],
            Shell::Bash => vec![BASH, IN_BASH],
            Shell::Sh => Vec::new(),
        };
        prelude.extend(self.strict.then_some(STRICT));
        prelude
    }
}

/// Of Linux and macOS, or of Windows: a drive or a share.
fn is_absolute(path: &str) -> bool {
    let mut letters = path.chars();
    match letters.next() {
        Some('/') => true,
        Some('\\') => letters.next() == Some('\\'),
        Some(drive) if drive.is_ascii_alphabetic() => {
            letters.next() == Some(':') && matches!(letters.next(), Some('\\' | '/'))
        }
        _ => false,
    }
}

/// `{{ssm:NAME}}` is Parameter Store's NAME, and `{{ commands }}` a parameter of
/// the document. Others, such as Docker's `{{.Names}}`, stay as they are.
fn resolved(text: &str) -> Option<&str> {
    text.match_indices("{{").find_map(|(at, _)| {
        let inner = &text[at + 2..];
        let end = inner.find("}}")?;
        let name = inner[..end].trim().to_lowercase();
        let is_word = |word: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !word.is_empty() && word.chars().all(fits)
        };
        let reference = name.split_once(':').is_some_and(|(kind, _)| is_word(kind));
        (reference || PARAMETERS.contains(&name.as_str())).then(|| &text[at..at + 2 + end + 2])
    })
}

/// `param` and `using` have to be a script's first statement.
fn begins_a_script(text: &str) -> bool {
    let lines = text.lines().map(str::trim_start);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default().to_lowercase();
    // A block of comments may stand before them.
    ["param", "using ", "[cmdletbinding", "<#"]
        .iter()
        .any(|word| first.starts_with(word))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{PermissionsExt as _, symlink},
        path::Path,
        process::Command,
    };

    use super::*;

    fn script(work: &v1::SsmWork) -> Result<Script, Failure> {
        Script::new(work)
    }

    fn work(command: &str) -> v1::SsmWork {
        v1::SsmWork {
            command: command.into(),
            ..v1::SsmWork::default()
        }
    }

    fn with_shell(shell: &str, strict: bool, command: &str) -> Vec<String> {
        let work = v1::SsmWork {
            shell: shell.into(),
            strict,
            ..work(command)
        };
        script(&work).unwrap().lines(Document::Shell)
    }

    /// As the agent does it: `sh -c` on a file, by a `sh` that is dash, as on Debian; stdout, stderr, code.
    fn run(lines: &[String], bash: bool) -> (String, String, i32) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            ["/usr/bin", "/bin"]
                .map(|dir| Path::new(dir).join(name))
                .into_iter()
                .find(|path| path.exists())
        };
        if bash {
            symlink(path("bash").unwrap(), dir.path().join("bash")).unwrap();
        }
        let file = dir.path().join("_script.sh");
        std::fs::write(&file, lines.join("\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut sh = Command::new(path("dash").or_else(|| path("sh")).unwrap());
        sh.arg("-c").arg(&file).env_clear().env("PATH", dir.path());
        let output = sh.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            text(output.stdout),
            text(output.stderr),
            output.status.code().unwrap(),
        )
    }

    const WHICH: &str = "echo \"${BASH_VERSION:+bash} ${AWSSO_BASH-} $#\"; exit 7";

    #[test]
    fn bash_runs_the_text_where_there_is_bash() {
        let lines = with_shell("", false, WHICH);
        assert_eq!(run(&lines, true), ("bash  0\n".into(), String::new(), 7));
        assert_eq!(run(&lines, false), ("  0\n".into(), String::new(), 7));
        let lines = with_shell("sh", false, WHICH);
        assert_eq!(lines, [WHICH]);
        let lines = with_shell("bash", false, WHICH);
        assert_eq!(run(&lines, true).0, "bash  0\n");
        let (stdout, stderr, code) = run(&lines, false);
        assert_eq!((stdout.as_str(), code), ("", 127));
        assert!(stderr.contains("bash: not found"), "{stderr}");
    }

    #[test]
    fn a_strict_script_ends_at_the_first_failure() {
        for (bash, shell) in [(true, ""), (true, "bash"), (false, ""), (true, "sh")] {
            let run = |text: &str| run(&with_shell(shell, true, text), bash);
            assert_eq!(run("false\necho on").0, "", "{shell} {bash}");
            assert_eq!(run("echo $NOPE\necho on").0, "", "{shell} {bash}");
            assert_eq!(run("echo on").0, "on\n", "{shell} {bash}");
        }
        let piped = |bash| run(&with_shell("", true, "false | :\necho on"), bash);
        assert_eq!(piped(true), (String::new(), String::new(), 1));
        let (_, stderr, _) = run(&with_shell("bash", false, "false\n:"), true);
        assert_eq!(stderr, "");
    }

    #[test]
    fn quotes_and_lines_reach_the_shell_as_they_are() {
        let text = "cat='a  \"b'\\''c'\nprintf '%s\\n' \"$cat\" '$0' \"\\$x\" `echo d`\n";
        let here =
            "while read -r line; do printf '<%s>\\n' \"$line\"; done <<'END'\n$a `b` \\c\nEND";
        for bash in [true, false] {
            let (stdout, ..) = run(&with_shell("", false, text), bash);
            assert_eq!(stdout, "a  \"b'c\n$0\n$x\nd\n");
            let (stdout, ..) = run(&with_shell("", false, here), bash);
            assert_eq!(stdout, "<$a `b` \\c>\n");
        }
    }

    #[test]
    fn a_text_with_an_interpreter_of_its_own_keeps_it() {
        let text = "#!/usr/bin/python3\nprint(1)";
        assert_eq!(
            with_shell("", false, text),
            ["#!/usr/bin/python3", "print(1)"]
        );
        for (shell, strict) in [("bash", false), ("", true)] {
            let work = v1::SsmWork {
                shell: shell.into(),
                strict,
                ..work(text)
            };
            assert_eq!(script(&work).unwrap_err().reason, Reason::InvalidArgument);
        }
    }

    #[test]
    fn windows_gets_the_text_between_encoding_and_code() {
        let lines = |text: &str| script(&work(text)).unwrap().lines(Document::PowerShell);
        assert_eq!(
            lines("hostname\r\nwhoami"),
            [UTF_8, "hostname", "whoami", LAST_CODE]
        );
        let strict = v1::SsmWork {
            strict: true,
            ..work("hostname")
        };
        let lines_strict = Script::new(&strict).unwrap().lines(Document::PowerShell);
        assert_eq!(lines_strict[0], format!("{UTF_8}; {STRICT_POWERSHELL}"));
        let script = "# for all\n\n  Param($a = 1)\n$a";
        assert_eq!(lines(script)[..2], ["# for all", ""]);
        let strict = v1::SsmWork {
            strict: true,
            ..work(script)
        };
        assert!(Script::new(&strict).is_err());
    }

    #[test]
    fn what_ssm_would_replace_is_refused_and_other_braces_are_not() {
        for bad in [
            "echo {{ssm:/prod/password}}",
            "echo {{ ssm-secure:x }}",
            "echo {{ global:DATE }}",
            "echo {{ executionTimeout }}",
            "echo '{{a}}' {{ ssm:x }}",
        ] {
            let failure = script(&work(bad)).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidArgument, "{bad}");
            assert!(failure.metadata.contains_key(key::HINT), "{bad}");
        }
        for good in [
            "docker ps --format '{{.Names}}: {{ .ID }}'",
            "echo {{ item[1:2] }}",
            "echo '{''{ssm:x}}'",
            "echo {{ssm:x",
        ] {
            assert!(script(&work(good)).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_working_directory_is_an_absolute_path() {
        let at = |directory: &str| {
            let work = v1::SsmWork {
                working_directory: directory.into(),
                ..work("x")
            };
            script(&work).is_ok()
        };
        assert!(at("") && at("/srv/app") && at(r"C:\Temp") && at(r"\\host\share"));
        assert!(!at("srv") && !at("C:Temp") && !at("/a\nb") && !at("/{{ssm:x}}"));
    }
}
