//! The programs of a modelled instance: what each prints, how long it takes, and its code.

use std::time::Duration;

use super::{MOST_OUTPUT, Ran};
use crate::organization::{Instance, Platform};

pub(super) fn unix(instance: &Instance, words: &[&str]) -> Ran {
    let mac = instance.platform == Platform::MacOs;
    match words {
        [] | ["true" | ":", ..] => Ran::default(),
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
        ["work"] => works(instance),
        ["yes", count] => repeats(count),
        ["seq", last] => counts(last),
        [name, ..] => not_found(name),
    }
}

pub(super) fn powershell(instance: &Instance, words: &[&str]) -> Ran {
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
        ("work", []) => works(instance),
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

pub(super) fn says(text: &str) -> Ran {
    Ran {
        stdout: text.to_owned(),
        ..Ran::default()
    }
}

pub(super) fn not_found(name: &str) -> Ran {
    fails(127, &format!("sh: 1: {name}: not found\n"))
}

pub(super) fn fails(code: i32, stderr: &str) -> Ran {
    Ran {
        stderr: stderr.to_owned(),
        code,
        ..Ran::default()
    }
}

/// `work`: takes as many seconds as the instance's tag `Seconds` says.
fn works(instance: &Instance) -> Ran {
    let seconds = instance.tag("Seconds").unwrap_or("0");
    Ran {
        took: sleeps(seconds).took,
        ..says("done\n")
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

/// `seq N`: the numbers from 1 to N, a line each.
fn counts(last: &str) -> Ran {
    let last = last.parse::<usize>().unwrap_or(0);
    let lines = (1..=last.min(MOST_OUTPUT / 8)).map(|number| format!("{number}\n"));
    says(&lines.collect::<String>())
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
