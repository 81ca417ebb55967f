//! Which processes run agents. An agent with a shell of its own could run `awsso
//! approvals`: who was started by the program that started a shim is not heard as
//! a person. A program that hides where it comes from is not found by this.

use std::sync::{Arc, Mutex, PoisonError};

use crate::os::{Process, lineage};

/// Programs that start shims and still run; a machine has a handful.
const MOST: usize = 1_000;

#[derive(Debug, Clone, Default)]
pub struct Agents(Arc<Mutex<Vec<Process>>>);

impl Agents {
    /// A shim connected.
    pub fn met(&self, shim: u32) {
        let Some(parent) = lineage(shim).get(1).copied() else {
            return;
        };
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
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn who_was_started_by_the_program_that_started_a_shim_is_of_an_agent() {
        let agents = Agents::default();
        // A host (sh) with two children: a shim and a tool.
        let mut host = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().unwrap()));
        let mut child = || lines.next().unwrap().unwrap().parse::<u32>().unwrap();
        let (shim, tool) = (child(), child());
        assert_eq!(agents.behind(tool), None);
        agents.met(shim);
        assert_eq!(agents.behind(tool), Some(host.id()));
        assert_eq!(agents.behind(shim), Some(host.id()));
        assert_eq!(agents.behind(std::process::id()), None);
        for pid in [shim, tool] {
            Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        host.wait().unwrap();
    }
}
