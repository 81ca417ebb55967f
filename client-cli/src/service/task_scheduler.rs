//! Windows: a task at the logon of its person; a pipe has nobody who would listen
//! in the daemon's place. Known from documents only: it was never run there.

use super::{Places, Service, Unit, step, xml};

const TASK: &str = "awssod";
const FORM: &str = include_str!("../../../packaging/windows/awssod.xml");

pub fn service(places: &Places) -> Service {
    let path = places.state.join("awssod.xml");
    let text = FORM
        .replace("@AWSSOD@", &xml(places.awssod.display()))
        .replace("@USER@", &xml(&places.user));
    let file = path.display().to_string();
    let bytes = std::iter::once('\u{feff}')
        .chain(text.chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    Service {
        name: "Task Scheduler",
        units: vec![Unit { path, bytes }],
        reach: step(&["schtasks", "/Query", "/FO", "LIST"]),
        is_on: vec![step(&["schtasks", "/Query", "/TN", TASK])],
        on: vec![
            step(&["schtasks", "/Create", "/F", "/TN", TASK, "/XML", &file]),
            step(&["schtasks", "/Run", "/TN", TASK]),
        ],
        off: vec![step(&["schtasks", "/Delete", "/F", "/TN", TASK])],
        forget: Vec::new(),
    }
}
