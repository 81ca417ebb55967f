//! macOS: an agent of the person's graphical session, started by its socket.
//! Known from documents only: it was never run on a Mac.

use super::{Places, Service, Step, Unit, step, xml};

const LABEL: &str = "awsso.awssod";
const AGENT: &str = include_str!("../../../packaging/launchd/awsso.awssod.plist");

pub fn service(places: &Places, uid: u32) -> Service {
    let path = places
        .home
        .join(format!("Library/LaunchAgents/{LABEL}.plist"));
    let text = AGENT
        .replace("@AWSSOD@", &xml(places.awssod.display()))
        .replace("@SOCKET@", &xml(places.socket.display()));
    let session = format!("gui/{uid}");
    let agent = format!("{session}/{LABEL}");
    let bootout = step(&["launchctl", "bootout", &agent]);
    Service {
        name: "launchd",
        reach: step(&["launchctl", "print", &session]),
        is_on: vec![step(&["launchctl", "print", &agent])],
        on: vec![
            Step {
                may_fail: true,
                ..bootout.clone()
            },
            step(&[
                "launchctl",
                "bootstrap",
                &session,
                &path.display().to_string(),
            ]),
        ],
        off: vec![bootout],
        forget: Vec::new(),
        units: vec![Unit {
            path,
            bytes: text.into_bytes(),
        }],
    }
}
