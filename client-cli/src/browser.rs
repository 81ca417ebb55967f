//! Opens a link in the browser of this process's environment, never waiting
//! for it longer than it takes to learn that it failed.

use std::process::{Command, Stdio};

use crate::{context::variable, os};

/// Opens `link`, or says why not in one line. Pending while a browser that
/// stays in the foreground runs; dropping that leaves the browser alone.
pub async fn open(link: &str) -> Result<(), String> {
    let commands = match choose(std::env::consts::OS, &variable) {
        Choice::Nothing => {
            return Err("(There is no display here: open the link on any machine.)".to_owned());
        }
        Choice::Named(list) => named(&list, link),
        Choice::Desktop => open::commands(link),
    };
    for command in commands {
        if launch(command).await {
            return Ok(());
        }
    }
    Err("(No browser could be opened: open the link yourself.)".to_owned())
}

async fn launch(command: Command) -> bool {
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    os::own_process_group(&mut command);
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    child.wait().await.is_ok_and(|status| status.success())
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// The commands that `BROWSER` lists.
    Named(String),
    Desktop,
    Nothing,
}

fn choose(os: &str, var: &dyn Fn(&str) -> Option<String>) -> Choice {
    if let Some(list) = var("BROWSER") {
        return Choice::Named(list);
    }
    let display = [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "WSL_DISTRO_NAME",
        "WSL_INTEROP",
    ];
    if os == "linux" && display.iter().all(|name| var(name).is_none()) {
        return Choice::Nothing;
    }
    Choice::Desktop
}

/// `BROWSER` is a list of commands; in each, `%s` stands for the link, which
/// otherwise comes last.
fn named(list: &str, link: &str) -> Vec<Command> {
    let commands = std::env::split_paths(list).filter_map(|entry| {
        let entry = entry.to_str()?;
        let mut words = entry.split_whitespace();
        let mut command = Command::new(words.next()?);
        command.args(words.map(|word| word.replace("%s", link)));
        if !entry.contains("%s") {
            command.arg(link);
        }
        Some(command)
    });
    commands.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(os: &str, vars: &[&str]) -> Choice {
        choose(os, &|name| vars.contains(&name).then(|| "value".to_owned()))
    }

    #[test]
    fn a_linux_machine_without_a_display_opens_nothing() {
        assert_eq!(chosen("linux", &[]), Choice::Nothing);
        assert_eq!(chosen("macos", &[]), Choice::Desktop);
        for display in ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"] {
            assert_eq!(chosen("linux", &[display]), Choice::Desktop);
        }
    }

    #[test]
    fn the_browser_variable_comes_first() {
        assert_eq!(
            chosen("linux", &["BROWSER", "DISPLAY"]),
            Choice::Named("value".into())
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_browser_variable_lists_commands_with_a_place_for_the_link() {
        let told: Vec<Vec<_>> = named("ff --url=%s -n:lynx", "https://d/")
            .iter()
            .map(|command| {
                std::iter::once(command.get_program())
                    .chain(command.get_args())
                    .map(|word| word.to_str().unwrap().to_owned())
                    .collect()
            })
            .collect();
        assert_eq!(told[0], ["ff", "--url=https://d/", "-n"]);
        assert_eq!(told[1], ["lynx", "https://d/"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_browser_that_fails_is_told_from_one_that_opens() {
        let run = |program: &str| launch(Command::new(program));
        assert!(run("true").await);
        assert!(!run("false").await);
        assert!(!run("/nowhere/browser").await);
    }
}
