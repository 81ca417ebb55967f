//! A sign of life on stderr, for a person, and only when there is something to
//! wait for: what is quick shows nothing and starts nothing.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    time::Duration,
};

use console::{Term, is_dumb, truncate_str};
use tokio::time::{MissedTickBehavior, interval};

/// A person takes anything quicker for instant.
const PATIENCE: Duration = Duration::from_millis(300);

const FRAME: Duration = Duration::from_millis(100);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

pub struct Progress {
    terminal: Term,
    text: RefCell<String>,
    shown: Cell<bool>,
    ended: Cell<bool>,
}

impl Progress {
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            terminal: Term::buffered_stderr(),
            text: RefCell::new(text.into()),
            shown: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    /// Changes what is shown.
    pub fn say(&self, text: impl Into<String>) {
        self.text.replace(text.into());
    }

    /// Prints something in between.
    pub fn pause(&self, print: impl FnOnce()) {
        self.clear();
        print();
    }

    /// Shows nothing from here on: the work speaks for itself.
    pub fn end(&self) {
        self.ended.set(true);
        self.clear();
    }

    /// Shows the progress over `work`, once it has lasted for a while.
    pub async fn over<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if !self.terminal.is_term() || is_dumb() {
            return work.await;
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(PATIENCE) => {}
        }
        let mut frames = FRAMES.iter().cycle();
        let mut tick = interval(FRAME);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                _ = tick.tick() => {}
            }
            if let Some(frame) = frames.next()
                && !self.ended.get()
            {
                self.draw(*frame);
            }
        };
        self.end();
        done
    }

    // Whoever closed stderr sees no progress, and the work goes on.
    fn draw(&self, frame: char) {
        let columns = usize::from(self.terminal.size().1);
        let line = format!("{frame} {}", self.text.borrow());
        let line = truncate_str(&line, columns.saturating_sub(1), "");
        let drawn = self.terminal.clear_line();
        let drawn = drawn.and_then(|()| self.terminal.write_str(&line));
        let _ = drawn.and_then(|()| self.terminal.flush());
        self.shown.set(true);
    }

    fn clear(&self) {
        if self.shown.replace(false) {
            let cleared = self.terminal.clear_line();
            let _ = cleared.and_then(|()| self.terminal.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
