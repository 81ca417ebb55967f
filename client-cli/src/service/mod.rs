//! The daemon as a service of the system: which files its service manager reads,
//! and which commands it takes. Pure: nothing is written or run in here.

mod launchd;
mod systemd;
mod task_scheduler;

use std::path::{Path, PathBuf};

/// What starts programs for a person on this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Systemd,
    /// With the number that launchd knows the person by.
    Launchd {
        uid: u32,
    },
    TaskScheduler,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Places {
    pub awsso: PathBuf,
    pub awssod: PathBuf,
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, where that is set.
    pub config: Option<PathBuf>,
    pub state: PathBuf,
    pub socket: PathBuf,
    pub user: String,
}

/// One file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// One command of the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub words: Vec<String>,
    /// Only makes room for the next one.
    pub may_fail: bool,
}

/// How a manager is told of the daemon.
#[derive(Debug)]
pub struct Service {
    pub name: &'static str,
    /// None, where a package has brought them.
    pub units: Vec<Unit>,
    /// Succeeds when the manager can be talked to.
    pub reach: Step,
    /// Succeed when it listens for clients, now and after the next login.
    pub is_on: Vec<Step>,
    pub on: Vec<Step>,
    pub off: Vec<Step>,
    /// After the units are gone.
    pub forget: Vec<Step>,
}

/// Found in every unit that we have written, and by that known as ours.
const MARK: &str = "The daemon of awsso";

impl Manager {
    pub fn service(self, places: &Places) -> Service {
        match self {
            Self::Systemd => systemd::service(places, systemd::PACKAGED.map(Path::new)),
            Self::Launchd { uid } => launchd::service(places, uid),
            Self::TaskScheduler => task_scheduler::service(places),
        }
    }
}

/// Whether a file is one that we have written.
pub fn is_ours(bytes: &[u8]) -> bool {
    // UTF-16 without its zeros is as good as ASCII here.
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    text.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

fn step(words: &[&str]) -> Step {
    Step {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        may_fail: false,
    }
}

/// Text between two tags.
fn xml(path: impl std::fmt::Display) -> String {
    let text = path.to_string();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn places() -> Places {
        Places {
            awsso: "/opt/a & b/awsso".into(),
            awssod: "/opt/a & b/awssod".into(),
            home: "/home/me".into(),
            config: None,
            state: "/home/me/.local/state/awsso".into(),
            socket: "/home/me/run/awssod.sock".into(),
            user: r"OFFICE\me".into(),
        }
    }

    fn text(unit: &Unit) -> String {
        match unit.bytes.as_slice() {
            [0xff, 0xfe, utf16 @ ..] => {
                let units = utf16.chunks(2).map(|it| u16::from_le_bytes([it[0], it[1]]));
                String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
            }
            bytes => String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    #[test]
    fn every_unit_names_this_installation_and_nothing_is_left_to_fill_in() {
        for manager in [
            Manager::Systemd,
            Manager::Launchd { uid: 7 },
            Manager::TaskScheduler,
        ] {
            let service = manager.service(&places());
            let all: String = service.units.iter().map(text).collect();
            assert!(all.contains("/awssod"), "{all}");
            assert!(!all.contains('@') && !all.contains("/usr/bin"), "{all}");
            for unit in &service.units {
                assert!(is_ours(&unit.bytes), "{}", text(unit));
            }
            assert!(!service.is_on.is_empty() && !service.on.is_empty());
        }
    }

    #[test]
    fn xml_cannot_be_left_by_a_path() {
        let service = Manager::Launchd { uid: 7 }.service(&places());
        let text = text(&service.units[0]);
        assert!(
            text.contains("<string>/opt/a &amp; b/awssod</string>"),
            "{text}"
        );
    }

    #[test]
    fn a_task_is_utf_16_as_its_scheduler_reads_it() {
        let unit = &Manager::TaskScheduler.service(&places()).units[0];
        assert_eq!(unit.bytes[..4], [0xff, 0xfe, b'<', 0]);
        assert!(text(unit).contains(r"<UserId>OFFICE\me</UserId>"));
    }
}
