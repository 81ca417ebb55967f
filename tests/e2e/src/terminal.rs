//! A terminal that a test reads and types into.

use std::io::{PipeWriter, Write as _};

use crate::{Background, Run, World, bin};

/// `awsso` on a terminal that a test types into. Its stdout goes to a file, as
/// in `eval "$(awsso env)"`.
pub struct OnTerminal<'a> {
    world: &'a World,
    screen: Background,
    keys: PipeWriter,
}

impl<'a> OnTerminal<'a> {
    pub fn start(world: &'a World, args: &str) -> Self {
        let line = format!(
            "stty rows 40 cols 120; stty -g >before; \
             sh -c 'echo $$ >pid; exec \"$0\" \"$@\"' '{}' {args} >out; echo $? >code; stty -g >after",
            bin("awsso").display()
        );
        let (stdin, keys) = std::io::pipe().expect("a pipe");
        let mut script = world.program("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("SHELL", "/bin/sh")
            .stdin(stdin);
        Self {
            world,
            screen: Background::start(script, args),
            keys,
        }
    }

    /// Waits until the screen has shown something that `look` finds.
    pub async fn finds<T>(&self, wanted: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.screen.finds(wanted, look).await
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        let typed = self.keys.write_all(keys.as_bytes());
        typed.expect("the terminal reads");
    }

    /// The process of `awsso`, which has shown something.
    pub fn pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.world.home().join("pid"));
        let text = text.expect("the script has written it");
        text.trim().parse().expect("a process id")
    }

    /// Waits until the screen has shown this, then types.
    pub async fn at(mut self, seen: &str, keys: &str) -> Self {
        self.screen.prints(seen).await;
        self.types(keys);
        self
    }

    /// Its end: code, stdout, and all that the screen has shown as stderr.
    pub async fn end(self) -> Run {
        let seen = self.screen.end().await;
        let file = |name: &str| {
            let text = std::fs::read_to_string(self.world.home().join(name));
            text.expect("the script has written it")
        };
        assert_eq!(file("before"), file("after"), "the terminal is as it was");
        Run {
            command: seen.command,
            code: file("code").trim().parse().ok(),
            stdout: file("out"),
            stderr: seen.stdout,
        }
    }
}
