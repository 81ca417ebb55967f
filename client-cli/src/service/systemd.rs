//! systemd's manager of a person's units. The socket is enabled; it starts the
//! service when a client connects.

use std::{fs, path::Path};

use super::{Places, Service, Step, Unit, step};

/// Where packages bring units, first the one that counts.
pub const PACKAGED: [&str; 3] = [
    "/etc/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
];

const SOCKET: &str = "awssod.socket";
const UNITS: [(&str, &str); 2] = [
    (
        "awssod.service",
        include_str!("../../../packaging/systemd/awssod.service"),
    ),
    (
        SOCKET,
        include_str!("../../../packaging/systemd/awssod.socket"),
    ),
];

pub fn service<'a>(places: &Places, packaged: impl IntoIterator<Item = &'a Path>) -> Service {
    let units = UNITS.map(|(name, text)| (name, filled(text, places)));
    // A person's own unit comes before a package's: none is written where that would be the same.
    let is_there = packaged.into_iter().any(|dir| {
        let same = |(name, text): &(&str, String)| {
            fs::read_to_string(dir.join(name)).is_ok_and(|there| there == *text)
        };
        units.iter().all(same)
    });
    let config = places.config.clone();
    let dir = config
        .unwrap_or_else(|| places.home.join(".config"))
        .join("systemd/user");
    let unit = |(name, text): (&str, String)| Unit {
        path: dir.join(name),
        bytes: text.into_bytes(),
    };
    Service {
        name: "systemd",
        units: if is_there {
            Vec::new()
        } else {
            units.map(unit).into()
        },
        reach: systemctl(&["show", "--property=Version"]),
        is_on: vec![
            systemctl(&["is-enabled", "--quiet", SOCKET]),
            systemctl(&["is-active", "--quiet", SOCKET]),
        ],
        on: vec![
            systemctl(&["daemon-reload"]),
            systemctl(&["enable", "--quiet", SOCKET]),
            systemctl(&["restart", SOCKET]),
        ],
        off: vec![systemctl(&["disable", "--quiet", "--now", SOCKET])],
        forget: vec![systemctl(&["daemon-reload"])],
    }
}

fn systemctl(words: &[&str]) -> Step {
    step(&[&["systemctl", "--user"], words].concat())
}

fn filled(text: &str, places: &Places) -> String {
    text.replace("/usr/bin/awssod", &word(&places.awssod))
        .replace("/usr/bin/awsso ", &format!("{} ", word(&places.awsso)))
}

/// A program in a command line of a unit: `systemd.service(5)`, "Command lines".
fn word(program: &Path) -> String {
    let text = program.display().to_string();
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::{super::tests::places, *};

    #[test]
    fn a_program_is_one_word_of_a_unit() {
        let word = |path: &str| word(path.as_ref());
        assert_eq!(word("/usr/bin/awssod"), "/usr/bin/awssod");
        assert_eq!(word("/opt/a b/awssod"), "\"/opt/a b/awssod\"");
        assert_eq!(word(r#"/a"\%$/d"#), r#""/a\"\\%%$$/d""#);
    }

    #[test]
    fn units_of_a_package_are_used_when_they_start_this_installation() {
        let dir = TempDir::new().unwrap();
        for (name, text) in UNITS {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let installed = Places {
            awsso: "/usr/bin/awsso".into(),
            awssod: "/usr/bin/awssod".into(),
            ..places()
        };
        let packaged = || [Path::new("/nowhere"), dir.path()];
        assert_eq!(service(&installed, packaged()).units, []);
        let ours = service(&places(), packaged()).units;
        assert_eq!(ours.len(), 2);
        assert!(ours[0].path.starts_with("/home/me/.config/systemd/user"));
    }
}
