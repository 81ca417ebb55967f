//! Programs as the bench runs them: from start to end, from start to the first line, and how much memory they hold.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

/// From the start of a program to its end, all that it prints read.
pub fn whole(command: &mut Command) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut printed = Vec::new();
    let mut stdout = child.stdout.take().context("stdout is piped")?;
    stdout.read_to_end(&mut printed)?;
    let status = child.wait()?;
    let took = started.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(took)
}

/// A program that answers a line of input with a line of output.
pub struct Talker {
    pub child: Child,
    pub started: Instant,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Talker {
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        Ok(Self {
            child,
            started,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// Empty when the program has ended.
    pub fn read(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line)
    }

    pub fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.stdin, "{line}")?)
    }

    /// Closes its stdin and waits for its end.
    pub fn end(self) -> anyhow::Result<()> {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        child.wait()?;
        Ok(())
    }
}

/// How often each thread of a process has left its processor, as Linux tells it.
pub struct Switches(BTreeMap<String, u64>);

impl Switches {
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.path();
            let status = fs::read_to_string(thread.join("status"))?;
            // `voluntary_…` and `nonvoluntary_…`.
            let counts = status
                .lines()
                .filter_map(|line| line.split_once("voluntary_ctxt_switches:"))
                .map(|(_, count)| count.trim().parse::<u64>());
            let all = counts.sum::<Result<u64, _>>()?;
            threads.insert(thread.display().to_string(), all);
        }
        Ok(Self(threads))
    }

    /// How many there were since. A thread that has ended woke for that.
    pub fn since(&self, earlier: &Self) -> u64 {
        let ended = earlier.0.keys().filter(|id| !self.0.contains_key(*id));
        let now = self.0.iter();
        let more = now.map(|(id, count)| count - earlier.0.get(id).unwrap_or(&0));
        more.sum::<u64>() + ended.map(|_| 1).sum::<u64>()
    }
}

/// Resident memory in MiB, as Linux tells it.
pub fn resident(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .context("VmRSS")?;
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_came_and_went_are_counted_too() {
        let of = |threads: &[(&str, u64)]| {
            let threads = threads.iter();
            Switches(
                threads
                    .map(|(id, count)| ((*id).to_owned(), *count))
                    .collect(),
            )
        };
        let earlier = of(&[("1", 40), ("2", 900)]);
        assert_eq!(of(&[("1", 40), ("2", 900)]).since(&earlier), 0);
        assert_eq!(of(&[("1", 42), ("3", 7)]).since(&earlier), 2 + 7 + 1);
    }
}
