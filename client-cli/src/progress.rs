//! A sign of life on stderr, for a person, and only when there is something to
//! wait for: what is quick shows nothing and starts nothing.

use std::{
    cell::{Cell, OnceCell, RefCell},
    io::IsTerminal as _,
    pin::pin,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A person takes anything quicker for instant.
const PATIENCE: Duration = Duration::from_millis(300);

const FRAME: Duration = Duration::from_millis(100);

pub struct Progress {
    text: RefCell<String>,
    bar: OnceCell<ProgressBar>,
    ended: Cell<bool>,
}

impl Progress {
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: RefCell::new(text.into()),
            bar: OnceCell::new(),
            ended: Cell::new(false),
        }
    }

    /// Changes what is shown.
    pub fn say(&self, text: impl Into<String>) {
        let text = text.into();
        if let Some(bar) = self.bar.get() {
            bar.set_message(text.clone());
        }
        self.text.replace(text);
    }

    /// Prints something in between.
    pub fn pause(&self, print: impl FnOnce()) {
        match self.bar.get() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Shows nothing from here on: the work speaks for itself.
    pub fn end(&self) {
        self.ended.set(true);
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }

    /// Shows the progress over `work`, once it has lasted for a while.
    pub async fn over<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if !std::io::stderr().is_terminal() {
            return work.await;
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(PATIENCE) => {}
        }
        if !self.ended.get() {
            self.bar.get_or_init(|| spinner(self.text.borrow().clone()));
        }
        let done = work.await;
        self.end();
        done
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn spinner(text: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(text);
    bar.set_style(
        ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is well-formed"),
    );
    bar.enable_steady_tick(FRAME);
    bar
}
