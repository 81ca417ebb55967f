//! Which processes run agents. An agent with a shell of its own could run `awsso
//! approvals`: who was started by the program that started a shim is not heard as
//! a person. A program that hides where it comes from is not found by this.

use std::sync::{Arc, Mutex, PoisonError};

use crate::os::{self, Process, lineage};

/// Programs that start shims and still run; a machine has a handful.
const MOST: usize = 1_000;

/// Programs that everything of a person is started by, agents and all else: they
/// start services, or windows, or what somebody types. A shim is theirs when it is
/// a service, or when the program that started it is gone.
const START_EVERYTHING: &[&str] = &[
    // The first process, and managers of services.
    "init",
    "systemd",
    "launchd",
    "openrc-init",
    "runit",
    "runsv",
    "runsvdir",
    "s6-svscan",
    "s6-supervise",
    "dinit",
    "supervisord",
    "dbus-daemon",
    "dbus-broker-launch",
    // Desktops.
    "gnome-shell",
    "gnome-session-binary",
    "gnome-session-service",
    "plasmashell",
    "kwin_wayland",
    "ksmserver",
    "startplasma-wayland",
    "startplasma-x11",
    "cinnamon",
    "cinnamon-session-binary",
    "xfce4-session",
    "xfce4-panel",
    "mate-session",
    "mate-panel",
    "lxqt-session",
    "lxqt-panel",
    "budgie-panel",
    "cosmic-session",
    "cosmic-panel",
    "sway",
    "Hyprland",
    "niri",
    "i3",
    // Terminals, and what keeps them.
    "gnome-terminal-server",
    "kgx",
    "ptyxis",
    "ptyxis-agent",
    "konsole",
    "xfce4-terminal",
    "xterm",
    "alacritty",
    "kitty",
    "wezterm-gui",
    "ghostty",
    "foot",
    "tmux: server",
    "screen",
    "sshd",
    "sshd-session",
    "login",
    // Windows: names are in small letters there.
    "services",
    "svchost",
    "winlogon",
    "userinit",
    "explorer",
    "sihost",
    "windowsterminal",
    "openconsole",
    "conhost",
];

/// What the system keeps of a name.
const NAME_KEPT: usize = 15;

#[derive(Debug, Clone, Default)]
pub struct Agents(Arc<Mutex<Vec<Process>>>);

impl Agents {
    /// A shim connected.
    pub fn met(&self, shim: u32) {
        let Some(parent) = lineage(shim).get(1).copied() else {
            return;
        };
        if os::name_of(parent.pid).is_some_and(|name| starts_everything(&name)) {
            return;
        }
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.contains(&parent) {
            return;
        }
        // Its shim may be gone already; the program is not.
        hosts.retain(|host| lineage(host.pid).first() == Some(host));
        if hosts.len() < MOST {
            hosts.push(parent);
        }
    }

    /// The program behind an agent that also started this process.
    pub fn behind(&self, pid: u32) -> Option<u32> {
        let lineage = lineage(pid);
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.iter().find(|host| lineage.contains(host));
        host.map(|host| host.pid)
    }

    /// The program behind an agent that started the program that started this shim:
    /// an agent's shell can start a shim, and a client for it.
    pub fn around(&self, shim: u32) -> Option<u32> {
        let lineage = lineage(shim);
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let above = lineage.iter().skip(2);
        let mut found = above.filter(|process| hosts.contains(process));
        found.next().map(|host| host.pid)
    }
}

fn starts_everything(name: &str) -> bool {
    let kept = |known: &str| known.get(..NAME_KEPT).unwrap_or(known) == name;
    START_EVERYTHING.iter().any(|known| kept(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_everything_is_not_behind_an_agent() {
        for (name, expected) in [
            ("init", true),
            ("systemd", true),
            ("launchd", true),
            ("gnome-shell", true),
            ("gnome-session-b", true),
            ("plasmashell", true),
            ("gnome-terminal-", true),
            ("tmux: server", true),
            ("sshd", true),
            ("claude", false),
            ("code", false),
            ("node", false),
            ("bash", false),
            ("systemd-executo", false),
            ("gnome-", false),
            ("", false),
        ] {
            assert_eq!(starts_everything(name), expected, "{name}");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod processes {
    use std::{
        io::{BufRead as _, BufReader},
        path::Path,
        process::{Child, ChildStdout, Command, Stdio},
    };

    use super::*;

    /// A program that has started others, which say who they are.
    struct Host {
        process: Child,
        said: std::io::Lines<BufReader<ChildStdout>>,
        children: Vec<u32>,
    }

    impl Host {
        fn start(shell: &Path, script: &str) -> Self {
            let mut process = Command::new(shell)
                .args(["-c", script])
                .stdout(Stdio::piped())
                .spawn()
                .expect("a shell starts");
            let said = process.stdout.take().expect("stdout is piped");
            let said = BufReader::new(said).lines();
            Self {
                process,
                said,
                children: Vec::new(),
            }
        }

        fn child(&mut self) -> u32 {
            let line = self.said.next().expect("a line").expect("UTF-8");
            let child = line.parse().expect("a process id");
            self.children.push(child);
            child
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            for pid in &self.children {
                let _ = Command::new("kill").arg(pid.to_string()).status();
            }
            let _ = self.process.wait();
        }
    }

    const A_SHIM_AND_A_TOOL: &str = "sleep 60 & echo $!; sleep 60 & echo $!; wait";

    #[test]
    fn who_was_started_by_the_program_that_started_a_shim_is_of_an_agent() {
        let agents = Agents::default();
        let mut host = Host::start("/bin/sh".as_ref(), A_SHIM_AND_A_TOOL);
        let (shim, tool) = (host.child(), host.child());
        assert_eq!(agents.behind(tool), None);
        agents.met(shim);
        let pid = host.process.id();
        assert_eq!(agents.behind(tool), Some(pid));
        assert_eq!(agents.behind(shim), Some(pid));
        assert_eq!(agents.behind(std::process::id()), None);
        // Its own host is what a shim may have.
        assert_eq!(agents.around(shim), None);
    }

    #[test]
    fn a_shim_of_the_service_manager_makes_nobody_an_agent() {
        let agents = Agents::default();
        let dir = tempfile::tempdir().unwrap();
        let manager = dir.path().join("systemd");
        std::fs::copy("/bin/sh", &manager).unwrap();
        let mut host = Host::start(&manager, A_SHIM_AND_A_TOOL);
        let (shim, tool) = (host.child(), host.child());
        agents.met(shim);
        assert_eq!(agents.behind(tool), None);
    }

    #[test]
    fn a_client_that_an_agent_has_started_is_told_from_its_host() {
        let agents = Agents::default();
        let script = "sleep 60 & echo $!; sh -c 'sleep 60 & echo $!; wait' & wait";
        let mut host = Host::start("/bin/sh".as_ref(), script);
        let (shim, inner) = (host.child(), host.child());
        agents.met(inner);
        assert_eq!(
            agents.around(inner),
            None,
            "nothing is known of its host yet"
        );
        agents.met(shim);
        assert_eq!(agents.around(inner), Some(host.process.id()));
        assert_eq!(agents.around(shim), None);
    }
}
