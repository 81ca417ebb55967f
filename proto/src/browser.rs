//! The browser of whoever sits before this process: whether there is one,
//! whether it runs on this very machine, and how a link gets there.
//!
//! Only web links are opened. A browser gets none of our streams and no Ctrl-C
//! of our terminal, and nobody waits longer than it takes to learn that it
//! failed.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Where a link that this process opens is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// Nowhere, as far as we can tell.
    Nowhere,
    /// By a person, but maybe on another machine, where 127.0.0.1 is not ours.
    Somewhere,
    /// On this machine.
    Here,
}

/// Set by sshd.
const SSH: &[&str] = &["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"];
const WSL: &[&str] = &["WSL_DISTRO_NAME", "WSL_INTEROP"];
const DISPLAY: &[&str] = &["DISPLAY", "WAYLAND_DISPLAY"];
/// The far end of an editor, which sets `BROWSER` to open links at its near end.
const EDITOR: &[&str] = &["VSCODE_IPC_HOOK_CLI"];
const CONTAINER: &[&str] = &[
    "container",
    "CODESPACES",
    "REMOTE_CONTAINERS",
    "KUBERNETES_SERVICE_HOST",
];
/// `CREATE_NO_WINDOW`: what opens a link has no console, and so no Ctrl-C of ours.
#[cfg(windows)]
const NO_WINDOW: u32 = 0x0800_0000;
/// Left by Docker and by Podman.
const CONTAINER_FILES: &[&str] = &["/.dockerenv", "/run/.containerenv"];
/// What opens links in WSL, whose display says nothing: it is always set.
const IN_WSL: &[&str] = &[
    "wslview",
    "wsl-open",
    "x-www-browser",
    "google-chrome",
    "chromium",
    "firefox",
];

/// What the decision depends on.
struct Surroundings<'a> {
    os: &'a str,
    var: &'a dyn Fn(&str) -> Option<String>,
    exists: &'a dyn Fn(&str) -> bool,
    is_in_path: &'a dyn Fn(&str) -> bool,
}

impl Browser {
    /// The browser of this process.
    pub fn find() -> Self {
        Self::of(&Surroundings {
            os: std::env::consts::OS,
            var: &variable,
            exists: &|file| Path::new(file).exists(),
            is_in_path: &is_in_path,
        })
    }

    fn of(around: &Surroundings<'_>) -> Self {
        let any = |names: &[&str]| names.iter().any(|name| (around.var)(name).is_some());
        let ssh = any(SSH);
        let wsl = any(WSL);
        let desktop = matches!(around.os, "macos" | "windows");
        let opens = any(&["BROWSER"])
            || if desktop {
                !ssh
            } else if wsl {
                !ssh && IN_WSL.iter().any(|program| (around.is_in_path)(program))
            } else {
                any(DISPLAY)
            };
        let contained = any(CONTAINER) || CONTAINER_FILES.iter().any(|file| (around.exists)(file));
        // An editor's far end in WSL is this machine all the same.
        let far = ssh || (!desktop && (contained || (any(EDITOR) && !wsl)));
        match (opens, far) {
            (false, _) => Self::Nowhere,
            (true, true) => Self::Somewhere,
            (true, false) => Self::Here,
        }
    }

    /// A redirect to 127.0.0.1 arrives: the browser flow can be finished.
    pub fn is_here(self) -> bool {
        self == Self::Here
    }

    /// Whether a browser took the link. Pending while one that stays in the
    /// foreground runs; dropping that leaves the browser alone.
    pub async fn open(self, link: &str) -> bool {
        let is_web = link.starts_with("https://") || link.starts_with("http://");
        if self == Self::Nowhere || !is_web {
            return false;
        }
        let commands = match variable("BROWSER") {
            Some(list) => named(&list, link),
            None => usual(link),
        };
        for command in commands {
            if took_it(command).await {
                return true;
            }
        }
        false
    }
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

/// What the system has for it, and then what [`Browser::find`] counts on.
fn usual(link: &str) -> Vec<Command> {
    let programs = IN_WSL.iter().map(|program| {
        let mut command = Command::new(program);
        command.arg(link);
        command
    });
    open::commands(link).into_iter().chain(programs).collect()
}

async fn took_it(command: Command) -> bool {
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A Ctrl-C in this terminal is not meant for the browser.
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(windows)]
    command.creation_flags(NO_WINDOW);
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    child.wait().await.is_ok_and(|status| status.success())
}

