//! What is wrong with the servers in a client's settings, and what helps. Pure:
//! `awsso mcp list` shows it, and whatever else looks at this machine can.

use std::path::Path;

use awsso_proto::VERSION;
use serde::Serialize;

use super::{Client, Entry, NAME, Server};

/// The package whose tools have our names.
const OLD_SERVER: &str = "mcp-server-aws-sso";
const PROGRAM: &str = "awsso-mcp";

/// What became of asking a program for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Version(String),
    Missing,
    NotExecutable,
    /// It said something else, or nothing.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Problem {
    UnreadableFile,
    MissingProgram,
    NotExecutable,
    OtherVersion,
    NoAnswer,
    RelativePath,
    Wrapper,
    OtherProgram,
    SwitchedOff,
    SeveralEntries,
    OldServer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub problem: Problem,
    /// The server that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    pub message: String,
    pub cure: String,
}

/// Whether a server is ours, whatever it is called.
pub fn is_ours(server: &Server) -> bool {
    let mut words = server.entry.args.iter().chain([&server.entry.command]);
    server.name == NAME || words.any(|word| stem(word) == PROGRAM)
}

/// Whether it can be asked for its version: it is ours by its name, and one program wherever it is asked.
pub fn is_program(command: &str) -> bool {
    stem(command) == PROGRAM && Path::new(command).is_absolute()
}

/// The servers of a client, looked at; `answer` is what a program says of itself,
/// and `elsewhere` is the text of a second file, which is only searched.
pub fn findings(
    client: Client,
    file: &Path,
    servers: &[Server],
    elsewhere: Option<(&Path, &str)>,
    answer: &dyn Fn(&str) -> Answer,
) -> Vec<Finding> {
    let file = file.display();
    let mut findings = Vec::new();
    let ours: Vec<_> = servers.iter().filter(|server| is_ours(server)).collect();
    for server in &ours {
        let cure = match server.name.as_str() {
            NAME => format!("awsso mcp install {}", client.word()),
            name => format!(
                "remove {name:?} from {file}, then: awsso mcp install {}",
                client.word()
            ),
        };
        if let Some((problem, message)) = wrong(server, answer) {
            findings.push(Finding {
                problem,
                entry: Some(server.name.clone()),
                message,
                cure,
            });
        }
        if server.is_off {
            findings.push(Finding {
                problem: Problem::SwitchedOff,
                entry: Some(server.name.clone()),
                message: format!("{} is told not to start it", client.title()),
                cure: format!("switch it on in {}", client.title()),
            });
        }
    }
    if ours.len() > 1 {
        let names: Vec<_> = ours
            .iter()
            .map(|server| format!("{:?}", server.name))
            .collect();
        findings.push(Finding {
            problem: Problem::SeveralEntries,
            entry: None,
            message: format!(
                "every tool is there {} times: {}",
                ours.len(),
                names.join(", ")
            ),
            cure: format!("leave one of them in {file}"),
        });
    }
    let old = |server: &&Server| {
        let mut words = server.entry.args.iter().chain([&server.entry.command]);
        words.any(|word| word.contains(OLD_SERVER))
    };
    for server in servers.iter().filter(old) {
        findings.push(old_server(Some(server.name.clone()), &file.to_string()));
    }
    if let Some((path, _)) = elsewhere.filter(|(_, text)| text.contains(OLD_SERVER)) {
        findings.push(old_server(None, &path.display().to_string()));
    }
    findings
}

fn wrong(server: &Server, answer: &dyn Fn(&str) -> Answer) -> Option<(Problem, String)> {
    let Entry { command, args, .. } = &server.entry;
    if command.is_empty() {
        return None; // it is reached over HTTP
    }
    if stem(command) != PROGRAM {
        let is_wrapped = args.iter().any(|arg| stem(arg) == PROGRAM);
        return Some(if is_wrapped {
            let text =
                format!("it starts {PROGRAM} through {command:?}, which can fail on its own");
            (Problem::Wrapper, text)
        } else {
            let text = format!("it starts {command:?}, not {PROGRAM}");
            (Problem::OtherProgram, text)
        });
    }
    if !is_program(command) {
        let text =
            format!("{command:?} is no absolute path, and a desktop program has a PATH of its own");
        return Some((Problem::RelativePath, text));
    }
    match answer(command) {
        Answer::Version(version) if version == VERSION => None,
        Answer::Version(version) => Some((
            Problem::OtherVersion,
            format!("{command} is version {version}, this is {VERSION}"),
        )),
        Answer::Missing => Some((Problem::MissingProgram, format!("{command} is not there"))),
        Answer::NotExecutable => Some((
            Problem::NotExecutable,
            format!("{command} cannot be executed"),
        )),
        Answer::Nothing => Some((
            Problem::NoAnswer,
            format!("{command} does not say its version"),
        )),
    }
}

fn old_server(entry: Option<String>, file: &str) -> Finding {
    let cure = match &entry {
        Some(name) => format!("remove {name:?} from {file}"),
        None => format!("remove it from {file}"),
    };
    Finding {
        problem: Problem::OldServer,
        entry,
        message: format!(
            "@aashari/{OLD_SERVER} is still there, and its tools have the names of ours"
        ),
        cure,
    }
}

/// The name of a program, without its folder and `.exe`.
fn stem(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name)
}
