//! On a terminal: the first accounts at once, and at the end nothing but the
//! whole list.

use std::{
    io::{PipeWriter, Write as _},
    time::{Duration, Instant},
};

use awsso_e2e::{Background, World, bin};

use super::ROLES;

/// `ls-accounts` on a terminal of 20 rows and 80 columns, and its keyboard.
fn on_a_terminal(world: &World) -> (Background, PipeWriter) {
    let awsso = bin("awsso");
    let line = format!(
        "stty rows 20 cols 80; exec '{}' ls-accounts",
        awsso.display()
    );
    let (stdin, keys) = std::io::pipe().unwrap();
    let mut script = world.program("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(stdin);
    (Background::start(script, "ls-accounts on a terminal"), keys)
}

async fn shown(world: &World) -> String {
    let (screen, _keys) = on_a_terminal(world);
    screen.end().await.ok().replace("\r\n", "\n")
}

/// Each text that was shown in the place of the one before it, which was taken
/// back to its first row.
fn frames(shown: &str) -> Vec<String> {
    let mut frames = vec![String::new()];
    for part in shown.split_inclusive("\r\x1b[0J") {
        let last = frames.last_mut().unwrap();
        let Some(rest) = part.strip_suffix("\r\x1b[0J") else {
            last.push_str(part);
            continue;
        };
        let (text, up) = rest.rsplit_once("\x1b[").unwrap();
        last.push_str(text.trim_end_matches("^C"));
        assert_eq!(up, format!("{}A", last.lines().count()));
        frames.push(String::new());
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_accounts_are_seen_while_the_others_come_in() {
    let world = World::of_accounts(300).await;
    let latency = Duration::from_millis(50);
    world.sandbox.faults().set_latency(latency);
    let started = Instant::now();
    let shown = shown(&world).await;
    let took = started.elapsed();
    let mut frames = frames(&shown);
    let whole = world.awsso(&["ls-accounts"]).await.ok();
    assert_eq!(frames.pop(), Some(whole));
    assert!(!frames.is_empty(), "{shown}");
    for frame in &frames {
        let lines: Vec<_> = frame.lines().collect();
        assert_eq!(lines.len(), 19, "{frame}");
        assert!(lines[18].starts_with("… and "), "{frame}");
        let fits = |line: &&str| line.chars().count() <= 80;
        assert!(lines.iter().all(fits), "{frame}");
    }
    assert!(!frames[0].contains("roles of 300"), "{shown}");
    let drawn = u32::try_from(frames.len()).unwrap();
    assert!(
        Duration::from_millis(100) * drawn < took,
        "{took:?}: {shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_known_is_only_printed() {
    let world = World::of_accounts(60).await;
    let whole = world.awsso(&["ls-accounts"]).await.ok();
    assert_eq!(shown(&world).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_terminal_as_it_was() {
    let world = World::of_accounts(40).await;
    world.sandbox.faults().hang_next(ROLES, 1);
    let (screen, mut keys) = on_a_terminal(&world);
    screen.prints("… and 23 more").await;
    keys.write_all(b"\x03").unwrap();
    let run = screen.end().await.code(130);
    let frames = frames(&run.stdout.replace("\r\n", "\n"));
    assert!(frames.len() > 1, "{run:?}");
    assert_eq!(frames.last().unwrap(), "", "{run:?}");
}