/// A variable of this process; empty counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::{Browser::*, *};

    /// `what` is set, there, or in PATH: no two of these share a name.
    fn of(os: &str, what: &[&str]) -> Browser {
        let is = |name: &str| what.contains(&name);
        Browser::of(&Surroundings {
            os,
            var: &|name| is(name).then(|| "1".to_owned()),
            exists: &is,
            is_in_path: &is,
        })
    }

    #[track_caller]
    fn assert_table(os: &str, table: &[(&[&str], Browser)]) {
        for (what, browser) in table {
            assert_eq!(of(os, what), *browser, "{os}: {what:?}");
        }
    }

    #[test]
    fn a_desktop_system_has_a_browser_unless_it_is_looked_at_over_ssh() {
        for os in ["macos", "windows"] {
            assert_table(
                os,
                &[
                    (&[], Here),
                    (&["BROWSER"], Here),
                    (&["SSH_CONNECTION"], Nowhere),
                    (&["SSH_TTY"], Nowhere),
                    (&["SSH_CLIENT"], Nowhere),
                    (&["SSH_CONNECTION", "BROWSER"], Somewhere),
                ],
            );
        }
    }

    #[test]
    fn linux_needs_a_display_or_a_named_browser() {
        assert_table(
            "linux",
            &[
                (&[], Nowhere),
                (&["firefox"], Nowhere),
                (&["DISPLAY"], Here),
                (&["WAYLAND_DISPLAY"], Here),
                (&["BROWSER"], Here),
            ],
        );
    }

    #[test]
    fn over_ssh_and_at_an_editors_far_end_a_link_is_opened_but_not_here() {
        assert_table(
            "linux",
            &[
                (&["SSH_CONNECTION"], Nowhere),
                (&["SSH_CONNECTION", "BROWSER"], Somewhere),
                (&["SSH_TTY", "DISPLAY"], Somewhere),
                (&["SSH_CLIENT", "WAYLAND_DISPLAY"], Somewhere),
                (&["VSCODE_IPC_HOOK_CLI", "BROWSER"], Somewhere),
            ],
        );
    }

    #[test]
    fn in_wsl_a_display_says_nothing_and_a_program_does() {
        assert_table(
            "linux",
            &[
                (&["WSL_DISTRO_NAME", "DISPLAY", "WAYLAND_DISPLAY"], Nowhere),
                (&["WSL_DISTRO_NAME", "wslview"], Here),
                (&["WSL_INTEROP", "wsl-open"], Here),
                (&["WSL_INTEROP", "x-www-browser"], Here),
                (&["WSL_INTEROP", "google-chrome"], Here),
                (&["WSL_INTEROP", "chromium"], Here),
                (&["WSL_INTEROP", "firefox"], Here),
                (&["WSL_INTEROP", "BROWSER"], Here),
                (&["WSL_INTEROP", "BROWSER", "VSCODE_IPC_HOOK_CLI"], Here),
                (&["WSL_INTEROP", "wslview", "SSH_TTY"], Nowhere),
                (&["WSL_INTEROP", "BROWSER", "SSH_TTY"], Somewhere),
            ],
        );
    }

    #[test]
    fn a_containers_loopback_is_not_the_persons() {
        for sign in [
            "/.dockerenv",
            "/run/.containerenv",
            "container",
            "CODESPACES",
            "REMOTE_CONTAINERS",
            "KUBERNETES_SERVICE_HOST",
        ] {
            assert_table(
                "linux",
                &[
                    (&[sign], Nowhere),
                    (&[sign, "DISPLAY"], Somewhere),
                    (&[sign, "BROWSER"], Somewhere),
                ],
            );
        }
    }

    fn words(command: &Command) -> Vec<&str> {
        std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_str().unwrap())
            .collect()
    }

    #[test]
    fn the_browser_variable_lists_commands_with_a_place_for_the_link() {
        let list = std::env::join_paths(["ff --url=%s -n", "lynx"]).unwrap();
        let told = named(list.to_str().unwrap(), "https://d/");
        assert_eq!(words(&told[0]), ["ff", "--url=https://d/", "-n"]);
        assert_eq!(words(&told[1]), ["lynx", "https://d/"]);
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn whatever_counts_as_a_browser_is_tried() {
        let commands = usual("https://d/");
        for program in IN_WSL {
            assert!(
                commands
                    .iter()
                    .any(|command| words(command) == [*program, "https://d/"]),
                "{program}"
            );
        }
    }

    fn now<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    }

    #[test]
    fn a_browser_that_fails_is_told_from_one_that_opens() {
        now(async {
            assert!(took_it(Command::new("true")).await);
            assert!(!took_it(Command::new("false")).await);
            assert!(!took_it(Command::new("/nowhere/browser")).await);
        });
    }

    #[test]
    fn only_web_links_are_opened() {
        now(async {
            assert!(!Here.open("file:///etc/passwd").await);
            assert!(!Here.open("-help").await);
        });
    }
}
